"""The caller of a tape, on the simulated carrier: the same sound, keys and hang-up at the same moments of a stream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from bridge.rehearsal.carrier import Callee, Caller
from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from bridge.rehearsal.carrier import Call
    from bridge.rehearsal.reenact.parts import Errand, Parts, StreamPart

PICKS_UP_AFTER_S = 1.0
TALKS_S = 2.0
"""How long a human who took a call speaks; a tape holds only that they did."""
MARGIN_S = 15.0
"""How much longer than on the tape the call may take before it is hung up."""
_Result = Literal["answer", "busy", "no-answer"]
_RESULTS: dict[str, _Result] = {"busy": "busy", "no_answer": "no-answer", "connected": "answer", "declined": "answer"}


def caller_of(parts: Parts) -> Caller:
    """Who calls."""

    async def play(call: Call) -> None:
        call.limit(parts.length_s + MARGIN_S)
        for number, stream in enumerate(parts.streams):
            await call.until(partial(_has_streams, call, number + 1))
            await _play(call, stream)

    return Caller(script=play)


def callee_of(errand: Errand, *, is_asked: bool) -> Callee:
    """Who is called in a transfer, and does what was done then. `is_asked`: whether they take the call by a key."""

    async def script(call: Call) -> None:
        if is_asked or errand.outcome == "declined":
            await call.until(lambda: bool(call.told))
        if errand.outcome != "declined":
            if is_asked:
                await call.press("1")
            await call.carrier.clock.sleep(TALKS_S)
        call.hang_up()

    return Callee(result=_RESULTS.get(errand.outcome, "failed"), after_s=PICKS_UP_AFTER_S, script=script)


async def _play(call: Call, stream: StreamPart) -> None:
    began_s = call.carrier.clock.now()
    base = call.phone.position()
    for at_ms, ulaw in stream.sound:
        call.phone.mouth.append(base + at_ms * BYTES_PER_MS, ulaw)
    for after_s, digit in stream.keys:
        await call.carrier.clock.sleep_until(began_s + after_s)
        call.press(digit)
    if stream.leaves_after_s is not None:
        await call.carrier.clock.sleep_until(began_s + stream.leaves_after_s)
        call.hang_up()


def _has_streams(call: Call, count: int) -> bool:
    return len(call.streams) >= count
