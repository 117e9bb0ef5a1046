"""WebSockets by `websockets` that go where they were sent: a redirect is an answer to be looked at, not followed."""

from __future__ import annotations

from websockets.asyncio.client import connect


class Straight(connect):
    """As `websockets.connect`, but a redirect raises `InvalidStatus` like any other refusal.

    `websockets` keeps an `Authorization` header from another host, but would hand it a key in any other header, such as
    Azure's `api-key`, or among the subprotocols.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        """See `websockets.connect`."""
        return exc
