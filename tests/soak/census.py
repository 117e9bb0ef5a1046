"""What there is in this process, to be counted between calls."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.soak.people import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support import Rehearsal

OURS: Final = ("bridge", "twiml")
"""Packages whose objects are counted, by type."""
IDLE: Final = 50
"""Connections that the carrier's and the bridge's clients may keep open for the next request, on each side; each has a
descriptor, and at the server some tasks and a timer."""
BOUNDED: Final = {
    "bridge.orders._Ordered": 10_000,
    "bridge.recent.CallView": 200,
    "bridge.edge.http._Connection": IDLE,
    "bridge.edge.http.Peer": IDLE,
}
"""What a bridge keeps when calls are over, and how much of it at most."""


@dataclass(frozen=True, slots=True)
class Census:
    """The count at one moment."""

    calls: int
    """How many there have been."""
    tasks: int
    timers: int
    descriptors: int
    resident_mb: float
    kept: dict[str, int]
    """What the bridges hold of calls that are over, or would if they forgot to let go."""
    objects: Counter[str]

    def line(self) -> str:
        """For a person."""
        kept = ", ".join(f"{count} {name}" for name, count in self.kept.items())
        return (
            f"{self.calls} calls: {self.tasks} tasks, {self.timers} timers, {self.descriptors} descriptors, "
            f"{self.resident_mb:.1f} MB resident, {kept}"
        )


def take(calls: int, runs: Iterable[Rehearsal]) -> Census:
    """Count. What those who play the carrier and the model remember for tests is thrown away before."""
    runs = list(runs)
    for run in runs:
        _forget(run)
    gc.collect()
    objects = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Census(
        calls=calls,
        tasks=len(asyncio.all_tasks()),
        timers=sum(not handle.cancelled() for handle in getattr(asyncio.get_running_loop(), "_scheduled", ())),
        descriptors=sum(1 for _ in Path("/dev/fd").iterdir()),
        resident_mb=_resident_mb(),
        kept=_kept(runs),
        objects=Counter({name: count for name, count in objects.items() if name.partition(".")[0] in OURS}),
    )


def leaks(before: Census, after: Census) -> dict[str, tuple[int, int]]:
    """What has grown by one for each call of some kind, through one door alone, or by more: before and after."""
    allowed = max(1, (after.calls - before.calls) // (2 * len(KINDS)) - 1)
    grown = {
        name: (before.objects[name], count)
        for name, count in after.objects.items()
        if count - before.objects[name] > allowed and not count <= 2 * BOUNDED.get(name, 0)
    }
    for name in ("tasks", "timers", "descriptors"):
        was, now = getattr(before, name), getattr(after, name)
        if now - was > max(allowed, 2 * IDLE):
            grown[name] = (was, now)
    return grown


def _forget(run: Rehearsal) -> None:
    run.seen.facts.clear()
    run.seen.lines.clear()
    carrier = run.carrier
    for book in (carrier.calls, carrier.record, carrier.events, carrier.warnings, carrier.conferences):
        book.clear()
    run.model._sessions.clear()  # noqa: SLF001 - what it remembers has a bound, which is far away here


def _kept(runs: list[Rehearsal]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for run in runs:
        desk = run.bridge.desk
        counts["places"] += len(list(desk.calls)) + len(desk.calls)
        counts["transfers"] += len(desk._transfers._by_call)  # noqa: SLF001 - nobody else needs to know
        counts["orders"] += len(desk._orders._orders)  # noqa: SLF001 - nothing public counts them
        counts["bygone"] += len(desk._doorkeeper.bygone._over)  # noqa: SLF001 - nothing public counts them
        counts["recent"] += len(list(run.bridge.recent))
    return dict(counts)


def _resident_mb() -> float:
    statm = Path("/proc/self/statm")
    if not statm.exists():  # nobody soaks elsewhere
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
