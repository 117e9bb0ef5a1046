"""Databases for tests of the call records: SQLite always, and PostgreSQL where there is a server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from bridge.records.notes import Put
from bridge.records.observer import TOKENS
from bridge.records.tables import calls, turns

BEGAN = datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The `storage.url` of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'calls.db'}"
        return
    name = f"records_{secrets.token_hex(6)}"
    address = make_url(request.getfixturevalue("postgresql_url"))
    engine = create_engine(address.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield address.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()


def keep_call(
    connection: Connection,
    name: str,
    instance: str,
    state: str = "live",
    began_at: datetime = BEGAN,
    *,
    ending: str | None = None,
) -> None:
    """A call with one line of transcript; it was last written 42 seconds after it began."""
    row: dict[str, object] = {
        "id": name,
        "call_sid": f"CA{name}",
        "instance": instance,
        "state": state,
        "direction": "inbound",
        "from_number": "+15550100001",
        "to_number": "+15551230000",
        "agent": "reception",
        "line": "default",
        "began_at": began_at,
        "updated_at": began_at + timedelta(seconds=42),
        "ending": ending,
    }
    Put(calls, row | dict.fromkeys(("barge_ins", "sessions_replaced", "lost", *TOKENS), 0)).write(connection)
    line: dict[str, object] = {"call_id": name, "number": 1, "role": "bot", "words": "Hello.", "at_s": 1.0}
    Put(turns, line | {"heard_ms": 500, "is_cut": False}).write(connection)
