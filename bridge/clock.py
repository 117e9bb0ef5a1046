"""One clock for carrier, bridge and model, with a rate: a rehearsal can run faster than real time and be the same.

Seconds given out are *call seconds*: at rate 10 they pass ten times as fast as the wall clock's. Production runs at
rate 1. Only the floors that do I/O read a clock; `bridge.call`, `bridge.wire` and `bridge.replay` get the time as an
argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Timer:
    """A call that will be made at a time of a clock, unless it is cancelled first."""

    __slots__ = ("_clock", "_handle", "callback", "when")

    def __init__(self, clock: Clock, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None
        self.arm()

    def arm(self) -> None:
        """Wait, in wall-clock seconds, for what is left; a clock that is held arms its timers when it is let go."""
        if self._clock.is_held:
            self._clock.park(self)
            return
        left = max(0.0, self.when - self._clock.now()) / self._clock.rate
        self._handle = asyncio.get_running_loop().call_later(left, self._fire)

    def cancel(self) -> None:
        """Make sure that the callback is not called any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._clock.unpark(self)

    def _fire(self) -> None:
        if self.when > self._clock.now() + 1e-4:  # the clock was held meanwhile, or the loop's timer came early
            self.arm()
        else:
            self.callback()


class Clock:
    """Call seconds since an arbitrary start; `rate` of them pass in one second of the wall clock."""

    def __init__(self, rate: float = 1.0) -> None:
        if not rate > 0:
            msg = f"a clock's rate is a positive number, not {rate!r}"
            raise ValueError(msg)
        self.rate = rate
        self.now: Callable[[], float] = time.monotonic if rate == 1 else self._scaled
        """The time in call seconds; never goes back. At rate 1 it is the wall's own: it is read for every message."""
        self._origin = time.monotonic()
        self._paused_s = 0.0
        self._held_at: float | None = None
        self._holders = 0
        self._parked: set[Timer] = set()

    @property
    def is_held(self) -> bool:
        """Whether time stands still just now."""
        return self._held_at is not None

    def _scaled(self) -> float:
        wall = time.monotonic() if self._held_at is None else self._held_at
        return self._origin + (wall - self._origin - self._paused_s) * self.rate

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of this clock."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, when: float) -> None:
        """Sleep until this clock shows `when`; returns at once (after giving way once) when it is past."""
        if when <= self.now():
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        timer = self.call_at(when, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` when this clock shows `when`; cancel the timer that is returned to prevent it."""
        return Timer(self, when, callback)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Bound a block of awaits, as `asyncio.timeout` does, in seconds of this clock."""
        return asyncio.timeout(seconds / self.rate)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let time stand still inside the block; blocks may overlap.

        A rehearsal at ten times real time holds its clock while the embedded model computes, so that a computation
        takes the same share of the call at every rate. At rate 1 nothing is held: there the computation's own time
        counts.
        """
        if self.rate == 1:
            yield
            return
        if self._holders == 0:
            self._held_at = time.monotonic()
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if self._holders == 0 and self._held_at is not None:
                self._paused_s += time.monotonic() - self._held_at
                self._held_at = None
                parked, self._parked = self._parked, set()
                for timer in parked:
                    timer.arm()

    def park(self, timer: Timer) -> None:
        """Keep a timer until the clock is let go."""
        self._parked.add(timer)

    def unpark(self, timer: Timer) -> None:
        """Forget a timer that was cancelled while the clock was held."""
        self._parked.discard(timer)
