"""What the commands that run the bridge do. Each returns an exit code, or raises BridgeError with one sentence.

Those that rehearse are in `bridge.rehearsing`: a bridge that serves starts without carrier and scenarios.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from bridge import rendezvous, standing
from bridge.app import Bridge
from bridge.configuration import load
from bridge.edge.model_client import model_client
from bridge.process import first, hangups, signals
from bridge.rendezvous import Credential
from bridge.serving import log_as, reloading, until_told
from bridge.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bridge.settings import Settings

_log = logging.getLogger("bridge")


async def serve(file: Path | None, environ: Mapping[str, str]) -> int:
    """Run the bridge until SIGTERM or SIGINT; then let calls end within `drain_s`. A second signal ends it at once."""
    loaded = load(file, environ)
    log_as(loaded.settings)
    for notice in loaded.warnings:
        _log.warning("config.doubted", extra={"key": notice.key, "doubt": notice.message})
    if loaded.settings.server.workers > 1:
        return await _serve_by_workers(loaded.settings, file, environ)
    with signals() as told:
        async with Bridge(loaded.settings) as bridge:
            with _findable(bridge, loaded.settings), reloading(bridge, file, environ):
                where = {"url": bridge.url, "public_url": bridge.settings.server.public_url}
                model = {"model": bridge.settings.model.provider, "sessions_by": bridge.model_leg.library}
                _log.info("bridge.started", extra=where | model)
                await until_told(bridge, told)
        _log.info("bridge.stopped")
    return 0


async def _serve_by_workers(loaded: Settings, file: Path | None, environ: Mapping[str, str]) -> int:
    """Run the bridge as several processes."""
    with signals() as told:
        async with Workers(loaded, file, environ) as workers:
            with _findable(workers, loaded), hangups(workers.reload):
                settings = workers.settings
                where = {"url": workers.url, "public_url": settings.server.public_url}
                model = {"model": settings.model.provider, "sessions_by": model_client().library}
                _log.info("bridge.started", extra=where | model | {"pids": workers.pids})
                await told.once.wait()
                workers.leave()
                await first(workers.wait_left(), told.twice.wait())
                if told.twice.is_set():
                    workers.leave()
                code = await workers.wait_left()
    _log.info("bridge.stopped")
    return code


def fallback_document(file: Path | None, environ: Mapping[str, str]) -> str:
    """The fallback as a document to be hosted elsewhere, where it does not fail with the bridge."""
    return standing.standing(load(file, environ).settings).fallback


@contextlib.contextmanager
def _findable(bridge: Bridge | Workers, given: Settings) -> Iterator[None]:
    """Let `call --to` find the credential of a bridge that made up its own."""
    if given.twilio.auth_token.get_secret_value() or given.twilio.insecure:
        yield
        return
    with rendezvous.published(bridge.port, Credential.of(bridge.settings)):
        yield
