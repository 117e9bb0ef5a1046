"""Processes that this one has started by asyncio: to signal them, and to end them.

`Process.send_signal`, `kill` and `terminate` ask first whether the process has ended (`Popen.poll`, CPython before
3.12.9 and 3.13.2). That takes away the exit code that asyncio waits for: it finds no such process then, warns
"Unknown child process pid" and says that the code was 255 (CPython's issue 127049). So a signal is sent by number here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process


def send_signal(process: Process, number: int) -> None:
    """Send a process a signal, if it is not known to have ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and asyncio is about to hear of it
            os.kill(process.pid, number)


async def end(process: Process, *, within_s: float = 0.0) -> int:
    """Wait for a process's end, and kill it when it has not ended within a time; its exit code."""
    try:
        async with asyncio.timeout(within_s):
            return await process.wait()
    except TimeoutError:
        send_signal(process, signal.SIGKILL)
    return await process.wait()
