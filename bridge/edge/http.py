"""The HTTP server: Hypercorn's protocols on connections that are accepted, bounded and let go of here.

Hypercorn's own server leaves three things open that a telephone bridge must answer. A connection that has shown nothing
may be held for ever, and there may be any number of them. A peer that does not read holds its connection for as long as
it likes. And the end depends on the version of Python: WebSockets are cut after three seconds, or waited for without a
limit (since 3.12 `asyncio.Server.wait_closed` waits for every connection). See docs/adr/0002-own-accept-loop.md.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.utils import wrap_app

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from hypercorn.typing import AppWrapper, ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

MAX_STRANGERS = 512
"""Connections that have shown nothing signed; with one more, the one that has waited longest is cut off."""
HEAD_WITHIN_S = 5.0
"""How long a stranger may take for the head of a request, and may keep its connection after one."""
KEPT_FOR_S = 75.0
"""How long a connection that is known may be idle: longer than load balancers keep theirs, so that none of them sends a
webhook into a connection that is being closed here."""
HEAD_MAX_BYTES = 16 * 1024
CUT_WITHIN_S = 1.0
"""How long what is cut off may take to be gone."""
_BACKLOG = 512
_KEY = "bridge.peer"


class Peer:
    """An open connection, as the application sees it.

    Args:
        writer: of the connection.
        strangers: the connections that have shown nothing yet, in the order in which they came; it is one of them.
    """

    def __init__(self, writer: asyncio.StreamWriter, strangers: dict[Peer, None]) -> None:
        self._transport = writer.transport
        self._strangers = strangers
        self._discarding: asyncio.Task[None] | None = None
        strangers[self] = None

    @property
    def is_known(self) -> bool:
        """Whether something signed has come over it."""
        return self not in self._strangers

    def believe(self) -> None:
        """Something signed has come over it: it is no stranger any more."""
        self._strangers.pop(self, None)

    def cut(self) -> None:
        """Break the connection off, whatever still waits to be sent."""
        self._transport.abort()

    def discard(self, receive: ASGIReceiveCallable) -> None:
        """Throw away what still comes on a socket whose handler has ended, until the connection is closed."""
        self._discarding = asyncio.get_running_loop().create_task(_discard(receive))

    def gone(self) -> None:
        """The connection is closed."""
        self._strangers.pop(self, None)
        if self._discarding is not None:
            self._discarding.cancel()

    def cut_in(self, seconds: float) -> None:
        """Break it off after a while, if it is still open: a peer that does not read cannot hold it."""
        asyncio.get_running_loop().call_later(seconds, self.cut)


class HttpServer:
    """Serves an application, as an async context manager: it listens once entered, and has let go of all at the end.

    Args:
        app: an ASGI application; `peer_of` gives it the connection of a request.
        listener: where to listen; is taken over.
        max_message_bytes: the longest WebSocket message.
        refused: told the reason when a connection is cut off for the sake of others.
    """

    def __init__(
        self,
        app: ASGIFramework,
        listener: socket.socket,
        *,
        max_message_bytes: int,
        refused: Callable[[str], None],
    ) -> None:
        self._app = wrap_app(_Discarding(app), 0, "asgi")
        self._listener = listener
        self._refused = refused
        self._config = Config()
        self._config.websocket_max_message_size = max_message_bytes
        self._config.h11_max_incomplete_size = HEAD_MAX_BYTES
        self._config.accesslog = None
        self._config.errorlog = logging.getLogger("hypercorn.error")
        self._context = WorkerContext(None)
        self._serving: dict[asyncio.Task[Any], Peer] = {}
        self._strangers: dict[Peer, None] = {}
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, sock=self._listener, backlog=_BACKLOG)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut off what is still open."""
        await self.close(within_s=0)

    async def close(self, *, within_s: float) -> None:
        """Let nobody in any more, give what is under way some time, and cut off the rest."""
        self._server.close()
        await self._context.terminated.set()  # who keeps an idle connection is dismissed at once
        if self._serving and within_s:
            await asyncio.wait(self._serving, timeout=within_s)
        for peer in self._serving.values():
            peer.cut()
        if self._serving:
            await asyncio.wait(self._serving, timeout=CUT_WITHIN_S)
        for task in self._serving:  # a handler that does not care whether its peer is there
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - each connection is served by a task of its own
        if len(self._strangers) >= MAX_STRANGERS:
            self._cut_longest()
        peer = self._serving[task] = Peer(writer, self._strangers)
        try:
            await _Connection(peer, self._app, self._config, context=self._context, streams=(reader, writer)).run()
        finally:
            peer.gone()
            del self._serving[task]

    def _cut_longest(self) -> None:
        longest = next(iter(self._strangers))
        self._refused("connections")
        longest.cut()
        del self._strangers[longest]  # it is on its way out, and counts no more


class _Discarding:
    """An application, and somebody behind it who makes room for what comes when it has ended.

    Hypercorn hands over messages through a queue of ten, and that the socket is closed as well. Where nobody takes from
    it any more and it is full, what reads the connection and what is to close it wait for each other, for ever.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable, *rest: object) -> None:
        try:
            await self._app(scope, receive, send, *rest)
        finally:
            if scope["type"] == "websocket":
                peer_of(scope).discard(receive)


async def _discard(receive: ASGIReceiveCallable) -> None:
    while True:
        await receive()


class _Connection(TCPServer):
    """One connection; differs from Hypercorn's in how long it may be idle, and is not kept for a peer that has left."""

    def __init__(
        self,
        peer: Peer,
        app: AppWrapper,
        config: Config,
        *,
        context: WorkerContext,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        super().__init__(app, asyncio.get_running_loop(), config, context, {_KEY: peer}, *streams)
        self._peer = peer
        self._is_idle = False
        self._is_left = False
        """Whether the peer has closed its side: nothing more will be asked."""

    async def _read_data(self) -> None:
        """Read to the end. Hypercorn, which waits for the idle timeout even then, is told that it is over."""
        await super()._read_data()
        self._is_left = True
        if self._is_idle:  # else what was asked is answered yet
            await self.idle_task.restart(self._task_group, self._idle_timeout)

    async def _idle_timeout(self) -> None:
        self._is_idle = True
        try:
            await self._dismissed()
        finally:
            self._is_idle = False
        self._peer.cut_in(CUT_WITHIN_S)
        await asyncio.shield(self._initiate_server_close())

    async def _dismissed(self) -> None:
        """Wait until the connection need not be kept any longer."""
        if self._is_left:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(KEPT_FOR_S if self._peer.is_known else HEAD_WITHIN_S):
                await self.context.terminated.wait()


def peer_of(scope: Scope) -> Peer:
    """The connection of the request with this scope."""
    peer: Peer = scope["state"][_KEY]
    return peer
