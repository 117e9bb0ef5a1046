"""Many calls at once, and calls that are no calls: who gets in, and what the others are answered."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers import Model, Twilio
from tests.support import ACCOUNT, CALLER, LINE, Rehearsal, Start

SID = "CA" + "1" * 32
SORRY = "Sorry, our assistant is unavailable."


@pytest.fixture
def door() -> str:
    """Who is admitted is decided before any door."""
    return "plain"


async def test_a_burst_of_webhooks_is_admitted_to_the_last_place_and_no_further(rehearsal: Start, model: Model) -> None:
    """Two hundred signed webhooks over connections of their own: as many streams as there are places, no call more."""
    run = await rehearsal(rate=1.0, model={"url": model.url}, limits={"max_calls": 50}, fallback={"say": SORRY})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        answers = await asyncio.gather(*(_ring(twilio, number) for number in range(200)))

        assert 50 == sum("<Stream" in answer for answer in answers)
        assert 150 == sum(SORRY in answer for answer in answers)
        assert 50 == len(run.bridge.desk.calls)
        assert 150 == run.refusals["full"]


async def test_a_caller_who_calls_too_often_hears_the_fallback_and_the_others_do_not(
    rehearsal: Start, model: Model
) -> None:
    """The rate is each caller's own."""
    limits = {"calls_per_minute_per_caller": 3}
    run = await rehearsal(model={"url": model.url}, limits=limits, fallback={"say": SORRY})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        same = await asyncio.gather(*(_ring(twilio, number, CALLER) for number in range(10)))
        other = await _ring(twilio, 11)

        assert 3 == sum("<Stream" in answer for answer in same)
        assert "<Stream" in other


async def test_a_webhook_that_is_replayed_after_its_call_begins_nothing(
    bridge: Rehearsal, model: Model, twilio: Twilio
) -> None:
    """Its signature is good for ever; the call is over, and a call rings once."""
    form = {"CallSid": SID, "AccountSid": ACCOUNT, "From": CALLER, "To": LINE, "CallStatus": "ringing"}
    stream = await twilio.call(SID)
    await stream.hang_up()
    await (await model.session()).closed.wait()
    replayed = await twilio.post("/twiml/answer", **form)

    assert "<Hangup" in replayed.text
    assert (1, 0) == (model.handshakes, len(bridge.bridge.desk.calls))
    assert {"replayed": 1} == bridge.refusals


async def test_a_caller_who_is_sent_here_again_is_answered_if_the_carrier_says_so(
    bridge: Rehearsal, model: Model, twilio: Twilio
) -> None:
    """A call that is in progress may come back from a flow of the operator's; without the carrier's word: fallback."""
    form = {"CallSid": SID, "AccountSid": ACCOUNT, "From": CALLER, "To": LINE, "CallStatus": "in-progress"}
    stream = await twilio.call(SID)
    await stream.hang_up()
    await (await model.session()).closed.wait()
    unknown = await twilio.post("/twiml/answer", **form)
    bridge.bridge.desk._requests.is_in_progress = _yes  # type: ignore[method-assign] # noqa: SLF001 - the carrier's word
    known = await twilio.post("/twiml/answer", **form)

    assert "<Say" in unknown.text
    assert "<Stream" in known.text


async def _yes(call_sid: str) -> bool:  # noqa: ARG001 - of any call
    return True


async def _ring(twilio: Twilio, number: int, caller: str = "") -> str:
    form = {
        "CallSid": f"CA{number:032}",
        "AccountSid": ACCOUNT,
        "From": caller or f"+1555010{number:04}",
        "To": LINE,
        "CallStatus": "ringing",
    }
    return (await twilio.post("/twiml/answer", **form, Direction="inbound")).text
