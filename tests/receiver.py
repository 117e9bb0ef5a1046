"""A server of the operator's own that bridges post to: for functions, traces and whatever else is told by HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Self


class Receiver:
    """Answers every request with what `receive` makes of it; an async context manager."""

    def __init__(self) -> None:
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    def receive(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """Take a request, whose headers have small names; the answer."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        answer = self.receive(headers, await reader.readexactly(int(headers["content-length"])))
        length = len(answer)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (length, answer))
        await writer.drain()
        writer.close()
