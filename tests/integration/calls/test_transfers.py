"""Transfers, with the carrier's own record of what was asked of it."""

from __future__ import annotations

import pytest

from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.transfers import Transfers
from tests.support import Rehearsal, Start, speech
from twiml.transfers import Whisper

SALES = "+15557654321"
OTHER = "+15557654322"


def destination(**keys: object) -> dict[str, object]:
    """A destination at the number of sales."""
    return {"to": SALES, "announce": "I will put you through.", "timeout_s": 10} | keys


ASKS_FOR_SALES = [
    Reply(speech="Hello there."),
    Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "Wants a price."}),)),
    Reply(speech="I will put you through."),
    Reply(speech="Nobody is there. What else?"),
]


def steps(run: Rehearsal) -> list[str]:
    """What was asked of the bridge, and by the bridge of the carrier, in order."""
    names = []
    for kind, path in run.asked("voice", "action", "whisper", "rest"):
        made = "call" if path.endswith("/Calls.json") else "redirect"
        names.append(made if kind == "rest" else path.rpartition("/")[2])
    return names


async def asks(call: Call) -> None:
    """Waits for the greeting, and asks for sales."""
    await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
    await call.say(speech(1.5))


async def talks_and_hangs_up(call: Call) -> None:
    """The human talks for two seconds."""
    await call.carrier.clock.sleep(2)
    call.hang_up()


async def accepts_and_talks_on(call: Call) -> None:
    """The human hears who is coming, presses 1, and does not hang up."""
    await call.until(lambda: bool(call.told))
    await call.press("1")


async def test_a_caller_is_handed_over_when_the_announcement_was_heard(rehearsal: Start) -> None:
    """A cold transfer: announced, heard in full, dialled, and the call ends as transferred."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(after_s=1, script=talks_and_hangs_up)},
        destinations={"sales": destination()},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert ["transferred"] == run.seen.endings()
    assert "I will put you through." in run.seen.bot_words()
    assert [SALES] == [leg.to for leg in run.carrier.calls if leg is not call]
    assert run.is_empty()
    assert [] == run.carrier.faults
    assert ["answer", "redirect", "after-stream", "transfer-result"] == steps(run)


async def test_a_caller_comes_back_to_the_bot_when_sales_is_busy(rehearsal: Start) -> None:
    """`on_failure = "return"`: the same conversation goes on; nothing is greeted again, and the model knows why."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(result="busy", after_s=1)},
        destinations={"sales": destination()},
    )
    call = await run.dial(asks)
    await call.until(lambda: "Nobody is there. What else?" in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert 1 == run.seen.bot_words().count("Hello there.")
    assert 1 == len(run.model.sessions)
    assert "busy" in str(run.mind.histories[-1])
    assert ["caller_hung_up"] == run.seen.endings()
    assert run.is_empty()
    assert ["answer", "redirect", "after-stream", "transfer-result"] == steps(run)[:4]


async def test_a_caller_comes_back_when_nobody_answers(rehearsal: Start) -> None:
    """The destination rings until its time is up; then the bot goes on."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(result="no-answer")},
        destinations={"sales": destination(timeout_s=5)},
    )
    call = await run.dial(asks)
    await call.until(lambda: "Nobody is there. What else?" in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert [{"outcome": "no_answer"}] == run.seen.of("transfer.ended")
    assert ["caller_hung_up"] == run.seen.endings()
    assert ["answer", "redirect", "after-stream", "transfer-result"] == steps(run)[:4]


async def test_a_second_destination_is_called_when_the_first_fails(rehearsal: Start) -> None:
    """`on_failure` names another destination."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(result="failed", after_s=1), OTHER: Callee(after_s=1, script=talks_and_hangs_up)},
        destinations={"sales": destination(on_failure="office"), "office": {"to": OTHER, "timeout_s": 10}},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert [SALES, OTHER] == [leg.to for leg in run.carrier.calls if leg is not call]
    assert ["transferred"] == run.seen.endings()
    assert run.is_empty()
    assert ["answer", "redirect", "after-stream", "transfer-result", "transfer-result"] == steps(run)


async def test_a_caller_hears_a_goodbye_when_nobody_answers_and_the_destination_says_so(rehearsal: Start) -> None:
    """`on_failure = "hang_up"`: the bot says that nobody could be reached, and the call ends."""
    run = await rehearsal(
        [*ASKS_FOR_SALES[:3], Reply(speech="Nobody can be reached. Goodbye.")],
        heard=["sales please"],
        people={SALES: Callee(result="busy", after_s=1)},
        destinations={"sales": destination(on_failure="hang_up")},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert "Nobody can be reached. Goodbye." == run.seen.bot_words()[-1]
    assert ["transfer_failed"] == run.seen.endings()
    assert ["answer", "redirect", "after-stream", "transfer-result", "redirect", "after-stream"] == steps(run)


async def accepts(call: Call) -> None:
    """The human hears who is coming, presses 1, talks and hangs up."""
    await call.until(lambda: bool(call.told))
    await call.press("1")
    await call.carrier.clock.sleep(3)
    call.hang_up()


async def declines(call: Call) -> None:
    """The human hears who is coming, and presses another key."""
    await call.until(lambda: bool(call.told))
    await call.press("2")
    await call.carrier.clock.sleep(30)


async def test_a_caller_waits_with_music_until_the_human_accepts(rehearsal: Start) -> None:
    """A warm transfer with REST: the human is called, hears the summary, accepts by key, and joins the caller."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(after_s=1, script=accepts)},
        destinations={"sales": destination(kind="warm", caller_id="+15551230000")},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    human = next(leg for leg in run.carrier.calls if leg is not call)
    assert "Wants a price." in human.told[0]
    assert ["transferred"] == run.seen.endings()
    assert run.is_empty()
    assert ["answer", "redirect", "after-stream", "call", "whisper", "whisper", "transfer-result"] == steps(run)


async def test_a_caller_comes_back_when_the_human_declines(rehearsal: Start) -> None:
    """A warm transfer with REST that is declined by key: the caller leaves the music and the bot goes on."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(after_s=1, script=declines)},
        destinations={"sales": destination(kind="warm", caller_id="+15551230000")},
    )
    call = await run.dial(asks)
    await call.until(lambda: "Nobody is there. What else?" in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert [{"outcome": "declined"}] == run.seen.of("transfer.ended")
    assert ["caller_hung_up"] == run.seen.endings()
    assert ["answer", "redirect", "after-stream", "call", "whisper", "whisper", "redirect", "transfer-result"] == steps(
        run
    )[:8]


async def test_a_caller_comes_back_when_the_human_accepts_and_is_gone(
    rehearsal: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hangs up before they are in the conference does not end it: the caller would wait there alone, for hours."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(after_s=1, script=accepts)},
        destinations={"sales": destination(kind="warm", caller_id="+15551230000")},
    )
    whisper = Transfers.whisper

    async def is_hung_up_on(self: Transfers, callee: Whisper) -> str:
        document = await whisper(self, callee)
        if callee.digits:
            next(leg for leg in run.carrier.calls if leg is not call).hang_up()
        return document

    monkeypatch.setattr(Transfers, "whisper", is_hung_up_on)
    call = await run.dial(asks)
    await call.until(lambda: "Nobody is there. What else?" in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert [{"outcome": "declined"}] == run.seen.of("transfer.ended")
    assert ["caller_hung_up"] == run.seen.endings()
    assert 2 == len(run.model.sessions)


async def test_a_human_is_asked_without_credentials_too(rehearsal: Start) -> None:
    """A warm transfer by `<Number url>`: the same question; success is that the two were bridged."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        rest=False,
        people={SALES: Callee(after_s=1, script=accepts)},
        destinations={"sales": destination(kind="warm")},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert ["transferred"] == run.seen.endings()
    assert "rest" not in [kind for kind, _ in run.asked()]
    assert ["answer", "after-stream", "whisper", "whisper", "transfer-result"] == steps(run)


async def test_a_caller_comes_back_when_the_human_declines_without_credentials(rehearsal: Start) -> None:
    """The same by `<Number url>`: not bridged means declined."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        rest=False,
        people={SALES: Callee(after_s=1, script=declines)},
        destinations={"sales": destination(kind="warm")},
    )
    call = await run.dial(asks)
    await call.until(lambda: "Nobody is there. What else?" in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert [{"outcome": "declined"}] == run.seen.of("transfer.ended")
    assert ["answer", "after-stream", "whisper", "whisper", "transfer-result"] == steps(run)[:5]


@pytest.mark.parametrize("kind", ["cold", "warm"])
async def test_a_caller_who_talks_to_a_human_takes_up_no_place_and_was_transferred(rehearsal: Start, kind: str) -> None:
    """From the moment on at which the two are connected, whoever hangs up first."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(after_s=1, script=accepts_and_talks_on if kind == "warm" else None)},
        destinations={"sales": destination(kind=kind, caller_id="+15551230000")},
    )
    call = await run.dial(asks)
    await call.until(lambda: any(leg.status == "in-progress" for leg in run.carrier.calls if leg is not call))
    answered_s = run.carrier.clock.now()
    await call.until(lambda: not len(run.bridge.desk.calls))
    free_s = run.carrier.clock.now()
    await call.carrier.clock.sleep(2)
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    assert free_s - answered_s < 15  # and not when nobody could be ringing any more
    assert ["transferred"] == run.seen.endings()
    assert run.is_empty()


async def test_a_human_stops_being_rung_when_the_caller_hangs_up(rehearsal: Start) -> None:
    """The caller of a warm transfer leaves while it rings."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={SALES: Callee(result="no-answer")},
        destinations={"sales": destination(kind="warm", caller_id="+15551230000", timeout_s=60)},
    )
    call = await run.dial(asks)
    await call.until(lambda: any(leg.status == "ringing" for leg in run.carrier.calls if leg is not call))
    call.hang_up()
    await call.ended()
    human = next(leg for leg in run.carrier.calls if leg is not call)
    await human.ended()

    assert human.ended_by == "rest"
    assert ["caller_hung_up"] == run.seen.endings()
    assert run.is_empty()


async def test_a_caller_is_put_into_a_queue(rehearsal: Start) -> None:
    """A queue of the account; whoever takes the call from there has it."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={"queue:support": Callee(after_s=2, script=talks_and_hangs_up)},
        destinations={"sales": {"to": "queue:support", "announce": "I will put you through."}},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert ["transferred"] == run.seen.endings()
    assert ["answer", "redirect", "after-stream", "transfer-result"] == steps(run)


async def test_a_caller_by_sip_is_referred(rehearsal: Start) -> None:
    """A REFER gives the caller back to the system they came from."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        people={"sip:sales@example.com": Callee(after_s=1)},
        destinations={"sales": {"to": "sip:sales@example.com", "kind": "refer", "announce": "I will put you through."}},
    )
    call = await run.dial(asks, from_="sip:caller@example.com", SipCallId="a-call", SipDomain="example.com")
    await call.ended()
    await run.carrier.settled()

    assert ["transferred"] == run.seen.endings()
    assert ["answer", "redirect", "after-stream", "transfer-result"] == steps(run)


async def test_a_transfer_needs_no_credentials(rehearsal: Start) -> None:
    """Control by `action`: the stream is closed, and `<Connect action>` fetches the same document."""
    run = await rehearsal(
        ASKS_FOR_SALES,
        heard=["sales please"],
        rest=False,
        people={SALES: Callee(after_s=1, script=talks_and_hangs_up)},
        destinations={"sales": destination()},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert ["transferred"] == run.seen.endings()
    assert [
        ("voice", "/twiml/answer"),
        ("action", "/twiml/after-stream"),
        ("action", "/twiml/transfer-result"),
    ] == run.asked("voice", "action", "rest")


async def test_keys_are_sent_and_the_conversation_goes_on(rehearsal: Start) -> None:
    """`send_digits`: the far end gets the tones; the same session goes on without a new greeting."""
    run = await rehearsal(
        [
            Reply(speech="Hello there."),
            Reply(calls=(FunctionCall("send_digits", {"digits": "12#"}),)),
            Reply(speech="Sent."),
        ],
        heard=["press one two"],
    )
    call = await run.dial(asks)
    await call.until(lambda: "Sent." in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert "12#" == call.digits_received
    assert 1 == len(run.model.sessions)
    assert 2 == len(call.streams)
    assert 1 == run.seen.bot_words().count("Hello there.")
    assert ["caller_hung_up"] == run.seen.endings()
    assert ["answer", "redirect", "after-stream"] == steps(run)[:3]
