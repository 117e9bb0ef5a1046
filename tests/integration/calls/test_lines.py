"""What a line does with a call before anybody answers: blocked callers, opening hours, the agent of the number."""

from __future__ import annotations

from tests.support import LINE, Start


async def test_a_blocked_caller_is_rejected(rehearsal: Start) -> None:
    """Nobody answers, nobody pays, and no session is opened."""
    run = await rehearsal(lines={"default": {"agent": "reception", "block": ["+15550100001"]}})
    call = await run.dial()
    await call.ended()

    assert call.answered_s is None
    assert [] == run.seen.events()
    assert () == run.model.sessions
    assert {"blocked": 1} == run.refusals


async def test_a_caller_outside_the_hours_hears_the_fallback(rehearsal: Start) -> None:
    """The fallback's sentence is spoken by the carrier, and no session is opened."""
    closed = {"agent": "reception", "hours": "off UTC"}
    run = await rehearsal(lines={"default": closed}, fallback={"say": "We are closed."})
    call = await run.dial()
    await call.ended()

    assert ["We are closed."] == call.told
    assert () == run.model.sessions


async def test_a_line_has_an_agent_of_its_own(rehearsal: Start) -> None:
    """The number that is dialled decides who answers."""
    run = await rehearsal(lines={LINE: {"agent": "reception"}, "default": {"agent": "reception", "block": ["+1*"]}})
    call = await run.dial()
    await call.until(lambda: bool(run.model.sessions))
    call.hang_up()
    await call.ended()

    (answered,) = run.seen.of("call.answered")
    assert ("reception", "inbound") == (answered["agent"], answered["direction"])
