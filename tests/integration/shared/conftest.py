"""Several processes' view of one register, of each kind there is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bridge.edge.ledger import Ledger
from bridge.edge.shared import Shared
from bridge.edge.shared_parent import Parent, SharedByParent
from bridge.edge.shared_redis import SharedByRedis
from tests.redis_server import MISSING, PROGRAM, RedisServer

MAX_CALLS, PER_MINUTE = 5, 2
Join = Callable[[str], Awaitable[Shared]]
"""Gives a process of this name its view of the register."""


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What is to be let go of after the test."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=["parent", "redis"])
async def join(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Join:
    """The register: a parent's for its workers, or Redis."""
    if request.param == "parent":
        return parents_register(stack)
    if PROGRAM is not None:  # one of the test's own: what others do beside it would be in the same register
        url = request.getfixturevalue("redis_server").url
    else:
        url = request.getfixturevalue("redis_url")
        await _empty(url)
    return lambda address: stack.enter_async_context(in_redis(url, address))


def in_redis(url: str, address: str) -> SharedByRedis:
    """A process of this name, with its register in Redis."""
    return SharedByRedis(url, address, secret="a-secret", max_calls=MAX_CALLS, calls_per_minute_per_caller=PER_MINUTE)


def parents_register(stack: AsyncExitStack) -> Join:
    """A parent in this process, and its workers."""
    ledger = Ledger(max_calls=MAX_CALLS, calls_per_minute_per_caller=PER_MINUTE)
    parent = Parent(ledger, lambda *_: None)

    async def join(address: str) -> Shared:
        ours, theirs = socket.socketpair()
        serving = asyncio.create_task(parent.serve(address, *await asyncio.open_unix_connection(sock=ours)))
        shared = SharedByParent(address, *await asyncio.open_unix_connection(sock=theirs))
        running = asyncio.create_task(shared.run())

        async def leave() -> None:
            shared.close()
            await asyncio.gather(running, serving)

        stack.push_async_callback(leave)
        return shared

    return join


async def _empty(url: str) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415 - only where there is one

    async with Redis.from_url(url) as client:
        for key in await client.keys("{voicebridge}:*"):
            await client.delete(key)
