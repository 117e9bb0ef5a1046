"""A tape as stereo sound: left the caller, right the bot when it was *heard*, without what a clear threw away.

Everything lies on the clock of the media stream. The bot's speech begins when it was sent, or when what was sent
before had been played; the marks that came back correct that, since sound takes its time to the carrier.
"""

from __future__ import annotations

import io
import wave
from base64 import b64decode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING

import msgspec

from bridge.wire.caller import CallerAudio, MarkReached, StreamStarted
from bridge.wire.g711 import BYTES_PER_MS, RATE_HZ, SILENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.replay.moments import Moment

MAX_CALL_MS = 24 * 3600 * 1000
"""Sound that claims to lie further on is left out."""


def stereo(moments: Iterable[Moment]) -> bytes:
    """A WAV file, 8 kHz, 16 bits, two channels."""
    mixer = _Mixer()
    for moment in moments:
        mixer.take(moment)
    mixer.end_run()
    return _wav(mixer.caller, mixer.bot)


class _Run(msgspec.Struct):
    """Speech of the bot without a pause."""

    starts_ms: int
    sound: bytearray
    marks: dict[str, int]
    """By the name of each mark, where in the sound it stands, in bytes."""
    late_ms: int | None = None
    """How much later than it was sent it was heard, by the promptest of its marks."""

    @property
    def ends_ms(self) -> int:
        return self.starts_ms + len(self.sound) // BYTES_PER_MS


class _Mixer:
    def __init__(self) -> None:
        self.caller = bytearray()
        self.bot = bytearray()
        self._began_at: float | None = None
        self._base_ms = 0
        self._clock_ms = 0
        self._run: _Run | None = None

    def take(self, moment: Moment) -> None:
        message = moment.message
        if isinstance(message, StreamStarted):
            self._stream_started(moment.at)
        elif type(message) is CallerAudio:
            at_ms, ulaw = self._base_ms + message.timestamp_ms, _decode(message.payload)
            _lay(self.caller, at_ms, ulaw)
            self._clock_ms = max(self._clock_ms, at_ms + len(ulaw) // BYTES_PER_MS)
        elif type(message) is MarkReached:
            self._mark_reached(message.name)
        for action in moment.actions:
            self._perform(action)

    def _stream_started(self, at: float) -> None:
        if self._began_at is None:
            self._began_at = at
        self.end_run()
        self._base_ms = self._clock_ms = round((at - self._began_at) * 1000)

    def _mark_reached(self, name: str) -> None:
        run = self._run
        if run is None or name not in run.marks:
            return
        late_ms = max(0, self._clock_ms - run.starts_ms - run.marks.pop(name) // BYTES_PER_MS)
        run.late_ms = late_ms if run.late_ms is None else min(run.late_ms, late_ms)

    def _perform(self, action: dict[str, object]) -> None:
        match action:
            case {"do": "play_audio", "payload": str(payload)}:
                if self._run is None or self._run.ends_ms < self._clock_ms:
                    self.end_run()
                    self._run = _Run(self._clock_ms, bytearray(), {})
                self._run.sound += _decode(payload)
            case {"do": "set_mark", "name": str(name)} if self._run is not None:
                self._run.marks[name] = len(self._run.sound)
            case {"do": "clear_playout"} if self._run is not None:
                heard_ms = self._clock_ms - self._run.starts_ms - (self._run.late_ms or 0)
                del self._run.sound[max(0, heard_ms) * BYTES_PER_MS :]
                self.end_run()

    def end_run(self) -> None:
        """What was said without a pause is over: it takes its place."""
        run, self._run = self._run, None
        if run is not None:
            _lay(self.bot, run.starts_ms + (run.late_ms or 0), bytes(run.sound))


def _lay(track: bytearray, at_ms: int, ulaw: bytes) -> None:
    if not 0 <= at_ms < MAX_CALL_MS:
        return
    start = at_ms * BYTES_PER_MS
    if start > len(track):
        track += SILENCE * (start - len(track))
    track[start : start + len(ulaw)] = ulaw


def _decode(payload: str) -> bytes:
    try:
        return b64decode(payload)
    except NotBase64:
        return b""


def _linear(code: int) -> int:
    """One mu-law byte as a sample of 16 bits. Source: ITU-T G.711, tables 2a and 2b."""
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) * 2 + 33) << (inverted >> 4 & 0x07)) - 33
    return (-magnitude if inverted & 0x80 else magnitude) * 4


_LOW = bytes(_linear(code) & 0xFF for code in range(256))
_HIGH = bytes(_linear(code) >> 8 & 0xFF for code in range(256))


def _wav(left: bytearray, right: bytearray) -> bytes:
    length = max(len(left), len(right))
    pcm = bytearray(4 * length)
    for channel, track in enumerate((left, right)):
        whole = track.ljust(length, SILENCE)
        pcm[2 * channel :: 4] = whole.translate(_LOW)
        pcm[2 * channel + 1 :: 4] = whole.translate(_HIGH)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(pcm)
    return file.getvalue()
