"""What is done beside the writing: calls that a killed bridge left open are closed, and old ones are deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from bridge.records.notes import Put
from bridge.records.observer import new_delivery
from bridge.records.tables import bridges, calls, deliveries

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine

GONE_AFTER = timedelta(minutes=5)
"""A bridge that was not heard of for so long is dead: another one closes its calls, and tells whom it had to tell."""
DELETED_AT_ONCE = 200
_OPEN = ("ringing", "live")


def seen(connection: Connection, instance: str) -> None:
    """This bridge lives."""
    Put(bridges, {"instance": instance, "seen_at": datetime.now(UTC)}).write(connection)


def close_own(connection: Connection, instance: str, *, tells: bool) -> int:
    """Close the calls that this bridge's predecessor left open, at the last moment that is known; how many.

    Call it before the first call of this bridge is written. `tells`: the webhook is to be told about them.
    """
    seen(connection, instance)
    return _interrupt(connection, calls.c.instance == instance, instance, tells=tells)


def close_orphans(connection: Connection, instance: str, *, tells: bool) -> int:
    """The same for bridges that have not come back, whose names may never be used again."""
    before = datetime.now(UTC) - GONE_AFTER
    gone = select(bridges.c.instance).where(bridges.c.seen_at < before, bridges.c.instance != instance)
    names = list(connection.scalars(gone))
    if not names:
        return 0
    closed = _interrupt(connection, calls.c.instance.in_(names), instance, tells=tells)
    waiting = deliveries.c.instance.in_(names) & (deliveries.c.state == "waiting")
    connection.execute(update(deliveries).where(waiting).values(instance=instance))
    connection.execute(delete(bridges).where(bridges.c.instance.in_(names), bridges.c.seen_at < before))
    return closed


def _interrupt(connection: Connection, whose: ColumnElement[bool], instance: str, *, tells: bool) -> int:
    left = list(connection.scalars(select(calls.c.id).where(whose, calls.c.state.in_(_OPEN)).with_for_update()))
    for call_id in left:
        values = {"state": "interrupted", "ended_at": calls.c.updated_at}
        connection.execute(update(calls).where(calls.c.id == call_id).values(values))
        if tells:
            Put(deliveries, new_delivery(call_id, instance), keeps=True).write(connection)
    return len(left)


def prune(engine: Engine, before: datetime) -> int:
    """Delete the calls that began before a moment and are over, with all that belongs to them; how many.

    A few at a time: nobody who writes waits for long, and two who prune do not get into each other's way.
    """
    old = select(calls.c.id).where(_is_old(before)).order_by(calls.c.began_at).limit(DELETED_AT_ONCE)
    deleted = 0
    while True:
        with engine.begin() as connection:
            ids = list(connection.scalars(old.with_for_update(skip_locked=True)))
            if not ids:
                return deleted
            connection.execute(delete(calls).where(calls.c.id.in_(ids)))
            deleted += len(ids)


def count_old(connection: Connection, before: datetime) -> int:
    """How many calls `prune` would delete."""
    return connection.scalar(select(func.count()).select_from(calls).where(_is_old(before))) or 0


def _is_old(before: datetime) -> ColumnElement[bool]:
    return (calls.c.began_at < before) & calls.c.state.not_in(_OPEN)
