"""The bridge's own ear: how much a caller who speaks while the bot is heard has said, and whether that takes the floor.

What counts is *voiced milliseconds*: the frames of the caller's attempt that are a voice, and a voice that means it.

- A frame sounds when it is 8 dB louder than the line usually is, and when it, or one shortly before, is periodic as a
  voice is. Hiss, rustle, coughs and clicks are not.
- Of those, the ones within 5 dB of the attempt's loudest 300 ms count. Who takes the floor keeps up the level; "mm-hm"
  and "yeah" swell once and fade, and what fades does not count.
- Pauses take nothing away, and add nothing. One of a second ends the attempt: "okay" now and "right" later are two.
- What turns out to be much weaker than the rest of the attempt was somebody else in the room, and is taken out again.
- What the bot's own echo explains does not count, and takes back as much as it lasts: see `bridge.call.echo`.

Nothing here reads a clock: times are milliseconds of the caller's media stream. Nothing is decoded: the bytes are
looked up in tables, see `bridge.wire.levels`. A frame costs about 5 microseconds, 20 while somebody speaks.
"""

from __future__ import annotations

from collections import deque

from bridge.call.echo import COMPARED_MS, EXPLAINED_MS, LONGEST_DELAY_MS, EchoGuard, FarEnd
from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENCE
from bridge.wire.levels import FULL_SCALE, is_voiced, magnitude

PAUSE_MS = 1000
"""A silence that ends the attempt."""
WORD_MS = 300
"""The loudest stretch of that length is what the rest of the attempt is measured by."""
STRONG = 10 ** (-5 / 20)
"""5 dB: the share of that loudness at which a frame counts."""
SAME_TALKER = 10 ** (-12 / 20)
"""12 dB: the share of that loudness below which a frame that did count was no part of the attempt."""
FAINT = FULL_SCALE * 10 ** (-60 / 20)
"""A magnitude that is no speech, however quiet the line."""
USUAL_MS = 3000
"""How much of the line's sound tells how loud it usually is: the median, which a caller's few words do not move."""
ASSUMED_QUIET_MS = 600
"""How long a line is assumed to have been silent before the ear first listens: a caller may already be talking then."""
ABOVE_USUAL = 10 ** (8 / 20)
"""8 dB: how much louder than usual a sound is. People talking in the background are not, hiss and hum still less."""
USUAL_FRAMES = 10
"""How many frames pass between two measurements of what is usual."""
CONSONANT_FRAMES = 4
"""Frames that a voice lends its periodicity to: consonants have none of their own."""
SEARCH_FRAMES = 20
"""How many strong frames pass between two searches for an echo, best measured before somebody talks over it."""
DOUBT_FRAMES = 10
"""How many more frames must count, once, when it is not clear whether what counted is an echo."""

_WORD_FRAMES = WORD_MS // FRAME_MS
_LONG_AGO_FRAMES = (COMPARED_MS + LONGEST_DELAY_MS) // FRAME_MS


class CallerEar:
    """Listens to one caller while the bot is heard.

    Tell it what is played (`play`, `cleared`), give it the caller's sound (`hear`), and ask `confirmed`.

    Args:
        confirm_ms: voiced milliseconds that take the floor.
    """

    def __init__(self, *, confirm_ms: int) -> None:
        self.confirmed_at_ms: int | None = None
        """When, by the stream's clock, the floor was taken by the attempt that goes on; None: it was not."""
        self._needed = max(1, -(-confirm_ms // FRAME_MS))
        self._far = FarEnd()
        self._echo = EchoGuard()
        self._clock_ms = 0
        self._rest = b""
        self._previous = SILENCE * FRAME_BYTES
        self._background = deque([0.0] * (ASSUMED_QUIET_MS // FRAME_MS), USUAL_MS // FRAME_MS)
        self._usual = 0.0
        self._recent: deque[float] = deque([0.0] * _WORD_FRAMES, _WORD_FRAMES)
        self._frames = 0
        self._since_voice = CONSONANT_FRAMES + 1
        self._idle_ms = PAUSE_MS
        self._is_open = False
        self._restart()

    @property
    def voiced_ms(self) -> int:
        """How much of the caller's attempt counts; falls when something in it turns out not to."""
        return len(self._counted) * FRAME_MS

    @property
    def confirmed(self) -> bool:
        """Whether the attempt that goes on has taken the floor. Holds until it ends, or until the bot begins anew."""
        return self.confirmed_at_ms is not None

    def play(self, ulaw: bytes, at_ms: int) -> None:
        """Sound that the caller begins to hear about then; may be told long before, in pieces of any length."""
        self._far.play(ulaw, at_ms)

    def cleared(self, at_ms: int) -> None:
        """What was still to be heard was thrown away. The attempt at what is played next begins at zero."""
        self._far.clear(at_ms)
        self._idle_ms = PAUSE_MS

    def opened(self, at_ms: int) -> None:
        """The model says that the caller began to speak. It says so late: what counted before decides at once."""
        self._is_open = True
        self._decide(at_ms)

    def closed(self, at_ms: int) -> None:  # noqa: ARG002 - the counterpart of `opened`
        """The model says that the caller stopped: nothing is confirmed until it says the opposite."""
        self._is_open = False

    def hear(self, ulaw: bytes, at_ms: int) -> None:
        """The caller's sound that began then, of any length. What was missed in between is taken for silence."""
        missed_ms = at_ms - self._clock_ms - len(self._rest) // BYTES_PER_MS
        if abs(missed_ms) > FRAME_MS:
            self._skip(missed_ms // FRAME_MS)
            self._clock_ms, self._rest = at_ms, b""
        sound = self._rest + ulaw
        whole = len(sound) // FRAME_BYTES * FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            self._hear_frame(sound[start : start + FRAME_BYTES])
        self._rest = sound[whole:]

    def _skip(self, frames: int) -> None:
        """Pass over frames that nobody has heard; what is long ago does not matter."""
        skipped = max(0, frames - _LONG_AGO_FRAMES)
        self._clock_ms += skipped * FRAME_MS
        for _ in range(frames - skipped):
            self._hear_frame(SILENCE * FRAME_BYTES, is_missed=True)

    def _hear_frame(self, frame: bytes, *, is_missed: bool = False) -> None:
        loud = magnitude(frame)
        far = self._far.frame(self._clock_ms)
        self._clock_ms += FRAME_MS
        self._frames += 1
        self._quiet_ms += FRAME_MS
        self._recent.append(loud)
        if not is_missed:
            self._background.append(loud)
        if self._frames % USUAL_FRAMES == 0:
            self._usual = sorted(self._background)[len(self._background) // 2]
        self._echo.hear(frame, loud, far)
        begins = far is not None and self._idle_ms >= PAUSE_MS
        self._idle_ms = self._idle_ms + FRAME_MS if far is None else 0
        if begins or self._quiet_ms > PAUSE_MS:
            self._restart()
        if self._sounds(frame, loud):
            self._weigh(loud)
        self._previous = frame

    def _restart(self) -> None:
        """The attempt is over; the next begins at zero."""
        self._counted: list[tuple[int, float]] = []
        self._enough = self._needed
        self._loudest = 0.0
        self._sounding = 0
        self._quiet_ms = 0
        self.confirmed_at_ms = None

    def _sounds(self, frame: bytes, loud: float) -> bool:
        """Whether somebody speaks, whoever it is."""
        self._since_voice += 1
        if loud < max(FAINT, self._usual * ABOVE_USUAL):
            return False
        if is_voiced(self._previous + frame):
            self._since_voice = 0
        return self._since_voice <= CONSONANT_FRAMES

    def _weigh(self, loud: float) -> None:
        """Count a frame of speech, if it is the caller's and strong."""
        word = sum(self._recent) / _WORD_FRAMES
        if word > self._loudest:
            self._loudest = word
            self._counted = [(frame, each) for frame, each in self._counted if each > word * SAME_TALKER]
        if loud < self._loudest * STRONG:
            return
        self._sounding += 1
        if self._sounding % SEARCH_FRAMES == 0:
            self._search()
        if self._echo.explains(loud):
            del self._counted[-1:]
            return
        self._quiet_ms = 0
        self._counted.append((self._frames, loud))
        if len(self._counted) == self._enough:
            self._search()
            if self._echo.is_in_doubt:
                self._enough = self._needed + DOUBT_FRAMES
        self._decide(self._clock_ms)

    def _search(self) -> None:
        """Look for an echo, and take out again of what counted what it explains, or what is too long ago to tell."""
        if self._echo.search():
            oldest = self._frames - EXPLAINED_MS // FRAME_MS
            self._counted = [
                (frame, loud)
                for frame, loud in self._counted
                if frame > oldest and not self._echo.explains(loud, self._frames - frame)
            ]

    def _decide(self, at_ms: int) -> None:
        if self._is_open and not self.confirmed and len(self._counted) >= self._enough:
            self.confirmed_at_ms = at_ms
