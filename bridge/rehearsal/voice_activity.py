"""When a caller speaks and when not, told from the energy of phone audio.

Each 20 ms frame is compared with a floor that follows the line's own noise. Speech begins when most of the last
frames stand out from the floor, and ends when none has for `silence_duration_ms`. It is what server voice activity
detection in the Realtime API does, as far as a client sees (protocol: `turn_detection` of type `server_vad`); the
measure behind it is simpler.

Pure and deterministic: time is how much audio was fed, and it makes no difference in which pieces.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from bridge.wire.levels import FULL_SCALE, magnitude

_WINDOW_FRAMES: Final = 5
_ONSET_FRAMES: Final = 3
"""So many loud frames among so many begin speech: a click of 40 ms does not."""
_FLOOR_FALL: Final = 0.4
"""Of the distance to a quieter frame, in decibels: silence is believed at once."""
_FLOOR_RISE_DB: Final = 0.06
"""For each frame above the floor: 3 dB a second. Words hardly raise it, and a new noise is learned in seconds."""
_HIGHEST_FIRST_FLOOR_DBFS: Final = -36.0
"""The floor is at first what is heard first, but not so high that a caller who speaks at once is taken for noise."""
_LOWEST_FLOOR_DBFS: Final = -72.0
"""Digital silence is no measure for what stands out from it."""
_LEAST_SPEECH_DBFS: Final = -51.0
"""By mean magnitude, as all levels here. What is more quiet is not meant for the phone."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak at `at_ms`, padding included, counted from the start of all audio fed."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller has been silent for `silence_duration_ms`; at `at_ms` that silence was complete."""

    at_ms: int


SpeechEvent: TypeAlias = SpeechStarted | SpeechStopped


class VoiceActivity:
    """Finds the caller's turns; one per session.

    Args:
        threshold: 0 to 1, how much speech must stand out from the floor: 4 to 16 dB.
        prefix_padding_ms: how much earlier than its first loud frame speech is said to have begun.
        silence_duration_ms: the silence after which a turn is over.
    """

    def __init__(self, *, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self._margin_db = 4 + 12 * threshold
        self._prefix_padding_ms = prefix_padding_ms
        self._silence_frames = max(1, math.ceil(silence_duration_ms / FRAME_MS))
        self._floor_dbfs: float | None = None
        self._window: deque[bool] = deque(maxlen=_WINDOW_FRAMES)
        self._rest = b""
        self._frames = 0
        self._quiet_frames = 0
        self._is_speech = False
        self._ended_ms = 0

    @property
    def now_ms(self) -> int:
        """How much audio was fed."""
        return self._frames * FRAME_MS + len(self._rest) // BYTES_PER_MS

    def feed(self, ulaw: bytes) -> list[SpeechEvent]:
        """Listen to the next piece of mu-law, of any size; returns what was found in it, in order."""
        sound = self._rest + ulaw
        whole = len(sound) - len(sound) % FRAME_BYTES
        self._rest = sound[whole:]
        found = (self._hear(sound[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES))
        return [event for event in found if event is not None]

    def _hear(self, frame: bytes) -> SpeechEvent | None:
        self._frames += 1
        is_loud = self._stands_out(20 * math.log10(max(magnitude(frame), 1) / FULL_SCALE))
        self._window.append(is_loud)
        if self._is_speech:
            return self._hear_in_speech(is_loud=is_loud)
        if self._window.count(True) < _ONSET_FRAMES:
            return None
        self._is_speech, self._quiet_frames = True, 0
        onset_ms = self._frame_end_ms - (len(self._window) - self._window.index(True)) * FRAME_MS
        return SpeechStarted(max(self._ended_ms, onset_ms - self._prefix_padding_ms))

    def _hear_in_speech(self, *, is_loud: bool) -> SpeechEvent | None:
        self._quiet_frames = 0 if is_loud else self._quiet_frames + 1
        if self._quiet_frames < self._silence_frames:
            return None
        self._is_speech = False
        self._window.clear()
        self._ended_ms = self._frame_end_ms
        return SpeechStopped(self._ended_ms)

    @property
    def _frame_end_ms(self) -> int:
        return self._frames * FRAME_MS

    def _stands_out(self, level_dbfs: float) -> bool:
        """Whether a frame is speech, after which the floor takes it into account."""
        floor_dbfs = min(level_dbfs, _HIGHEST_FIRST_FLOOR_DBFS) if self._floor_dbfs is None else self._floor_dbfs
        above_db = level_dbfs - floor_dbfs
        floor_dbfs += min(above_db, _FLOOR_RISE_DB) if above_db > 0 else above_db * _FLOOR_FALL
        self._floor_dbfs = max(floor_dbfs, _LOWEST_FLOOR_DBFS)
        return level_dbfs > _LEAST_SPEECH_DBFS and above_db > self._margin_db
