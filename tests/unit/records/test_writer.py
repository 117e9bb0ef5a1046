"""The writer: what waits, what is lost and what is not when the database fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, select, text

from bridge.records import writer as writing
from bridge.records.database import open_engine
from bridge.records.notes import Put, Puts, together
from bridge.records.observer import TOKENS
from bridge.records.tables import bridges, calls, turns
from bridge.records.upkeep import seen
from bridge.records.writer import RecordsWriter

Open = Callable[..., AbstractContextManager[RecordsWriter]]


def nothing(*_: object) -> None:
    """Nobody is told."""


@contextmanager
def writer_of(url: str, first: Callable[[Connection], object] = nothing) -> Iterator[RecordsWriter]:
    """A writer that runs inside the block."""
    writer = RecordsWriter(open_engine(url), first=first, upkeep=nothing)
    writer.start()
    try:
        yield writer
    finally:
        writer.close()


def named(url: str) -> list[str]:
    """The bridges that are written down."""
    engine = open_engine(url, is_reader=True)
    with engine.connect() as connection:
        names = list(connection.scalars(select(bridges.c.instance).order_by(bridges.c.instance)))
    engine.dispose()
    return names


class Seen:
    """A note that a bridge was seen; `until` it is set, the database fails."""

    def __init__(self, name: str, fault: str = "") -> None:
        self._name = name
        self._fault = fault

    def write(self, connection: Connection) -> None:
        """Write it, or fail."""
        if self._fault:
            connection.execute(text(self._fault))
        seen(connection, self._name)


def test_what_is_put_is_written_in_order_and_once(database: str) -> None:
    """The last row with a key is the one that stays."""
    with writer_of(database) as writer:
        for name in ("b", "a", "b"):
            assert writer.put(Seen(name))
        assert writer.flush(10)
        assert writer.is_reachable

        assert ["a", "b"] == named(database)
        assert (0, 0) == (writer.waiting, writer.lost)


def test_a_note_that_is_refused_for_good_takes_no_other_with_it(database: str) -> None:
    """It is lost alone, and counted."""
    with writer_of(database) as writer:
        broken = Put(bridges, {"instance": "c", "seen_at": None})
        for note in (Seen("a"), broken, Seen("b")):
            writer.put(note)
        assert writer.flush(10)

        assert ["a", "b"] == named(database)
        assert 1 == writer.lost


def test_a_note_that_no_database_was_asked_about_takes_no_other_with_it(database: str) -> None:
    """The driver refuses some values by itself, such as a number that is too long, and the writer goes on."""

    class TooLong(Seen):
        def write(self, _: Connection) -> None:
            raise OverflowError("too large to convert")

    with writer_of(database) as writer:
        for note in (Seen("a"), TooLong("c"), Seen("b")):
            writer.put(note)
        assert writer.flush(10)

        assert ["a", "b"] == named(database)
        assert (1, True) == (writer.lost, writer.is_reachable)


def test_what_waits_is_written_when_the_database_comes_back(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that passes costs nothing."""
    monkeypatch.setattr(writing, "RETRY_FIRST_S", 0.05)
    is_down, was_asked = threading.Event(), threading.Event()
    is_down.set()
    begin = Engine.begin

    def refuse_at_first(engine: Engine) -> AbstractContextManager[Connection]:
        if is_down.is_set():
            was_asked.set()
            raise OSError("the disk is away")
        return begin(engine)

    monkeypatch.setattr(Engine, "begin", refuse_at_first)
    with writer_of(database) as writer:
        writer.put(Seen("a"))
        assert was_asked.wait(10)
        assert not writer.flush(10)
        assert not writer.is_reachable
        is_down.clear()
        writer.put(Seen("b"))
        while not writer.flush(10):
            pass

        assert ["a", "b"] == named(database)
        assert 0 == writer.lost


def test_a_full_queue_loses_details_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a call stands finds room when nothing else does; what is lost is counted."""
    monkeypatch.setattr(writing, "MAX_WAITING", 2)
    monkeypatch.setattr(writing, "RESERVE", 1)
    engine = open_engine(f"sqlite:///{tmp_path / 'calls.db'}")
    writer = RecordsWriter(engine, first=nothing, upkeep=nothing)  # never started: nothing is written

    taken = [writer.put(Seen(name)) for name in "abc"]
    important = [writer.put(Seen(name), is_important=True) for name in "de"]
    engine.dispose()

    assert [True, True, False] == taken
    assert [True, False] == important
    assert (3, 2) == (writer.waiting, writer.lost)


def test_closing_writes_what_still_waits(database: str) -> None:
    """A bridge that stops in order loses nothing."""
    with writer_of(database) as writer:
        for number in range(500):
            writer.put(Seen(f"bridge {number:03}"))

    engine = open_engine(database, is_reader=True)
    with engine.connect() as connection:
        written = connection.scalar(select(func.count()).select_from(bridges))
    engine.dispose()
    assert 500 == written


def test_rows_of_several_calls_are_put_together_and_a_call_goes_before_its_turns(database: str) -> None:
    """A call that was changed twice since the last time is written once, as it is in the end."""
    notes = [_turn("a", 1), _call("a", 1), _call("b", 0), _turn("b", 1), _call("a", 2), _turn("a", 2)]
    with writer_of(database) as writer:
        writer.put(_call("a", 0))
        assert writer.flush(10)
        written = list(together(notes))
        for note in notes:
            writer.put(note)
        assert writer.flush(10)

        assert 0 == writer.lost
    assert [2, 3] == [len(note.rows) for note in written if isinstance(note, Puts)]
    engine = open_engine(database, is_reader=True)
    with engine.connect() as connection:
        rows = connection.execute(select(calls.c.id, calls.c.barge_ins))
        assert {"a": 2, "b": 0} == {row.id: row.barge_ins for row in rows}
        assert 3 == connection.scalar(select(func.count()).select_from(turns))
    engine.dispose()


def test_what_is_no_row_keeps_its_place_between_the_rows() -> None:
    """What it does may depend on the rows before it, and rows may depend on it."""
    between = Seen("x")

    before, same, after = together([_call("a", 0), between, _call("a", 1)])

    assert between is same
    assert [0, 1] == [note.rows[0].row["barge_ins"] for note in (before, after) if isinstance(note, Puts)]


def _call(name: str, barge_ins: int) -> Put:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    texts = dict.fromkeys(("instance", "direction", "from_number", "to_number", "agent", "line"), "")
    counts = dict.fromkeys(("sessions_replaced", "lost", *TOKENS), 0)
    times = {"began_at": now, "updated_at": now}
    row = {"id": name, "call_sid": name, "state": "live", "barge_ins": barge_ins, **texts, **counts, **times}
    return Put(calls, row)


def _turn(name: str, number: int) -> Put:
    row = {"call_id": name, "number": number, "role": "caller", "words": None, "at_s": 0.0, "is_cut": False}
    return Put(turns, row | {"heard_ms": None})
