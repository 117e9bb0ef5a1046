"""What a process that runs something needs around it: an event loop, and to be told when to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

FULL_COLLECTION_AFTER = 50
"""Collections of middle-aged objects until all are gone through: some two thousand calls, whose garbage is 50 MB."""


def run(main: Coroutine[None, None, int]) -> int:
    """Run to the end, on the faster event loop where it can be had; the exit code."""
    try:
        import uvloop  # noqa: PLC0415 - not to be had on Windows
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def spare_collector() -> None:
    """Have the garbage collector leave alone, for good, what there is now; call it when everything is started.

    A full collection looks at every object while nothing else runs. Modules, settings and routes alone are 130,000:
    75 ms in which no webhook is answered and no sound passed on, at the hundredth call and again and again.
    """
    gc.collect()
    gc.freeze()
    young, middle_aged, _ = gc.get_threshold()
    gc.set_threshold(young, middle_aged, FULL_COLLECTION_AFTER)


class Told:
    """That the process has been told to stop, and that it has been told so again, however soon after."""

    def __init__(self) -> None:
        self.once = asyncio.Event()
        self.twice = asyncio.Event()

    def tell(self) -> None:
        """Say it."""
        (self.twice if self.once.is_set() else self.once).set()


@contextlib.contextmanager
def signals() -> Iterator[Told]:
    """What SIGTERM and SIGINT tell, inside the block."""
    told = Told()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, told.tell)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def hangups(called: Callable[[], object]) -> Iterator[None]:
    """Call this on each SIGHUP, inside the block."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, called)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def first(*running: Coroutine[None, None, object]) -> None:
    """Wait for the first of these to end, and end the others; a failure is raised."""
    tasks = [asyncio.create_task(each) for each in running]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
