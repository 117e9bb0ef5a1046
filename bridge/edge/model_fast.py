"""The model's leg, fast: a picows client that opens a Realtime session and carries texts both ways without a queue."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from picows import WSError, WSInvalidStatusError, ws_connect

from bridge.edge.fast import READ_BYTES, FastSocket
from bridge.edge.model_leg import MAX_MESSAGE_BYTES, WAITING_BYTES, ModelLeg, RefusedError, shared_tls
from bridge.edge.writer import ignore

if TYPE_CHECKING:
    from bridge.clock import Clock

PING_AFTER_S = 20.0
"""How long the server may say nothing before it is pinged, and then before it is given up."""
TLS_BUFFER_BYTES = 17 * 1024
"""Of each direction of a session's TLS: the longest record, 16 KB and its frame. By default the two take 512 KB."""


class FastModelSocket(ModelLeg):
    """One session's socket."""

    _socket: _Socket | None = None

    def succeed(self) -> None:
        """Report as the call's session from now on, and as its successor no more."""
        super().succeed()
        if self._socket is not None:
            self._socket.receive = self._receive

    async def _open(self) -> None:
        url, headers = self._endpoint.url, dict(self._endpoint.headers)
        if self._endpoint.subprotocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(self._endpoint.subprotocols)
        clock, is_secure = self._driver.clock, url.startswith("wss:")
        try:
            async with clock.timeout(self._connect_timeout_s):
                await ws_connect(
                    lambda: _Socket(self, clock),
                    url,
                    extra_headers=headers,
                    max_redirects=0,  # they would take our key to wherever they lead
                    proxy=_proxy(url),
                    max_frame_size=MAX_MESSAGE_BYTES,
                    read_buffer_init_size=READ_BYTES,
                    # one that is given up while it is being opened is closed after this time at the latest
                    websocket_handshake_timeout=self._connect_timeout_s / clock.rate,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=PING_AFTER_S,
                    auto_ping_reply_timeout=PING_AFTER_S,
                    **_tls() if is_secure else {},
                )
        except WSInvalidStatusError as error:
            status = error.response.status if error.response is not None else 0
            raise RefusedError(status, error.raw_body) from error
        except WSError as error:
            raise ValueError(str(error)) from error

    async def _carry(self) -> None:
        if self._socket is not None:
            with suppress(WSError):  # a fault of the peer, which `left` has reported
                await self._socket.wait_closed()

    def _leave(self) -> None:
        if self._socket is None:
            self.task.cancel()
        else:
            self._socket.receive = ignore
            self._socket.close()

    # For the socket

    def opened(self, socket: _Socket) -> None:
        """The handshake is done."""
        if self._is_closed:  # given up meanwhile
            socket.abort()
            return
        self._socket = socket
        self._put = socket.send
        socket.receive = self._receive
        self._connected()

    def left(self, socket: _Socket, code: int, reason: str) -> None:
        """The socket is closed."""
        self._put = ignore
        if socket.has_overflowed:
            self._lost("overflowed")
        else:
            self._lost("closed", f"{code} {reason}".strip())


class _Socket(FastSocket):
    def __init__(self, leg: FastModelSocket, clock: Clock) -> None:
        super().__init__(clock, waiting_bytes=WAITING_BYTES, max_message_bytes=MAX_MESSAGE_BYTES)
        self._leg = leg

    def opened(self) -> None:
        self._leg.opened(self)

    def left(self, code: int, reason: str) -> None:
        self._leg.left(self, code, reason)


def _tls() -> dict[str, Any]:
    """How sessions are secured: by picows's own transport, which takes a sixth less for a call than the event loop's.

    It writes each certificate into a temporary file, to have Python read it; where there is no place for one, the
    loop's own TLS is used.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return {"ssl_context": shared_tls(), "use_aiofastnet": False}
    sizes = dict.fromkeys(("ssl_incoming_bio_size", "ssl_outgoing_bio_size"), TLS_BUFFER_BYTES)
    return {"ssl_context": shared_tls(), **sizes}


@cache
def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address, as `websockets` takes it by itself."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    return next((proxies[scheme] for scheme in (parts.scheme, "socks", "https") if scheme in proxies), None)
