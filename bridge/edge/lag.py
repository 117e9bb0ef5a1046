"""How late this process is: its event loop, and its reading of callers' sound. Looked at now and then, not per frame.

A timer that fires late has waited behind something that held the loop, and so has every frame of every call.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bridge.call.machine import Call

EVERY_S = 0.5
"""How often is looked, in seconds of the wall."""


class Live(Protocol):
    """A call that lives, or is with a human."""

    call: Call


class Told(Protocol):
    """Who is told."""

    def loop_lagged(self, seconds: float, /) -> None:
        """The event loop is so late."""

    def input_lagged(self, seconds: float, /) -> None:
        """The sound of one caller was read so late."""


async def probe(
    calls: Iterable[Live],
    told: Told,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Tell how late the loop is, and each caller's sound; ends when it is cancelled."""
    while True:
        due_at = now() + EVERY_S
        await sleep(EVERY_S)
        told.loop_lagged(max(0.0, now() - due_at))
        _ask(calls, told)


def _ask(calls: Iterable[Live], told: Told) -> None:
    """Ask each call; in a function of its own, for a name in `probe` would hold the last one until there is another."""
    for live in calls:
        if live.call.is_up:
            told.input_lagged(live.call.input_lag_s)
