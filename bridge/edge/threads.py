"""Threads for what would hold the event loop: some for plain functions, and one with a loop of its own for async ones.

The standard library's executor will not do: a program cannot end while one of its threads hangs, and its queue has no
bound. These threads are daemons: what hangs in one is left behind when the program ends.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")
STOP_WITHIN_S = 2.0
"""How long a loop's own tasks may take to be cancelled, before its thread is left behind."""


class ThreadsBusyError(Exception):
    """Every thread is taken and as many jobs wait as may."""


class Threads:
    """Runs plain functions, each in one of at most `size` threads, which are started when they are needed.

    Args:
        name: of the threads.
        size: how many there are at most.
        waiting: how many jobs may wait for one; a further one is refused at once.

    All methods are called on the event loop. Call `stop` when nothing more is to be run.
    """

    def __init__(self, name: str, *, size: int, waiting: int) -> None:
        self._name = name
        self._size = size
        self._waiting = waiting
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._overdue: set[object] = set()

    @property
    def overdue(self) -> int:
        """Jobs that still run although nobody waits for them any more: each takes up a thread until it returns."""
        return len(self._overdue)

    async def run(self, function: Callable[[], Result]) -> Result:
        """What `function` returns or raises. Cancelled, it is not begun; if it runs already, it is left to finish.

        Raises:
            ThreadsBusyError: there is no room.
        """
        if self._jobs.qsize() >= self._waiting:
            raise ThreadsBusyError
        future: Future[Result] = Future()
        self._jobs.put(lambda: _perform(future, function))
        if len(self._threads) < self._size:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            return await asyncio.wrap_future(future)
        finally:
            if not (future.cancel() or future.done()):
                self._overdue.add(future)
                future.add_done_callback(self._overdue.discard)

    def stop(self) -> None:
        """Let the threads end, each after what it is doing."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # an idle thread keeps nothing of a call


def _perform(future: Future[Result], function: Callable[[], Result]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
        future.set_exception(error)
    else:
        future.set_result(result)


class SideLoop:
    """An event loop in a thread of its own, for coroutines that may not give way; started when it is needed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = asyncio.Event()

    async def run(self, coroutine: Coroutine[object, object, Result]) -> Result:
        """What `coroutine` returns or raises. Cancelled, this ends at once, and the coroutine when it gives way."""
        if self._loop is None:
            self._loop = self._start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def stop(self) -> None:
        """Cancel what still runs, and end; a coroutine that holds its loop is left behind."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        await asyncio.to_thread(self._thread.join, STOP_WITHIN_S)

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(loop,), name=self._name, daemon=True)
        self._thread.start()
        return loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stopping.wait()
