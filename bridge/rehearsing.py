"""What the commands that rehearse do: calls without a phone, the model alone, and tapes over sockets.

Each returns an exit code, or raises BridgeError with one sentence.
"""

from __future__ import annotations

import dataclasses
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from bridge import rendezvous, watch
from bridge.app import Bridge, complete
from bridge.clock import Clock
from bridge.configuration import load
from bridge.errors import BridgeError, ConfigurationError
from bridge.process import first, signals
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
from bridge.serving import log_as
from bridge.several import media_routes, one_of
from bridge.wire.tape import TapeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.call.plan import Plan
    from bridge.rehearsal.reenact.parts import Parts
    from bridge.rehearsal.rehearse import Rehearsed, Transcript
    from bridge.rehearsal.scenario import Scenario
    from bridge.settings import Settings


class _Called(NamedTuple):
    """The bridge that is called."""

    url: str
    credential: Credential
    media_routes: Mapping[str, int]
    transcript: Transcript | None
    """Knows what was said; None when that bridge does not tell us."""


async def call(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Make a rehearsed call, against a running bridge or one started for it; 1 when it did not go as expected."""
    scenario = _scenario(options)
    settings = load(file, environ).settings
    log_as(settings, level="warning")  # what happens is on the timeline
    clock, watching = Clock(options.rate), watch.Watch()
    async with AsyncExitStack() as stack:
        if options.to:
            called = _running(options.to.rstrip("/"), settings)
        else:
            bridge = Bridge(_own(settings, options.tape), clock=clock, observers=(watching,), keeps_records=False)
            called = _started(await stack.enter_async_context(bridge))
        timeline = show.Timeline(clock, _silent if options.json else _line)
        carrier = watching.carrier = await stack.enter_async_context(_carrier(called, clock, timeline))
        rehearsed = await rehearse(scenario, carrier, transcript=called.transcript)
        timeline.close()
    if options.wav:
        rehearsed.write_wav(options.wav)
    _tell(rehearsed, options)
    return 1 if rehearsed.failures else 0


def _scenario(options: argparse.Namespace) -> Scenario:
    chosen = {"from_": options.from_, "to": options.dial}
    return dataclasses.replace(load_scenario(options.audio), **{key: value for key, value in chosen.items() if value})


def _own(settings: Settings, tapes: Path | None) -> Settings:
    """The settings of a bridge that is started for one call: alone, on any port, with a tape if one is wanted."""
    server = one_of(settings, 0).server.model_copy(update={"port": 0, "workers": 1})
    tape = settings.tape.model_copy(update={"record": True, "directory": tapes} if tapes else {})
    return settings.model_copy(update={"server": server, "tape": tape})


def _started(bridge: Bridge) -> _Called:
    credential = Credential.of(bridge.settings)
    return _Called(bridge.url, credential, media_routes(bridge.settings.server), watch.kept_by(bridge.recent))


def _running(url: str, settings: Settings) -> _Called:
    credential = _credential(url, settings)
    routes = media_routes(complete(settings).server)
    return _Called(url, credential, routes, watch.asked_of(url, credential.admin_token))


def _carrier(called: _Called, clock: Clock, timeline: show.Timeline) -> Carrier:
    credential = called.credential
    carrier = Carrier(
        account_sid=credential.account_sid,
        auth_token=credential.auth_token,
        clock=clock,
        to=called.url,
        public_url=credential.public_url,
        on_event=timeline,
    )
    for public, port in called.media_routes.items():
        carrier.route(public, f"http://{urlsplit(called.url).hostname}:{port}")
    return carrier


def _tell(rehearsed: Rehearsed, options: argparse.Namespace) -> None:
    """Print what came of a call."""
    if options.json:
        print(watch.as_json(rehearsed))
        return
    if outcome := show.outcome(rehearsed):
        print(f"\n{outcome}")
    if options.wav:
        print(f"sound: {options.wav} (left: the caller; right: what the caller heard)")


async def model(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Run the embedded Realtime server alone, until it is interrupted."""
    from bridge.rehearsal.mind import Dialogue  # noqa: PLC0415 - the extra `embedded` is needed only here
    from bridge.rehearsal.model import run  # noqa: PLC0415 - as above

    path = options.dialogue or load(file, environ).settings.rehearsal.dialogue
    serving = run(
        dialogue=Dialogue.load(path) if path else Dialogue.default(),
        host=options.host,
        port=options.port,
        api_key=options.api_key,
        dialects=options.dialect,
        on_ready=lambda url: _line(f"listening on {url}"),
    )
    with signals() as told:
        try:
            await first(serving, told.once.wait())
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
