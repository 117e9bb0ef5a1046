"""The caller's leg, plain door: a Quart WebSocket route that lets media streams in and carries texts both ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from quart import abort, websocket

from bridge.edge.entrance import CLOSE_WITHIN_S, NORMAL, POLICY, START_WITHIN_S, WAITING_BYTES, Arrival, Entrance
from bridge.edge.http import peer_of
from bridge.edge.window import window_of
from bridge.edge.writer import Writer, ignore

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.clock import Clock, Timer
    from bridge.edge.driver import Driver
    from bridge.wire.caller import StreamStarted


class Stream:
    """The socket of one media stream, as its driver sees it."""

    def __init__(self, writer: Writer, driver: Driver, hang_up: Callable[[], object]) -> None:
        self.send = writer.put
        """Send a text message after those before it."""
        self.receive: Callable[[str | bytes], object] = driver.receive_caller
        """Takes each message that comes."""
        self._writer = writer
        self._clock = driver.clock
        self._hang_up = hang_up
        self._closing: Timer | None = None

    def ping(self) -> None:
        """Nothing: an application cannot ping through Hypercorn, nor hear of a pong. The mark is question enough."""

    def close(self) -> None:
        """Close the socket when what was sent has gone out; a peer that lets us wait is cut off."""
        self._writer.close()
        if self._closing is None:
            self._closing = self._clock.call_at(self._clock.now() + CLOSE_WITHIN_S, self._hang_up)

    def drop(self) -> None:
        """Close the socket; nothing that still comes is of interest."""
        self.receive = ignore
        self.close()

    def left(self) -> None:
        """The socket is closed."""
        self._writer.close()
        if self._closing is not None:
            self._closing.cancel()


class MediaDoor:
    """Serves media streams.

    Args:
        entrance: decides who comes in.
        clock: bounds the wait for `start`.
    """

    def __init__(self, entrance: Entrance, clock: Clock) -> None:
        self._entrance = entrance
        self._clock = clock

    async def serve(self, instance: str = "") -> None:
        """The route's handler. `instance` is only for load balancers that route by path."""
        del instance
        scope = websocket.scope
        target = (scope["raw_path"] + (b"?" + query if (query := scope["query_string"]) else b"")).decode("latin-1")
        if not self._entrance.is_signed(target, websocket.headers.get):
            abort(403)
        peer = peer_of(websocket.scope)
        try:
            await websocket.accept()
            admitted = await self._admit()
            if admitted is None:
                await websocket.close(POLICY)
                return
            peer.believe()
            await self._carry(*admitted)
        finally:
            peer.cut_in(CLOSE_WITHIN_S)  # one that does not read would hold it

    async def _admit(self) -> tuple[Driver, StreamStarted, str | bytes] | None:
        """Wait for the `start` message and see whose stream it is."""
        window = window_of(websocket.scope)
        arrival = Arrival(self._entrance)
        try:
            async with self._clock.timeout(START_WITHIN_S):
                while not arrival.is_refused:
                    text = await websocket.receive()
                    window.took()
                    admitted = arrival.receive(_text(text))
                    if admitted is not None:
                        return *admitted, text
                    if arrival.stray is not None and (driver := await arrival.fetch(arrival.stray)) is not None:
                        return driver, arrival.stray, text
        except TimeoutError:
            arrival.overdue()
        return None

    async def _carry(self, driver: Driver, started: StreamStarted, text: str | bytes) -> None:
        window = window_of(websocket.scope)
        reading = asyncio.current_task()

        def hang_up() -> None:
            if reading is not None:
                reading.cancel()

        writer = Writer(websocket.send, limit_bytes=WAITING_BYTES, overflowed=hang_up)
        writing = asyncio.get_running_loop().create_task(self._write(writer))
        stream = Stream(writer, driver, hang_up)
        try:
            driver.attach(stream, started, text)
            while True:
                text = await websocket.receive()
                window.took()
                stream.receive(_text(text))
        finally:  # Quart cancels this handler when the socket is closed, by whichever side
            stream.left()
            writing.cancel()
            driver.caller_left(stream)

    async def _write(self, writer: Writer) -> None:
        await writer.run()
        await websocket.close(NORMAL)


def _text(message: str | bytes) -> str | bytes:
    """A message as the core takes it: a binary frame is none, and counts as malformed."""
    return message if isinstance(message, str) else b""
