"""What the writer does: each note is a few statements, and doing one again after a failure changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.records.tables import calls, recordings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Executable, Table

    Row = Mapping[str, object]


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
        statement = _upsert(connection.dialect.name, self.table, tuple(self.row), keeps=self.keeps)
        connection.execute(statement, dict(self.row))


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
