"""Redis that is not there, goes away and comes back; and a bridge that does."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bridge.edge import shared_redis, shared_scripts
from bridge.edge.shared import KEPT_S, GoneError, SharedLostError, Verdict
from bridge.edge.shared_redis import SharedByRedis
from bridge.errors import BridgeError, ConfigurationError
from bridge.metrics import Metrics
from tests.integration.shared.conftest import MAX_CALLS, in_redis
from tests.redis_server import RedisServer
from tests.support import free_port

SCALING = Path(__file__).parents[3] / "docs" / "scaling.md"


@pytest.fixture(autouse=True)
def quick_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of these tests waits for the wall's clock."""
    monkeypatch.setattr(shared_redis, "BEAT_S", 0.05)
    monkeypatch.setattr(shared_scripts, "ALIVE_S", 0.5)


async def test_bridge_does_not_start_without_its_redis_and_says_where_it_looked() -> None:
    """One sentence with the way out, and no password in it."""
    port = free_port()
    with pytest.raises(BridgeError) as refused:
        await in_redis(f"redis://user:a-password@127.0.0.1:{port}/0", "a").__aenter__()

    assert f"cannot reach Redis at 127.0.0.1:{port} " in str(refused.value)
    assert "shared.url" in str(refused.value)
    assert "a-password" not in str(refused.value)


async def test_bridge_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(ConfigurationError, match=r"shared\.url: .*voicebridge\[redis\]"):
        in_redis("redis://127.0.0.1:1", "a")


async def until(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Ask until the answer is the one that is wanted."""
    async with asyncio.timeout(10):
        while await ask() != wanted:  # noqa: ASYNC110 - what Redis knows sets no event here
            await asyncio.sleep(0.01)


async def tell_all(register: SharedByRedis) -> None:
    """Have it tell all its calls, as after a loss, and wait for that."""
    register._must_tell_all = True  # noqa: SLF001 - only a loss makes it do so, at a moment of its own
    await register.ask_others(b"?")  # which begins with a heartbeat


async def test_bridge_that_redis_lets_nobody_listen_does_not_start_and_says_what_to_allow(
    redis_server: RedisServer,
) -> None:
    """An access list that forgets the channels is found at the start, not at the first question to another bridge."""
    async with Redis.from_url(redis_server.url) as client:
        await client.acl_setuser(
            "limited", enabled=True, passwords=["+a-password"], keys=["*"], channels=[], categories=["+@all"]
        )
    url = redis_server.url.replace("redis://", "redis://limited:a-password@")
    tasks = len(asyncio.all_tasks())
    with pytest.raises(BridgeError) as refused:
        await in_redis(url, "a").__aenter__()

    assert re.match(r"cannot listen to Redis at 127\.0\.0\.1:\d+ \(.*permission", str(refused.value))
    assert "SUBSCRIBE to {voicebridge}:to:*" in str(refused.value)
    assert tasks == len(asyncio.all_tasks())


async def test_user_of_the_docs_may_do_all_that_a_bridge_does(redis_server: RedisServer) -> None:
    """Its keys and its channels, and nothing that is dangerous for others in the same Redis."""
    (rules,) = re.findall(r"ACL SETUSER bridge on >PASSWORD (.*)", SCALING.read_text(encoding="utf-8"))
    keys, channels, *categories = rules.split()
    async with Redis.from_url(redis_server.url) as client:
        await client.acl_setuser(
            "bridge",
            enabled=True,
            passwords=["+a-password"],
            keys=[keys.removeprefix("~")],
            channels=[channels.removeprefix("&")],
            categories=categories,
        )
    url = redis_server.url.replace("redis://", "redis://bridge:a-password@")
    async with in_redis(url, "a") as a, in_redis(url, "b") as b:
        a.serve(answered)
        await a.admit("CA1", "+15550100001")
        await tell_all(a)

        assert "a" == await b.claim("CA1")
        assert b"answer" == await b.ask("a", b"?")
        assert [b"answer"] == await b.ask_others(b"?")


async def answered(_: bytes) -> bytes:
    """What a bridge says to another."""
    return b"answer"


async def test_what_changes_while_all_calls_are_told_is_right_afterwards(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended must not come back, nor what began be lost, though Redis hears of it before the list that is older."""
    async with in_redis(redis_server.url, "a") as a, Redis.from_url(redis_server.url, decode_responses=True) as redis:
        for name in ("CA1", "CA2"):
            await a.admit(name, "")

        async def state() -> object:
            """The names with a place, and whether the call that is over will be forgotten in time."""
            is_kept = await redis.pttl("{voicebridge}:owner:CA1") <= KEPT_S * 1000
            return await redis.smembers("{voicebridge}:places:a"), is_kept

        told = asyncio.Event()
        run = a._run  # noqa: SLF001 - which of two connections Redis reads first is a matter of luck otherwise

        async def overtaken(script: str, name: str, *more: str, tries: bool = False) -> object:
            if script is shared_scripts.BEAT and more[0] != "-1":
                a.leave("CA1")
                a.park("CA2")
                a.take("CA3")
                await until(state, ({"CA3"}, True))
                told.set()
            return await run(script, name, *more, tries=tries)

        monkeypatch.setattr(a, "_run", overtaken)
        await tell_all(a)
        await asyncio.wait_for(told.wait(), 10)
        await a.ask_others(b"?")  # a heartbeat that began later

        await until(state, ({"CA3"}, True))


async def test_call_that_another_bridge_has_taken_over_is_not_taken_back(redis_server: RedisServer) -> None:
    """Not even by one that tells all its calls before it has let go of it."""
    async with in_redis(redis_server.url, "a") as a, in_redis(redis_server.url, "b") as b:
        await a.admit("CA1", "")
        b.take("CA1")
        await until(lambda: a.owner("CA1"), "b")
        await tell_all(a)

        assert "b" == await b.owner("CA1")


def reachable(register: SharedByRedis) -> float:
    """What `/metrics` says of it."""
    metrics = Metrics()
    metrics.watch_shared(register)
    found = [family["samples"] for family in metrics.snapshot() if family["name"] == "voicebridge_shared_reachable"]
    return found[0][0][2]


async def test_redis_that_is_lost_holds_nobody_up_and_is_told_all_when_it_is_back(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Questions fail at once meanwhile; what began and what ended without it is right afterwards, on an empty Redis."""
    caplog.set_level(logging.INFO)
    async with in_redis(redis_server.url, "a") as a, in_redis(redis_server.url, "b") as b:
        for number in range(3):
            await a.admit(f"CA{number}", "")
        redis_server.stop()
        with pytest.raises(SharedLostError):
            await b.admit("CA9", "")
        with pytest.raises(GoneError):
            await b.ask("a", b"?")
        lost = reachable(b)
        a.leave("CA0")
        a.take("CA3")
        redis_server.start()
        async with asyncio.timeout(10):
            while b.is_lost or "a" != await b.owner("CA1"):  # noqa: ASYNC110 - what Redis knows sets no event here
                await asyncio.sleep(0.05)
        verdicts = [await b.admit(f"CA1{number}", "") for number in range(3)]

    assert [Verdict.ADMITTED] * (MAX_CALLS - 3) + [Verdict.FULL] == verdicts
    events = [record.getMessage() for record in caplog.records]
    assert "shared.lost" in events
    assert (0, 1) == (lost, reachable(b))
    assert "shared.regained" in events


async def test_places_of_a_bridge_that_died_are_free_when_its_heartbeat_is_missed(redis_server: RedisServer) -> None:
    """Its calls are known as those of somebody who is gone."""
    async with AsyncExitStack() as dying, in_redis(redis_server.url, "b") as b:
        a = await dying.enter_async_context(in_redis(redis_server.url, "a"))
        for number in range(MAX_CALLS):
            await a.admit(f"CA{number}", "")
        full = await b.admit("CA9", "")
        for task in a._tasks:  # noqa: SLF001 - a process that is killed lets go of nothing
            task.cancel()
        async with asyncio.timeout(10):
            while (verdict := await b.admit("CA9", "")) is Verdict.FULL:  # noqa: ASYNC110 - it is Redis that forgets
                await asyncio.sleep(0.05)

        assert (Verdict.FULL, Verdict.ADMITTED) == (full, verdict)
        assert "a" == await b.owner("CA0")
        assert "b" == await b.claim("CA0")


async def test_bridge_that_leaves_takes_its_places_along(redis_server: RedisServer) -> None:
    """At once, without waiting for a heartbeat that is missed."""
    async with in_redis(redis_server.url, "b") as b:
        async with in_redis(redis_server.url, "a") as a:
            for number in range(MAX_CALLS):
                await a.admit(f"CA{number}", "")

        assert Verdict.ADMITTED == await b.admit("CA9", "")
