"""Events on their way to a client: in order, bounded, never waited for by those who send."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

CLOSE_ABNORMAL = 1006


class Outbox:
    """The queue between a session, which never waits, and its socket, which may.

    A client that does not read is cut off when more than `max_events` events or `max_bytes` bytes wait for it: a close
    frame would only wait behind them.
    """

    def __init__(self, socket: ServerConnection, *, max_events: int, max_bytes: int) -> None:
        self._socket = socket
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None

    def put(self, event: dict[str, object]) -> None:
        """Queue an event; after `close` nothing is taken any more."""
        if self._closing is not None:
            return
        text = json.dumps(event)
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        if len(self._waiting) > self._max_events or self._waiting_bytes > self._max_bytes:
            self._waiting.clear()
            self._closing = (CLOSE_ABNORMAL, "")
            self._socket.transport.abort()
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close the socket once the events queued so far are sent; the first reason given counts."""
        if self._closing is None:
            self._closing = (code, reason)
        self._wake.set()

    async def run(self) -> None:
        """Send what is queued, until closed by either side."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    text = self._waiting.popleft()
                    self._waiting_bytes -= len(text)
                    await self._socket.send(text)
                if self._closing is not None:
                    await self._socket.close(*self._closing)
                    return
        except ConnectionClosed:
            return  # the session's receiving side sees it too, and ends
