"""What the bridge says its callers wait, against what a carrier has measured at the caller's ear."""

from __future__ import annotations

from functools import partial

import pytest

from bridge.rehearsal.carrier import Call
from bridge.rehearsal.conversation import Reply
from tests.support import Rehearsal, Start, speech

NEAR_MS = 250
"""Frames, marks and the model's voice activity come in steps; the rest is for a machine that has other things to do."""


def measured_ms(run: Rehearsal) -> list[float]:
    """From each end of the caller's speech to the next sound of the bot, at the telephone."""
    waits, stopped_s = [], None
    for event in sorted(run.carrier.events, key=lambda event: event.at_s):
        if event.kind == "caller.stopped":
            stopped_s = event.at_s
        elif event.kind == "bot.started" and stopped_s is not None:
            waits.append((event.at_s - stopped_s) * 1000)
            stopped_s = None
    return waits


def said(run: Rehearsal, words: str) -> bool:
    """Whether the bot was heard to say that."""
    return words in run.seen.bot_words()


async def test_waits_are_those_of_the_callers_ear(rehearsal: Start) -> None:
    """An independent clock at the other end agrees, turn by turn."""
    answers = ["It left Cremona.", "It is a violin."]
    run = await rehearsal(
        [Reply(speech="Hello there."), *(Reply(speech=answer) for answer in answers)],
        heard=["where is it", "what is it"],
        rate=4,
    )

    async def asks_twice(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
        for answer in answers:
            await call.say(speech(1.5))
            await call.until(partial(said, run, answer))
        call.hang_up()

    call = await run.dial(asks_twice)
    await call.ended()
    told = [fields for fields in run.seen.of("reply.heard") if fields["kind"] == "answer"]

    assert [pytest.approx(wait, abs=NEAR_MS) for wait in measured_ms(run)] == [fields["wait_ms"] for fields in told]
    assert 2 == len(told)
