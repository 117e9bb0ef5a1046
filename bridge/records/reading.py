"""Reads the records: one call, a page of them, or all of a time, for the operator API, the webhook and the export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy import select, tuple_

from bridge.records.tables import DETAILS, calls, functions, latencies, recordings, transfers, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table

AT_ONCE = 100
"""Calls whose details are read together."""


class Line(msgspec.Struct, frozen=True):
    """A line of a transcript: the caller's words as understood, the bot's as heard."""

    role: str
    words: str | None
    """Null where words are not kept."""
    at_s: float
    """Seconds since the call began."""
    heard_ms: int | None
    """Of the bot's lines."""
    is_cut: bool


class FunctionRun(msgspec.Struct, frozen=True):
    """A function that the model called."""

    name: str
    at_s: float
    took_ms: int | None
    """Null for what the bridge does itself, and for a function that has not answered."""
    outcome: str | None
    """`answered`, why it failed, or `call_ended` before it did."""


class TransferAttempt(msgspec.Struct, frozen=True):
    """An attempt to hand the call over."""

    destination: str
    at_s: float
    outcome: str | None
    """`connected`, `busy`, `no_answer`, `failed`, `declined`, …; `call_ended` before it was known."""


class Latency(msgspec.Struct, frozen=True):
    """How long the caller waited."""

    kind: str
    """`greeting`, `answer`, or `barge_in`: until the bot was silent."""
    at_s: float
    wait_ms: int
    """Until it was heard."""
    model_ms: int | None
    """Until the first sound came from the model."""


class Recorded(msgspec.Struct, frozen=True):
    """A recording that the carrier keeps."""

    recording_sid: str
    status: str
    channels: int | None
    duration_s: int | None


class Usage(msgspec.Struct, frozen=True):
    """Tokens of the model, all responses together."""

    text_in: int
    text_cached_in: int
    audio_in: int
    audio_cached_in: int
    text_out: int
    audio_out: int


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of a call."""

    id: str
    """The record's own; a CallSid may have two records, when a bridge was killed in between."""
    call_sid: str
    instance: str
    """The bridge that had the call."""
    state: Literal["ringing", "live", "ended", "interrupted"]
    """`interrupted`: the bridge was killed in mid-call."""
    direction: str
    """`inbound`, or `outbound` when the bridge placed the call."""
    from_number: str = msgspec.field(name="from")
    to_number: str = msgspec.field(name="to")
    agent: str
    line: str
    """The number in `[lines]` whose entry held, or `default`."""
    began_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    """Of an interrupted call: when the last was heard of it."""
    ending: str | None
    """See `bridge.call.ending`; null until then, and for an interrupted call."""
    reason: str | None
    """Further to some endings."""
    barge_ins: int
    sessions_replaced: int
    usage: Usage
    cost: float | None
    """In the currency of the prices; null where no price is known."""
    lost: int
    """Details that could not be written."""
    transcript: Sequence[Line]
    functions: Sequence[FunctionRun]
    transfers: Sequence[TransferAttempt]
    latencies: Sequence[Latency]
    recordings: Sequence[Recorded]


_DETAILS: dict[str, tuple[Table, type[msgspec.Struct]]] = {
    "transcript": (turns, Line),
    "functions": (functions, FunctionRun),
    "transfers": (transfers, TransferAttempt),
    "latencies": (latencies, Latency),
    "recordings": (recordings, Recorded),
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls: those for which all of this holds."""

    since: datetime | None = None
    """That began then or later."""
    until: datetime | None = None
    """That began before."""
    state: str = ""
    ending: str = ""
    before: tuple[datetime, str] | None = None
    """That come after the call which began then and has this CallSid, when the latest comes first."""

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The same, for the database."""
        if self.since is not None:
            yield calls.c.began_at >= self.since
        if self.until is not None:
            yield calls.c.began_at < self.until
        if self.state:
            yield calls.c.state == self.state
        if self.ending:
            yield calls.c.ending == self.ending
        if self.before is not None:
            yield tuple_(calls.c.began_at, calls.c.call_sid) < self.before


def find(connection: Connection, call_sid: str) -> CallRecord | None:
    """The record of a call, the latest where it has several."""
    query = select(calls).where(calls.c.call_sid == call_sid).order_by(calls.c.began_at.desc()).limit(1)
    return next(_whole(connection, connection.execute(query).mappings().all()), None)


def by_id(connection: Connection, record_id: str) -> CallRecord | None:
    """One record."""
    found = connection.execute(select(calls).where(calls.c.id == record_id)).mappings().all()
    return next(_whole(connection, found), None)


def page(connection: Connection, wanted: Wanted, limit: int) -> list[RowMapping]:
    """The rows of the latest calls that are wanted, the latest first, without their details."""
    query = select(calls).where(*wanted.conditions())
    query = query.order_by(calls.c.began_at.desc(), calls.c.call_sid.desc()).limit(limit)
    return list(connection.execute(query).mappings())


def each(connection: Connection, wanted: Wanted) -> Iterator[CallRecord]:
    """All records that are wanted, the earliest first, a few at a time, however many there are."""
    query: Select[tuple[object, ...]] = select(calls).where(*wanted.conditions())
    query = query.order_by(calls.c.began_at, calls.c.id).execution_options(yield_per=AT_ONCE)
    for rows in connection.execute(query).mappings().partitions():
        yield from _whole(connection, rows)


def _whole(connection: Connection, rows: Sequence[RowMapping]) -> Iterator[CallRecord]:
    """Calls with their details."""
    ids = [row["id"] for row in rows]
    details = {name: _details(connection, ids, *of) for name, of in _DETAILS.items()}
    for row in rows:
        values = _plain(row)
        values |= {"from": row["from_number"], "to": row["to_number"], "usage": values}
        values |= {name: found.get(row["id"], []) for name, found in details.items()}
        yield msgspec.convert(values, CallRecord)


def _details(
    connection: Connection, ids: Sequence[str], table: Table, kind: type[msgspec.Struct]
) -> dict[str, list[dict[str, object]]]:
    """What some calls have of one kind, by the call, in order."""
    if not ids:
        return {}
    columns = [table.c[name] for name in kind.__struct_fields__]
    order = table.c.number if table in DETAILS else table.c.recording_sid
    query = select(table.c.call_id, *columns).where(table.c.call_id.in_(ids)).order_by(table.c.call_id, order)
    found: dict[str, list[dict[str, object]]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["call_id"], []).append(_plain(row))
    return found


def _plain(row: RowMapping) -> dict[str, object]:
    """A row whose keys are no more than text; the library's own kind of it is nothing that msgspec takes."""
    return {str(name): value for name, value in row.items()}
