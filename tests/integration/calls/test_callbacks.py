"""The carrier's requests about a transfer, repeated, late and out of order: nothing changes by them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.peers import Twilio
from tests.shop import asks, until
from tests.support import CALLER, LINE, PUBLIC, Rehearsal, Start

SALES, OTHER = "+15557654321", "+15557654322"
WORKFLOW = "WW" + "0" * 32
BACK = "Nobody is there. What else?"
REPLIES = [
    Reply(speech="Hello there."),
    Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "Wants a price."}),)),
    Reply(speech="I will put you through."),
    Reply(speech=BACK),
]


@pytest.fixture
def door() -> str:
    """Callbacks come by HTTP."""
    return "plain"


@pytest.fixture
async def transfer(rehearsal: Start) -> Callable[..., Awaitable[Rehearsal]]:
    """Starts a rehearsal in which the caller asks for sales, which is `person`; `keys` are of the destination."""

    async def begin(person: Callee, *, rest: bool = True, **keys: object) -> Rehearsal:
        sales = {"to": SALES, "announce": "I will put you through.", "timeout_s": 10, "caller_id": LINE} | keys
        return await rehearsal(
            REPLIES,
            heard=["sales please"],
            rest=rest,
            people={SALES: person, OTHER: Callee(after_s=3, script=takes_the_call)},
            destinations={"sales": sales, "office": {"to": OTHER, "kind": keys.get("kind", "cold"), "caller_id": LINE}},
        )

    return begin


class Again:
    """Posts to the bridge what the carrier may post twice, late, or early."""

    def __init__(self, twilio: Twilio, run: Rehearsal, call: Call) -> None:
        self._twilio = twilio
        self._run = run
        self.call = call

    async def post(self, path: str, sid: str = "", **form: str) -> str:
        """A signed request about a call that is in progress; the document that comes back."""
        answer = await self._twilio.post(
            path, **({"CallSid": sid or self.call.sid, "CallStatus": "in-progress", "From": CALLER, "To": LINE} | form)
        )
        assert answer.status_code in (200, 204)
        return answer.text

    def answered(self, path: str) -> list[str]:
        """The documents that the carrier got from a route so far."""
        return [exchange.answer for exchange in self._run.carrier.record if exchange.url.startswith(f"{PUBLIC}{path}")]

    def urls(self, path: str) -> list[str]:
        """The addresses, as seen from our host, at which the carrier has asked a route so far."""
        urls = [exchange.url for exchange in self._run.carrier.record]
        return [url.removeprefix(PUBLIC) for url in urls if url.startswith(f"{PUBLIC}{path}")]


@pytest.fixture
async def calling() -> AsyncIterator[Callable[[Rehearsal], Awaitable[Again]]]:
    """Lets the caller of a rehearsal call."""
    twilios: list[Twilio] = []

    async def begin(run: Rehearsal) -> Again:
        twilios.append(Twilio(run.bridge.url, run.media_url))
        return Again(twilios[-1], run, await run.dial(asks))

    yield begin
    for twilio in twilios:
        await twilio.__aexit__()


async def takes_the_call(call: Call) -> None:
    """The human accepts where asked, talks for a while and hangs up."""
    await call.until(lambda: bool(call.told))
    await call.press("1")
    await call.carrier.clock.sleep(4)
    call.hang_up()


Transfer = Callable[..., Awaitable[Rehearsal]]
Calling = Callable[[Rehearsal], Awaitable[Again]]


def humans(run: Rehearsal) -> list[str]:
    """Who was called, in order."""
    return [leg.to for leg in run.carrier.calls if leg.direction != "inbound"]


async def ended(run: Rehearsal, call: Call) -> None:
    """Wait until the call is over, and the carrier has said so."""
    await call.ended()
    await run.carrier.settled()


async def test_a_carrier_that_asks_twice_what_follows_the_stream_gets_the_same_answer(
    transfer: Transfer, calling: Calling
) -> None:
    """`after-stream` again while it rings: the same document, and one telephone that rings."""
    run = await transfer(Callee(after_s=3, script=takes_the_call), rest=False, whisper=True)
    again = await calling(run)
    await again.call.until(lambda: bool(humans(run)))
    documents = [await again.post("/twiml/after-stream") for _ in range(2)]
    await ended(run, again.call)

    assert again.answered("/twiml/after-stream")[:1] * 2 == documents
    assert [SALES] == humans(run)
    assert ["transferred"] == run.seen.endings()


async def test_a_result_that_comes_twice_and_late_is_taken_once(transfer: Transfer, calling: Calling) -> None:
    """The caller is back with the bot when it comes again: the answer is the same, and the conversation goes on."""
    run = await transfer(Callee(result="busy", after_s=1))
    again = await calling(run)
    await until(again.call, lambda: BACK in run.seen.bot_words(), hangs_up=False)
    (url,) = again.urls("/twiml/transfer-result")
    documents = [await again.post(url, DialCallStatus=status) for status in ("busy", "completed")]
    await run.clock.sleep(1)
    again.call.hang_up()
    await ended(run, again.call)

    assert again.answered("/twiml/transfer-result") * 2 == documents
    assert [{"outcome": "busy"}] == run.seen.of("transfer.ended")
    assert 1 == run.seen.bot_words().count(BACK)
    assert ["caller_hung_up"] == run.seen.endings()


async def test_a_result_that_comes_after_the_call_changes_nothing(transfer: Transfer, calling: Calling) -> None:
    """The call is over and forgotten."""
    run = await transfer(Callee(after_s=1, script=takes_the_call), whisper=True)
    again = await calling(run)
    await ended(run, again.call)
    (url,) = again.urls("/twiml/transfer-result")
    document = await again.post(url, DialCallStatus="busy")

    assert "<Hangup" in document
    assert ["transferred"] == run.seen.endings()
    assert run.is_empty()


async def test_a_result_of_the_first_destination_does_not_end_the_second(transfer: Transfer, calling: Calling) -> None:
    """It is repeated while the next one rings: whoever rings goes on ringing."""
    run = await transfer(Callee(result="busy", after_s=1), whisper=True, on_failure="office")
    again = await calling(run)
    await again.call.until(lambda: OTHER in humans(run))
    (url,) = again.urls("/twiml/transfer-result")
    document = await again.post(url, DialCallStatus="busy")
    again.call.phone.until(lambda: False)
    await run.clock.sleep(5)
    again.call.hang_up()
    await ended(run, again.call)

    assert again.answered("/twiml/transfer-result")[:1] == [document]
    assert [{"outcome": "busy"}] == run.seen.of("transfer.ended")
    assert [SALES, OTHER] == humans(run)


class TestWarm:
    """A human who is asked first, by a call of their own."""

    async def test_a_human_who_accepts_twice_has_the_call_once(self, transfer: Transfer, calling: Calling) -> None:
        """Question and key are repeated, and a stale key comes behind: the two talk on."""
        run = await transfer(Callee(after_s=1, script=takes_the_call), kind="warm")
        again = await calling(run)
        await again.call.until(lambda: bool(again.answered("/twiml/whisper")))
        human = next(leg for leg in run.carrier.calls if leg.to == SALES)
        (url, *_) = again.urls("/twiml/whisper")
        question = await again.post(url, human.sid)
        await again.call.until(lambda: len(again.answered("/twiml/whisper")) == 2)
        joins = [await again.post(url, human.sid, Digits=key) for key in ("1", "2")]
        await run.clock.sleep(1)
        talks = not human.is_over
        await ended(run, again.call)

        assert again.answered("/twiml/whisper") == [question, joins[0]]
        assert joins[0] == joins[1]
        assert talks
        assert ["transferred"] == run.seen.endings()
        assert [] == [fields for fields in run.seen.of("transfer.ended") if fields["outcome"] != "connected"]

    async def test_a_human_who_declines_twice_is_asked_once(self, transfer: Transfer, calling: Calling) -> None:
        """The caller is fetched once, and is back with the bot."""

        async def declines(call: Call) -> None:
            await call.until(lambda: bool(call.told))
            await call.press("2")

        run = await transfer(Callee(after_s=1, script=declines), kind="warm")
        again = await calling(run)
        await until(again.call, lambda: BACK in run.seen.bot_words(), hangs_up=False)
        human = next(leg for leg in run.carrier.calls if leg.to == SALES)
        document = await again.post(again.urls("/twiml/whisper")[0], human.sid, Digits="2")
        await again.post(f"/twiml/call-status?call={again.call.sid}&attempt=1", human.sid, CallStatus="completed")
        await run.clock.sleep(1)
        again.call.hang_up()
        await ended(run, again.call)

        assert "<Hangup" in document
        assert [{"outcome": "declined"}] == run.seen.of("transfer.ended")
        assert 2 == len(again.call.streams)
        assert ["caller_hung_up"] == run.seen.endings()

    async def test_a_status_that_comes_before_the_result_changes_nothing(
        self, transfer: Transfer, calling: Calling
    ) -> None:
        """The human has hung up, says the carrier before the caller's result comes: transferred all the same."""
        run = await transfer(Callee(after_s=1, script=takes_the_call), kind="warm")
        again = await calling(run)
        await again.call.until(lambda: len(again.answered("/twiml/whisper")) == 2)
        human = next(leg for leg in run.carrier.calls if leg.to == SALES)
        await again.post(f"/twiml/call-status?call={again.call.sid}&attempt=1", human.sid, CallStatus="completed")
        await ended(run, again.call)

        assert [{"outcome": "connected"}] == run.seen.of("transfer.ended")
        assert ["transferred"] == run.seen.endings()

    async def test_a_late_status_of_the_first_human_does_not_stop_the_second_from_being_called(
        self, transfer: Transfer, calling: Calling
    ) -> None:
        """Each human has a leg of their own, and only that one counts."""
        run = await transfer(Callee(result="busy", after_s=1), kind="warm", on_failure="office")
        again = await calling(run)
        await again.call.until(lambda: any(leg.to == OTHER and leg.status == "ringing" for leg in run.carrier.calls))
        first = next(leg for leg in run.carrier.calls if leg.to == SALES)
        await again.post(f"/twiml/call-status?call={again.call.sid}&attempt=1", first.sid, CallStatus="busy")
        await ended(run, again.call)

        assert [SALES, OTHER] == humans(run)
        assert [{"outcome": "busy"}, {"outcome": "connected"}] == run.seen.of("transfer.ended")
        assert ["transferred"] == run.seen.endings()


async def test_a_status_that_overtakes_the_end_of_the_stream_ends_the_call_once(
    transfer: Transfer, calling: Calling
) -> None:
    """The carrier says that the call is over, and says it again, while sound still comes."""
    run = await transfer(Callee())
    again = await calling(run)
    await again.call.until(lambda: "Hello there." in run.seen.bot_words())
    for _ in range(2):
        await again.post("/twiml/call-status", CallStatus="completed")
    await run.clock.sleep(1)
    again.call.hang_up()
    await ended(run, again.call)

    assert ["caller_hung_up"] == run.seen.endings()
    assert run.is_empty()


async def test_a_contact_centre_is_told_about_the_caller(rehearsal: Start) -> None:
    """A queue with a workflow gets the context as the attributes of its task."""

    async def talks(call: Call) -> None:
        await call.carrier.clock.sleep(2)
        call.hang_up()

    run = await rehearsal(
        REPLIES,
        heard=["sales please"],
        people={f"queue:{WORKFLOW}": Callee(after_s=1, script=talks)},
        destinations={"sales": {"to": f"queue:{WORKFLOW}", "announce": "I will put you through."}},
    )
    call = await run.dial(asks)
    await ended(run, call)

    (task,) = run.carrier.queue(WORKFLOW).tasks
    assert {"call_sid": call.sid, "from": CALLER, "summary": "Wants a price."} == json.loads(task)
    assert ["transferred"] == run.seen.endings()
    assert [] == run.carrier.faults
