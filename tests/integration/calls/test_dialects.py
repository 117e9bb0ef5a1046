"""Whole calls in both dialects and in every format that an endpoint may speak."""

from __future__ import annotations

import pytest

from bridge.rehearsal.carrier import Call
from bridge.rehearsal.conversation import Reply
from bridge.rehearsal.sound import is_loud
from bridge.wire.g711 import FRAME_BYTES
from tests.support import Start, speech

FORMATS = ["g711_ulaw", "g711_alaw", "pcm16"]


async def speaks_once(call: Call) -> None:
    """Waits for the greeting, says something, waits for the answer and hangs up."""
    await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
    greeted = call.phone.hearing.stopped
    await call.say(speech(1.5))
    await call.until(lambda: call.phone.hearing.stopped > greeted and call.phone.silent_s > 1)
    call.hang_up()


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("form", FORMATS)
async def test_a_caller_and_a_model_hear_each_other(rehearsal: Start, dialect: str, form: str) -> None:
    """The greeting is heard at its length, the caller is understood, and the answer is heard."""
    run = await rehearsal(
        [Reply(speech="Hello there."), Reply(speech="One two three four.")],
        heard=["good morning"],
        model={"dialect": dialect},
        agent={"input_audio_format": form, "output_audio_format": form},
    )
    call = await run.dial(speaks_once)
    await call.ended()

    assert ["Hello there.", "One two three four."] == run.seen.bot_words()
    assert ["good morning"] == [line.words for line in run.seen.lines if line.role == "caller"]
    assert [] == run.seen.of("session.mismatched") + run.seen.of("session.differed")
    heard_s = sum(is_loud(call.heard[at : at + FRAME_BYTES]) for at in range(0, len(call.heard), FRAME_BYTES)) / 50
    assert 1.8 == pytest.approx(heard_s, abs=0.15)
    assert [] == run.carrier.faults
