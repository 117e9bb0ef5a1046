"""Thousands of calls in which anything goes wrong at any time: what is promised for every call holds in each of them.

A seed that fails again and again is a defect; its tape is in `build/chaos`. See `docs/testing.md`.
"""

from __future__ import annotations

import os

import pytest

from tests.chaos.run import judge, played

CALLS = int(os.environ.get("CHAOS_CALLS", "5000"))
SOAK_CALLS = int(os.environ.get("CHAOS_SOAK_CALLS", "50000"))
BATCH = 250


@pytest.mark.parametrize("first", range(0, CALLS, BATCH))
def test_calls_keep_every_promise_whatever_goes_wrong(first: int) -> None:
    """Messages are lost, late, doubled, disordered and damaged, sockets break, functions dawdle, callers go."""
    for seed in range(first, min(first + BATCH, CALLS)):
        judge(seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_more_calls_keep_every_promise() -> None:
    """As many as there are minutes for."""
    for seed in range(CALLS, CALLS + SOAK_CALLS):
        judge(seed)


def test_seed_gives_the_same_call_each_time() -> None:
    """What a seed found can be looked at: nothing but the seed decides, and ids that nobody reads."""
    once, again = played(681), played(681)

    assert once.judge.endings == again.judge.endings
    assert [leg for leg, _ in once.judge.entries] == [leg for leg, _ in again.judge.entries]
    assert once.judge.facts == again.judge.facts


def test_calls_see_something_of_life() -> None:
    """Chaos that ends every call at once would prove nothing: most of what can happen does, in a few hundred calls."""
    worlds = [played(seed) for seed in range(300)]
    endings = {ending for world in worlds for ending in world.judge.endings}
    facts = {fact for world in worlds for fact in world.judge.facts}

    assert {
        "bot_hung_up",
        "caller_hung_up",
        "caller_lost",
        "drained",
        "model_failed",
        "no_input",
        "not_claimed",
    } <= endings
    assert {"operator_hung_up", "time_limit", "transferred"} <= endings
    assert {"act.undone", "bargein.performed", "call.returned", "function.answered", "keys.collected"} <= facts
    assert {"playout.marks_lost", "response.overlapped", "secret.collected", "agent.changed"} <= facts
