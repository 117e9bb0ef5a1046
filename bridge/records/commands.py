"""What `voicebridge records` does: `export` and `prune`. Each returns an exit code, or raises BridgeError."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import BridgeError, ConfigurationError
from bridge.records import reading, upkeep
from bridge.records.database import open_engine, require_tables
from bridge.records.writer import reason_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from bridge.settings import Settings


def export(settings: Settings, options: argparse.Namespace, out: Callable[[str], object]) -> int:
    """Give out the records of a time as JSON lines, one after the other, however many there are."""
    wanted = reading.Wanted(since=options.since, until=options.until, ending=options.ending)
    with _database(settings, is_reader=True) as engine, engine.connect() as connection:
        require_tables(connection)
        for record in reading.each(connection, wanted):
            out(msgspec.json.encode(record).decode())
    return 0


def prune(settings: Settings, options: argparse.Namespace, out: Callable[[str], object]) -> int:
    """Delete the records that are older than they may become, or say how many they are."""
    days = settings.records.keep_days if options.keep_days is None else options.keep_days
    if days < 1:
        raise ConfigurationError("keeps records for ever: say --keep-days DAYS, at least 1", key="records.keep_days")
    before = datetime.now(UTC) - timedelta(days=days)
    with _database(settings) as engine:
        with engine.connect() as connection:
            require_tables(connection)
            count = upkeep.count_old(connection, before)
        if not options.dry_run:
            count = upkeep.prune(engine, before)
    done = "would delete" if options.dry_run else "deleted"
    out(f"{done} {count} calls that began before {before:%Y-%m-%d %H:%M} UTC")
    return 0


@contextlib.contextmanager
def _database(settings: Settings, *, is_reader: bool = False) -> Iterator[Engine]:
    """The database inside the block; what fails there is told in one sentence."""
    engine = open_engine(settings.storage.url.get_secret_value(), is_reader=is_reader)
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file is not None and not Path(file).is_file():
        raise BridgeError(f"there are no call records: {file} does not exist; storage.url names it")
    try:
        yield engine
    except (SQLAlchemyError, OSError) as error:
        raise BridgeError(f"the call records cannot be used ({reason_of(error)}): is storage.url right?") from error
    finally:
        engine.dispose()
