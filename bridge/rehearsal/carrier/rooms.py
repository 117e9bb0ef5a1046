"""Where legs hear each other: two that were connected, or many in a conference."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.wire.g711 import FRAME_BYTES, RATE_HZ, SILENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.rehearsal.carrier.call import Call

_DELAY_S = 0.04
"""From mouth to ear."""


class Seat:
    """One leg's place in a room; what the leg says goes to the others there.

    Attributes:
        is_muted: the others do not hear it.
        is_on_hold: it neither hears nor is heard.
        gone: set when the leg was put out of the room, or left it.
        on_key: called with each key pressed.
    """

    def __init__(self, room: Room, call: Call) -> None:
        self.room = room
        self.call = call
        self.is_muted = False
        self.is_on_hold = False
        self.gone = asyncio.Event()
        self.on_key: Callable[[str], None] = lambda _digit: None

    def frame(self, sound: bytes, index: int) -> None:
        """Let the others hear 20 ms."""
        if not (self.is_muted or self.is_on_hold):
            said_s = self.call.phone.time_of(index * FRAME_BYTES)
            for other in self.room.seats:
                if other is not self and not other.is_on_hold:
                    other.hear(sound, said_s)

    def key(self, digit: str) -> None:
        """Take a key."""
        self.on_key(digit)

    def hear(self, sound: bytes, said_s: float) -> None:
        """Put what somebody said at that time into the ear, together with what others say then.

        Its place follows from the schedule of the talker, not from when this is called, so no frame overlaps another.
        """
        phone = self.call.phone
        if sound.count(SILENCE) != len(sound):
            phone.ear.mix(round((said_s - phone.origin_s + _DELAY_S) * RATE_HZ), sound)


class Room:
    """Holds seats; a leg enters, hears and is heard, and leaves."""

    def __init__(self) -> None:
        self.seats: list[Seat] = []

    def enter(self, call: Call) -> Seat:
        """Give a leg a seat and connect it there."""
        seat = Seat(self, call)
        self.seats.append(seat)
        call.phone.outlet = seat
        return seat

    def leave(self, seat: Seat) -> None:
        """Take a leg out; a second time nothing happens."""
        if seat in self.seats:
            self.seats.remove(seat)
            if seat.call.phone.outlet is seat:
                seat.call.phone.outlet = None
            seat.call.phone.ear.cut(seat.call.phone.position())
            seat.gone.set()
