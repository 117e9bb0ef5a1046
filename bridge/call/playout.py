"""The playout ledger: what was sent to be played, what is confirmed as played, and so what the caller has heard.

The carrier plays in order and returns a mark once everything before it was played, so each piece of audio is followed
by a mark. *Heard* is what marks confirm, plus the caller's own stream clock since, and never more than the next mark
would confirm. A clear throws the rest away and returns all its marks at once: those are of an older generation and
confirm nothing.

Source: Twilio docs, `docs/voice/media-streams/websocket-messages`, "mark" and "clear".
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DIGITS = 18
"""Of a serial; a longer one is no mark of ours."""
KEPT_ITEMS = 64
"""How many items keep their figures; the oldest is forgotten first, which by then has long been heard or cut."""

Part = tuple[str, int]
"""An item's id and the index of the content part that is spoken."""


class Piece(msgspec.Struct, gc=False):
    """Audio that was sent together and is followed by one mark."""

    part: Part
    size_bytes: int
    serial: int


class Tally(msgspec.Struct, gc=False):
    """How much of one part was sent, and how much of that is heard."""

    sent_bytes: int = 0
    heard_bytes: int = 0


class Cut(msgspec.Struct, frozen=True, gc=False):
    """A part whose playing a clear ended: `0 <= heard_ms < sent_ms`."""

    item_id: str
    content_index: int
    heard_ms: int
    sent_ms: int


class Playout:
    """The ledger of one stream. Times are milliseconds of the stream's own clock."""

    def __init__(self, generation: int = 0) -> None:
        self.generation = generation
        self.lost_marks = 0
        self._serial = 0
        self._pieces: deque[Piece] = deque()
        self._tallies: dict[Part, Tally] = {}
        self._unheard_bytes = 0
        self._anchor_ms = 0

    @property
    def is_playing(self) -> bool:
        """Whether anything that was sent is not yet confirmed as played."""
        return bool(self._pieces)

    @property
    def marks_outstanding(self) -> int:
        """How many marks are still to come back."""
        return len(self._pieces)

    @property
    def ends_at_ms(self) -> int:
        """When, by the stream's clock, all that was sent will have been played; in the past when nothing is playing."""
        return self._anchor_ms + self._unheard_bytes // BYTES_PER_MS

    def unheard_ms(self, clock_ms: int) -> int:
        """How much is still to be played; at least 1 as long as a mark is outstanding, 0 when all is heard."""
        return max(1, self.ends_at_ms - clock_ms) if self._pieces else 0

    def send(self, item_id: str, content_index: int, size_bytes: int, clock_ms: int) -> str:
        """Enter a piece of audio that is being sent now; the mark that must follow it is returned."""
        if not self._pieces:
            self._anchor_ms = clock_ms
        self._serial += 1
        part = (item_id, content_index)
        tally = self._tallies.get(part)
        if tally is None:
            tally = self._open(part)
        tally.sent_bytes += size_bytes
        self._unheard_bytes += size_bytes
        self._pieces.append(Piece(part, size_bytes, self._serial))
        return f"{self.generation}.{self._serial}"

    def reach(self, mark: str, clock_ms: int) -> bool:
        """A mark came back: what was sent before it is heard. False when it says nothing: cleared, repeated, not ours.

        A mark that never comes back is made good by the next one.
        """
        generation, _, serial_text = mark.partition(".")
        if generation != str(self.generation) or not (serial_text.isdecimal() and len(serial_text) <= MAX_DIGITS):
            return False
        serial = int(serial_text)
        if not self._pieces or not self._pieces[0].serial <= serial <= self._serial:
            return False
        self.lost_marks += serial - self._pieces[0].serial
        while self._pieces and self._pieces[0].serial <= serial:
            self._hear(self._pieces.popleft())
        self._anchor_ms = clock_ms
        return True

    def give_up(self, clock_ms: int) -> None:
        """Marks are long overdue: take as heard what the stream's clock has had the time to play, and wait no more."""
        played = max(0, clock_ms - self._anchor_ms) * BYTES_PER_MS
        while self._pieces:
            piece = self._pieces.popleft()
            self.lost_marks += 1
            heard = min(piece.size_bytes, played)
            played -= heard
            self._tallies[piece.part].heard_bytes += heard
        self._unheard_bytes = 0
        self.generation += 1

    def clear(self, clock_ms: int) -> tuple[Cut, ...]:
        """Throw away what is not yet played, and say what was cut where, the part that was playing first.

        To be called in the step in which the clear is sent. Marks still to come back confirm nothing from now on.
        """
        cuts = tuple(self._cuts(clock_ms))
        self._pieces.clear()
        self._unheard_bytes = 0
        self.generation += 1
        return cuts

    def restart(self) -> None:
        """A new stream begins: nothing of the old one is played any more, and its marks mean nothing."""
        self._pieces.clear()
        self._unheard_bytes = 0
        self._anchor_ms = 0
        self.generation += 1

    def items_waiting(self) -> tuple[str, ...]:
        """The items that are not confirmed as played to their end, in order."""
        return tuple(dict.fromkeys(piece.part[0] for piece in self._pieces))

    def heard_ms(self, item_id: str) -> int:
        """How much of an item is heard for certain, all its parts together."""
        return sum(t.heard_bytes for (item, _), t in self._tallies.items() if item == item_id) // BYTES_PER_MS

    def sent_ms(self, item_id: str) -> int:
        """How much of an item was sent, all its parts together."""
        return sum(t.sent_bytes for (item, _), t in self._tallies.items() if item == item_id) // BYTES_PER_MS

    def _cuts(self, clock_ms: int) -> Iterator[Cut]:
        parts = dict.fromkeys(piece.part for piece in self._pieces)
        if self._pieces:  # the one that was playing, up to now, but never beyond its mark
            playing = self._pieces[0]
            played = max(0, clock_ms - self._anchor_ms) * BYTES_PER_MS
            self._tallies[playing.part].heard_bytes += min(played, playing.size_bytes)
        for part in parts:
            tally = self._tallies[part]
            if tally.heard_bytes < tally.sent_bytes:
                yield Cut(*part, tally.heard_bytes // BYTES_PER_MS, tally.sent_bytes // BYTES_PER_MS)

    def _hear(self, piece: Piece) -> None:
        self._tallies[piece.part].heard_bytes += piece.size_bytes
        self._unheard_bytes -= piece.size_bytes

    def _open(self, part: Part) -> Tally:
        tally = self._tallies[part] = Tally()
        if len(self._tallies) > KEPT_ITEMS:
            waiting = {piece.part for piece in self._pieces}
            for old in list(self._tallies)[: len(self._tallies) - KEPT_ITEMS]:
                if old not in waiting and old != part:
                    del self._tallies[old]
        return tally
