"""Processes that asyncio has started: a signal never takes away their exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from bridge import children

ENDS_AT_ONCE = (sys.executable, "-c", "raise SystemExit(7)")
GOES_ON = (sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()")


@pytest.fixture
def unreaped() -> Iterator[None]:
    """What has ended stays there until the event loop looks, so that it is not a matter of luck who does first."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("only Linux has pidfds")
    if sys.version_info >= (3, 12):
        yield  # that is so of itself
    else:
        before = asyncio.get_child_watcher()
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
        yield
        asyncio.set_child_watcher(before)


@pytest.mark.usefixtures("unreaped")
async def test_signal_to_a_process_that_has_ended_leaves_its_exit_code() -> None:
    """It has ended, and the event loop has not heard of it yet."""
    process = await asyncio.create_subprocess_exec(*ENDS_AT_ONCE)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop must not look

    children.send_signal(process, signal.SIGTERM)

    assert 7 == await process.wait()


async def test_process_that_is_about_to_end_is_not_killed() -> None:
    """Its own exit code says why it ended."""
    process = await asyncio.create_subprocess_exec(*ENDS_AT_ONCE)

    assert 7 == await children.end(process, within_s=30.0)


async def test_process_that_goes_on_is_killed_when_its_time_is_up() -> None:
    """Nothing is waited for longer than it was said."""
    process = await asyncio.create_subprocess_exec(
        *GOES_ON, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()

    assert -signal.SIGKILL == await children.end(process, within_s=0.01)
    children.send_signal(process, signal.SIGTERM)  # nobody is there, and nobody minds
