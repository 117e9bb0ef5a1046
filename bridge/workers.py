"""Several processes as one bridge: the parent starts a worker per core, keeps them running, and ends them together.

All workers answer HTTP on the same port, between which the system divides connections; each takes media on a port of
its own, and each call is served whole by one. What they must agree on, the parent keeps (`bridge.edge.shared_parent`),
unless it is in Redis. The settings, made-up tokens included, are the parent's: a worker gets them over the stream
between the two, which no other process can reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from bridge import children
from bridge.app import complete, start_embedded_model
from bridge.clock import Clock
from bridge.edge.ledger import Ledger
from bridge.edge.peer import LENGTH
from bridge.edge.shared_parent import Parent
from bridge.errors import BridgeError
from bridge.several import address_of, instance_of, one_of, reserve, url_of

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping
    from types import TracebackType

    from bridge.settings import Settings

READY = "ready"
READY_WITHIN_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Before a worker that died is started again; doubled each time, until one has lived for `STEADY_S`."""
STEADY_S = 60.0
LEAVE_WITHIN_S = 40.0
"""How much longer than `drain_s` a worker may take to leave, before it is killed."""
_ROOT = str(Path(__file__).parents[1])
_log = logging.getLogger("bridge")


class Instructions(NamedTuple):
    """What a worker is told when it starts."""

    settings: Settings
    """Its own."""
    given: Settings
    """The bridge's, before anything was filled in."""
    file: Path | None
    environ: dict[str, str]
    address: str


@dataclass
class _Worker:
    """One place among the workers, whichever process fills it."""

    number: int
    instance: str
    process: Process | None = None
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)


class Workers:
    """The workers of one bridge, as an async context manager: all of them listen once entered.

    Args:
        settings: the configuration; what it leaves open is filled in, the same for all.
        file: where it stands, to be read again by each worker on SIGHUP.
        environ: the same, of the environment.

    Raises BridgeError when a port cannot be had, or a worker does not start.
    """

    def __init__(self, settings: Settings, file: Path | None, environ: Mapping[str, str]) -> None:
        self.settings = complete(settings)
        self._given = settings
        self._read = (file, dict(environ))
        self._is_reloaded = False
        self.port = 0
        self._parent: Parent
        self._workers: list[_Worker] = []
        self._keeping: list[asyncio.Task[int]] = []
        self._is_leaving = asyncio.Event()
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where they listen on this machine."""
        return url_of(self.settings.server.host, self.port)

    @property
    def pids(self) -> list[int]:
        """The processes that run."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def __aenter__(self) -> Self:
        """Start them."""
        async with AsyncExitStack() as stack:
            settings = self.settings
            if settings.model.provider == "embedded":
                settings = self.settings = await start_embedded_model(settings, Clock(), stack)
            reserved = stack.enter_context(reserve(settings.server.host, settings.server.port))
            self.port = reserved.getsockname()[1]
            limits = settings.limits
            ledger = Ledger(max_calls=limits.max_calls, calls_per_minute_per_caller=limits.calls_per_minute_per_caller)
            self._parent = Parent(ledger, self._told)
            name = settings.server.instance
            self._workers = [_Worker(number, f"{name}-{number}") for number in range(settings.server.workers)]
            stack.push_async_callback(self._end)
            self._keeping = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
            await self._all_ready()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them, whatever they are doing; after `wait_left` there are none."""
        await self._stack.aclose()

    def signal(self, number: int) -> None:
        """Pass a signal on to all of them."""
        for worker in self._workers:
            if worker.process is not None:
                children.send_signal(worker.process, number)

    def reload(self) -> None:
        """Have all of them read the configuration anew: each logs what it makes of it."""
        self._is_reloaded = True
        self.signal(signal.SIGHUP)

    def leave(self) -> None:
        """Have them end: each when its calls have, within `drain_s`; told a second time, at once."""
        # another signal the second time: two of the same become one where a process is slow to get the first
        number = signal.SIGINT if self._is_leaving.is_set() else signal.SIGTERM
        self._is_leaving.set()
        self.signal(number)

    async def wait_left(self) -> int:
        """Wait until they have ended after `leave`; 0 when all of them did so in order."""
        limit_s = self.settings.server.drain_s + LEAVE_WITHIN_S
        _, late = await asyncio.wait(self._keeping, timeout=limit_s)
        if late:
            self.signal(signal.SIGKILL)
        codes = await asyncio.gather(*self._keeping)
        return 1 if any(codes) else 0

    async def _all_ready(self) -> None:
        """Wait until each has said that it listens; one that ends before has said why."""
        ready = asyncio.create_task(self._wait_ready())
        waiting: list[asyncio.Task[Any]] = [ready, *self._keeping]
        await asyncio.wait(waiting, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise BridgeError("a worker has not started; what stands above says why")

    async def _wait_ready(self) -> None:
        for worker in self._workers:
            await worker.is_ready.wait()

    async def _keep(self, worker: _Worker) -> int:
        """Have a worker run until `leave`; its exit code then. One that never got ready is not started again."""
        pause_s = FIRST_PAUSE_S
        while True:
            began_at = time.monotonic()
            code = await self._lived(worker)
            if self._is_leaving.is_set():
                return 0 if code == -signal.SIGTERM else code  # it was told before it could listen to that
            if not worker.is_ready.is_set():
                return code
            pause_s = FIRST_PAUSE_S if time.monotonic() - began_at > STEADY_S else pause_s
            extra = {"instance": worker.instance, "exit_code": code, "again_in_s": pause_s}
            _log.error("worker.died", extra=extra)
            try:
                async with asyncio.timeout(pause_s):
                    await self._is_leaving.wait()
            except TimeoutError:
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                return 0

    async def _lived(self, worker: _Worker) -> int:
        """One process from its start to its end; its exit code, or 1 when it could not be had."""
        try:
            process, ours = await _start()
            worker.process = process
            try:
                return await self._serve(worker, process, ours)
            finally:
                await children.end(process)
                worker.process = None
        except Exception as error:  # noqa: BLE001 - the place is to be filled again, whatever it was
            _log.exception("worker.failed", extra={"instance": worker.instance, "reason": type(error).__name__})
            return 1

    async def _serve(self, worker: _Worker, process: Process, ours: socket.socket) -> int:
        """Tell a process what it is, and answer it until its end; its exit code."""
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        address = address_of(worker.instance)
        given = pickle.dumps(Instructions(self._settings_of(worker), self._given, *self._read, address))
        writer.write(LENGTH.pack(len(given)) + given)
        serving = asyncio.create_task(self._parent.serve(address, reader, writer))
        if self._is_leaving.is_set():
            children.send_signal(process, signal.SIGTERM)
        code = await process.wait()
        writer.close()
        await serving
        return code

    def _told(self, address: str, word: str) -> None:
        """A worker says something about itself."""
        instance = instance_of(address)
        for worker in self._workers:
            if worker.instance == instance and word == READY and worker.process is not None:
                worker.is_ready.set()
                if self._is_reloaded:  # it was started with what held at the beginning
                    children.send_signal(worker.process, signal.SIGHUP)
                _log.info("worker.started", extra={"instance": instance, "pid": worker.process.pid})

    def _settings_of(self, worker: _Worker) -> Settings:
        settings = one_of(self.settings, worker.number)
        return settings.model_copy(update={"server": settings.server.model_copy(update={"port": self.port})})

    async def _end(self) -> None:
        self._is_leaving.set()
        self.signal(signal.SIGKILL)
        await asyncio.gather(*self._keeping, return_exceptions=True)


async def _start() -> tuple[Process, socket.socket]:
    """Start a process; the other end of its stream is ours."""
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as unless_started, theirs:
        unless_started.enter_context(ours)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge.worker", str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which passes it on
        )
        unless_started.pop_all()
    return process, ours


def _environment() -> dict[str, str]:
    """Return ours, with this package on the path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH", "")]))}
