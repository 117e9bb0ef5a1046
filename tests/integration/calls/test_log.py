"""What a whole call leaves in the log: enough to see how it went, and nothing of who called or what was said."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from bridge.recent import RecentCalls
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.support import CALLER, LINE, TOKEN, Rehearsal, Start, speech

SALES = "+15557654321"
QUESTION, ANSWER, SUMMARY = "where is my violin", "It left Cremona yesterday.", "Wants a violin."
SECRETS = (TOKEN, "a-rehearsed-key")


async def call_about_a_violin(rehearsal: Start, **tables: object) -> tuple[Rehearsal, Call]:
    """A call with all that writes lines: words, keys, a transfer by REST that fails, and a way back."""
    run = await rehearsal(
        [
            Reply(speech="Hello there."),
            Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": SUMMARY}),)),
            Reply(speech="I will put you through."),
            Reply(speech=ANSWER),
        ],
        heard=[QUESTION],
        people={SALES: Callee(result="busy", after_s=1)},
        destinations={"sales": {"to": SALES, "announce": "I will put you through.", "timeout_s": 10, "kind": "warm"}},
        **tables,
    )

    async def asks(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
        await call.say(speech(1.5))
        await call.until(lambda: ANSWER in run.seen.bot_words())
        call.hang_up()

    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()
    return run, call


@pytest.fixture
def door() -> str:
    """Lines are the same through both doors."""
    return "plain"


async def test_a_call_leaves_no_number_no_word_and_no_secret_in_the_log(rehearsal: Start, log: StringIO) -> None:
    """At the most verbose level, whoever writes it."""
    _, call = await call_about_a_violin(rehearsal)
    written = log.getvalue()

    assert call.sid in written
    private = (CALLER, LINE, SALES, QUESTION, ANSWER, SUMMARY, "Hello there.", "put you through", *SECRETS)
    assert [] == [text for text in private if text.removeprefix("+") in written]


async def test_a_call_can_be_followed_by_its_lines(rehearsal: Start, log: StringIO) -> None:
    """Each line is an object with time, level, event and the call's name; the last one sums the call up."""
    _, call = await call_about_a_violin(rehearsal)
    lines = [line for line in map(json.loads, log.getvalue().splitlines()) if line.get("call_sid") == call.sid]
    told = [line["event"] for line in lines]

    assert "call.answered" == told[0]
    assert {"stream.started", "model.readied", "reply.heard", "transfer.ended", "call.returned"} <= set(told)
    assert [1, "caller_hung_up", 1, 0] == [
        told.count("call.ended"),
        *(lines[told.index("call.ended")][field] for field in ("ending", "turns", "barge_ins")),
    ]
    assert all({"time", "level", "event"} <= line.keys() for line in lines)


async def test_words_are_in_the_log_when_they_are_switched_on(rehearsal: Start, log: StringIO) -> None:
    """For those who want them, and only for them; numbers stay masked."""
    await call_about_a_violin(rehearsal, log={"words": True})
    said = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "words.said"]

    assert {("caller", QUESTION), ("bot", ANSWER)} <= {(line["role"], line["words"]) for line in said}
    assert CALLER not in log.getvalue()


async def test_caller_who_is_turned_away_is_found_by_the_call(rehearsal: Start, log: StringIO) -> None:
    """Somebody says that they could not get through: the carrier's console has the call's name, and so have we."""
    run = await rehearsal(lines={"default": {"agent": "reception", "block": [CALLER]}})
    call = await run.dial()
    await call.ended()
    (line,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "call.turned_away"]

    assert (call.sid, "blocked") == (line["call_sid"], line["reason"])


async def test_who_watches_and_fails_keeps_nothing_from_the_others(
    rehearsal: Start, log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call goes on, whoever watches besides is told all of it, and the log says it once."""

    def fail(*_: object) -> None:
        raise KeyError("as asked")

    monkeypatch.setattr(RecentCalls, "happened", fail)
    monkeypatch.setattr(RecentCalls, "said", fail)
    run = await rehearsal([Reply(speech="Hello there.")])
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.hang_up()
    await call.ended()
    await run.carrier.settled()
    failed = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "observer.failed"]

    assert ["caller_hung_up"] == run.seen.endings()
    assert [(call.sid, "RecentCalls", "KeyError")] == [
        (line["call_sid"], line["observer"], line["error"]) for line in failed
    ]
    assert len(run.seen.facts) + len(run.seen.lines) == run.number("voicebridge_faults_total", part="observer")
