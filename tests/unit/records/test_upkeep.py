"""What is done beside the writing: interrupted calls, and old ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from bridge.records import reading, upkeep
from bridge.records.database import migrate, open_engine
from bridge.records.notes import CarrierRecording, Put
from bridge.records.observer import masked, new_delivery, storable
from bridge.records.tables import bridges, calls, deliveries, turns
from tests.databases import BEGAN, keep_call


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """A database with its tables."""
    engine = open_engine(database)
    with engine.begin() as connection:
        migrate(connection)
    yield engine
    engine.dispose()


def states(engine: Engine) -> dict[str, str]:
    """How each call stands."""
    with engine.connect() as connection:
        return {row.id: row.state for row in connection.execute(select(calls.c.id, calls.c.state))}


def waiting(engine: Engine) -> dict[str, str]:
    """Which calls somebody is to be told about, and by which bridge."""
    with engine.connect() as connection:
        found = select(deliveries.c.call_id, deliveries.c.instance).where(deliveries.c.state == "waiting")
        return {row.call_id: row.instance for row in connection.execute(found)}


def test_a_bridge_that_comes_back_closes_its_own_calls_and_no_other_s(engine: Engine) -> None:
    """At the last moment that is known; without an ending, for nobody saw it."""
    with engine.begin() as connection:
        keep_call(connection, "mine", "a")
        keep_call(connection, "over", "a", "ended")
        keep_call(connection, "hers", "b")
        closed = upkeep.close_own(connection, "a", tells=True)

    with engine.connect() as connection:
        mine = reading.by_id(connection, "mine")
    assert mine is not None
    assert (1, "interrupted", None) == (closed, mine.state, mine.ending)
    assert BEGAN + timedelta(seconds=42) == mine.ended_at
    assert {"mine": "interrupted", "over": "ended", "hers": "live"} == states(engine)
    assert {"mine": "a"} == waiting(engine)


def test_calls_of_a_bridge_that_never_comes_back_are_closed_by_another(engine: Engine) -> None:
    """After a while without a sign of it; whom it had to tell is told by the other."""
    with engine.begin() as connection:
        for name in ("a", "b", "dead"):
            upkeep.seen(connection, name)
        keep_call(connection, "hers", "b")
        keep_call(connection, "lost", "dead")
        keep_call(connection, "untold", "dead", "ended")
        Put(deliveries, new_delivery("untold", "dead")).write(connection)
        assert 0 == upkeep.close_orphans(connection, "a", tells=True)
        long_ago = datetime.now(UTC) - upkeep.GONE_AFTER - timedelta(seconds=1)
        connection.execute(update(bridges).where(bridges.c.instance == "dead").values(seen_at=long_ago))
        assert 1 == upkeep.close_orphans(connection, "a", tells=True)

    assert {"hers": "live", "lost": "interrupted", "untold": "ended"} == states(engine)
    assert {"lost": "a", "untold": "a"} == waiting(engine)


def test_old_calls_go_with_all_that_belongs_to_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions; younger ones and those that live stay."""
    monkeypatch.setattr(upkeep, "DELETED_AT_ONCE", 2)
    with engine.begin() as connection:
        for number in range(5):
            keep_call(connection, f"old {number}", "a", "ended", BEGAN - timedelta(days=number + 1))
        keep_call(connection, "young", "a", "ended")
        keep_call(connection, "living", "a", "live", BEGAN - timedelta(days=9))
        assert 5 == upkeep.count_old(connection, BEGAN)
    deleted = upkeep.prune(engine, BEGAN)

    with engine.connect() as connection:
        kept = set(connection.scalars(select(turns.c.call_id)))
    assert 5 == deleted
    assert {"young", "living"} == kept == states(engine).keys()


def test_a_recording_is_kept_with_the_latest_call_of_its_name(engine: Engine) -> None:
    """What the carrier says of it comes late and in parts, and may be about a call that we do not know."""
    with engine.begin() as connection:
        keep_call(connection, "one", "a", "ended")
        for told in (
            CarrierRecording("CAone", "RE1", "in-progress", channels=2),
            CarrierRecording("CAone", "RE1", "completed", duration_s=31),
            CarrierRecording("CAother", "RE2", "completed"),
        ):
            told.write(connection)
        record = reading.find(connection, "CAone")

    assert record is not None
    assert [("RE1", "completed", 2, 31)] == [
        (one.recording_sid, one.status, one.channels, one.duration_s) for one in record.recordings
    ]


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("+15551234567", "…67"),
        ("15551234567", "…67"),
        ("anonymous", "anonymous"),
        ("client:ada1", "…"),
        ("sip:ada@pbx.example", "…"),
    ],
)
def test_a_masked_number_tells_its_last_digits_at_most(number: str, kept: str) -> None:
    """Enough to tell two calls apart, too little to call anybody."""
    assert kept == masked(number)


def test_what_a_database_refuses_is_replaced() -> None:
    """A zero byte, or half of a pair of surrogates, would cost the whole row."""
    assert "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}" == storable("a\x00b\ud800")
