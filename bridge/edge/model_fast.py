"""The model's leg, fast: a picows client that opens a Realtime session and carries texts both ways without a queue."""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from picows import WSError, WSHandshakeError, ws_connect
from python_socks import ProxyError
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from bridge.edge.fast import READ_BYTES, FastSocket
from bridge.edge.model import connected
from bridge.edge.model_leg import MAX_MESSAGE_BYTES, USER_AGENT, WAITING_BYTES, ModelLeg, RefusedError, shared_tls
from bridge.edge.writer import ignore

if TYPE_CHECKING:
    from bridge.clock import Clock
    from bridge.wire.endpoint import Endpoint

PING_AFTER_S = 20.0
"""How long the server may say nothing before it is pinged, and then before it is given up."""
TLS_BUFFER_BYTES = 17 * 1024
"""Of each direction of a session's TLS: the longest record, 16 KB and its frame. By default the two take 512 KB."""
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")


class FastModelSocket(ModelLeg):
    """One session's socket."""

    library = "picows"
    _socket: _Socket | None = None

    def succeed(self) -> None:
        """Report as the call's session from now on, and as its successor no more."""
        super().succeed()
        if self._socket is not None:
            self._socket.receive = self._receive

    async def _open(self) -> None:
        url, clock = self._endpoint.url, self._driver.clock
        until = clock.now() + self._connect_timeout_s
        try:
            async with clock.timeout(self._connect_timeout_s):
                await ws_connect(
                    lambda: _Socket(self, clock),
                    url,
                    extra_headers=_headers(self._endpoint),
                    max_redirects=0,  # they would take our key to wherever they lead
                    proxy=proxy_of(url),
                    max_frame_size=MAX_MESSAGE_BYTES,
                    read_buffer_init_size=READ_BYTES,
                    # one that is given up while it is being opened is closed after this time at the latest
                    websocket_handshake_timeout=self._connect_timeout_s / clock.rate,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=PING_AFTER_S,
                    auto_ping_reply_timeout=PING_AFTER_S,
                    **_tls() if url.startswith("wss:") else {},
                )
        except WSHandshakeError as error:
            raise await self._refusal(error, until) from error
        except (WSError, ProxyError) as error:
            raise ValueError(str(error)) from error
        if self._socket is None:  # picows takes that for an answer
            msg = "the connection was closed without an answer"
            raise ValueError(msg)

    async def _refusal(self, error: WSHandshakeError, until: float) -> RefusedError | ValueError:
        """What an answer that opens nothing says.

        picows knows the statuses of Python's list in HTTP/1.1; load balancers have others, and some speak HTTP/1.0. It
        has no more of the body than came with the head, and the body of a 429 decides what follows
        (`bridge.call.failures`): then `websockets` asks once more, which waits for all of it, in the
        time that is left.
        """
        answer = _STATUS.match(error.raw_header or b"")
        if answer is None or answer[1] == b"101":
            return ValueError(str(error))
        refusal = RefusedError(int(answer[1]), error.raw_body)
        if refusal.status != HTTPStatus.TOO_MANY_REQUESTS or refusal.code or _is_whole(error):
            return refusal
        clock = self._driver.clock
        try:
            async with clock.timeout(until - clock.now()):
                socket = await connected(self._endpoint)
        except RefusedError as again:
            return again
        except (OSError, ValueError):
            return refusal
        await socket.close()
        return refusal

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


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = dict(endpoint.headers)
    if not any(name.lower() == "user-agent" for name in headers):
        headers["User-Agent"] = USER_AGENT
    if endpoint.subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(endpoint.subprotocols)
    return headers


def _is_whole(error: WSHandshakeError) -> bool:
    length = error.response.headers.get("Content-Length") if error.response is not None else None
    return length == str(len(error.raw_body or b""))


@cache
def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address, as `websockets` takes it by itself."""
    proxy = get_proxy(parse_uri(url))
    return proxy.replace("socks5h:", "socks5:", 1) if proxy else None  # picows knows one, and has the proxy resolve
