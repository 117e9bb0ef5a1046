"""The telephone at the far end of a call: a mouth, an ear, keys, and the line between them and the carrier.

One tick every 20 ms of the clock, on a schedule that does not drift: the mouth's frame goes through the line to what
the call is connected to, and both ends are listened to.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from bridge.rehearsal.hearing import Hearing
from bridge.rehearsal.line import Transmission
from bridge.rehearsal.sound import KEYS, key_tone
from bridge.rehearsal.track import Track
from bridge.wire.g711 import FRAME_BYTES, FRAME_MS, RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.clock import Clock
    from bridge.rehearsal.line import Line

FRAME_S = FRAME_MS / 1000
KEY_INTERVAL_S = 0.25
"""From one key to the next when several are pressed."""


class Outlet(Protocol):
    """What a call is connected to: a media stream, another call, a menu."""

    def frame(self, sound: bytes, index: int) -> None:
        """Take the caller's next 20 ms; `index` counts frames since the phone was picked up."""

    def key(self, digit: str) -> None:
        """Take a key that was pressed."""


class Handset:
    """A telephone. Positions are samples since it was picked up.

    Attributes:
        mouth, ear: what was said and what was heard, and when.
        talk, hearing: when the person spoke, and when the person heard somebody speak; tones do not count.
        outlet: what the call is connected to; None: nobody hears the mouth.
    """

    def __init__(self, clock: Clock, line: Line, *, audible_keys: bool) -> None:
        self.mouth, self.ear = Track(), Track()
        self.talk, self.hearing = Hearing(), Hearing()
        self.outlet: Outlet | None = None
        self.transmission = Transmission(line)
        self.origin_s = clock.now()
        self.on_speech: Callable[[str, int], None] = lambda _kind, _at: None
        self._clock = clock
        self._audible_keys = audible_keys
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._is_down = False

    def position(self) -> int:
        """Where on the time axis now is."""
        return int((self._clock.now() - self.origin_s) * RATE_HZ)

    def time_of(self, position: int) -> float:
        """The clock's time at a position."""
        return self.origin_s + position / RATE_HZ

    async def run(self) -> None:
        """Tick until cancelled. A tick that comes late is made up for at once."""
        index = self.position() // FRAME_BYTES
        while True:
            await self._clock.sleep_until(self.origin_s + (index + 1) * FRAME_S)
            self._tick(index)
            index += 1

    def say(self, sound: bytes) -> asyncio.Future[None]:
        """Speak, from the next frame on or after what is being said; the future is done when it has been said."""
        next_frame = -(-self.position() // FRAME_BYTES) * FRAME_BYTES
        self.mouth.append(next_frame, sound)
        end = self.mouth.end
        return self.until(lambda: self.position() >= end)

    def press(self, digits: str) -> asyncio.Future[None]:
        """Press keys one after the other, the first one now; the future is done with the last one.

        Raises ValueError for what is no key of a telephone.
        """
        if not digits or not KEYS.issuperset(digits):
            raise ValueError(f"keys are {''.join(sorted(KEYS))}, not {digits!r}")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        begin = self._clock.now()
        for n, digit in enumerate(digits):
            self._clock.call_at(begin + n * KEY_INTERVAL_S, partial(self._press, digit))
        self._clock.call_at(begin + (len(digits) - 1) * KEY_INTERVAL_S, partial(_set, done))
        return done

    def until(self, condition: Callable[[], bool]) -> asyncio.Future[None]:
        """A future that is done at the first tick at which the condition holds, or when the call is over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, future))
        if self._is_down:
            self.put_down()
        return future

    def put_down(self) -> None:
        """Let go of everybody who waits for something here: the call is over."""
        self._is_down = True
        for _, future in self._waiting:
            _set(future)
        self._waiting.clear()

    def hear(self, sound: bytes, *, is_voice: bool = True) -> None:
        """Play sound into the ear, after what is still being played."""
        self.ear.append(self.position(), sound, is_voice=is_voice)

    async def play(self, sound: bytes, *, is_voice: bool = True) -> None:
        """Play sound into the ear and wait for its end; cancelled, it stops at once."""
        self.hear(sound, is_voice=is_voice)
        try:
            await self._clock.sleep_until(self.time_of(self.ear.end))
        except asyncio.CancelledError:
            self.ear.cut(self.position())
            raise

    async def play_again_and_again(self, sound: bytes) -> None:
        """Play a tone of the network until cancelled."""
        while True:
            await self.play(sound, is_voice=False)

    def heard(self) -> bytes:
        """Everything the ear has heard until now, from the moment the phone was picked up, gaps as silence."""
        return self.ear.read(0, self.position())

    @property
    def silent_s(self) -> float:
        """For how long the ear has heard nobody speak; 0 while somebody does."""
        return 0.0 if self.hearing.is_speaking else (self.position() - self.hearing.stopped) / RATE_HZ

    @property
    def listened_s(self) -> float:
        """For how long the ear has been hearing somebody speak; 0 while nobody does."""
        return (self.position() - self.hearing.started) / RATE_HZ if self.hearing.is_speaking else 0.0

    def _press(self, digit: str) -> None:
        if self._audible_keys:
            self.mouth.append(self.position(), key_tone(digit), is_voice=False)
        if self.outlet is not None:
            self.outlet.key(digit)

    def _tick(self, index: int) -> None:
        start, stop = index * FRAME_BYTES, (index + 1) * FRAME_BYTES
        said, heard = self.mouth.read(start, stop), self.ear.read(start, stop)
        passed = self.transmission.pass_on(said, heard)
        if self.outlet is not None:
            self.outlet.frame(passed, index)
        self._listen(start, stop)
        self._waiting = [
            (condition, future) for condition, future in self._waiting if not self._is_over(condition, future)
        ]

    def _listen(self, start: int, stop: int) -> None:
        said = self.talk.feed(start, self.mouth.read(start, stop, voice_only=True))
        heard = self.hearing.feed(
            start, self.ear.read(start, stop, voice_only=True), is_more_coming=self.ear.end > stop
        )
        for name, hearing, change in (("caller", self.talk, said), ("bot", self.hearing, heard)):
            if change is not None:
                self.on_speech(f"{name}.{change}", hearing.started if change == "started" else hearing.stopped)

    @staticmethod
    def _is_over(condition: Callable[[], bool], future: asyncio.Future[None]) -> bool:
        if not future.done() and condition():
            future.set_result(None)
        return future.done()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
