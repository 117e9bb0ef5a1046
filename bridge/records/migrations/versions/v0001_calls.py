"""The first form of the call records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bridge.records.tables import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _calls()
    _details()
    _recordings()
    _deliveries()
    op.create_table(
        "bridges",
        sa.Column("instance", sa.String(255), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name="pk_bridges"),
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("call_sid", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("began_at", UtcTime(), nullable=False),
        sa.Column("answered_at", UtcTime()),
        sa.Column("ended_at", UtcTime()),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("ending", sa.String(32)),
        sa.Column("reason", sa.Text()),
        sa.Column("barge_ins", sa.Integer(), nullable=False),
        sa.Column("sessions_replaced", sa.Integer(), nullable=False),
        sa.Column("text_in", sa.Integer(), nullable=False),
        sa.Column("text_cached_in", sa.Integer(), nullable=False),
        sa.Column("audio_in", sa.Integer(), nullable=False),
        sa.Column("audio_cached_in", sa.Integer(), nullable=False),
        sa.Column("text_out", sa.Integer(), nullable=False),
        sa.Column("audio_out", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float()),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_call_sid", "calls", ["call_sid"])
    op.create_index("ix_calls_began_at_id", "calls", ["began_at", "id"])
    op.create_index("ix_calls_instance_state", "calls", ["instance", "state"])


def _details() -> None:
    _detail(
        "turns",
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("words", sa.Text()),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("heard_ms", sa.Integer()),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
    )
    _detail(
        "functions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("took_ms", sa.Integer()),
        sa.Column("outcome", sa.Text()),
    )
    _detail(
        "transfers",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("outcome", sa.Text()),
    )
    _detail(
        "latencies",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("wait_ms", sa.Integer(), nullable=False),
        sa.Column("model_ms", sa.Integer()),
    )


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("recording_sid", sa.String(64), nullable=False),
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("channels", sa.Integer()),
        sa.Column("duration_s", sa.Integer()),
        sa.PrimaryKeyConstraint("recording_sid", name="pk_recordings"),
        _of_call("recordings"),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"])


def _detail(name: str, *columns: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("call_id", "number", name=f"pk_{name}"),
        _of_call(name),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("instance", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("next_at", UtcTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("call_id", name="pk_deliveries"),
        _of_call("deliveries"),
    )
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"])


def _of_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=f"fk_{table}_call_id", ondelete="CASCADE")
