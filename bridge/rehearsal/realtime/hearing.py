"""The input audio buffer of a session, and the turns found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.rehearsal.realtime import audio, refusal
from bridge.rehearsal.voice_activity import SpeechStarted, SpeechStopped, VoiceActivity
from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from bridge.rehearsal.realtime.settings import AudioFormat, TurnDetection

_MIN_COMMIT_MS = 100
_QUIET_KEPT_MS: Final = 30_000
"""Between turns no more than this is kept: a call may be silent for an hour."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The caller began to speak; `at_ms` counts from the start of all audio and includes the prefix padding."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TurnStopped:
    """The caller has been silent long enough; `line_audio` is the turn, from its padding to its silence."""

    at_ms: int
    line_audio: bytes


Turn: TypeAlias = TurnStarted | TurnStopped


class Hearing:
    """Audio that was appended and not yet committed, as mu-law, and voice activity on it.

    Args:
        max_buffered_ms: how much may be buffered. Beyond it an append is refused where the client commits; where turns
            are detected, the oldest audio is forgotten.
    """

    def __init__(self, audio_format: AudioFormat, detection: TurnDetection | None, *, max_buffered_ms: int) -> None:
        self._max_buffered_ms = max_buffered_ms
        self._decoder = audio.LineDecoder(audio_format)
        self._buffer = bytearray()
        self._heard_bytes = 0
        self._detection: TurnDetection | None = None
        self._activity: VoiceActivity | None = None
        self._activity_from_ms = 0
        self._started_ms: int | None = None
        self.configure(audio_format, detection)

    @property
    def now_ms(self) -> int:
        """How much audio has been appended in the whole session."""
        return self._heard_bytes // BYTES_PER_MS

    @property
    def is_speech(self) -> bool:
        """Whether the caller is in the middle of a turn."""
        return self._started_ms is not None

    def configure(self, audio_format: AudioFormat, detection: TurnDetection | None) -> None:
        """Take on new settings; a turn in progress goes on where nothing that finds turns has changed."""
        if audio_format != self._decoder.audio_format:
            self._decoder = audio.LineDecoder(audio_format)
        if _sense(detection) == _sense(self._detection):
            return
        self._detection = detection
        self._started_ms = None
        self._activity_from_ms = self.now_ms
        self._activity = None
        if detection is not None:
            self._activity = VoiceActivity(
                threshold=detection.threshold,
                prefix_padding_ms=detection.prefix_padding_ms,
                silence_duration_ms=detection.ending_silence_ms,
            )

    def append(self, chunk: bytes) -> list[Turn]:
        """Buffer wire audio and return the beginnings and ends of turns found in it.

        Raises:
            Refusal: the buffer is full, and nothing but the client empties it.
        """
        line_audio = self._decoder.decode(chunk)
        too_much = audio.duration_ms(self._buffer) + audio.duration_ms(line_audio) > self._max_buffered_ms
        if too_much and self._activity is None:
            message = (
                f"The input audio buffer is full: it holds at most {self._max_buffered_ms} ms. Commit or clear it."
            )
            raise refusal.Refusal("input_audio_buffer_full", message, param="audio")
        self._buffer += line_audio
        self._heard_bytes += len(line_audio)
        if self._activity is None:
            return []
        turns = [self._turn(found) for found in self._activity.feed(line_audio)]
        kept_ms = self._max_buffered_ms if self.is_speech else min(self._max_buffered_ms, _QUIET_KEPT_MS)
        self._forget_until(self.now_ms - kept_ms)
        return turns

    def commit(self) -> bytes:
        """Take all that is buffered.

        Raises:
            Refusal: there is less than 100 ms of it.
        """
        length_ms = len(self._buffer) / BYTES_PER_MS
        if length_ms < _MIN_COMMIT_MS:
            raise refusal.Refusal(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{_MIN_COMMIT_MS}ms of audio, but buffer only has {length_ms:.2f}ms of audio.",
            )
        return self.clear()

    def clear(self) -> bytes:
        """Empty the buffer and return what was in it."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

    def _turn(self, found: SpeechStarted | SpeechStopped) -> Turn:
        at_ms = self._activity_from_ms + found.at_ms
        if isinstance(found, SpeechStarted):
            self._started_ms = at_ms
            return TurnStarted(at_ms)
        if self._started_ms is not None:
            self._forget_until(self._started_ms)
        self._started_ms = None
        end = max(0, at_ms - self._buffered_from_ms) * BYTES_PER_MS
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        return TurnStopped(at_ms, taken)

    @property
    def _buffered_from_ms(self) -> int:
        return self.now_ms - audio.duration_ms(self._buffer)

    def _forget_until(self, at_ms: int) -> None:
        surplus_ms = at_ms - self._buffered_from_ms
        if surplus_ms > 0:
            del self._buffer[: surplus_ms * BYTES_PER_MS]


def _sense(detection: TurnDetection | None) -> tuple[float, int, int] | None:
    """Return what makes a difference to finding turns; what follows from them does not."""
    if detection is None:
        return None
    return (detection.threshold, detection.prefix_padding_ms, detection.ending_silence_ms)
