"""What there is in this process, to be counted between calls."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bridge import orders, recent
from bridge.edge import bygone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.app import Bridge

OURS: Final = ("bridge", "twiml")
"""Packages whose objects are counted, by type."""
KEPT: Final = 20
"""How many calls that are over each bridge of a soak remembers, of each kind of memory."""
MEMORIES: Final = frozenset({"bridge.orders._Ordered", "bridge.recent.CallView"})
"""What such a memory is made of."""
REQUESTS: Final = frozenset({"bridge.edge.http.Peer", "bridge.edge.http._Connection"})
"""What a connection to the carrier keeps of the request during which it was opened, by its context variables."""
HANDFUL: Final = 8
"""Connections to the carrier that are kept open for the next request, and what the bridges themselves do, come and go:
so many tasks, timers or descriptors more say nothing."""


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """The count at one moment."""

    tasks: int
    timers: int
    descriptors: int
    resident_kb: int
    live: int
    """What the bridges hold of calls that live: places, transfers, sessions."""
    all_objects: int
    """Whatever the collector knows of, of all packages."""
    objects: dict[str, int]
    """Those of our own, by type."""

    def __str__(self) -> str:
        """For a person."""
        return (
            f"{self.tasks} tasks, {self.timers} timers, {self.descriptors} descriptors, {self.live} live, "
            f"{self.all_objects} objects, {self.resident_kb / 1024:.1f} MiB"
        )


def remember_little() -> None:
    """Let the bridges of this process remember few calls that are over.

    Those memories are full early then, and what grows after that is none of them.
    """
    orders.KEPT = bygone.KEPT = recent.KEPT = KEPT


def take(bridges: Iterable[Bridge] = ()) -> Census:
    """Count what somebody still holds."""
    gc.collect()
    everything = gc.get_objects()
    types = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in everything)
    return Census(
        tasks=len(asyncio.all_tasks()),
        timers=sum(type(each).__name__ == "TimerHandle" and not each.cancelled() for each in everything),
        descriptors=sum(1 for _ in Path("/dev/fd").iterdir()),
        resident_kb=_resident_kb(),
        live=sum(_live(bridge) for bridge in bridges),
        all_objects=len(everything),
        objects={name: count for name, count in types.items() if name.partition(".")[0] in OURS},
    )


def more_objects(before: Census, after: Census, *, calls: int, kinds: int) -> dict[str, tuple[int, int]]:
    """Which of our objects have grown over so many calls of so many kinds: before and after.

    One for each call of a single kind through a single door is too much already.
    """
    allowed = max(1, calls // (2 * kinds) - 1)
    return {
        name: (before.objects.get(name, 0), count)
        for name, count in after.objects.items()
        if count - before.objects.get(name, 0) > (HANDFUL if name in REQUESTS else allowed)
        and not (name in MEMORIES and count <= 2 * KEPT)
    }


def more_work(before: Census, after: Census) -> dict[str, tuple[int, int]]:
    """What is done or held open beside what was, and more of it than a handful: before and after."""
    counts = {name: (getattr(before, name), getattr(after, name)) for name in ("tasks", "timers", "descriptors")}
    return {name: (was, now) for name, (was, now) in counts.items() if now - was > HANDFUL}


def _live(bridge: Bridge) -> int:
    """Nobody else needs to know."""
    desk = bridge.desk
    return len(list(desk.calls)) + len(desk.calls) + len(desk._transfers._by_call) + len(desk.health._sessions)  # noqa: SLF001


def _resident_kb() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():  # nobody soaks elsewhere
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
