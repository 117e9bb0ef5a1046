"""The tables of the call records. `migrations` make them; a test holds the two against each other.

Times of day are UTC; `…_s` are seconds since the call began, on the call's clock. Rows are written whole, so that
writing one again changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A moment with its time zone, also where the database knows none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite keeps text, which sorts as the times do because all of them are UTC."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's
        """As UTC, whatever zone the database session has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _call_id() -> Column[str]:
    return Column("call_id", String(32), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)


def _number() -> Column[int]:
    """Counts the rows of a call, in the order in which they became known."""
    return Column("number", Integer, primary_key=True, autoincrement=False)


calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("call_sid", String(64), nullable=False, index=True),
    Column("instance", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # ringing, live, ended, interrupted
    Column("direction", String(16), nullable=False),
    Column("from_number", Text, nullable=False),
    Column("to_number", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    Column("ending", String(32)),
    Column("reason", Text),
    Column("barge_ins", Integer, nullable=False),
    Column("sessions_replaced", Integer, nullable=False),
    Column("text_in", Integer, nullable=False),
    Column("text_cached_in", Integer, nullable=False),
    Column("audio_in", Integer, nullable=False),
    Column("audio_cached_in", Integer, nullable=False),
    Column("text_out", Integer, nullable=False),
    Column("audio_out", Integer, nullable=False),
    Column("cost", Float),
    Column("lost", Integer, nullable=False),
    Index("ix_calls_began_at_id", "began_at", "id"),
    Index("ix_calls_instance_state", "instance", "state"),
)
"""One row a call. `id` is ours: a CallSid may come again when a bridge was killed in mid-call."""

turns = Table(
    "turns",
    metadata,
    _call_id(),
    _number(),
    Column("role", String(16), nullable=False),
    Column("words", Text),
    Column("at_s", Float, nullable=False),
    Column("heard_ms", Integer),
    Column("is_cut", Boolean, nullable=False),
)
"""What was said: the caller's words as understood, the bot's as heard."""

functions = Table(
    "functions",
    metadata,
    _call_id(),
    _number(),
    Column("name", Text, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("took_ms", Integer),
    Column("outcome", Text),
)
"""What the model called; neither arguments nor results."""

transfers = Table(
    "transfers",
    metadata,
    _call_id(),
    _number(),
    Column("destination", Text, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("outcome", Text),
)
"""Each attempt to hand the call over, one destination each."""

latencies = Table(
    "latencies",
    metadata,
    _call_id(),
    _number(),
    Column("kind", String(16), nullable=False),  # greeting, answer, barge_in
    Column("at_s", Float, nullable=False),
    Column("wait_ms", Integer, nullable=False),
    Column("model_ms", Integer),
)
"""How long the caller waited: for the greeting, for an answer, and for the bot to be silent."""

recordings = Table(
    "recordings",
    metadata,
    Column("recording_sid", String(64), primary_key=True),
    Column("call_id", String(32), ForeignKey("calls.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("status", String(16), nullable=False),
    Column("channels", Integer),
    Column("duration_s", Integer),
)
"""Recordings that the carrier keeps."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("call_id", String(32), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("instance", String(255), nullable=False),
    Column("state", String(16), nullable=False),  # waiting, delivered, given_up
    Column("created_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Index("ix_deliveries_state_next_at", "state", "next_at"),
)
"""The webhook's outbox: who has to be told about which call."""

bridges = Table(
    "bridges",
    metadata,
    Column("instance", String(255), primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
)
"""Which bridges write here, and when each was last heard of."""

DETAILS = (turns, functions, transfers, latencies)
"""What a call has many of, by number."""
