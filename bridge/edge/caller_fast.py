"""The caller's leg, fast door: a picows listener on a port of its own, in the same process, in front of the same calls.

It lets streams in by the same checks as the plain door (`bridge.edge.entrance`) and answers no other requests. The
signature of a handshake may be one that was seen before, so sockets that have shown no token are bounded in number too.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Self

from picows import WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from bridge.call.controls import PongReceived
from bridge.edge import http
from bridge.edge.entrance import GOING_AWAY, POLICY, START_WITHIN_S, WAITING_BYTES, Arrival
from bridge.edge.fast import READ_BYTES, FastSocket
from bridge.edge.writer import ignore

if TYPE_CHECKING:
    import socket
    from types import TracebackType

    from picows import WSUpgradeRequest

    from bridge.clock import Clock, Timer
    from bridge.edge.driver import Driver
    from bridge.edge.entrance import Entrance
    from bridge.wire.caller import StreamStarted

MAX_KEPT = 1000
"""Messages of a stream that are kept while its call is fetched from another bridge: 20 s of sound."""
_PATH = re.compile(r"/media(/[^/?]+)?")


class FastDoor:
    """Serves media streams, as an async context manager: it listens once entered, and closes every stream at the end.

    Args:
        entrance: decides who comes in.
        clock: bounds the wait for `start`.
        listener: where to listen; is taken over.
        max_message_bytes: the longest message a stream may send.
    """

    def __init__(self, entrance: Entrance, clock: Clock, listener: socket.socket, *, max_message_bytes: int) -> None:
        self._entrance = entrance
        self._clock = clock
        self._listener = listener
        self._max_message_bytes = max_message_bytes
        self._streams: set[_Stream] = set()
        self._strangers: dict[_Stream, None] = {}
        """Those that have not shown whose they are, in the order in which they came."""
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await ws_create_server(
            self._answer,
            sock=self._listener,
            max_frame_size=self._max_message_bytes,
            read_buffer_init_size=READ_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let nobody in any more, and wait until everybody is out; a stream that does not close is cut off."""
        self._server.close()
        streams = list(self._streams)
        for stream in streams:
            stream.close(GOING_AWAY)
        await asyncio.gather(*(stream.wait_closed() for stream in streams))

    def _answer(self, request: WSUpgradeRequest) -> _Stream | WSUpgradeResponseWithListener | None:
        """Answer a handshake: the socket's listener, or an HTTP status (None is 404)."""
        target = request.path.decode("latin-1")
        if not _PATH.fullmatch(target.partition("?")[0]):
            return None
        if not self._entrance.is_signed(target, request.headers.get):
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(403), None)
        if len(self._strangers) >= http.MAX_STRANGERS:
            self._cut_longest()
        return _Stream(self._entrance, self._clock, self._streams, self._strangers, self._max_message_bytes)

    def _cut_longest(self) -> None:
        """Make room: a carrier's stream shows its token with its second message, so who waits longest is none."""
        longest = next(iter(self._strangers))
        self._entrance.refused("connections")
        longest.turn_away()


class _Stream(FastSocket):
    """The socket of one media stream, as its driver sees it."""

    def __init__(
        self,
        entrance: Entrance,
        clock: Clock,
        streams: set[_Stream],
        strangers: dict[_Stream, None],
        max_message_bytes: int,
    ) -> None:
        super().__init__(clock, waiting_bytes=WAITING_BYTES, max_message_bytes=max_message_bytes)
        self._arrival = Arrival(entrance)
        self._streams = streams
        self._strangers = strangers
        self._driver: Driver | None = None
        self._waiting: Timer | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._has_left = False

    def opened(self) -> None:
        """Wait for the `start` message."""
        self._streams.add(self)
        self._strangers[self] = None
        self.receive = self._arrive
        self._waiting = self._clock.call_at(self._clock.now() + START_WITHIN_S, self._start_overdue)

    def left(self, code: int, reason: str) -> None:  # noqa: ARG002 - the carrier said why in its `stop`, or did not
        """Tell the call."""
        self._streams.discard(self)
        self._strangers.pop(self, None)
        self._has_left = True
        self._stop_waiting()
        if self._driver is not None:
            self._driver.caller_left(self)
            self._driver = None

    def ponged(self) -> None:
        """Tell the call."""
        if self._driver is not None:
            self._driver.control(PongReceived())

    def drop(self) -> None:
        """Close the socket; nothing that still comes is of interest."""
        self.receive = ignore
        self._driver = None
        self.close()

    def _arrive(self, text: bytes) -> None:
        admitted = self._arrival.receive(text)
        if admitted is not None:
            self._admit(*admitted, text)
        elif self._arrival.is_refused:
            self.turn_away()
        elif self._arrival.stray is not None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch(self._arrival.stray, text))

    async def _fetch(self, stray: StreamStarted, text: bytes) -> None:
        """Wait for the call of a stray stream, while what else it sends is kept."""
        kept: list[bytes] = []
        self.receive = partial(self._keep, kept)
        driver = await self._arrival.fetch(stray)
        if driver is None:
            self.turn_away()
        elif self._has_left:
            driver.attach(self, stray, text)
            driver.caller_left(self)
        else:
            self._admit(driver, stray, text)
            for message in kept:
                self.receive(message)

    def _keep(self, kept: list[bytes], text: bytes) -> None:
        kept.append(text)
        if len(kept) > MAX_KEPT:
            self.receive = ignore
            self.close(POLICY)

    def _admit(self, driver: Driver, started: StreamStarted, text: bytes) -> None:
        self._stop_waiting()
        self._strangers.pop(self, None)
        self._driver = driver
        self.receive = driver.receive_caller
        driver.attach(self, started, text)

    def _start_overdue(self) -> None:
        self._arrival.overdue()
        self.turn_away()

    def turn_away(self) -> None:
        """Close the socket, which has not shown in time, or at all, whose it is."""
        self._stop_waiting()
        self._strangers.pop(self, None)  # it is on its way out, and counts no more
        self.receive = ignore
        self.close(POLICY)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
