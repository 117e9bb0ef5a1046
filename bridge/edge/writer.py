"""One writer for each socket: what must go out waits in a bounded queue, so no reader ever waits on the other leg."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Text = str | bytes


class Writer:
    """Sends texts on one socket. `put` never waits; `run` must be running as a task for anything to go out.

    Args:
        send: sends one text; whatever it raises ends the writer.
        limit_bytes: how much may wait. A peer that lets more pile up does not read any more: `overflowed` is called
            once, and everything after is dropped.
        overflowed: told so.
    """

    def __init__(
        self, send: Callable[[Text], Awaitable[None]], *, limit_bytes: int, overflowed: Callable[[], object]
    ) -> None:
        self.waiting_bytes = 0
        self._send = send
        self._limit_bytes = limit_bytes
        self._overflowed = overflowed
        self._texts: deque[Text] = deque()
        self._wake = asyncio.Event()
        self._is_closing = False
        self._is_full = False

    def put(self, text: Text) -> None:
        """Send a text after those that wait."""
        if self._is_closing or self._is_full:
            return
        self.waiting_bytes += len(text)
        if self.waiting_bytes > self._limit_bytes:
            self._is_full = True
            self._texts.clear()
            self._overflowed()
            return
        self._texts.append(text)
        self._wake.set()

    def close(self) -> None:
        """Let `run` return when what waits has gone out; nothing more is taken."""
        self._is_closing = True
        self._wake.set()

    async def run(self) -> None:
        """Send until `close`, or until the socket fails."""
        texts = self._texts
        while True:
            while texts:
                text = texts.popleft()
                self.waiting_bytes -= len(text)
                await self._send(text)
            if self._is_closing:
                return
            self._wake.clear()
            await self._wake.wait()


def ignore(_: object) -> None:
    """What sends, or takes what was received, when nobody is there (any more)."""
