"""The calls there are and were: those of this process from memory, older ones and other bridges' from the records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bridge.recent import CallView, Summary
from bridge.records import reading  # noqa: TC001 - the types are read at run time
from bridge.records.unavailable import RecordsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from sqlalchemy import RowMapping

    from bridge.recent import RecentCalls
    from bridge.records.keeper import Records
    from bridge.records.reading import CallRecord, Wanted

    Others = Callable[[], Awaitable[list[Summary]]]

_NAME = re.compile(r"[A-Za-z0-9]{1,64}")
"""What a CallSid can look like; nothing else is looked for."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some calls, the latest first."""

    calls: Sequence[Summary]
    next: str | None
    """What to give as `cursor` for those that come after; null when there are no more."""
    is_complete: bool
    """False when the records cannot be read at the moment, and only calls of this process's memory are here."""


class CallDetails(CallView, kw_only=True):
    """All that is known of one call; what only records know is null where there is none."""

    instance: str | None = None
    """The bridge that had the call."""
    line: str | None = None
    """The number in `[lines]` whose entry held, or `default`."""
    barge_ins: int | None = None
    sessions_replaced: int | None = None
    usage: reading.Usage | None = None
    cost: float | None = None
    functions: Sequence[reading.FunctionRun] | None = None
    transfers: Sequence[reading.TransferAttempt] | None = None
    latencies: Sequence[reading.Latency] | None = None
    recordings: Sequence[reading.Recorded] | None = None


class Found(NamedTuple):
    """Calls, the latest first."""

    calls: list[Summary]
    has_more: bool
    is_complete: bool
    """False when the records could not be asked."""


_FROM_RECORDS = tuple(name for name in CallDetails.__struct_fields__ if name not in CallView.__struct_fields__)


class Calls:
    """Finds calls.

    Args:
        recent: those of this process.
        records: what is kept; None when nothing is.
        others: gives the calls in other processes' memory, where there are any.
    """

    def __init__(self, recent: RecentCalls, records: Records | None, others: Others | None = None) -> None:
        self._recent = recent
        self._records = records
        self._others = others

    async def page(self, wanted: Wanted, limit: int) -> Found:
        """The latest calls that are wanted. A call that is in memory is told of as it is there."""
        elsewhere = [] if self._others is None else await self._others()
        recent = {(view.began_at, view.call_sid): view for view in (*elsewhere, *self._views())}
        found = {key: view for key, view in recent.items() if _is_wanted(view, wanted)}
        rows: Sequence[RowMapping] = ()
        is_complete = True
        if self._records is not None:
            try:
                rows = await self._records.page(wanted, limit + 1)
            except RecordsUnavailableError:
                is_complete = False
        for row in rows:
            key = row["began_at"], row["call_sid"]
            if key not in recent:
                found[key] = _summary(row)
        latest = [found[key] for key in sorted(found, reverse=True)]
        return Found(latest[:limit], bool(latest) and max(len(latest), len(rows)) > limit, is_complete)

    def _views(self) -> Iterable[Summary]:
        return (view.summary() for view in self._recent)

    async def find(self, call_sid: str) -> CallDetails | None:
        """All that is known of a call; what is in memory goes before what is kept."""
        view = self._recent.find(call_sid)
        record = await self._record(call_sid)
        if view is None:
            return None if record is None else _details(record)
        known = msgspec.structs.asdict(view)
        if record is not None:
            known |= {name: getattr(record, name) for name in _FROM_RECORDS}
        return CallDetails(**known)

    async def _record(self, call_sid: str) -> CallRecord | None:
        if self._records is None or not _NAME.fullmatch(call_sid):
            return None
        try:
            return await self._records.find(call_sid)
        except RecordsUnavailableError:
            if self._recent.find(call_sid) is not None:
                return None
            raise


def _is_wanted(view: Summary, wanted: Wanted) -> bool:
    return (
        (wanted.since is None or view.began_at >= wanted.since)
        and (wanted.until is None or view.began_at < wanted.until)
        and (not wanted.state or view.state == wanted.state)
        and (not wanted.ending or view.ending == wanted.ending)
        and (wanted.before is None or (view.began_at, view.call_sid) < wanted.before)
    )


def _summary(row: RowMapping) -> Summary:
    """A call of the records, as it is listed."""
    return Summary(
        call_sid=row["call_sid"],
        agent=row["agent"],
        direction=row["direction"],
        began_at=row["began_at"],
        state=row["state"],
        answered_s=_since(row["began_at"], row["answered_at"]),
        ended_s=_since(row["began_at"], row["ended_at"]),
        ending=row["ending"],
        reason=row["reason"],
    )


def _details(record: CallRecord) -> CallDetails:
    kept = {name: getattr(record, name) for name in _FROM_RECORDS}
    return CallDetails(
        call_sid=record.call_sid,
        agent=record.agent,
        direction=record.direction,
        began_at=record.began_at,
        state=record.state,
        answered_s=_since(record.began_at, record.answered_at),
        ended_s=_since(record.began_at, record.ended_at),
        ending=record.ending,
        reason=record.reason,
        from_number=record.from_number,
        to_number=record.to_number,
        transcript=list(record.transcript),
        **kept,
    )


def _since(began_at: datetime, moment: datetime | None) -> float | None:
    return None if moment is None else round((moment - began_at).total_seconds(), 3)
