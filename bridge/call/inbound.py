"""The caller's sound on its way to the model: the stream's clock, gaps filled, and the first seconds kept.

The model's sense of time is the sound it gets, so a hole in `media.timestamp` is filled with mu-law silence. Sound
that comes before the session is confirmed is kept, the newest `KEPT_MS` of it, and goes first when the session is
ready.
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
        self._began = False
        self._session_from_ms = 0
        self._kept: deque[str] = deque()
        self._kept_bytes = 0

    def restart(self) -> None:
        """A new stream begins, with a clock of its own; no gap is filled between the two."""
        self._session_from_ms -= self.clock_ms
        self.clock_ms = 0
        self._began = False

    def ago_ms(self, session_ms: int) -> int:
        """How long ago the sound was sent that the model's clock, which counts the session's sound, has at this time.

        0 where the server does not say (0) or its clock is not to be believed.
        """
        ago_ms = self.clock_ms - self._session_from_ms - session_ms
        return ago_ms if session_ms and 0 <= ago_ms < NOTICED_WITHIN_MS else 0

    def follows(self, audio: CallerAudio) -> bool:
        """Whether a piece is a frame that follows the one before without a gap; then the clock is advanced by it."""
        if audio.timestamp_ms != self.clock_ms or len(audio.payload) != FRAME_CHARACTERS or not self._began:
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
        self.clock_ms = clock_ms
        if not fill_ms:
            return ""
        self.filled_ms += fill_ms
        return silence(fill_ms)

    def keep(self, payload: str) -> None:
        """Keep sound for a session that is not ready; the oldest is dropped when there is too much."""
        self._kept.append(payload)
        self._kept_bytes += size_of(payload)
        while self._kept_bytes > KEPT_MS * BYTES_PER_MS:
            dropped = size_of(self._kept.popleft())
            self._kept_bytes -= dropped
            self.dropped_ms += dropped // BYTES_PER_MS

    def release(self) -> list[str]:
        """All that was kept, oldest first, for a session that has had no sound yet; nothing is kept any more."""
        self._session_from_ms = self.clock_ms - self._kept_bytes // BYTES_PER_MS
        kept = list(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        return kept
