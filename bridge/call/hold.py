"""What the caller hears while there is no model to speak: a clip of the operator's, again and again, until one does.

It is played like any other speech, with marks, and is no part of the conversation. When something else is to be heard,
it is cleared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import ClearPlayout, PlayAudio, SetMark
from bridge.wire.g711 import BYTES_PER_MS, size_of

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.deadlines import Deadlines
    from bridge.call.inbound import Inbound
    from bridge.call.playout import Playout

SILENT_FOR_S = 1.2
"""How long the line may be silent without a session; the caller is promised to hear something within 2 s."""
SLOW_S = 4.0
"""How long the line may be silent while a session is to answer."""
PAUSE_S = 1.5
"""Between the clip's end and its repetition."""
OVERDUE_S = 3.0
"""How long after its end the clip may wait for its mark."""
ITEM_ID = "hold"
"""Stands for the clip in the ledger; no item of the conversation is named so."""


class Hold:
    """The clip of one call.

    Args:
        clip: mu-law as base64 text; empty: nothing is ever played.
    """

    def __init__(self, clip: str, *, outbox: Outbox, deadlines: Deadlines, playout: Playout, inbound: Inbound) -> None:
        self.is_on = False
        """Whether the clip is playing or will be, unless something else is heard before."""
        self._clip = clip
        self._outbox = outbox
        self._deadlines = deadlines
        self._playout = playout
        self._inbound = inbound
        self._is_playing = False
        self._due_at = 0.0

    def expect(self, now: float, *, within_s: float = SILENT_FOR_S) -> None:
        """Nobody speaks from now on: play the clip when the line has been silent for so long."""
        if self._is_playing or not self._clip:
            return
        if not self.is_on or now + within_s < self._due_at:
            self.is_on = True
            self._set(now + within_s)

    def due(self, now: float) -> None:
        """The line has been silent for long enough, unless what the bot said before is still being heard."""
        unheard_ms = self._playout.unheard_ms(self._inbound.clock_ms)
        if unheard_ms:
            self._set(now + unheard_ms / 1000 + SILENT_FOR_S)
            return
        size_bytes = size_of(self._clip)
        self._is_playing = True
        self._outbox.do(PlayAudio(self._clip))
        self._outbox.do(SetMark(self._playout.send(ITEM_ID, 0, size_bytes, self._inbound.clock_ms)))
        self._deadlines.set("playout.overdue", now + size_bytes / BYTES_PER_MS / 1000 + OVERDUE_S)

    def heard_out(self, now: float) -> None:
        """All that was sent is heard: if that was the clip, it is repeated."""
        if self._is_playing:
            self._is_playing = False
            self._set(now + PAUSE_S)

    def stop(self) -> None:
        """Something else is to be heard, or the caller speaks: the clip ends at once."""
        self.is_on = False
        self._deadlines.clear("hold")
        was_playing, self._is_playing = self._is_playing, False
        if was_playing and self._playout.is_playing:  # else it was cut like any other speech
            self._outbox.do(ClearPlayout())
            self._playout.clear(self._inbound.clock_ms)
            self._deadlines.clear("playout.overdue")

    def restart(self) -> None:
        """The stream is gone, and with it whatever was playing."""
        self.is_on = self._is_playing = False
        self._deadlines.clear("hold")

    def _set(self, when: float) -> None:
        self._due_at = when
        self._deadlines.set("hold", when)
