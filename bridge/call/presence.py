"""Whether the caller's stream is alive, and how often it was lost.

A live stream sends 50 pieces of sound a second, also while nobody speaks. One that sends none is asked, in two ways at
once: by a ping of its socket and by a mark, which the carrier returns when what was sent before is played. Whatever
comes back is a sign of life, and the silence a gap; if nothing does, the stream is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import ProbeCaller, SetMark

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.deadlines import Deadlines

MEDIA_WITHIN_S = 5.0
"""How long a stream may send no sound before it is asked whether it is there."""
ANSWERED_WITHIN_S = 5.0
"""How long it may take to say so."""
MAX_LOSSES = 3
"""How often a stream may be lost and come back, one time after the other."""
STEADY_AFTER_S = 60.0
"""How long a stream must have lasted for the losses before it to be forgotten."""


class Presence:
    """The stream of one call. `media_at` is when it last sent sound, and is set by whoever takes the sound."""

    def __init__(self, outbox: Outbox, deadlines: Deadlines, now: float) -> None:
        self.media_at = now
        self.losses = 0
        """How often the stream was lost without having been steady in between."""
        self._outbox = outbox
        self._deadlines = deadlines
        self._began_at = now
        self._asked_at = now
        self._probes = 0

    def began(self, now: float) -> None:
        """A stream is there."""
        self.media_at = self._began_at = now
        self._deadlines.set("caller.media", now + MEDIA_WITHIN_S)

    def lag_s(self, clock_ms: int) -> float:
        """How far the sound that was taken last is behind real time, by the stream's own clock.

        It counts from the stream's start (Twilio docs, "media": `timestamp`), so a delay that was there at the start
        is not seen, and one that came since is.
        """
        return max(0.0, self.media_at - self._began_at - clock_ms / 1000)

    def left(self) -> None:
        """It is not there any more, for whatever reason."""
        self._deadlines.clear("caller.media")
        self._deadlines.clear("caller.answered")

    def media_missing(self, now: float) -> None:
        """It is time to see whether sound has come: if not, the stream is asked."""
        if now < self.media_at + MEDIA_WITHIN_S:
            self._deadlines.set("caller.media", self.media_at + MEDIA_WITHIN_S)
            return
        self._asked_at = now
        self._probes += 1
        self._outbox.happened("caller.probed", silent_s=round(now - self.media_at, 1))
        self._outbox.do(ProbeCaller())
        self._outbox.do(SetMark(f"probe-{self._probes}"))
        self._deadlines.set("caller.answered", now + ANSWERED_WITHIN_S)

    def sign_of_life(self, now: float) -> None:
        """Something came that is not sound: if the stream was asked, that is the answer."""
        if self._deadlines.is_set("caller.answered"):
            self._deadlines.clear("caller.answered")
            self._deadlines.set("caller.media", now + MEDIA_WITHIN_S)

    def is_lost(self) -> bool:
        """The time to answer is over: whether nothing has come, sound included. If something has, all goes on."""
        if self.media_at <= self._asked_at:
            return True
        self._deadlines.set("caller.media", self.media_at + MEDIA_WITHIN_S)
        return False

    def may_return(self, now: float) -> bool:
        """The stream is lost: whether another one may take its place, or has been given that chance too often."""
        if now - self._began_at >= STEADY_AFTER_S:
            self.losses = 0
        self.losses += 1
        return self.losses <= MAX_LOSSES
