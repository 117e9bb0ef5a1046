"""What processes agree on by a register: the same whether it is a parent's or in Redis."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from bridge.edge.shared import NOBODY, GoneError, Shared, Verdict
from tests.integration.shared.conftest import MAX_CALLS, PER_MINUTE, Join

ONE, TWO = "CA" + "1" * 32, "CA" + "2" * 32


async def settled(shared: Shared) -> None:
    """What was told before is known when a question after it is answered."""
    await asyncio.sleep(0)
    for _ in range(20):
        await shared.owner("nobody")


async def test_two_processes_that_claim_a_call_agree_on_its_owner(join: Join) -> None:
    """A webhook that is asked twice at once, on two of them, begins one call."""
    a, b = await join("a"), await join("b")
    owners = await asyncio.gather(*(each.claim(ONE) for each in (a, b, a, b)))

    assert 1 == len(set(owners))
    assert owners[0] == await b.owner(ONE)
    assert NOBODY == await a.owner(TWO)


async def test_places_are_exact_over_three_processes_under_200_calls_at_once(join: Join) -> None:
    """Nobody is turned away while there is a place, and nobody is let in without one."""
    processes = [await join(name) for name in "abc"]
    verdicts = await asyncio.gather(
        *(processes[number % 3].admit(f"CA{number:032}", f"+1555010{number:04}") for number in range(200))
    )

    assert {Verdict.ADMITTED: MAX_CALLS, Verdict.FULL: 200 - MAX_CALLS} == Counter(verdicts)


async def test_one_caller_is_counted_over_all_processes(join: Join) -> None:
    """Who calls too often is turned away wherever the calls arrive; a call the bridge places has no caller."""
    a, b = await join("a"), await join("b")
    verdicts = [
        await each.admit(f"CA{number}", "+15550100001") for number, each in enumerate((a, b, a, b)[: PER_MINUTE + 1])
    ]

    assert [Verdict.ADMITTED] * PER_MINUTE + [Verdict.TOO_OFTEN] == verdicts
    assert Verdict.ADMITTED == await b.admit("ours", "")


async def test_place_is_free_again_for_everybody_when_its_call_is_over_or_parked(join: Join) -> None:
    """A parked call has its place again when it comes back, though there is none left."""
    a, b = await join("a"), await join("b")
    for number in range(MAX_CALLS):
        await a.admit(f"CA{number}", "")

    assert Verdict.FULL == await b.admit(ONE, "")
    a.leave("CA0")
    a.park("CA1")
    await settled(a)
    assert Verdict.ADMITTED == await b.admit(ONE, "")
    assert Verdict.ADMITTED == await b.admit(TWO, "")
    a.take("CA1")
    b.leave(ONE)
    await settled(a)
    await settled(b)
    assert Verdict.FULL == await b.admit("CA9", "")


async def test_owner_of_a_call_that_is_over_is_still_known(join: Join) -> None:
    """The carrier asks for the order when the stream, and perhaps the call, is over."""
    a, b = await join("a"), await join("b")
    await a.claim(ONE)
    await a.admit(ONE, "")
    a.leave(ONE)
    await settled(a)

    assert "a" == await b.owner(ONE)


async def test_call_that_has_moved_is_not_freed_by_its_former_owner(join: Join) -> None:
    """The one who hands it over may say so later than the other one takes it."""
    a, b = await join("a"), await join("b")
    for number in range(MAX_CALLS):
        await a.admit(f"CA{number}", "")
    b.take("CA0")
    await settled(b)
    a.leave("CA0")
    await settled(a)

    assert "b" == await a.owner("CA0")
    assert Verdict.FULL == await a.admit(ONE, "")


async def test_question_is_answered_by_the_one_who_was_asked(join: Join) -> None:
    """Also when many are asked at once, whichever is answered first."""
    a, b = await join("a"), await join("b")

    async def answer(question: bytes) -> bytes:
        await asyncio.sleep(0)
        return b"b:" + question

    b.serve(answer)
    answers = await asyncio.gather(*(a.ask("b", str(number).encode()) for number in range(100)))

    assert [f"b:{number}".encode() for number in range(100)] == answers


async def test_who_asks_somebody_who_is_gone_or_fails_is_told_so(join: Join) -> None:
    """In time, and as the same error."""
    a, b = await join("a"), await join("b")

    async def fail(question: bytes) -> bytes:
        raise ValueError(question)

    b.serve(fail)
    with pytest.raises(GoneError):
        await a.ask("b", b"?")
    with pytest.raises(GoneError):
        await a.ask("elsewhere", b"?")


async def test_everybody_else_is_asked_and_those_who_fail_are_left_out(join: Join) -> None:
    """For the calls, or the numbers, of all."""
    processes = [await join(name) for name in "abc"]

    async def answer(question: bytes) -> bytes:
        return b"fine" + question

    async def fail(question: bytes) -> bytes:
        raise ValueError(question)

    for process, what in zip(processes, (answer, answer, fail), strict=True):
        process.serve(what)

    assert [b"fine!"] == await processes[0].ask_others(b"!")
