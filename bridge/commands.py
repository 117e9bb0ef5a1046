"""What the commands that run something do. Each returns an exit code, or raises BridgeError with one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge import rendezvous, standing, watch
from bridge.app import Bridge, complete
from bridge.clock import Clock
from bridge.configuration import load
from bridge.errors import BridgeError, ConfigurationError
from bridge.process import first, hangups, signals
from bridge.reenactment import reenact
from bridge.rehearsal import show
from bridge.rehearsal.carrier import Carrier
from bridge.rehearsal.reenact.likeness import Tolerance
from bridge.rehearsal.reenact.parts import parts_of
from bridge.rehearsal.rehearse import rehearse
from bridge.rehearsal.scenario import load as load_scenario
from bridge.rendezvous import Credential
from bridge.replay.commands import opened, reason_of, tapes_in
from bridge.replay.plans import plan_of
from bridge.serving import log_as, reloading, until_told
from bridge.several import media_routes, one_of
from bridge.wire.tape import TapeError
from bridge.workers import Workers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bridge.call.plan import Plan
    from bridge.rehearsal.reenact.parts import Parts
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
    with signals() as stop:
        async with Bridge(loaded.settings) as bridge:
            with _findable(bridge, loaded.settings), reloading(bridge, file, environ):
                where = {"url": bridge.url, "public_url": bridge.settings.server.public_url}
                _log.info("bridge.started", extra={**where, "model": bridge.settings.model.provider})
                await until_told(bridge, stop)
        _log.info("bridge.stopped")
    return 0


async def _serve_by_workers(loaded: Settings, file: Path | None, environ: Mapping[str, str]) -> int:
    """Run the bridge as several processes."""
    with signals() as stop:
        async with Workers(loaded, file, environ) as workers:
            with _findable(workers, loaded), hangups(workers.reload):
                settings = workers.settings
                where = {"url": workers.url, "public_url": settings.server.public_url}
                _log.info("bridge.started", extra={**where, "model": settings.model.provider, "pids": workers.pids})
                await stop.wait()
                stop.clear()
                workers.leave()
                await first(workers.wait_left(), stop.wait())
                if stop.is_set():
                    workers.leave()
                code = await workers.wait_left()
    _log.info("bridge.stopped")
    return code


async def call(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Make a rehearsed call, against a running bridge or one started for it; 1 when it did not go as expected."""
    scenario = load_scenario(options.audio)
    chosen = {"from_": options.from_, "to": options.dial}
    scenario = dataclasses.replace(scenario, **{key: value for key, value in chosen.items() if value})
    settings = load(file, environ).settings
    log_as(settings, level="warning")  # what happens is on the timeline
    clock = Clock(options.rate)
    watching = watch.Watch()
    async with AsyncExitStack() as stack:
        if options.to:
            url, credential = options.to.rstrip("/"), _credential(options.to, settings)
            transcript = watch.asked_of(url, credential.admin_token)
        else:
            server = one_of(settings, 0).server.model_copy(update={"port": 0, "workers": 1})
            tape = settings.tape.model_copy(update={"record": True, "directory": options.tape} if options.tape else {})
            settings = settings.model_copy(update={"server": server, "tape": tape})
            bridge = await stack.enter_async_context(
                Bridge(settings, clock=clock, observers=(watching,), keeps_records=False)
            )
            url, credential = bridge.url, Credential.of(bridge.settings)
            transcript = watch.kept_by(bridge.recent)
        timeline = show.Timeline(clock, _silent if options.json else _line)
        watching.carrier = await stack.enter_async_context(
            Carrier(
                account_sid=credential.account_sid,
                auth_token=credential.auth_token,
                clock=clock,
                to=url,
                public_url=credential.public_url,
                on_event=timeline,
            )
        )
        for public, port in media_routes(complete(settings).server).items():
            watching.carrier.route(public, f"http://{urlsplit(url).hostname}:{port}")
        rehearsed = await rehearse(scenario, watching.carrier, transcript=transcript)
        timeline.close()
    if options.wav:
        rehearsed.write_wav(options.wav)
    if options.json:
        print(watch.as_json(rehearsed))
    else:
        print(f"\n{show.transcript(rehearsed.turns)}\n\n{show.summary(rehearsed)}")
        if options.wav:
            print(f"sound: {options.wav} (left: the caller; right: what the caller heard)")
    return 1 if rehearsed.failures else 0


def fallback_document(file: Path | None, environ: Mapping[str, str]) -> str:
    """The fallback as a document to be hosted elsewhere, where it does not fail with the bridge."""
    return standing.standing(load(file, environ).settings).fallback


async def model(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Run the embedded Realtime server alone, until it is interrupted."""
    from bridge.rehearsal.mind import Dialogue  # noqa: PLC0415 - the extra `embedded` is needed only here
    from bridge.rehearsal.model import run  # noqa: PLC0415

    path = options.dialogue or load(file, environ).settings.rehearsal.dialogue
    serving = run(
        dialogue=Dialogue.load(path) if path else Dialogue.default(),
        host=options.host,
        port=options.port,
        api_key=options.api_key,
        dialects=options.dialect,
        on_ready=lambda url: _line(f"listening on {url}"),
    )
    with signals() as stop:
        try:
            await first(serving, stop.wait())
        except OSError as error:
            where = f"{options.host}:{options.port}"
            raise BridgeError(f"cannot listen on {where} ({error}): stop what listens there, or say --port") from error
    return 0


async def replay(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Play tapes over sockets, at a running bridge or one that is started for each; 1 when one goes otherwise."""
    is_same = True
    for path in tapes_in(options.tapes):
        plan, parts = _read(path)
        to = (options.to.rstrip("/"), _credential(options.to, load(file, environ).settings)) if options.to else None
        clock = Clock(1.0 if options.to else options.rate)
        tolerance = Tolerance() if options.tolerance_s is None else Tolerance(moment_s=options.tolerance_s)
        port = options.model_port if options.to else 0
        again = await reenact(parts, plan, clock, to=to, model_port=port, tolerance=tolerance)
        print(again.report(str(path)))
        is_same = is_same and not again.differences
    return 0 if is_same else 1


def _read(path: Path) -> tuple[Plan, Parts]:
    try:
        with opened(path) as tape:
            return plan_of(tape.header), parts_of(tape)
    except (TapeError, OSError) as error:
        raise ConfigurationError(reason_of(error), source=str(path)) from error


def _line(text: str) -> None:
    print(text, flush=True)


def _silent(_: str) -> None:
    """For machines, which read the result alone."""


def _credential(url: str, settings: Settings) -> Credential:
    """What the carrier needs to call the bridge at an address: from the configuration, else what that bridge left."""
    if settings.twilio.auth_token.get_secret_value():
        return Credential.of(settings)
    credential = rendezvous.find(urlsplit(url).port or 80)
    if credential is None:
        message = "no bridge here has left one for that port: start it, or give --config with the one it runs with"
        raise ConfigurationError(message, key="twilio.auth_token")
    return credential


@contextlib.contextmanager
def _findable(bridge: Bridge | Workers, given: Settings) -> Iterator[None]:
    """Let `call --to` find the credential of a bridge that made up its own."""
    if given.twilio.auth_token.get_secret_value() or given.twilio.insecure:
        yield
        return
    with rendezvous.published(bridge.port, Credential.of(bridge.settings)):
        yield
