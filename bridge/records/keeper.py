"""The records of one bridge: what the composition root starts, and the rest of the bridge talks to."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from bridge.edge.threads import Threads, ThreadsBusyError
from bridge.records import outbox, reading, upkeep
from bridge.records.database import open_engine
from bridge.records.observer import CallRecords
from bridge.records.unavailable import RecordsUnavailableError
from bridge.records.writer import RecordsWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine, RowMapping

    from bridge.clock import Clock
    from bridge.records.outbox import Delivery
    from bridge.records.reading import CallRecord, Wanted
    from bridge.settings import Settings

READ_WITHIN_S = 5.0
FLUSH_WITHIN_S = 1.0
"""How long a reader waits for what was noted before it asked."""
READERS, READERS_WAITING = 2, 16
PRUNE_EVERY_S = 3600.0
Result = TypeVar("Result")


class Records:
    """Keeps records: `observer` watches the calls. Call `close`, beside the event loop, when the last call is over.

    Args:
        settings: where they are kept, what is, and for how long.
        port: where the bridge listens; with the machine's name it stands for a bridge that has no name of its own.
        clock: of the bridge.

    Raises:
        ConfigurationError: `storage.url` cannot be used.
    """

    def __init__(self, settings: Settings, port: int, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.instance = settings.server.instance or f"{socket.gethostname()}:{port}"
        url = settings.storage.url.get_secret_value()
        self._reader = open_engine(url, is_reader=True)
        self._settler = open_engine(url)
        tells = bool(settings.records.webhook_url)
        self.writer = RecordsWriter(
            open_engine(url, is_kept=True),
            first=lambda connection: upkeep.close_own(connection, self.instance, tells=tells),
            upkeep=self._keep_up,
        )
        self.observer = CallRecords(settings, self.instance, self.writer.put)
        self._threads = Threads("records-reader", size=READERS, waiting=READERS_WAITING)
        self._pruned_at: float | None = None

    def start(self) -> None:
        """Begin to write; the database may come later."""
        self.writer.start()

    def close(self) -> None:
        """Write what still waits, and let go of the database; blocks for a few seconds at most."""
        self._threads.stop()
        self.writer.close()
        self._reader.dispose()
        self._settler.dispose()

    async def find(self, call_sid: str) -> CallRecord | None:
        """The record of a call, with what is known by now. Raises RecordsUnavailableError."""
        return await self._read(lambda connection: reading.find(connection, call_sid))

    async def page(self, wanted: Wanted, limit: int) -> Sequence[RowMapping]:
        """Rows of calls, the latest first. Raises RecordsUnavailableError."""
        return await self._read(lambda connection: reading.page(connection, wanted, limit))

    async def by_id(self, record_id: str) -> CallRecord | None:
        """One record. Raises RecordsUnavailableError."""
        return await self._read(lambda connection: reading.by_id(connection, record_id))

    async def due(self) -> Sequence[Delivery]:
        """What the webhook is to tell now. Raises RecordsUnavailableError."""
        return await self._read(lambda connection: outbox.due(connection, self.instance))

    async def settle(self, delivery: Delivery, state: str, error: str = "", *, again_in_s: float = 0) -> None:
        """Write down what came of telling it. Raises RecordsUnavailableError."""

        def work() -> None:
            with self._settler.begin() as connection:
                outbox.settle(connection, delivery, state, error, again_in_s=again_in_s)

        await self._run(work)

    async def _read(self, read: Callable[[Connection], Result]) -> Result:
        def work() -> Result:
            self.writer.flush(FLUSH_WITHIN_S)
            with self._reader.connect() as connection:
                return read(connection)

        return await self._run(work)

    async def _run(self, work: Callable[[], Result]) -> Result:
        """Work beside the event loop, within its time."""
        try:
            async with self._clock.timeout(READ_WITHIN_S * self._clock.rate):  # a database knows no rehearsed time
                return await self._threads.run(work)
        except (SQLAlchemyError, OSError, ThreadsBusyError) as error:  # a timeout is an OSError
            raise RecordsUnavailableError("the call records cannot be read at the moment") from error

    def _keep_up(self, engine: Engine) -> None:
        """What the writer does from time to time."""
        tells = bool(self._settings.records.webhook_url)
        with engine.begin() as connection:
            upkeep.seen(connection, self.instance)
            upkeep.close_orphans(connection, self.instance, tells=tells)
        keep_days = self._settings.records.keep_days
        now = time.monotonic()
        if keep_days and (self._pruned_at is None or now >= self._pruned_at + PRUNE_EVERY_S):
            self._pruned_at = now
            upkeep.prune(engine, datetime.now(UTC) - timedelta(days=keep_days))
