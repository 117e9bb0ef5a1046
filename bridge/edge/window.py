"""A bounded receive buffer for WebSockets, as ASGI middleware.

Quart puts every message that the server has into a queue without a bound. Here the server is asked for the next message
only while fewer than `WINDOW` wait for the handler, so that a slow handler makes the peer's socket wait, not this
process grow. And when the peer is gone Quart cancels the handler, whatever still waits; here it is told so when nothing
does: a carrier says `stop` and closes the socket in one breath.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from hypercorn.typing import ConnectionState

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope

WINDOW = 256
"""Messages that may wait: five seconds of sound."""
TAKEN_WITHIN_S = 1.0
"""How long the handler may take for what waits, when the peer is gone."""
_KEY = "bridge.window"


class Window:
    """The messages of one socket that wait. `took` must be called for each message that was received.

    Args:
        receive: asks the server for the next event.
    """

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self._waiting = 0
        self._taken = asyncio.Event()

    def took(self) -> None:
        """The handler has taken a message."""
        self._waiting -= 1
        self._taken.set()

    async def receive(self) -> ASGIReceiveEvent:
        """The next event of the server, when there is room for it."""
        await self._until_less_than(WINDOW)
        event = await self._receive()
        if event["type"] == "websocket.receive":
            self._waiting += 1
        elif event["type"] == "websocket.disconnect":
            with suppress(TimeoutError):
                async with asyncio.timeout(TAKEN_WITHIN_S):
                    await self._until_less_than(1)
        return event

    async def _until_less_than(self, waiting: int) -> None:
        while self._waiting >= waiting:
            self._taken.clear()
            await self._taken.wait()


class BoundedReceive:
    """The middleware; `window_of` gives the handler its socket's window."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable, *rest: object) -> None:
        """Pass on what is no WebSocket, and bound what is."""
        if scope["type"] == "websocket":
            window = Window(receive)
            scope["state"] = ConnectionState({**scope.get("state", {}), _KEY: window})
            receive = window.receive
        await self._app(scope, receive, send, *rest)


def window_of(scope: Scope) -> Window:
    """The window of the socket with this scope."""
    window: Window = scope["state"][_KEY]
    return window
