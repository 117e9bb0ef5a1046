"""When somebody speaks and when not, told from clean sound, a frame at a time.

Both ends of a rehearsed call are listened to this way, so that "the caller stopped, then the bot was heard" is measured
with one measure. The sound is what was recorded or generated, without the line's noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.rehearsal.sound import is_loud
from bridge.wire.g711 import BYTES_PER_MS, FRAME_MS, SILENCE

PAUSE_MS = 500
"""A silence that long ends a stretch of speech; a shorter one is a pause inside it."""
_PAUSE = (PAUSE_MS - FRAME_MS) * BYTES_PER_MS
"""As samples before the frame that completes it."""


@dataclass(slots=True)
class Hearing:
    """Follows one mouth. Positions are samples, as in a `Track`."""

    is_speaking: bool = False
    started: int = 0
    """Where the stretch of speech that goes on, or the last one, began."""
    stopped: int = 0
    """Where the last sound ended."""
    stretches: int = 0
    """How many stretches of speech have begun."""

    def feed(self, at: int, frame: bytes, *, is_more_coming: bool = False) -> Literal["started", "stopped"] | None:
        """Listen to the frame that begins at `at`; `is_more_coming` (a buffer holds more) keeps a stretch open."""
        if is_loud(frame):
            self.stopped = at + len(frame.rstrip(SILENCE))
            if not self.is_speaking:
                self.is_speaking, self.started = True, at + len(frame) - len(frame.lstrip(SILENCE))
                self.stretches += 1
                return "started"
        elif self.is_speaking and not is_more_coming and at - self.stopped >= _PAUSE:
            self.is_speaking = False
            return "stopped"
        return None
