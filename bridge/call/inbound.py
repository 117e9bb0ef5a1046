"""The caller's sound on its way to the model: the stream's clock, gaps filled, and the first seconds kept.

The model's sense of time is the sound it gets, so a hole in `media.timestamp` is filled with mu-law silence. Sound
that comes before the session is confirmed is kept, the newest `KEPT_MS` of it, and goes first when the session is
ready. So is the newest of what goes to a session that is about to be followed by another.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, silence, size_of

if TYPE_CHECKING:
    from bridge.wire.caller import CallerAudio

KEPT_MS = 10_000
NOTICED_WITHIN_MS = 5_000
"""A server's own clock that says something was longer ago than that is not believed."""
MAX_FILL_MS = 10_000
"""The longest gap that is filled whole; of a longer one, this much."""
FRAME_CHARACTERS = (FRAME_BYTES + 2) // 3 * 4
"""The base64 text of one frame."""


class Inbound:
    """One stream's inbound sound. `clock_ms` is the stream's clock: the end of the newest sound that came."""

    def __init__(self) -> None:
        self.clock_ms = 0
        self.filled_ms = 0
        self.dropped_ms = 0
        self.overlap_ms = 0
        """How much of what goes to the session is kept for the next one."""
        self._began = False
        self._is_plain = False
        self._session_from_ms = 0
        self._kept: deque[str] = deque()
        self._kept_bytes = 0

    def restart(self) -> None:
        """A new stream begins, with a clock of its own; no gap is filled between the two."""
        self._session_from_ms -= self.clock_ms
        self.clock_ms = 0
        self._began = self._is_plain = False

    def ago_ms(self, session_ms: int) -> int:
        """How long ago the sound was sent that the model's clock, which counts the session's sound, has at this time.

        0 where the server does not say (0) or its clock is not to be believed.
        """
        ago_ms = self.clock_ms - self._session_from_ms - session_ms
        return ago_ms if session_ms and 0 <= ago_ms < NOTICED_WITHIN_MS else 0

    def follows(self, audio: CallerAudio) -> bool:
        """Whether a piece is a frame that follows the one before without a gap; then the clock is advanced by it.

        No piece is while any is kept.
        """
        if audio.timestamp_ms != self.clock_ms or len(audio.payload) != FRAME_CHARACTERS or not self._is_plain:
            return False
        self.clock_ms += FRAME_MS
        return True

    def gap_before(self, audio: CallerAudio) -> str:
        """Advance the clock by a piece; the silence that must go before it, base64 text, mostly none.

        Whole frames only: timestamps jitter by a few milliseconds. A piece from the past moves nothing back.
        """
        size_ms = size_of(audio.payload) // BYTES_PER_MS
        gap_ms = audio.timestamp_ms - self.clock_ms if self._began else 0
        fill_ms = min(gap_ms - gap_ms % FRAME_MS, MAX_FILL_MS) if gap_ms >= FRAME_MS else 0
        clock_ms = max(self.clock_ms, audio.timestamp_ms + size_ms)
        self._session_from_ms += clock_ms - self.clock_ms - fill_ms - size_ms
        self._began = True
        self._is_plain = not self.overlap_ms
        self.clock_ms = clock_ms
        if not fill_ms:
            return ""
        self.filled_ms += fill_ms
        return silence(fill_ms)

    def keep(self, payload: str) -> None:
        """Keep sound for a session that is not ready; the oldest is dropped when there is too much."""
        self.dropped_ms += self._keep(payload, KEPT_MS) // BYTES_PER_MS

    def overlap(self, kept_ms: int) -> None:
        """Keep so much of what `sent` tells, for a session that follows the one that has it; 0: nothing any more."""
        if not kept_ms and self.overlap_ms:
            self._drop()
        self.overlap_ms = kept_ms
        self._is_plain = self._began and not kept_ms

    def sent(self, payload: str) -> None:
        """Sound has gone to the session that there is; tell it while `overlap_ms`."""
        self._keep(payload, self.overlap_ms)

    def _keep(self, payload: str, limit_ms: int) -> int:
        """Keep a piece, within a limit; how many bytes of the oldest that has cost."""
        self._kept.append(payload)
        self._kept_bytes += size_of(payload)
        dropped_bytes = 0
        while self._kept_bytes > limit_ms * BYTES_PER_MS:
            dropped = size_of(self._kept.popleft())
            self._kept_bytes -= dropped
            dropped_bytes += dropped
        return dropped_bytes

    def release(self) -> list[str]:
        """All that was kept, oldest first, for a session that has had no sound yet; nothing is kept any more."""
        self._session_from_ms = self.clock_ms - self._kept_bytes // BYTES_PER_MS
        kept = list(self._kept)
        self._drop()
        self.overlap(0)
        return kept

    def _drop(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
