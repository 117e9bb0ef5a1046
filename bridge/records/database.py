"""The database of the call records: opened, and brought to the form that this version writes.

SQLite keeps a log beside its file (WAL), so that whoever reads holds up nobody who writes; the file is its owner's
alone. Every wait has its limit here: to connect, for a lock, for an answer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from bridge.errors import BridgeError, ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

CONNECT_WITHIN_S = 5
ANSWER_WITHIN_S = 10
"""How long one statement may take, and how long a lock may be waited for."""
_MIGRATIONS = Path(__file__).with_name("migrations")
_MAKING = threading.Lock()
"""Nobody connects to a new file before it is closed here."""
_MIGRATING = 0x766F6963
"""The advisory lock under which one bridge at a time migrates a PostgreSQL database: `voic`."""


def open_engine(url: str, *, is_reader: bool = False, is_kept: bool = False) -> Engine:
    """The database at a `storage.url`; nothing is connected yet. Call `dispose` when it is done with.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`.
        is_reader: whether it only reads: then a SQLite transaction keeps nobody from writing.
        is_kept: whether one connection is kept, for one thread that has something to do all the time.

    Raises:
        ConfigurationError: the address cannot be understood, or needs a package that is not installed.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise _not_understood() from None
    if address.get_backend_name() == "sqlite":
        if address.host or not address.database:
            raise _not_understood()
        return _sqlite(address, _pooling(is_kept=is_kept), is_reader=is_reader)
    if importlib.util.find_spec("psycopg") is None:
        message = "records in PostgreSQL need one more package: pip install 'voicebridge[postgres]'"
        raise ConfigurationError(message, key="storage.url")
    return _postgresql(address, _pooling(is_kept=is_kept))


def _not_understood() -> ConfigurationError:
    return ConfigurationError("is not of the form sqlite:///FILE or postgresql://…", key="storage.url")


def migrate(connection: Connection) -> None:
    """Bring the tables to the form of this version, inside the connection's transaction; one bridge does, others wait.

    Raises alembic's CommandError when a later version has been here.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def require_tables(connection: Connection) -> None:
    """Make sure that the tables are those of this version, without a change. Raises BridgeError."""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        raise BridgeError("there are no call records yet: the bridge makes their tables when it starts")
    if found != ScriptDirectory(str(_MIGRATIONS)).get_current_head():
        raise BridgeError("the call records are of another version: start the bridge of this version once")


def _pooling(*, is_kept: bool) -> dict[str, object]:
    """One connection for the thread that writes; for others one each time, which a thread cannot leave behind."""
    if not is_kept:
        return {"poolclass": NullPool}
    return {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": CONNECT_WITHIN_S}


def _postgresql(address: URL, pooling: dict[str, object]) -> Engine:
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        connect_args={
            "connect_timeout": CONNECT_WITHIN_S,
            "tcp_user_timeout": ANSWER_WITHIN_S * 1000,
            "application_name": "voicebridge",
        },
        hide_parameters=True,
        pool_pre_ping=True,
        **pooling,
    )

    @event.listens_for(engine, "connect")
    def limit(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET statement_timeout = '{ANSWER_WITHIN_S}s'")
        cursor.close()
        connection.commit()

    return engine


def _sqlite(address: URL, pooling: dict[str, object], *, is_reader: bool) -> Engine:
    engine = create_engine(address, connect_args={"timeout": ANSWER_WITHIN_S}, hide_parameters=True, **pooling)

    @event.listens_for(engine, "do_connect")
    def keep_private(*_: object) -> None:
        if address.database:
            _make_private(Path(address.database))

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver's guess
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that begins by reading may not be let to write when another one has written meanwhile.
        connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")

    return engine


def _make_private(path: Path) -> None:
    """The file, for its owner alone from the beginning; what SQLite puts beside it is the same.

    A file that is there is not opened: closing it would give up all locks of this process on it (POSIX), and whoever
    closes the database elsewhere would take the log from under our own connections ("How to corrupt", section 2.2, on
    sqlite.org).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _MAKING, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    path.chmod(0o600)
