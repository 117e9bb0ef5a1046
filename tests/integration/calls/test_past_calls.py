"""Past calls in the operator API: from memory, from the records, and when neither can be had."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.records.database import migrate, open_engine
from bridge.rehearsal.conversation import Reply
from tests.client import TABLES, Operator, refusal
from tests.databases import BEGAN, keep_call
from tests.support import Start

SIDS = [f"CA{number:032x}" for number in range(5)]


@pytest.fixture
def door() -> str:
    """The API is the same through whichever door the media streams come."""
    return "plain"


@pytest.fixture
def filled(database: str) -> str:
    """A database with five calls of other days: every other one without input, the last one live in another bridge."""
    engine = open_engine(database)
    with engine.begin() as connection:
        migrate(connection)
        for number, call_sid in enumerate(SIDS):
            ending = "no_input" if number % 2 else "bot_hung_up"
            state = "live" if number == 4 else "ended"
            began_at = BEGAN + timedelta(days=number)
            keep_call(connection, call_sid[2:], "elsewhere", state, began_at, ending=None if number == 4 else ending)
    engine.dispose()
    return database


def named(answer: Any) -> list[str]:  # noqa: ANN401 - JSON
    """The calls of a page."""
    return [call["call_sid"] for call in answer.json()["calls"]]


async def test_past_calls_are_listed_page_by_page_after_the_live_ones(rehearsal: Start, filled: str) -> None:
    """Each once, the latest first, wherever it is told from."""
    run = await rehearsal([Reply(speech="Hello there.")], storage={"url": filled}, **TABLES)
    operator = Operator(run)
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    pages = []
    answer = await operator.get("/api/calls?limit=2")
    while (cursor := answer.json()["next"]) is not None:
        pages.append(named(answer))
        answer = await operator.get(f"/api/calls?limit=2&cursor={cursor}")
    pages.append(named(answer))
    call.hang_up()
    await call.ended()

    assert [[call.sid, SIDS[4]], [SIDS[3], SIDS[2]], [SIDS[1], SIDS[0]]] == pages
    assert answer.json()["is_complete"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ending=no_input", [3, 1]),
        ("state=live", [4]),
        ("since=2026-11-03T09:00:00Z&until=2026-11-05T10:00:00%2B01:00", [3, 2]),
        ("state=interrupted", []),
    ],
)
async def test_past_calls_are_found_by_time_state_and_ending(
    rehearsal: Start, filled: str, query: str, found: list[int]
) -> None:
    """From the earliest moment that is asked for to the latest, without it."""
    run = await rehearsal([], storage={"url": filled}, **TABLES)

    answer = await Operator(run).get(f"/api/calls?{query}")

    assert [SIDS[number] for number in found] == named(answer)


async def test_a_past_call_is_told_as_it_is_kept(rehearsal: Start, filled: str) -> None:
    """With its transcript, and what only records know; nothing can be done with it any more."""
    run = await rehearsal([], storage={"url": filled}, **TABLES)
    operator = Operator(run)

    found = (await operator.get(f"/api/calls/{SIDS[3]}")).json()

    assert ("ended", "no_input", "elsewhere") == (found["state"], found["ending"], found["instance"])
    assert ["Hello."] == [line["words"] for line in found["transcript"]]
    assert ([], [], 0) == (found["functions"], found["transfers"], found["usage"]["audio_in"])
    assert (409, "call_over") == refusal(await operator.post(f"/api/calls/{SIDS[3]}/hang-up"))
    assert (409, "elsewhere") == refusal(await operator.post(f"/api/calls/{SIDS[4]}/hang-up"))
    assert (404, "unknown_call") == refusal(await operator.get("/api/calls/CA%00"))


async def test_a_call_that_ended_just_now_is_told_with_all_that_is_known(rehearsal: Start, database: str) -> None:
    """What is in memory and what is kept are one answer."""
    run = await rehearsal([Reply(speech="Hello there.")], storage={"url": database}, **TABLES)
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    found = await Operator(run).view(call)

    assert run.bridge.records is not None
    assert ("ended", run.bridge.records.instance, "default") == (found["state"], found["instance"], "default")
    assert ["Hello there."] == [line["words"] for line in found["transcript"]]
    assert 0 == found["barge_ins"]


async def test_records_that_cannot_be_read_leave_what_is_in_memory(rehearsal: Start, tmp_path: Path) -> None:
    """The list says that it is not all; a call that only they could know cannot be told of."""
    database = tmp_path / "calls.db"
    run = await rehearsal([Reply(speech="Hello there.")], storage={"url": f"sqlite:///{database}"}, **TABLES)
    operator = Operator(run)
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    assert run.bridge.records is not None
    await asyncio.to_thread(run.bridge.records.writer.flush, 10)
    for file in (database, database.with_name("calls.db-wal"), database.with_name("calls.db-shm")):
        file.unlink(missing_ok=True)
    database.mkdir()

    listing = await operator.get("/api/calls")
    found = await operator.view(call)
    other = await operator.get(f"/api/calls/{SIDS[0]}")
    call.hang_up()
    await call.ended()

    assert [call.sid] == named(listing)
    assert not listing.json()["is_complete"]
    assert ("live", None) == (found["state"], found["instance"])
    assert (503, "no_records") == refusal(other)
