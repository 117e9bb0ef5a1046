"""A server on loopback that stands for the operator's, and a network whose addresses all lead to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpcore
import pytest

from bridge.call.plan import CallInfo, Plan
from bridge.settings import Agent

CALL_SID = "CA" + "0" * 32


@dataclass
class Request:
    """What the server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """An HTTP server with one answer for each path, which remembers what it was asked."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def at(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, path: str, body: bytes, status: int = 200, *headers: str) -> None:
        """Answer every request of a path with the same."""
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
        message = "\r\n".join(lines).encode() + body

        async def write(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(message)

        self.answers[path] = write

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                request = await self._read(head, reader)
                self.requests.append(request)
                await self.answers[request.path](request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _read(self, head: str, reader: asyncio.StreamReader) -> Request:
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


Start = Callable[..., Awaitable[Server]]


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[Server]:
    """Listen on a free port of loopback."""
    server = Server()
    handling: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(server.handle(reader, writer))
        handling.add(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts a server, which serves until the test ends."""
    async with AsyncExitStack() as servers:

        async def begin(tls: ssl.SSLContext | None = None) -> Server:
            return await servers.enter_async_context(serving(tls))

        yield begin


@pytest.fixture
async def server(start: Start) -> Server:
    """A server without TLS."""
    return await start()


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every address lead to loopback, and return the list of those that were connected to."""
    connected: list[str] = []
    connect = httpcore.AnyIOBackend.connect_tcp

    async def connect_to_loopback(
        self: httpcore.AnyIOBackend, host: str, port: int, *_: object, **__: object
    ) -> httpcore.AsyncNetworkStream:
        connected.append(host)
        return await connect(self, "127.0.0.1", port)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_to_loopback)
    return connected


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port on which nobody listens: taken, and not used."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def plan() -> Plan:
    """A call."""
    info = CallInfo(
        call_sid=CALL_SID,
        from_number="+15550001111",
        to_number="+15550002222",
        agent="reception",
        parameters={"tenant": "shop"},
    )
    return Plan(CALL_SID, Agent(name="reception"), "ga", info=info)
