"""The echo guard: which of the caller's sounds are the bot's own voice, coming back from a speakerphone.

The bridge knows the bytes the caller is played, and roughly when. An echo is a copy of them, so the outline of the
caller's sound is laid along the outline of what was played, at every delay up to `LONGEST_DELAY_MS`: the voices of two
people agree at none, an echo agrees at one. That delay is the way the echo takes, and the levels along it tell how
strong the echo is. From then on a frame no louder than the echo can be is explained by it. A talker over it is louder.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENCE
from bridge.wire.levels import FULL_SCALE, magnitude, outline

LONGEST_DELAY_MS = 700
"""Phone, network and jitter buffers there and back, and some doubt about when the playing began."""
COMPARED_MS = 1000
"""How much of the caller's sound is compared: long enough that no two voices agree by chance."""
EXPLAINED_MS = 4000
"""How long ago a frame may be that is asked about."""
AUDIBLE = FULL_SCALE * 10 ** (-60 / 20)
"""The magnitude below which nothing that was played can come back and be heard."""
COPY = 0.075
"""The likeness that makes a copy. At the best of all delays, one in 300 comparisons of two voices reaches it."""
DOUBT = 0.065
"""The likeness that may be a copy's, spoiled by room and noise. Four in a hundred pairs of voices reach it."""
KEEP = 0.05
"""The likeness that a known way keeps: less is needed at one delay than at the best of thousands."""
CLEAR = 0.8
"""The share of the best likeness at which the echo is as good as alone, and its strength can be measured."""
DRIFT_BITS = 2
"""Half a millisecond: how far a known way may drift between two searches."""
SAME_WAY_BITS = 40
"""10 ms: a way found again so near to the lost one is the same."""
RISE = 10 ** (3 / 20)
"""3 dB: by how much a known echo's strength may rise at once. What rises more is a talker."""
MARGIN = 10 ** (5 / 20)
"""5 dB: a room and a loudspeaker colour the echo, so some of its frames are stronger than others."""
STRONGEST = 10 ** (-4.5 / 20)
"""No echo is stronger than that, or the two of them would howl."""
FADING = (1.0, 1.0, 0.7, 0.5)
"""An echo straddles two frames, and a room lets go of a sound by 3 dB in each of the next."""
LOUD = 1 / 6
"""The echo's strength is measured where the sound is within 15 dB of its loudest."""
JOINED_MS = 200
"""The carrier plays what is queued without a break: a smaller gap between two pieces is an error of the estimate."""
KEPT_AHEAD_MS = 120_000
"""How much that is still to be played is remembered; what lies beyond cannot be recognised when it comes back."""

_BITS_PER_MS = BYTES_PER_MS // 2
_BITS_PER_FRAME = _BITS_PER_MS * FRAME_MS
_COMPARED_FRAMES = COMPARED_MS // FRAME_MS
_SEARCHED_FRAMES = (COMPARED_MS + LONGEST_DELAY_MS) // FRAME_MS
_REMEMBERED_FRAMES = (EXPLAINED_MS + LONGEST_DELAY_MS) // FRAME_MS + len(FADING)
_COMPARED_BITS = COMPARED_MS * _BITS_PER_MS
_SILENT_FRAME = SILENCE * FRAME_BYTES


class FarEnd:
    """What the caller is played, by the caller's stream clock."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, bytes]] = deque()

    def play(self, ulaw: bytes, at_ms: int) -> None:
        """Queue sound that begins to be heard about then, behind what is queued already."""
        start = at_ms * BYTES_PER_MS
        if self._pieces:
            last_start, last = self._pieces[-1]
            end = last_start + len(last)
            if start < end + JOINED_MS * BYTES_PER_MS:
                start = end
            if start - self._pieces[0][0] > KEPT_AHEAD_MS * BYTES_PER_MS:
                return
        self._pieces.append((start, ulaw))

    def clear(self, at_ms: int) -> None:
        """Forget what would have been heard from then on."""
        end = at_ms * BYTES_PER_MS
        self._pieces = deque((start, ulaw[: end - start]) for start, ulaw in self._pieces if start < end)

    def frame(self, at_ms: int) -> bytes | None:
        """What is heard in the frame that begins then, None for nothing. Times must not go back."""
        begin, pieces = at_ms * BYTES_PER_MS, self._pieces
        while pieces and pieces[0][0] + len(pieces[0][1]) <= begin:
            pieces.popleft()
        frame = b""
        for start, ulaw in pieces:
            if start >= begin + FRAME_BYTES:
                break
            frame = frame.ljust(start - begin, SILENCE)
            frame += ulaw[begin + len(frame) - start : begin + FRAME_BYTES - start]
        return frame.ljust(FRAME_BYTES, SILENCE) if frame else None


@dataclass(slots=True)
class _Way:
    """The way an echo takes."""

    delay_bits: int
    clearest: float = 0.0
    """The best likeness that was found on it."""
    strength: float = 0.0
    """How much of what was played comes back."""


class EchoGuard:
    """Finds the way an echo takes, if there is one, and tells which frames it explains.

    Feed every frame to `hear`. Call `search` before what was heard decides anything, and now and then while it sounds:
    it costs a millisecond or two where no way is known, a tenth of one where the known one still holds.
    """

    def __init__(self) -> None:
        self.is_in_doubt = False
        """Whether the last search found what may be an echo, too unclear to tell."""
        self._way: _Way | None = None
        self._lost: _Way | None = None
        self._near = deque([_SILENT_FRAME] * _COMPARED_FRAMES, _COMPARED_FRAMES)
        self._near_loud = deque([0.0] * _COMPARED_FRAMES, _COMPARED_FRAMES)
        self._far = deque([_SILENT_FRAME] * _SEARCHED_FRAMES, _SEARCHED_FRAMES)
        self._far_loud = deque([0.0] * _REMEMBERED_FRAMES, _REMEMBERED_FRAMES)

    def hear(self, near: bytes, loud: float, far: bytes | None) -> None:
        """The next frame of the caller, its magnitude, and what was played meanwhile."""
        self._near.append(near)
        self._near_loud.append(loud)
        self._far.append(far or _SILENT_FRAME)
        self._far_loud.append(magnitude(far) if far else 0.0)

    def explains(self, loud: float, age: int = 0) -> bool:
        """Whether a frame of that magnitude, `age` frames ago, is no louder than the echo can have been.

        `age` is less than the number of frames in `EXPLAINED_MS`.
        """
        way = self._way
        return way is not None and loud <= self._played(way, age) * way.strength * MARGIN

    def search(self) -> bool:
        """Look for an echo in the last `COMPARED_MS`. True when what `explains` says may have changed."""
        self.is_in_doubt = False
        if max(self._far_loud) < AUDIBLE:
            return False
        near, far = outline(b"".join(self._near)), outline(b"".join(self._far), dithered=True)
        if self._way is not None:
            delay_bits = self._way.delay_bits
            nearby = range(max(0, delay_bits - DRIFT_BITS), delay_bits + DRIFT_BITS + 1)
            self._way.delay_bits, likeness = _best_delay(near, far, nearby)
            if likeness >= KEEP:
                return self._measure(self._way, likeness)
            self._way, self._lost = None, self._way
        delay_bits, likeness = _best_delay(near, far, range(LONGEST_DELAY_MS * _BITS_PER_MS))
        self.is_in_doubt = DOUBT <= likeness < COPY
        if likeness < COPY:
            return False
        self._way = self._found(delay_bits)
        self._measure(self._way, likeness)
        return True

    def _found(self, delay_bits: int) -> _Way:
        """A new way; or the one that was lost, when a talker drowned it, with what is known about it."""
        if self._lost is None or abs(self._lost.delay_bits - delay_bits) > SAME_WAY_BITS:
            return _Way(delay_bits)
        self._lost.delay_bits = delay_bits
        return self._lost

    def _measure(self, way: _Way, likeness: float) -> bool:
        """Measure the echo, unless somebody talks over it: three in four of its frames are no stronger."""
        if likeness < way.clearest * CLEAR:
            return False
        faintest = max(self._near_loud) * LOUD
        heard = [
            (loud, self._played(way, age)) for age, loud in enumerate(reversed(self._near_loud)) if loud > faintest
        ]
        ratios = sorted(loud / played for loud, played in heard if played > AUDIBLE)
        most = way.strength * RISE if way.clearest else STRONGEST
        way.strength = min(ratios[len(ratios) * 3 // 4], most, STRONGEST) if ratios else 0.0
        way.clearest = max(likeness, way.clearest)
        return True

    def _played(self, way: _Way, age: int) -> float:
        """How loud that was, when it was played, which came back `age` frames ago."""
        newest = len(self._far_loud) - 1 - age - way.delay_bits // _BITS_PER_FRAME
        return max(self._far_loud[newest - back] * fading for back, fading in enumerate(FADING))


def _best_delay(near: int, far: int, delays: range) -> tuple[int, float]:
    """The delay at which two outlines agree best, and their likeness there: 0 is chance, 1 is the same."""
    mask = (1 << _COMPARED_BITS) - 1

    def difference(delay: int) -> int:
        return (far >> delay & mask ^ near).bit_count()

    best = min(delays, key=difference)
    return best, 1 - 2 * difference(best) / _COMPARED_BITS
