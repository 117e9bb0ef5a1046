"""What several bridges, or the workers of one, must agree on: whose a call is, and how many calls there are.

A call belongs to the process that answered its webhook, and its state is nowhere else. What must be the same for all is
small: a *register* of whose each call is, a count of the places taken, and a way to *ask* the owner when a request
lands on another process. `bridge.edge.ledger` is the register of a parent for its workers; Redis is that of several
bridges. A bridge that is alone needs none of it and asks nobody.

Times here are the wall clock's: other processes do not run at a rehearsal's rate.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ASK_WITHIN_S = 3.0
"""How long the register or another process may take to answer. Twilio waits for 15 s."""
KEPT_S = 900.0
"""How long it is known whose a call was that is over: the carrier may ask what was ordered, and repeat the question."""
KEPT_CALLS = 20_000
"""Calls that are over and still known; the one that ended first is forgotten first."""
NOBODY = ""
"""The owner of a call that the register does not know."""


class Verdict(Enum):
    """Whether there is a place for one more call over all bridges."""

    ADMITTED = "admitted"
    FULL = "full"
    TOO_OFTEN = "too_often"


class SharedLostError(BridgeError):
    """The register cannot be reached: each bridge goes by what it knows itself until it can."""


class GoneError(BridgeError):
    """The process that was asked is gone, or does not answer in time."""


class Shared(Protocol):
    """The register, and the way to other processes. Names are CallSids, or a bridge's own names of calls it places."""

    address: str
    """This process, as others ask it; another one each time that it starts."""

    def serve(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Have the questions of others answered; call once, before anybody can ask."""

    async def claim(self, name: str) -> str:
        """The owner of a call, who from now on is this process if there was none. Raises SharedLostError."""

    async def owner(self, name: str) -> str:
        """The owner of a call, who may be gone; `NOBODY` when it is not known. Raises SharedLostError."""

    async def admit(self, name: str, caller: str) -> Verdict:
        """Take a place for a call of this process; a caller who is empty may call as often as they like.

        Raises SharedLostError, and then nobody knows whether a place was taken: `leave` gives it back in any case.
        """

    def limit(self, max_calls: int, per_minute: int) -> None:
        """Have other limits: of places, and of calls of one caller within a minute. Does not wait."""

    def take(self, name: str) -> None:
        """The call is this process's, and has a place, whether or not there was one left. Does not wait."""

    def park(self, name: str) -> None:
        """The call lives on and takes up no place. Does not wait."""

    def leave(self, name: str) -> None:
        """The call is over. Does nothing when it is another's by now. Does not wait."""

    async def ask(self, address: str, question: bytes) -> bytes:
        """Ask another process. Raises GoneError."""

    async def ask_others(self, question: bytes) -> list[bytes]:
        """Ask every other process, side by side; without the answers of those that do not give one in time."""
