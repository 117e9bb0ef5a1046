"""Worker processes, started when they are needed and replaced when they die.

What recognises speech holds Python's interpreter lock for as long as it takes, and what speaks is under another
licence: both run in processes of their own. A worker lives as long as the pipe to it (see `bridge.rehearsal.pipe`).
Times here are the wall clock's: a computation is no faster because a rehearsal is.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge import children
from bridge.errors import BridgeError
from bridge.rehearsal.pipe import LENGTHS, pack

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from bridge.rehearsal.pipe import Frame

_ROOT: Final = str(Path(__file__).parents[2])
_STOP_S: Final = 2.0
_DIES_WITHIN_S: Final = 2.0
"""What has closed its pipe is about to end, and its exit code says why."""
_MOST_DEATHS: Final = 2


class Workers:
    """Some processes that run the same module; each serves one request at a time.

    Args:
        module: what they run, a module that calls `pipe.serve`.
        size: how many there are.
        max_waiting: how many requests may wait for a free one; a further one is refused.
        time_limit_s: for one request, the start of the process included; a worker that needs longer is stopped.
    """

    def __init__(self, module: str, *, size: int = 1, max_waiting: int = 32, time_limit_s: float = 30.0) -> None:
        self._module = module
        self._max_waiting = max_waiting
        self._time_limit_s = time_limit_s
        self._workers = [_Worker(module) for _ in range(size)]
        self._idle = list(self._workers)
        self._free = asyncio.Semaphore(size)
        self._waiting = 0
        self._asking: set[asyncio.Task[Frame]] = set()

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def start(self) -> None:
        """Start them now instead of at the first request; they get ready in the background."""
        for worker in self._workers:
            await worker.start()

    async def request(self, header: dict[str, object], body: bytes = b"") -> Frame:
        """Send a request to a free worker and return its answer.

        A worker that dies fails its request, and the next request starts another; if that one dies too before it has
        answered anything, no further one is started.

        Raises:
            BridgeError: too many wait, the time is up, the worker died or could not do it.
        """
        if self._free.locked() and self._waiting >= self._max_waiting:
            raise BridgeError(f"{self._module} is overloaded: {self._waiting} requests wait; start more workers")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        asking = asyncio.create_task(self._ask(self._idle.pop(), pack(header, body)), name=f"ask {self._module}")
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        return await asyncio.shield(asking)  # who gives up leaves the worker busy until it has answered to nobody

    async def close(self) -> None:
        """Stop them for good; a request in progress has two seconds left, those that wait fail."""
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        await asyncio.gather(*self._asking, return_exceptions=True)

    def _forget(self, asking: asyncio.Task[Frame]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever still waits for it gets it raised; nobody else needs a warning

    async def _ask(self, worker: _Worker, frame: bytes) -> Frame:
        try:
            async with asyncio.timeout(self._time_limit_s):
                answer, body = await worker.ask(frame)
        except TimeoutError as error:
            await worker.kill()
            raise BridgeError(f"{self._module} took longer than {self._time_limit_s:g} s and was stopped") from error
        finally:
            self._idle.append(worker)
            self._free.release()
        if "error" in answer:
            raise BridgeError(f"{self._module} failed: {answer['error']}")
        return answer, body


class _Worker:
    """One process, and the next one when it has died."""

    def __init__(self, module: str) -> None:
        self.process: Process | None = None
        self._module = module
        self._is_stopped = False
        self._deaths = 0
        """In a row, without an answer between them."""

    async def start(self) -> Process:
        if self._is_stopped:
            raise BridgeError(f"{self._module} has been stopped")
        if self.process is None:
            if self._deaths >= _MOST_DEATHS:
                raise BridgeError(f"{self._module} died twice in a row and is not started again; restart the bridge")
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for the parent, which closes the pipe then
            )
        return self.process

    async def ask(self, frame: bytes) -> Frame:
        process = await self.start()
        try:
            answer = await _exchange(process, frame)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self._deaths += 1
            await self.kill(within_s=_DIES_WITHIN_S)
            message = f"{self._module} died (exit code {process.returncode}); the next request starts another"
            raise BridgeError(message) from error
        self._deaths = 0
        return answer

    async def stop(self) -> None:
        """Close its input, after which it ends by itself; wait for that, but not for long."""
        self._is_stopped = True
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.kill(within_s=_STOP_S)

    async def kill(self, *, within_s: float = 0.0) -> None:
        """End it, at once or when it has not ended by itself; also when it has ended already."""
        process, self.process = self.process, None
        if process is not None:
            await children.end(process, within_s=within_s)


async def _exchange(process: Process, frame: bytes) -> Frame:
    if process.stdin is None or process.stdout is None:
        raise ConnectionError
    process.stdin.write(frame)
    await process.stdin.drain()
    header_bytes, body_bytes = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
    header = json.loads(await process.stdout.readexactly(header_bytes))
    return header, await process.stdout.readexactly(body_bytes)


def _environment() -> dict[str, str]:
    """Return ours, with this package on the path, and one thread: a process with threads cannot be forked safely."""
    paths = [_ROOT, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OPENBLAS_NUM_THREADS": "1"}
