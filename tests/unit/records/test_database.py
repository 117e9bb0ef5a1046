"""The database: its form, who may read it, and several bridges that start at once."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from bridge.errors import ConfigurationError
from bridge.records.database import migrate, open_engine
from bridge.records.tables import metadata


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """A database without tables."""
    engine = open_engine(database)
    yield engine
    engine.dispose()


def test_bridges_that_start_at_once_make_the_tables_once(engine: Engine) -> None:
    """All of them come up, and what is there is what this version writes."""
    faults: list[Exception] = []

    def start() -> None:
        try:
            with engine.begin() as connection:
                migrate(connection)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the test shows it
            faults.append(fault)

    bridges = [threading.Thread(target=start) for _ in range(4)]
    for bridge in bridges:
        bridge.start()
    for bridge in bridges:
        bridge.join()
    with engine.begin() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    assert [] == faults
    assert [] == differences


def test_file_of_the_records_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Also one that was there, and what SQLite puts beside it."""
    path = tmp_path / "deep" / "calls.db"
    path.parent.mkdir()
    path.touch(0o644)
    engine = open_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection)
        files = list(path.parent.iterdir())
        modes = {stat.S_IMODE(file.stat().st_mode) for file in files}
    engine.dispose()

    assert {"calls.db", "calls.db-wal", "calls.db-shm"} == {file.name for file in files}
    assert {0o600} == modes


def test_what_is_written_after_others_have_read_is_there(tmp_path: Path) -> None:
    """A reader beside the writer, then another process that thinks it is the last one, take no log from under it."""
    path = tmp_path / "calls.db"
    writer = open_engine(f"sqlite:///{path}", is_kept=True)
    reader = open_engine(f"sqlite:///{path}", is_reader=True)
    with writer.begin() as connection:
        migrate(connection)
        connection.exec_driver_sql("CREATE TABLE notes (note TEXT)")
    with reader.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM notes")
    _notes_seen_elsewhere(path)
    with writer.begin() as connection:
        connection.exec_driver_sql("INSERT INTO notes VALUES ('kept')")
    seen = _notes_seen_elsewhere(path)
    writer.dispose()
    reader.dispose()

    assert "[('kept',)]" == seen


def _notes_seen_elsewhere(path: Path) -> str:
    """What another process reads, which closes the database when it has."""
    program = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT note FROM notes').fetchall())"
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("url", ["postgresql://user:a-password@host:port/", "sqlite://a-password", "sqlite://"])
def test_address_that_cannot_be_understood_is_refused(url: str) -> None:
    """At start, by the key, without repeating what may hold a password."""
    with pytest.raises(ConfigurationError, match=r"storage\.url") as refusal:
        open_engine(url)

    assert "a-password" not in str(refusal.value)
