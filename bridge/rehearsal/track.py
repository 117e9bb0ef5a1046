"""What was said or heard, and when: mu-law sound on an axis of samples; and the playout buffer that writes it.

Nothing here reads a clock: positions are samples (8,000 a second) since the phone was picked up, given by the caller.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from bridge.rehearsal.sound import mix
from bridge.wire.g711 import RATE_HZ, SILENCE

BUFFER_S = 600
"""How much sound a media stream's playout buffer holds. Source: Twilio error 31931."""


@dataclass(slots=True)
class Piece:
    """Sound without a gap: where it begins, its bytes, and whether it is speech or a tone of the network."""

    start: int
    sound: bytearray
    is_voice: bool

    @property
    def stop(self) -> int:
        """Where it ends: the first sample that is not part of it."""
        return self.start + len(self.sound)


@dataclass(slots=True)
class Track:
    """Sound on a time axis; where nothing was written there is silence. Pieces are in order and never overlap."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The sample after the last one written."""
        return self.pieces[-1].stop if self.pieces else 0

    def append(self, at: int, sound: bytes, *, is_voice: bool = True) -> int:
        """Write sound at `at`, or after what is there if that ends later; returns where it begins."""
        start = max(at, self.end)
        last = self.pieces[-1] if self.pieces else None
        if last is not None and last.stop == start and last.is_voice == is_voice:
            last.sound += sound
        elif sound:
            self.pieces.append(Piece(start, bytearray(sound), is_voice))
        return start

    def mix(self, at: int, sound: bytes) -> None:
        """Write speech at `at`, together with what is already there."""
        self.append(at, mix(self.cut(at), sound) if self.end > at else sound)

    def cut(self, at: int) -> bytes:
        """Take off everything from `at` on and return it, gaps as silence."""
        dropped = self.read(at, max(at, self.end))
        while self.pieces and self.pieces[-1].start >= at:
            self.pieces.pop()
        if self.pieces and self.pieces[-1].stop > at:
            del self.pieces[-1].sound[at - self.pieces[-1].start :]
        return dropped

    def read(self, start: int, stop: int, *, voice_only: bool = False) -> bytes:
        """The sound between two samples, gaps as silence."""
        out = bytearray(SILENCE * (stop - start))
        first = bisect_right(self.pieces, start, key=lambda piece: piece.stop)
        for piece in self.pieces[first:]:
            if piece.start >= stop:
                break
            if piece.is_voice or not voice_only:
                begin, finish = max(start, piece.start), min(stop, piece.stop)
                out[begin - start : finish - start] = piece.sound[begin - piece.start : finish - piece.start]
        return bytes(out)


@dataclass(slots=True)
class Playout:
    """A media stream's playout buffer: sound and marks in the order they came, played into an ear as time goes by.

    What lies behind the position given last has been heard; the rest is the buffer. Source: Twilio's page
    `docs/voice/media-streams/websocket-messages`, sections on media, mark and clear.
    """

    ear: Track
    _marks: deque[tuple[int, str]] = field(default_factory=deque)

    def queue(self, now: int, sound: bytes) -> int:
        """Put sound at the end of the buffer; returns how many bytes did not fit and were dropped."""
        room = BUFFER_S * RATE_HZ - max(0, self.ear.end - now)
        self.ear.append(now, sound[:room])
        return max(0, len(sound) - room)

    def mark(self, now: int, name: str) -> None:
        """Put a mark behind the sound that is in the buffer; with none there it is due at once."""
        self._marks.append((max(now, self.ear.end), name))

    def clear(self, now: int) -> bytes:
        """Drop what is not played yet and make every mark due; returns the dropped sound."""
        self._marks = deque((now, name) for _, name in self._marks)
        return self.ear.cut(now)

    @property
    def next_due(self) -> int | None:
        """The position at which the next mark is due."""
        return self._marks[0][0] if self._marks else None

    def due(self, now: int) -> list[str]:
        """Take out the marks whose sound has been played, in order."""
        names = []
        while self._marks and self._marks[0][0] <= now:
            names.append(self._marks.popleft()[1])
        return names
