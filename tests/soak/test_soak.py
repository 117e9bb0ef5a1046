"""Calls by the hundred, one after the other and several at once, on every path: nothing is left."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge.clock import Clock
from bridge.rehearsal.carrier import Call
from tests.client import ADMIN, LINES
from tests.soak.census import Census, leaks, take
from tests.soak.people import DESK, KINDS, NIGHT, OFFICE, PEOPLE, SALES, Deaf, Script, SoakMind, number_of
from tests.support import Rehearsal, start

SLICE_CALLS = 4 * len(KINDS)
"""Each kind twice through each door."""
SOAK_CALLS = int(os.environ.get("SOAK_CALLS", "2000"))
CHECKPOINTS = 4
AT_ONCE = 6
GONE_WITHIN_S = 60.0
STEP_S, LATE_S = 0.005, 0.01
TABLES: dict[str, Any] = {
    "server": {"admin_token": ADMIN},
    "lines": LINES,
    "limits": {"max_call_s": 120},
    "agent": {
        "instructions": "The caller is {from}.",
        "silence": {"prompt_after_s": 6, "prompts": 0},
        "tools": ["transfer_call", "end_call", "lookup", "dawdle"],
    },
    "functions": {
        name: {"python": f"tests.soak.people:{name}", "description": name, "timeout_s": 10}
        for name in ("lookup", "dawdle")
    },
    "destinations": {
        "sales": {"to": SALES, "announce": "One moment.", "timeout_s": 5},
        "office": {"to": OFFICE, "kind": "warm", "announce": "One moment.", "timeout_s": 5},
        "desk": {"to": DESK, "announce": "One moment.", "timeout_s": 5},
        "night": {"to": NIGHT, "announce": "One moment.", "timeout_s": 20},
    },
}


async def soak(folder: Path, calls: int, checkpoints: int) -> tuple[list[Census], Counter[tuple[str, str]]]:
    """Make so many calls, half of them through each door: the count at each checkpoint, and how which kinds ended."""
    counts: list[Census] = []
    endings: Counter[tuple[str, str]] = Counter()
    async with AsyncExitStack() as stack:
        runs = [await _start(stack, folder, door) for door in ("plain", "fast")]
        await runs[0].clock.sleep(5)  # until the servers serve
        pacing = asyncio.create_task(_pace([run.clock for run in runs]))
        stack.callback(pacing.cancel)
        idle = len(asyncio.all_tasks())
        for checkpoint in range(checkpoints):
            first, end = (calls * number // checkpoints for number in (checkpoint, checkpoint + 1))
            numbers = iter(range(first, end))
            await asyncio.gather(*(_make_calls(runs, numbers, endings) for _ in range(AT_ONCE)))
            await _settled(runs, idle)
            counts.append(take(end, runs))
            print(counts[-1].line(), file=sys.stderr, flush=True)  # noqa: T201 - it goes on for minutes
    return counts, endings


async def _pace(clocks: list[Clock]) -> None:
    """Let the calls' time stand still while this machine is behind: calls take longer then, and are the same."""
    is_late = False
    while True:
        with ExitStack() as holding:
            for clock in clocks if is_late else ():
                holding.enter_context(clock.held())
            due_at = time.monotonic() + STEP_S
            await asyncio.sleep(STEP_S)
            is_late = time.monotonic() > due_at + LATE_S


async def _start(stack: AsyncExitStack, folder: Path, door: str) -> Rehearsal:
    return await start(
        stack,
        door=door,
        mouth=Deaf(),
        thinks=SoakMind(),
        people=PEOPLE,
        storage={"url": f"sqlite:///{folder / door}.db"},
        tape={"record": True, "directory": folder / door, "audio": False},
        **TABLES,
    )


async def _make_calls(runs: list[Rehearsal], numbers: Iterator[int], endings: Counter[tuple[str, str]]) -> None:
    """One call after the other, beside those of others."""
    for number in numbers:
        run = runs[number // len(KINDS) % len(runs)]
        kind = KINDS[number % len(KINDS)]
        call = await run.dial(partial(_act, kind.script, run), from_=number_of(number))
        await call.ended()
        async with run.clock.timeout(GONE_WITHIN_S):
            while run.bridge.desk.calls.find(call.sid) is not None:
                await run.clock.sleep(0.1)
        view = run.bridge.recent.find(call.sid)
        endings[kind.name, str(view and view.ending)] += 1


async def _act(script: Script, run: Rehearsal, call: Call) -> None:
    await script(run, call)
    call.hang_up()


async def _settled(runs: list[Rehearsal], idle: int) -> None:
    """Wait until what is being closed is closed."""
    for run in runs:
        await run.carrier.settled()
    for _ in range(100):
        if len(asyncio.all_tasks()) <= idle:
            return
        await asyncio.sleep(0.1)


def usual(endings: Counter[tuple[str, str]]) -> dict[str, str]:
    """How most calls of each kind ended."""
    return {kind: ending for (kind, ending), _ in reversed(endings.most_common())}


@pytest.mark.timeout(600)
async def test_nothing_is_left_of_some_sixty_calls(tmp_path: Path) -> None:
    """A slice of the soak: each kind twice through each door, first to have everything loaded."""
    counts, endings = await soak(tmp_path, SLICE_CALLS, 2)

    assert {kind.name: kind.ending for kind in KINDS} == usual(endings)
    assert {} == leaks(*counts)
    assert [(0, 0)] * 2 == [(count.kept["places"], count.kept["transfers"]) for count in counts]


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_nothing_is_left_of_two_thousand_calls(tmp_path: Path) -> None:
    """No object, task, timer or descriptor more for calls that are over; resident memory is printed."""
    counts, endings = await soak(tmp_path, SOAK_CALLS, CHECKPOINTS)

    assert {kind.name: kind.ending for kind in KINDS} == usual(endings)
    assert [{}] * (CHECKPOINTS - 1) == [leaks(before, after) for before, after in pairwise(counts)]
    assert [(0, 0)] * CHECKPOINTS == [(count.kept["places"], count.kept["transfers"]) for count in counts]
