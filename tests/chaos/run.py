"""Plays calls by their seeds. A seed that breaks a promise leaves a tape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tests.chaos import tapes
from tests.chaos.virtual import VirtualLoop
from tests.chaos.world import World

WorldT = TypeVar("WorldT", bound=World)
REPLAYED = 10
"""Of so many calls one is replayed from its tape, and must do the same."""


def played(seed: int) -> World:
    """A call that has been played, in a loop of its own: the same whatever was played before."""
    return in_virtual_time(lambda loop: World(loop, seed))


def in_virtual_time(make: Callable[[VirtualLoop], WorldT]) -> WorldT:
    """A world that has been played in a loop of its own."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_played(loop, make))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _played(loop: VirtualLoop, make: Callable[[VirtualLoop], WorldT]) -> WorldT:
    world = make(loop)
    await world.play()
    return world


def judge(seed: int) -> World:
    """Play a call, and see that no promise was broken and that its tape replays."""
    world = played(seed)
    broken = world.broken
    if seed % REPLAYED == 0 and not broken:
        broken += [f"its tape replays otherwise: {found}" for found in tapes.replayed(world).differences[:3]]
    if broken:
        path = tapes.write(world)
        raise AssertionError("\n".join([f"seed {seed}, on tape as {path}:", *broken[:10]]))
    return world
