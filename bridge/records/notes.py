"""What the writer does: each note is a few statements, and doing one again after a failure changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.records.tables import calls, recordings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Executable, Table

    Row = Mapping[str, object]

AT_ONCE = 10
"""Rows that are handed to the database in one go; more would keep the core from the event loop for too long."""


class Note(Protocol):
    """Something to be written down."""

    def write(self, connection: Connection) -> None:
        """Do it, inside the connection's transaction."""


@dataclass(frozen=True, slots=True)
class Put:
    """A row as it is now; it takes the place of the one with the same key."""

    table: Table
    row: Row
    keeps: bool = False
    """Whether a row that is there already stays as it is."""

    def write(self, connection: Connection) -> None:
        """Insert the row, or replace it."""
        Puts((self,)).write(connection)

    @property
    def kind(self) -> tuple[str, tuple[str, ...], bool]:
        """What is the same in all that one statement writes."""
        return self.table.name, tuple(self.row), self.keeps

    @property
    def key(self) -> tuple[object, ...]:
        """What tells its row from the others of its table."""
        return tuple(self.row[column.name] for column in self.table.primary_key)


@dataclass(frozen=True, slots=True)
class Puts:
    """Rows of one kind, at least one, in their order."""

    rows: Sequence[Put]

    def write(self, connection: Connection) -> None:
        """Insert or replace them by one statement, whose own cost is several times that of a row."""
        first = self.rows[0]
        statement = _upsert(connection.dialect.name, first.table, tuple(first.row), keeps=first.keeps)
        connection.execute(statement, [dict(one.row) for one in self.rows])


def together(notes: Iterable[Note]) -> Iterator[Note]:
    """The same notes in fewer statements: rows of one kind together, and of each row only how it is in the end.

    What is no row keeps its place between the rows.
    """
    for are_rows, group in groupby(notes, lambda note: isinstance(note, Put)):
        if are_rows:
            yield from _by_kind(note for note in group if isinstance(note, Put))
        else:
            yield from group


def _by_kind(puts: Iterable[Put]) -> Iterator[Puts]:
    """Calls first, for the other rows refer to them."""
    kinds: dict[object, dict[tuple[object, ...], Put]] = {}
    for put in sorted(puts, key=lambda put: put.table is not calls):
        rows = kinds.setdefault(put.kind, {})
        if not (put.keeps and put.key in rows):
            rows[put.key] = put
    for rows in kinds.values():
        members = list(rows.values())
        yield from (Puts(members[at : at + AT_ONCE]) for at in range(0, len(members), AT_ONCE))


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], *, keeps: bool) -> Executable:
    """Made once for each table and choice of columns: making one takes longer than carrying it out."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    key = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in columns if name not in key}
    if keeps or not changed:
        return insert.on_conflict_do_nothing(index_elements=key)
    return insert.on_conflict_do_update(index_elements=key, set_=changed)


@dataclass(frozen=True, slots=True)
class CarrierRecording:
    """What the carrier says about a recording, perhaps long after the call."""

    call_sid: str
    recording_sid: str
    status: str
    channels: int | None = None
    duration_s: int | None = None

    def write(self, connection: Connection) -> None:
        """Put it beside its call; one that we know nothing about is no business of ours."""
        latest = select(calls.c.id).where(calls.c.call_sid == self.call_sid).order_by(calls.c.began_at.desc()).limit(1)
        call_id = connection.scalar(latest)
        if call_id is not None:
            row = {"recording_sid": self.recording_sid, "call_id": call_id, "status": self.status}
            known = {"channels": self.channels, "duration_s": self.duration_s}
            row |= {name: value for name, value in known.items() if value is not None}
            Put(recordings, row).write(connection)
