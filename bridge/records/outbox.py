"""The webhook's outbox in the database: which calls somebody is still to be told about, and when it is tried again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update

from bridge.records.tables import calls, deliveries

if TYPE_CHECKING:
    from sqlalchemy import Connection

AT_ONCE = 8
"""Deliveries that are under way at the same time."""
RETRY_FIRST_S, RETRY_LAST_S = 5.0, 3600.0
_JITTER = 0.2


class Delivery(NamedTuple):
    """A call that somebody is to be told about."""

    call_id: str
    call_sid: str
    attempts: int
    created_at: datetime


def due(connection: Connection, instance: str) -> list[Delivery]:
    """What this bridge is to deliver now, the longest waiting first, as much as may be under way at once."""
    mine = (deliveries.c.instance == instance) & (deliveries.c.state == "waiting")
    query = (
        select(deliveries.c.call_id, calls.c.call_sid, deliveries.c.attempts, deliveries.c.created_at)
        .join(calls, calls.c.id == deliveries.c.call_id)
        .where(mine, deliveries.c.next_at <= datetime.now(UTC))
        .order_by(deliveries.c.next_at)
        .limit(AT_ONCE)
    )
    return [Delivery(*row) for row in connection.execute(query)]


def settle(connection: Connection, delivery: Delivery, state: str, error: str = "", *, again_in_s: float = 0) -> None:
    """Write down what came of an attempt: `delivered`, `given_up`, or still `waiting`, to be tried `again_in_s`."""
    values: dict[str, object] = {"state": state, "attempts": delivery.attempts + 1, "last_error": error or None}
    values["next_at"] = datetime.now(UTC) + timedelta(seconds=again_in_s)
    connection.execute(update(deliveries).where(deliveries.c.call_id == delivery.call_id).values(values))


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts, so that many who wait do not come back all at once."""
    pause = min(RETRY_LAST_S, RETRY_FIRST_S * 2.0 ** min(attempts, 20))
    return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nobody is to be kept from guessing it
