"""How late the process is, looked at now and then."""

from __future__ import annotations

import asyncio

import pytest

from bridge.call.plan import Plan
from bridge.edge import lag
from bridge.replay.script import Script
from bridge.settings import Agent


class Told:
    """Who is told."""

    def __init__(self) -> None:
        self.loop: list[float] = []
        self.input: list[float] = []

    def loop_lagged(self, seconds: float) -> None:
        """The event loop."""
        self.loop.append(round(seconds, 3))

    def input_lagged(self, seconds: float) -> None:
        """A caller's sound."""
        self.input.append(round(seconds, 3))


def call_that_is_up() -> Script:
    """A call in which both can talk."""
    script = Script(Plan("CA" + "0" * 32, Agent(name="reception"), "ga"), frame_ms=20)
    script.begin()
    script.wait(1)
    return script


async def looked_at(*calls: Script, late_s: tuple[float, ...] = (0.0,)) -> Told:
    """What is told when the timer comes so late, time after time."""
    told, clock, delays = Told(), [100.0], iter(late_s)

    async def sleep(seconds: float) -> None:
        late = next(delays, None)
        if late is None:
            raise asyncio.CancelledError
        clock[0] += seconds + late

    with pytest.raises(asyncio.CancelledError):
        await lag.probe(calls, told, now=lambda: clock[0], sleep=sleep)
    return told


async def test_loop_that_was_held_is_told_for_how_long() -> None:
    """A timer that comes in time is told as well: a share of late ones needs them all."""
    told = await looked_at(late_s=(0.0, 0.2, 0.003))

    assert [0.0, 0.2, 0.003] == told.loop


async def test_sound_that_is_read_late_is_told() -> None:
    """Half a second of it has waited somewhere: the carrier's clock says so."""
    in_time, late = call_that_is_up(), call_that_is_up()
    late.now += 0.5
    late.hear(b"\xff" * 160)
    told = await looked_at(in_time, late)

    assert [0.0, 0.5] == [round(seconds, 1) for seconds in told.input]


async def test_call_that_nobody_talks_in_is_not_looked_at() -> None:
    """Its stream is not there: that is no lag."""
    script = call_that_is_up()
    script.hang_up()
    told = await looked_at(script)

    assert [] == told.input
