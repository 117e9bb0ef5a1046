"""WebSockets by `websockets` that go where they were sent: a redirect is an answer to be looked at, not followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bridge.edge.model_leg import CLOSE_WITHIN_S, MAX_MESSAGE_BYTES, USER_AGENT, shared_tls

if TYPE_CHECKING:
    from bridge.wire.endpoint import Endpoint


class Straight(connect):
    """As `websockets.connect`, but a redirect raises `InvalidStatus` like any other refusal.

    `websockets` keeps an `Authorization` header from another host, but would hand it a key in any other header, such as
    Azure's `api-key`, or among the subprotocols.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        """See `websockets.connect`."""
        return exc


def session_at(endpoint: Endpoint) -> Straight:
    """A session's socket, to be awaited or entered; whoever does says for how long."""
    return Straight(
        endpoint.url,
        additional_headers=endpoint.headers,
        user_agent_header=USER_AGENT,
        subprotocols=[Subprotocol(name) for name in endpoint.subprotocols] or None,
        ssl=shared_tls() if endpoint.url.startswith("wss:") else None,
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        open_timeout=None,
        close_timeout=CLOSE_WITHIN_S,
    )
