"""What the commands that run something do. Each returns an exit code, or raises BridgeError with one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge import leaving, log, reloading, rendezvous, standing, watch
from bridge.app import Bridge
from bridge.clock import Clock
from bridge.configuration import load
from bridge.errors import ConfigurationError
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
from bridge.wire.scrubbing import secrets_of
from bridge.wire.tape import TapeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Coroutine, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bridge.call.plan import Plan
    from bridge.rehearsal.reenact.parts import Parts
    from bridge.settings import Settings

_log = logging.getLogger("bridge")


async def serve(file: Path | None, environ: Mapping[str, str]) -> int:
    """Run the bridge until SIGTERM or SIGINT; then let calls end within `drain_s`. A second signal ends it at once."""
    loaded = load(file, environ)
    _log_as(loaded.settings)
    for notice in loaded.warnings:
        _log.warning("config.doubted", extra={"key": notice.key, "doubt": notice.message})
    with _signals() as stop:
        async with Bridge(loaded.settings) as bridge:
            with _findable(bridge, loaded.settings), _reloading(bridge, file, environ):
                where = {"url": bridge.url, "public_url": bridge.settings.server.public_url}
                _log.info("bridge.started", extra={**where, "model": bridge.settings.model.provider})
                await stop.wait()
                stop.clear()
                await _first(bridge.drain(), stop.wait())
            if stop.is_set():
                bridge.hurry()
            leaving.within(leaving.LEAVE_WITHIN_S)
        _log.info("bridge.stopped")
    return 0


def _log_as(settings: Settings, level: str = "", secrets: Iterable[str] = ()) -> None:
    """Log as `[log]` says, or from another level on; no secret of the settings, nor these, gets into a line."""
    log.set_up(
        level=getattr(logging, (level or settings.log.level).upper()),
        form=settings.log.format,
        secrets={*secrets_of(settings), *secrets},
    )


async def call(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Make a rehearsed call, against a running bridge or one started for it; 1 when it did not go as expected."""
    scenario = load_scenario(options.audio)
    chosen = {"from_": options.from_, "to": options.dial}
    scenario = dataclasses.replace(scenario, **{key: value for key, value in chosen.items() if value})
    settings = load(file, environ).settings
    _log_as(settings, level="warning")  # what happens is on the timeline
    clock = Clock(options.rate)
    watching = watch.Watch()
    async with AsyncExitStack() as stack:
        if options.to:
            url, credential = options.to.rstrip("/"), _credential(options.to, settings)
            transcript = watch.asked_of(url, credential.admin_token)
        else:
            server = settings.server.model_copy(update={"port": 0})
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
        if settings.server.media_port:
            media = f"http://{urlsplit(url).hostname}:{settings.server.media_port}"
            named = settings.server.media_url or f"wss://{urlsplit(credential.public_url).netloc}"
            watching.carrier.route(named, media)
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
    return standing.fallback_document(load(file, environ).settings)


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
    with _signals() as stop:
        await _first(serving, stop.wait())
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


async def _first(*running: Coroutine[None, None, object]) -> None:
    """Wait for the first of these to end, and end the others; a failure is raised."""
    tasks = [asyncio.create_task(each) for each in running]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


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
        message = "has no auth token that this bridge would believe: give --config with the one it runs with"
        raise ConfigurationError(message, key="twilio.auth_token")
    return credential


@contextlib.contextmanager
def _findable(bridge: Bridge, given: Settings) -> Iterator[None]:
    """Let `call --to` find the credential of a bridge that made up its own."""
    if given.twilio.auth_token.get_secret_value() or given.twilio.insecure:
        yield
        return
    with rendezvous.published(bridge.port, Credential.of(bridge.settings)):
        yield


def _reloading(bridge: Bridge, file: Path | None, environ: Mapping[str, str]) -> AbstractContextManager[None]:
    secrets = set(secrets_of(bridge.settings))

    async def adopt(settings: Settings) -> None:
        secrets.update(secrets_of(settings))
        _log_as(bridge.given, secrets=secrets)
        await bridge.adopt(settings)

    return reloading.on_hangup(lambda: reloading.reload(file, environ, adopt))


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set, inside the block."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
