"""Call records of whole calls, in SQLite and in a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bridge.records import reading
from bridge.records.database import migrate, open_engine
from bridge.records.reading import CallRecord
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.client import CALLEE
from tests.databases import keep_call
from tests.support import CALLER, LINE, Rehearsal, Start, speech

SALES = {"to": CALLEE, "announce": "I will put you through.", "timeout_s": 10, "on_failure": "support"}
SUPPORT = {"to": "+15557654322", "announce": "", "timeout_s": 10}


@pytest.fixture
def door() -> str:
    """Records are the same through whichever door the media streams come."""
    return "plain"


def record_of(database: str, call: Call) -> CallRecord:
    """What is kept of a call, read as somebody else would."""
    engine = open_engine(database, is_reader=True)
    try:
        with engine.connect() as connection:
            found = reading.find(connection, call.sid)
    finally:
        engine.dispose()
    assert found is not None
    return found


async def settled(run: Rehearsal) -> None:
    """The carrier is done, and what is known is written."""
    await run.carrier.settled()
    assert run.bridge.records is not None
    assert await asyncio.to_thread(run.bridge.records.writer.flush, 10)


async def test_record_of_a_call_holds_what_was_heard_and_done(
    rehearsal: Start, database: str, offer: Callable[..., dict[str, object]]
) -> None:
    """Who, when, what was said and understood, what the model called, and how it ended."""

    async def look_up(number: str) -> dict[str, str]:
        return {"state": f"{number} is on its way"}

    async def break_down() -> None:
        raise ValueError("no such thing")

    calls = (FunctionCall("look_up", {"number": "7"}), FunctionCall("break_down"))
    run = await rehearsal(
        [Reply(speech="Hello there."), Reply(calls=calls), Reply(speech="It is on its way.")],
        heard=["Where is my order?"],
        storage={"url": database},
        functions=offer(look_up=look_up, break_down=break_down),
        agent={"tools": ["look_up", "break_down"]},
        lines={"default": {"agent": "reception"}, LINE: {"agent": "reception"}},
    )
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.say(speech(1))
    await call.until(lambda: len(run.seen.bot_words()) == 2)
    call.hang_up()
    await call.ended()
    await settled(run)

    record = record_of(database, call)
    assert (CALLER, LINE, LINE, "reception", "inbound") == (
        record.from_number,
        record.to_number,
        record.line,
        record.agent,
        record.direction,
    )
    assert ("ended", "caller_hung_up", None) == (record.state, record.ending, record.reason)
    assert record.answered_at is not None
    assert record.ended_at is not None
    assert record.began_at <= record.answered_at < record.ended_at
    assert [("bot", "Hello there."), ("caller", "Where is my order?"), ("bot", "It is on its way.")] == [
        (line.role, line.words) for line in sorted(record.transcript, key=lambda line: line.at_s)
    ]
    assert all(line.heard_ms for line in record.transcript if line.role == "bot")
    assert {("look_up", "answered"), ("break_down", "raised")} == {
        (function.name, function.outcome) for function in record.functions
    }
    assert {"greeting", "answer"} == {latency.kind for latency in record.latencies}
    assert all(latency.wait_ms > 0 for latency in record.latencies)
    assert all(function.took_ms is not None for function in record.functions)
    assert 0 == record.lost


async def test_record_of_a_transfer_holds_each_attempt(rehearsal: Start, database: str) -> None:
    """Where it went and what came of it, one destination after the other."""

    async def hangs_up_soon(call: Call) -> None:
        await call.carrier.clock.sleep(2)
        call.hang_up()

    transfer = FunctionCall("transfer_call", {"destination": "sales", "summary": "A price."})
    run = await rehearsal(
        [Reply(speech="Hello there."), Reply(calls=(transfer,)), Reply(speech="I will put you through.")],
        heard=["Sales, please."],
        people={
            CALLEE: Callee(result="busy", after_s=1),
            "+15557654322": Callee(after_s=1, script=hangs_up_soon),
        },
        storage={"url": database},
        destinations={"sales": SALES, "support": SUPPORT},
    )
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.say(speech(1))
    await call.ended()
    await settled(run)

    record = record_of(database, call)
    assert "transferred" == record.ending
    assert [("sales", "busy"), ("support", "connected")] == [
        (attempt.destination, attempt.outcome) for attempt in record.transfers
    ]


async def test_words_and_numbers_are_kept_only_as_wanted(rehearsal: Start, database: str) -> None:
    """How much was heard is known, what was said is not."""
    run = await rehearsal(
        [Reply(speech="Hello there.")],
        storage={"url": database},
        records={"words": False, "numbers": "masked"},
    )
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.hang_up()
    await call.ended()
    await settled(run)

    record = record_of(database, call)
    assert ("…01", "…00") == (record.from_number, record.to_number)
    assert [("bot", None)] == [(line.role, line.words) for line in record.transcript]
    assert record.transcript[0].heard_ms


async def test_a_database_that_is_not_there_harms_no_call(rehearsal: Start) -> None:
    """The call goes as ever; what would have been kept waits, and is lost in the end."""
    run = await rehearsal([Reply(speech="Hello there.")], storage={"url": "postgresql://nobody@127.0.0.1:9/calls"})
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    assert ["caller_hung_up"] == run.seen.endings()
    assert run.bridge.records is not None
    assert not run.bridge.records.writer.is_reachable
    assert run.bridge.records.writer.waiting


async def test_a_bridge_deletes_what_is_too_old_by_itself(rehearsal: Start, database: str) -> None:
    """When it starts, and then every hour; what is younger stays."""
    now = datetime.now(UTC)
    engine = open_engine(database)
    with engine.begin() as connection:
        migrate(connection)
        keep_call(connection, "old", "b", "ended", now - timedelta(days=31))
        keep_call(connection, "young", "b", "ended", now - timedelta(days=29))
    engine.dispose()
    run = await rehearsal(storage={"url": database}, records={"keep_days": 30})

    assert run.bridge.records is not None
    async with asyncio.timeout(20):
        while await run.bridge.records.find("CAold") is not None:  # noqa: ASYNC110 - it is the database that changes
            await asyncio.sleep(0.05)
    assert await run.bridge.records.find("CAyoung") is not None
