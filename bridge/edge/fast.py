"""A WebSocket by picows, for sessions and the fast door's streams: messages go from the socket into the call at once.

There is no task, queue or await between the two: picows calls `receive` with each message while it reads, and `send`
writes to the socket at once. What the peer does not take waits in the transport, up to a bound.

picows hands out frames, not messages, and leaves the closing handshake to its user: both are done here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from bridge.edge.entrance import CLOSE_WITHIN_S, NORMAL
from bridge.edge.writer import ignore

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows.picows import WSCloseInfo

    from bridge.clock import Clock, Timer

READ_BYTES = 4096
"""The read buffer that each socket begins with; it grows with the longest message. A media frame takes 330 bytes."""
NO_STATUS, ABNORMAL, TOO_BIG = 1005, 1006, 1009
"""RFC 6455, section 7.4.1."""
_TEXT = WSMsgType.TEXT


class FastSocket(WSListener):
    """One socket. A leg derives from it and sets `receive`; `opened`, `left` are called once each.

    Args:
        clock: bounds the closing handshake.
        waiting_bytes: how much may wait to be sent; a peer that lets more pile up is cut off.
        max_message_bytes: the longest message, fragments put together.
    """

    def __init__(self, clock: Clock, *, waiting_bytes: int, max_message_bytes: int) -> None:
        super().__init__()
        self.send: Callable[[str | bytes], object] = ignore
        """Send a text message after those before it; nothing once the socket is closed or being closed."""
        self.receive: Callable[[bytes], object] = ignore
        """Takes each text message, as UTF-8; a binary one as `b""`, which is no message of either protocol."""
        self.has_overflowed = False
        self._is_asked = False
        self._clock = clock
        self._waiting_bytes = waiting_bytes
        self._max_message_bytes = max_message_bytes
        self._transport: WSTransport | None = None
        self._begun = bytearray()
        self._closing: Timer | None = None

    # For the leg

    def opened(self) -> None:
        """The handshake is done: messages may be sent, and come from now on."""

    def left(self, code: int, reason: str) -> None:
        """The socket is closed, by whichever side; `code` and `reason` are the peer's."""

    def ponged(self) -> None:
        """The peer has answered the last `ping`."""

    def ping(self) -> None:
        """Ask the peer whether it is there."""
        if self._transport is not None:
            self._is_asked = True
            self._transport.send_ping()

    def close(self, code: int = NORMAL) -> None:
        """Close the socket when what was sent has gone out; a peer that does not answer is cut off."""
        transport = self._transport
        if transport is None or transport.is_close_frame_sent:
            return
        transport.send_close(WSCloseCode(code))
        self._closing = self._clock.call_at(self._clock.now() + CLOSE_WITHIN_S, self.abort)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def wait_closed(self) -> None:
        """Wait until `left` was called; at once when nothing is open."""
        if self._transport is not None:
            await self._transport.wait_disconnected()

    # For picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See `picows.WSListener`."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=self._waiting_bytes)
        self.send = partial(transport.send, _TEXT)
        self.opened()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See `picows.WSListener`."""
        if frame.msg_type is _TEXT and frame.fin:
            self.receive(frame.get_payload_as_bytes())
        else:
            self._receive_rare(transport, frame)

    def pause_writing(self) -> None:
        """More waits to be sent than may."""
        self.has_overflowed = True
        self.abort()

    def resume_writing(self) -> None:
        """What waited has gone out, after the connection was cut: nothing follows from it."""

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """See `picows.WSListener`."""
        self._transport = None
        self.send = self.receive = ignore
        if self._closing is not None:
            self._closing.cancel()
        closed: WSCloseInfo | None = getattr(transport.close_handshake, "recv", None)  # it is None without a handshake
        if closed is None:
            self.left(ABNORMAL, "")
        else:
            self.left(closed.code.value or NO_STATUS, closed.reason or "")

    def _receive_rare(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)  # nothing if it answers ours
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PONG:
            if self._is_asked:  # a pong that nobody asked for says nothing
                self._is_asked = False
                self.ponged()
        elif frame.msg_type == WSMsgType.BINARY and frame.fin:
            self.receive(b"")
        elif frame.msg_type in (_TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._join(frame)

    def _join(self, frame: WSFrame) -> None:
        """Put a message of several frames together; the rest of nothing, or of a binary message, makes no text."""
        begun = self._begun
        if frame.msg_type == WSMsgType.CONTINUATION:
            begun += frame.get_payload_as_bytes()
        else:
            begun[:] = frame.get_payload_as_bytes() if frame.msg_type == _TEXT else b"\0"  # no JSON begins with it
        if len(begun) > self._max_message_bytes:
            self.receive = ignore
            self.close(TOO_BIG)
        elif frame.fin:
            message = bytes(begun)
            begun.clear()
            self.receive(message)
