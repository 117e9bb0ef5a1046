"""How long callers wait: from the end of their speech to the first sound of the answer that they *hear*.

A wait begins when the caller stops speaking into a quiet line, or with the stream where the bot speaks first. It is
told, as `reply.heard`, when the mark behind the first sound comes back: that sound began to be heard its own length
before. Not told is a wait whose answer was cut before anything of it was confirmed, that a key began, or whose answer
could not be heard at once anyway, because the bot still spoke. Nothing here is done once per frame.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from bridge.call.responses import Kind
from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from bridge.call.actions import Outbox

KEPT = 512
"""Waits of one call that its summary is made of; the oldest are forgotten first."""


class Wait(msgspec.Struct):
    """A wait that is not over. Times are call seconds."""

    since: float
    """The caller's last sound, or the stream's start."""
    is_greeting: bool
    turn_ms: int = 0
    """How long the model took to find that the caller has stopped."""
    sent_at: float | None = None
    """The first sound came from the model and was sent to the carrier, in one step."""
    first_ms: int = 0
    """Length of the first piece."""


class Waits:
    """The waits of one call, of which one is open at most."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wait: Wait | None = None
        self._told: deque[int] = deque(maxlen=KEPT)
        self.is_sounding = False
        """Whether the first sound is on its way to the caller: `confirmed` must be called with the next mark."""

    def stream_started(self, now: float) -> None:
        """The stream is there, and the bot speaks first."""
        self._wait = Wait(now, is_greeting=True)

    def caller_began(self) -> None:
        """The caller speaks: what they said before is not what is answered."""
        if self._wait is not None and not (self._wait.is_greeting or self.is_sounding):
            self._wait = None

    def caller_stopped(self, stopped_at: float, now: float) -> None:
        """The model finds, now, that the caller stopped speaking then; nobody else is speaking."""
        if self._wait is None:
            self._wait = Wait(stopped_at, is_greeting=False, turn_ms=_ms(now - stopped_at))

    def sent(self, kind: Kind | None, size_bytes: int, now: float) -> None:
        """After a silence, the first sound of a response is sent; `kind` says why it was wanted, None: the server's."""
        wait = self._wait
        if wait is None or self.is_sounding:
            return
        if kind is Kind.NUDGE or wait.is_greeting is not (kind is Kind.GREETING):
            self._wait = None
            return
        wait.sent_at, wait.first_ms = now, size_bytes // BYTES_PER_MS
        self.is_sounding = True

    def confirmed(self, now: float) -> None:
        """A mark came back: the first sound is heard."""
        wait = self._wait
        self.forget()
        if wait is None or wait.sent_at is None:
            return
        heard_at = max(wait.sent_at, now - wait.first_ms / 1000)
        wait_ms, model_ms = _ms(heard_at - wait.since), _ms(wait.sent_at - wait.since)
        if wait.is_greeting:
            self._outbox.happened("reply.heard", kind="greeting", wait_ms=wait_ms, model_ms=model_ms)
            return
        self._told.append(wait_ms)
        self._outbox.happened("reply.heard", kind="answer", wait_ms=wait_ms, model_ms=model_ms, turn_ms=wait.turn_ms)

    def forget(self) -> None:
        """Nothing is waited for any more, or it will never be known when it was heard."""
        self._wait = None
        self.is_sounding = False

    def summary(self) -> dict[str, int]:
        """Fields for the last line of a call: how many answers were heard, and what was waited for them."""
        told = self._told
        if not told:
            return {"replies": 0}
        return {"replies": len(told), "wait_ms": round(median(told)), "longest_wait_ms": max(told)}


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
