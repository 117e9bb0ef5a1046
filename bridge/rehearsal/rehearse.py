"""Plays a scenario on a simulated carrier, and tells what came of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from bridge.rehearsal.carrier import Callee, Caller
from bridge.rehearsal.scenario import END_SILENCE_S
from bridge.rehearsal.sound import write_stereo
from bridge.wire.g711 import RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.rehearsal.carrier import Call, Carrier, Event, Notice
    from bridge.rehearsal.carrier.stream import MediaStream
    from bridge.rehearsal.scenario import Destination, Expectations, Scenario, Step

TURN_SILENCE_S = 0.8
"""For how long the bot is silent before a caller takes its turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody said, as the bridge knows it: the caller's words as understood, the bot's as heard."""

    role: Literal["caller", "bot"]
    text: str
    at_s: float | None = None
    is_cut: bool = False


Transcript = Callable[[str], Awaitable[Sequence[Turn]]]
"""Gives the turns of a call, by its CallSid, once the call is over."""


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What came of a rehearsal.

    Attributes:
        call: the caller's leg; `call.phone.mouth` and `call.phone.ear` are what was said and heard.
        events: the moments of all legs, in order of time.
        turns: the transcript; empty where nobody gave one.
        replies_s: for each time the caller stopped and the bot was heard next: the seconds between.
        stops_s: for each interruption: the seconds from its start until the bot was last heard.
        warnings: what the carrier had to complain about.
        failures: what was expected and did not happen, a sentence each; empty: the rehearsal is passed.
    """

    scenario: Scenario
    call: Call
    events: Sequence[Event]
    turns: Sequence[Turn]
    replies_s: Sequence[float]
    stops_s: Sequence[float]
    warnings: Sequence[Notice]
    failures: Sequence[str]

    def write_wav(self, path: Path) -> None:
        """Write the call as stereo, from the answer on: left the caller, right what the caller heard, when heard."""
        phone, call = self.call.phone, self.call
        start_s = call.started_s if call.answered_s is None else call.answered_s
        start, stop = (max(0, int(((at_s or 0) - phone.origin_s) * RATE_HZ)) for at_s in (start_s, call.ended_s))
        write_stereo(path, phone.mouth.read(start, stop), phone.ear.read(start, stop))


async def rehearse(scenario: Scenario, carrier: Carrier, *, transcript: Transcript | None = None) -> Rehearsed:
    """Make the call that a scenario describes, and wait for its end.

    `carrier` has been entered and knows where the bridge is; the scenario's destinations are added to its own:

        async with Carrier(account_sid=…, auth_token=…, clock=clock, to="http://127.0.0.1:8080") as carrier:
            rehearsed = await rehearse(load(path), carrier)
    """
    carrier.destinations |= {to: _callee(destination) for to, destination in scenario.destinations.items()}
    player = _Player(scenario)
    caller = Caller(script=player.play, line=scenario.line)
    call = await carrier.dial(from_=scenario.from_, to=scenario.to, caller=caller)
    call.limit(scenario.limit_s)
    await call.ended()
    await carrier.settled()
    turns = await transcript(call.sid) if transcript is not None else ()
    events = sorted(carrier.events, key=lambda event: event.at_s)
    own = [event for event in events if event.call_sid == call.sid]
    replies_s = _replies(own)
    failures = [
        *player.failures,
        *_judge(scenario.expect, carrier, call, turns, replies_s=replies_s, stops_s=player.stops_s),
    ]
    if call.ended_by == "time limit":
        failures.append(f"the call was not over after {scenario.limit_s:g} s")
    return Rehearsed(
        scenario=scenario,
        call=call,
        events=events,
        turns=turns,
        replies_s=replies_s,
        stops_s=player.stops_s,
        warnings=carrier.faults,
        failures=failures,
    )


@dataclass(slots=True)
class _Player:
    """The caller's script: does the steps, each at its moment."""

    scenario: Scenario
    failures: list[str] = field(default_factory=list)
    stops_s: list[float] = field(default_factory=list)
    _since: int = 0
    """Where on the telephone's axis the last step ended."""

    async def play(self, call: Call) -> None:
        for number, step in enumerate(self.scenario.steps, 1):
            try:
                async with call.carrier.clock.timeout(step.within_s):
                    await call.until(partial(self._is_time, call, step))
            except TimeoutError:
                self.failures.append(f"step {number}: {_moment(step)} did not come within {step.within_s:g} s")
                break
            await self._do(call, step)
            self._since = call.phone.position()
        await call.until(partial(self._is_quiet, call, END_SILENCE_S))
        call.hang_up()

    def _is_time(self, call: Call, step: Step) -> bool:
        hearing = call.phone.hearing
        if step.during is not None:
            begun = max(self._since, hearing.started)
            return hearing.is_speaking and call.phone.position() - begun >= step.during * RATE_HZ
        if step.after is None:
            return True
        if step.after == "start":
            return call.stream is not None
        if isinstance(step.after, str):
            return hearing.stopped > self._since and call.phone.silent_s >= TURN_SILENCE_S
        return call.stream is not None and self._is_quiet(call, step.after)

    def _is_quiet(self, call: Call, seconds: float) -> bool:
        return min(call.phone.silent_s, (call.phone.position() - self._since) / RATE_HZ) >= seconds

    async def _do(self, call: Call, step: Step) -> None:
        if step.say is not None:
            begun = call.phone.position()
            await call.say(self.scenario.sounds[step.say])
            if step.during is not None:
                await call.until(lambda: not call.phone.hearing.is_speaking or call.phone.hearing.started > begun)
                self.stops_s.append(max(0.0, (call.phone.hearing.stopped - begun) / RATE_HZ))
        elif step.press is not None:
            await call.press(step.press)
        elif step.pause_s is not None:
            await call.carrier.clock.sleep(step.pause_s)
        elif step.stream is not None:
            _disturb(call.stream, step.stream)
        else:
            call.hang_up()
            await asyncio.get_running_loop().create_future()  # until the end of the call takes the script along


def _disturb(stream: MediaStream | None, how: str) -> None:
    """Let something go wrong with a media stream."""
    if stream is None:
        return
    match how:
        case "drop":
            stream.drop()
        case "mute" | "unmute":
            stream.mute(is_on=how == "mute")
        case _:
            stream.freeze(is_on=how == "freeze")


def _moment(step: Step) -> str:
    if step.during is not None:
        return f"{step.during:g} s of the bot's speech"
    if step.after == "start":
        return "the media stream"
    return "the bot's silence" if not isinstance(step.after, str) else f"the bot's {step.after}"


def _callee(destination: Destination) -> Callee:
    async def script(call: Call) -> None:
        if destination.press:
            await call.until(lambda: bool(call.told))
            await call.press(destination.press)
        await call.carrier.clock.sleep(destination.talk_s)
        call.hang_up()

    return Callee(result=destination.result, after_s=destination.after_s, script=script)


def _replies(events: Sequence[Event]) -> list[float]:
    """From each end of the caller's speech to the next start of the bot's, where the caller says nothing in between."""
    replies_s: list[float] = []
    stopped_s: float | None = None
    for event in events:
        if event.kind == "caller.stopped":
            stopped_s = event.at_s
        elif event.kind == "caller.started":
            stopped_s = None
        elif event.kind == "bot.started" and stopped_s is not None:
            replies_s.append(event.at_s - stopped_s)
            stopped_s = None
    return replies_s


def _judge(
    expect: Expectations,
    carrier: Carrier,
    call: Call,
    turns: Sequence[Turn],
    *,
    replies_s: Sequence[float],
    stops_s: Sequence[float],
) -> list[str]:
    failures = []
    for role, patterns in (("bot", expect.heard), ("caller", expect.understood)):
        words = " ".join(turn.text for turn in turns if turn.role == role)
        failures += [f"{pattern!r} is not among the {role}'s words" for pattern in _missing(patterns, words)]
    for what, limit_s, measured in (
        ("reply", expect.replies_within_s, replies_s),
        ("stop", expect.stops_within_s, stops_s),
    ):
        if limit_s is not None and not measured:
            failures.append(f"there was no {what}")
        failures += [
            f"a {what} took {each:.1f} s, not {limit_s:g}"
            for each in measured
            if limit_s is not None and each > limit_s
        ]
    dialled = [leg.to for leg in carrier.calls if leg is not call]
    failures += [f"{to} was not called" for to in expect.dialled if to not in dialled]
    if expect.ended_by is not None and call.ended_by != expect.ended_by:
        failures.append(f"the call was ended by {call.ended_by}, not by {expect.ended_by}")
    return failures


def _missing(patterns: Sequence[str], words: str) -> list[str]:
    """The patterns that do not occur, each behind the one before it."""
    missing, at = [], 0
    for pattern in patterns:
        found = re.compile(pattern, re.IGNORECASE).search(words, at)
        if found is None:
            missing.append(pattern)
        else:
            at = found.end()
    return missing
