"""Calls by the hundred, one after the other and several at once, on every path: nothing is left."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bridge.rehearsal.carrier import Call
from tests.client import LINES
from tests.soak.census import Census, more_objects, more_work, take
from tests.soak.exchange import Exchange
from tests.soak.pacing import pace
from tests.soak.people import DESK, KINDS, NIGHT, OFFICE, PEOPLE, SALES, Kind, number_of
from tests.soak.side import Side

SLICE_CALLS = 4 * len(KINDS)
"""Each kind twice through each door."""
SOAK_CALLS = int(os.environ.get("SOAK_CALLS", "2000"))
CHECKPOINTS = 4
AT_ONCE = 12
GONE_WITHIN_S = 120.0
"""How long a call takes at most, on a slow machine: it is ten times as long for those who have it."""
STILL_THERE = "still there"
WARM = 2
"""The checkpoint from which on nothing is loaded any more: half of all calls."""
GROWS_KB, GROWS_OBJECTS = 3.0, 1.0
"""How much the bridges' process may grow with each call then. SQLite's caches have 1 kB of it until they are full; the
objects are those of a few connections more that are kept open."""
TABLES: dict[str, Any] = {
    "lines": LINES,
    "limits": {"max_call_s": 120},
    "agents": {
        "reception": {
            "greeting_message": "Hello there.",
            "instructions": "The caller is {from}.",
            "silence": {"prompt_after_s": 6, "prompts": 0},
            "tools": ["transfer_call", "end_call", "lookup", "dawdle"],
        }
    },
    "functions": {
        name: {"python": f"tests.soak.functions:{name}", "description": name, "timeout_s": 10}
        for name in ("lookup", "dawdle")
    },
    "destinations": {
        "sales": {"to": SALES, "announce": "One moment.", "timeout_s": 5},
        "office": {"to": OFFICE, "kind": "warm", "announce": "One moment.", "timeout_s": 5},
        "desk": {"to": DESK, "announce": "One moment.", "timeout_s": 5},
        "night": {"to": NIGHT, "announce": "One moment.", "timeout_s": 20},
    },
}
Endings = Counter[tuple[str, str]]
"""How many calls of each kind ended how."""


class Count(NamedTuple):
    """What there was after so many calls: in the bridges' process, and in that of those who play carrier and model."""

    calls: int
    bridges: Census
    others: Census

    def __str__(self) -> str:
        """For a person."""
        return f"{self.calls} calls; bridges: {self.bridges}; carrier and model: {self.others}"


async def soak(folder: Path, calls: int, checkpoints: int) -> tuple[list[Count], Endings]:
    """Make so many calls, half of them through each door: the count at each checkpoint, and how the calls ended."""
    counts: list[Count] = []
    endings: Endings = Counter()
    async with Exchange(folder, TABLES, PEOPLE) as exchange:
        pacing = asyncio.create_task(pace(exchange.clock))
        for checkpoint in range(checkpoints):
            first, end = (calls * number // checkpoints for number in (checkpoint, checkpoint + 1))
            numbers = iter(range(first, end))
            await asyncio.gather(*(_make_calls(exchange.sides, numbers, endings) for _ in range(AT_ONCE)))
            await exchange.calm_down()
            counts.append(Count(end, await exchange.count(), take()))
            print(counts[-1], file=sys.stderr, flush=True)  # noqa: T201 - it goes on for minutes
        pacing.cancel()
    return counts, endings


async def _make_calls(sides: list[Side], numbers: Iterator[int], endings: Endings) -> None:
    """One call after the other, beside those of others."""
    for number in numbers:
        kind = KINDS[number % len(KINDS)]
        endings[kind.name, await _make_call(sides[number // len(KINDS) % len(sides)], kind, number)] += 1


async def _make_call(side: Side, kind: Kind, number: int) -> str:
    """Its ending, when the bridge has let go of it."""
    call = await side.dial(number_of(number), partial(_act, kind, side))
    try:
        async with asyncio.timeout(GONE_WITHIN_S):
            await call.ended()
            while (ending := await side.ending_of(call)) is None:
                await side.clock.sleep(0.5)
    except TimeoutError:
        call.hang_up()
        return STILL_THERE
    return ending


async def _act(kind: Kind, side: Side, call: Call) -> None:
    await kind.script(side, call)
    call.hang_up()


def check(counts: list[Count], endings: Endings) -> None:
    """Every call ended, most of a kind as that kind does; nothing of them is there, and no more of anything else."""
    usual = {kind: ending for (kind, ending), _ in reversed(endings.most_common())}
    assert {kind.name: kind.ending for kind in KINDS} == usual
    assert [] == [kind for kind, ending in endings if ending == STILL_THERE]
    assert [0] * len(counts) == [count.bridges.live for count in counts]
    for before, after in pairwise(counts):
        calls = after.calls - before.calls
        assert {} == more_work(before.bridges, after.bridges)
        assert {} == more_objects(before.bridges, after.bridges, calls=calls, kinds=len(KINDS))
        assert {} == more_objects(before.others, after.others, calls=calls, kinds=len(KINDS))


@pytest.mark.timeout(600)
async def test_nothing_is_left_of_some_sixty_calls(tmp_path: Path) -> None:
    """A slice of the soak: each kind twice through each door, first to have everything loaded."""
    check(*await soak(tmp_path, SLICE_CALLS, 2))


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_nothing_is_left_of_two_thousand_calls(tmp_path: Path) -> None:
    """Nor does the bridges' memory grow, once what they keep is full."""
    counts, endings = await soak(tmp_path, SOAK_CALLS, CHECKPOINTS)

    check(counts, endings)
    warm, last = counts[WARM - 1], counts[-1]
    calls = last.calls - warm.calls
    assert (last.bridges.all_objects - warm.bridges.all_objects) / calls < GROWS_OBJECTS
    assert (last.bridges.resident_kb - warm.bridges.resident_kb) / calls < GROWS_KB
