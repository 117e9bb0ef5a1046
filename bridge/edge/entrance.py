"""Who is let in with a media stream: what both doors check, in the same order, before anything is spent on it.

1. The handshake is signed for the address that stood in the answer, and no web page's; if not, 403, and no socket.
2. A `start` message comes within `START_WITHIN_S`, among the first `MAX_BEFORE_START`.
3. It shows the single-use token of its own CallSid; if not, the socket is closed with `POLICY`.

A door brings the headers and the messages, and does what the verdict says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from bridge.wire.caller import StreamStarted, parse

if TYPE_CHECKING:
    from bridge.edge.driver import Driver

START_WITHIN_S = 10.0
MAX_BEFORE_START = 16
"""Messages that a stream may send up to its `start`; a real one sends `connected`."""
CLOSE_WITHIN_S = 2.0
"""How long the peer may take to answer the closing handshake."""
WAITING_BYTES = 16 * 1024 * 1024
"""What may wait to be sent to the carrier, which takes ten minutes of sound ahead: more means that it does not read."""
NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008


Fetch = Callable[[StreamStarted], Awaitable["Driver | None"]]


class Checks(Protocol):
    """Who may come in."""

    def is_signed(self, target: str, signature: str, settings: str) -> bool:
        """Whether the handshake for this raw path and query was signed by the carrier."""

    def claim(self, started: StreamStarted) -> Driver | None:
        """The call whose stream this is, if it shows that call's token; it can be claimed once."""


class Entrance:
    """Checks each stream.

    Args:
        checks: decides who comes in.
        refused: told the reason of every stream that was turned away, to be counted.
        fetch: brings the call of a stream that nobody here knows, from another bridge; None where there is none.
    """

    def __init__(self, checks: Checks, refused: Callable[[str], None], fetch: Fetch | None = None) -> None:
        self.checks = checks
        self.refused = refused
        self.fetch = fetch

    def is_signed(self, target: str, header: Callable[[str, str], str]) -> bool:
        """Whether the handshake may become a socket; if not, answer 403.

        Args:
            target: path and query as they were sent.
            header: gives a header of the request, whatever the case of its name, or the default.
        """
        if header("Origin", ""):  # browsers open sockets to this machine for any page, and say for which
            self.refused("handshake_origin")
            return False
        signature = header("X-Twilio-Signature", "")
        settings = header("X-Twilio-Webhooks-Signature-Settings", "")
        if self.checks.is_signed(target, signature, settings):
            return True
        self.refused("handshake_signature")
        return False


class Arrival:
    """A stream whose socket is open and which has not shown whose it is. Give it each message until it is decided."""

    def __init__(self, entrance: Entrance) -> None:
        self.is_refused = False
        """Whether the socket must be closed with `POLICY`."""
        self.stray: StreamStarted | None = None
        """The `start` of a stream whose call may be another bridge's: `fetch` it before anything else is received."""
        self._entrance = entrance
        self._messages = 0

    def receive(self, text: str | bytes) -> tuple[Driver, StreamStarted] | None:
        """The call and its `start` message, if this is it; None while more must be waited for, or when `is_refused`."""
        self._messages += 1
        started = parse(text)
        if isinstance(started, StreamStarted):
            driver = self._entrance.checks.claim(started)
            if driver is not None:
                return driver, started
            if self._entrance.fetch is None:
                self._refuse("stream_token")
            else:
                self.stray = started
        elif self._messages >= MAX_BEFORE_START:
            self._refuse("stream_start")
        return None

    async def fetch(self, stray: StreamStarted) -> Driver | None:
        """The call of a stray stream, which is here from now on; None when it `is_refused`."""
        driver = None if self._entrance.fetch is None else await self._entrance.fetch(stray)
        if driver is None:
            self._refuse("stream_token")
        return driver

    def overdue(self) -> None:
        """`START_WITHIN_S` have passed."""
        self._refuse("stream_start")

    def _refuse(self, reason: str) -> None:
        self.is_refused = True
        self._entrance.refused(reason)
