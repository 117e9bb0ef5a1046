"""Writes the records beside the calls: the event loop appends notes to a bounded queue, one thread writes them down.

What is written is committed a few times a second, so a process that is killed leaves all that was known until then.
While the database cannot be reached, notes wait, and the thread tries again, ever less often. When the queue is full,
details of calls are lost first, and counted; that a call began, and how it ended, has a reserve of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from bridge.records.database import migrate
from bridge.records.notes import together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from bridge.records.notes import Note

MAX_WAITING = 20_000
"""Notes that may wait; some ten minutes of a hundred lively calls."""
RESERVE = 5_000
"""How many more may wait that say how a call stands: that it began, how it ended, whom to tell."""
BATCH = 200
"""Notes of one transaction."""
WRITE_EVERY_S = 0.25
PAUSE_S = 0.001
"""Between two statements: a transaction in one go keeps the core from the event loop for tens of milliseconds."""
RETRY_FIRST_S, RETRY_LAST_S = 0.5, 30.0
UPKEEP_EVERY_S = 30.0
CLOSE_WITHIN_S = 5.0
_log = logging.getLogger("bridge")


class RecordsWriter:
    """The queue, and the thread that empties it.

    Args:
        engine: the database; the writer disposes of it when it is closed.
        first: done in one transaction when the tables are there, before anything is written.
        upkeep: done from time to time.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        first: Callable[[Connection], object],
        upkeep: Callable[[Engine], object],
    ) -> None:
        self._engine = engine
        self._first = first
        self._upkeep = upkeep
        self._notes: deque[Note] = deque()
        self._overflowed = 0
        self._refused = 0
        self._taken = 0
        self._done = 0
        self._progress = threading.Condition()
        self._wake = threading.Event()
        self._is_closing = False
        self._is_ready = False
        self._retry_s = 0.0
        self._kept_up_at = 0.0
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    @property
    def waiting(self) -> int:
        """Notes that are not written yet."""
        return len(self._notes)

    @property
    def lost(self) -> int:
        """Notes that were lost: the queue was full, or the database refused them for good."""
        return self._overflowed + self._refused

    @property
    def is_reachable(self) -> bool:
        """Whether the database took what it was given last."""
        return self._is_ready and not self._retry_s

    def start(self) -> None:
        """Begin; whether the database can be reached turns out beside the calls."""
        self._thread.start()

    def put(self, note: Note, *, is_important: bool = False) -> bool:
        """Have a note written; never waits. False when it is lost; one that `is_important` is lost last."""
        if len(self._notes) >= MAX_WAITING + RESERVE * is_important:
            self._overflowed += 1
            return False
        self._notes.append(note)
        self._taken += 1
        return True

    def flush(self, within_s: float) -> bool:
        """Wait until what was put so far is written; not for the event loop. False when that has not happened."""
        wanted = self._taken
        if not self._retry_s:
            self._wake.set()
        with self._progress:
            self._progress.wait_for(lambda: self._done >= wanted or bool(self._retry_s), within_s)
            return self._done >= wanted

    def close(self) -> None:
        """Write what still waits, if the database takes it; blocks for a few seconds at most."""
        if self._thread.ident is None:  # it was never begun
            return
        self._is_closing = True
        self._wake.set()
        self._thread.join(CLOSE_WITHIN_S)

    # The writer's thread

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wake.wait(self._retry_s or WRITE_EVERY_S)
            self._wake.clear()
            is_last = self._is_closing
            try:
                self._work()
                self._went_well()
            except Exception as error:  # noqa: BLE001 - whatever it was: without this thread no call is written any more
                self._went_wrong(error)
        if self._notes:
            _log.error("records.lost", extra={"notes": len(self._notes)})
        self._engine.dispose()

    def _work(self) -> None:
        if not self._is_ready:
            with self._engine.begin() as connection:
                migrate(connection)
            with self._engine.begin() as connection:
                self._first(connection)
            self._is_ready = True
        while self._notes:
            batch = [self._notes[at] for at in range(min(BATCH, len(self._notes)))]
            self._write(batch)
            for _ in batch:
                self._notes.popleft()
            with self._progress:
                self._done += len(batch)
                self._progress.notify_all()
        if time.monotonic() >= self._kept_up_at:
            self._kept_up_at = time.monotonic() + UPKEEP_EVERY_S
            self._upkeep(self._engine)

    def _write(self, batch: Sequence[Note]) -> None:
        try:
            with self._engine.begin() as connection:
                for note in together(batch):
                    note.write(connection)
                    time.sleep(0 if self._is_closing else PAUSE_S)
        except Exception as error:
            if _passes(error):
                raise
            self._write_singly(batch)

    def _write_singly(self, batch: Sequence[Note]) -> None:
        """One of them is refused for good: the others must not suffer from it."""
        for note in batch:
            try:
                with self._engine.begin() as connection:
                    note.write(connection)
            except Exception as error:
                if _passes(error):
                    raise
                self._refused += 1
                _log.warning("records.refused", extra={"reason": reason_of(error)})

    def _went_well(self) -> None:
        if self._retry_s:
            _log.warning("records.recovered", extra={"lost": self.lost})
        self._retry_s = 0.0

    def _went_wrong(self, error: Exception) -> None:
        if not self._retry_s:
            _log.error("records.failed", extra={"reason": reason_of(error), "waiting": len(self._notes)})
        self._retry_s = min(RETRY_LAST_S, self._retry_s * 2 or RETRY_FIRST_S)
        with self._progress:
            self._progress.notify_all()


def reason_of(error: Exception) -> str:
    """What went wrong, without what was to be written and where to."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None)
    return f"{type(origin).__name__} {state}" if state else type(origin).__name__


def _passes(error: Exception) -> bool:
    """Whether it may go well later: nobody is there, or somebody holds a lock. Otherwise it is what was written."""
    if not isinstance(error, DBAPIError):  # some values are refused before the database is asked
        return isinstance(error, SQLAlchemyError | OSError) and not isinstance(error, StatementError)
    return error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")
