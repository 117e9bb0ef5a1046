"""Threads that hold up nobody."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bridge.edge.threads import SideLoop, Threads, ThreadsBusyError


async def test_threads_are_started_as_needed_and_end() -> None:
    """One job needs one thread, which ends when it is told to."""
    threads = Threads("test", size=2, waiting=2)

    thread = await threads.run(threading.current_thread)
    threads.stop()

    await asyncio.to_thread(thread.join, 5)
    assert thread.daemon
    assert not thread.is_alive()


async def test_exception_is_passed_on() -> None:
    """Whatever a function raises, its caller gets."""
    threads = Threads("test", size=1, waiting=1)

    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert await threads.run(lambda: 1) == 1
    threads.stop()


async def test_job_beyond_the_bound_is_refused_at_once() -> None:
    """One runs, one waits, the next is refused; the one that waited runs when there is room."""
    threads = Threads("test", size=1, waiting=1)
    began, release = threading.Event(), threading.Event()

    def block() -> bool:
        began.set()
        return release.wait(10)

    running = asyncio.create_task(threads.run(block))
    await asyncio.sleep(0)
    assert await asyncio.to_thread(began.wait, 5)
    waiting = asyncio.create_task(threads.run(lambda: "ran"))
    await asyncio.sleep(0)
    with pytest.raises(ThreadsBusyError):
        await threads.run(lambda: "never")
    release.set()

    assert [True, "ran"] == [await running, await waiting]
    threads.stop()


async def test_cancelled_job_that_waits_is_not_begun() -> None:
    """Nobody wants it any more."""
    threads = Threads("test", size=1, waiting=2)
    release = threading.Event()
    ran: list[str] = []
    running = asyncio.create_task(threads.run(lambda: release.wait(10)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(threads.run(lambda: ran.append("it")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()
    await running
    await threads.run(lambda: None)

    assert ran == []
    assert threads.overdue == 0
    threads.stop()


async def test_loop_beside_is_one_and_is_closed() -> None:
    """Coroutines share it, and it ends when it is told to."""
    beside = SideLoop("test")

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first, second = await beside.run(loop()), await beside.run(loop())
    await beside.stop()

    assert first is second
    assert first is not asyncio.get_running_loop()
    assert first.is_closed()


async def test_loop_that_was_never_needed_is_never_started() -> None:
    """Nothing to stop."""
    await SideLoop("test").stop()

    assert "test" not in [thread.name for thread in threading.enumerate()]
