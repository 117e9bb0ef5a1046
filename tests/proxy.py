"""A reverse proxy that terminates TLS and does to requests what a test wants done: what stands before a bridge."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Head = list[str]
"""The lines of a request's head: the request line, then the headers."""


@dataclass
class Proxy:
    """What it does; a test may change any of it while it runs."""

    port: int = 0
    to: int = 0
    """The port on this machine that requests are passed on to."""
    change: Callable[[Head], Head] = list
    """Makes of a request's head the one that is passed on."""
    body: Callable[[bytes], bytes] = bytes
    """The same for what follows the head."""
    back: Callable[[bytes], bytes] = bytes
    """The same for what is answered, in pieces as they come."""
    answer: bytes = b""
    """Answered instead of passing on; empty: pass on."""
    delay_s: float = 0.0
    idle_s: float | None = None
    """How long the answering side may be silent before both connections are closed."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one request on, and then bytes both ways; no connection is used twice."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            await asyncio.sleep(self.delay_s)
            if self.answer:
                writer.write(self.answer)
                await writer.drain()
            else:
                await self._pass_on(self.change(_closing(head)), reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _pass_on(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_bridge, to_bridge = await asyncio.open_connection("127.0.0.1", self.to)
        to_bridge.write("\r\n".join([*head, "", ""]).encode("latin-1"))
        onwards = asyncio.create_task(_copy(reader, to_bridge, None, self.body))
        try:
            await _copy(from_bridge, writer, self.idle_s, self.back)
        finally:
            onwards.cancel()
            await asyncio.gather(onwards, return_exceptions=True)
            to_bridge.close()
            with suppress(OSError):
                await to_bridge.wait_closed()


@dataclass
class Tunnels:
    """A forward proxy, as an environment names one: asked to CONNECT, it leads to a port on this machine."""

    port: int = 0
    to: int = 0
    refusal: bytes = b""
    """Answered instead; empty: lead there."""
    asked: list[str] = field(default_factory=list)
    """Request lines."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and lead there."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.asked.append(head.partition("\r\n")[0])
        writer.write(self.refusal or b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self.refusal:
            return
        from_there, there = await asyncio.open_connection("127.0.0.1", self.to)
        onwards = asyncio.create_task(_copy(reader, there, None))
        try:
            await _copy(from_there, writer, None)
        finally:
            onwards.cancel()
            there.close()


@asynccontextmanager
async def tunnels(*, to: int) -> AsyncIterator[Tunnels]:
    """A forward proxy on a free port of this machine."""
    proxy = Tunnels(to=to)
    async with listening(proxy.serve) as proxy.port:
        yield proxy


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve each connection on a free port of this machine, which is given; whatever is left of them ends with it."""
    serving: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.get_running_loop().create_task(handle(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


def without(*names: str) -> Callable[[Head], Head]:
    """Takes headers off."""
    begins = tuple(f"{name.lower()}:" for name in names)
    return lambda head: [line for line in head if not line.lower().startswith(begins)]


def asking(change: Callable[[str], str]) -> Callable[[Head], Head]:
    """Changes the request line."""
    return lambda head: [change(head[0]), *head[1:]]


def _closing(head: Head) -> Head:
    if any(line.lower().startswith("upgrade:") for line in head):
        return head
    return [*without("connection")(head), "Connection: close"]


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    idle_s: float | None,
    change: Callable[[bytes], bytes] = bytes,
) -> None:
    with suppress(OSError, TimeoutError):
        while chunk := await asyncio.wait_for(reader.read(65_536), idle_s):
            writer.write(change(chunk))
            await writer.drain()


@asynccontextmanager
async def proxied(tls: ssl.SSLContext | None, *, to: int = 0) -> AsyncIterator[Proxy]:
    """A proxy on a free port of this machine."""
    proxy = Proxy(to=to)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
