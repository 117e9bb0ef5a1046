"""What a line does with a call before anybody answers: blocked callers, opening hours, the agent of the number."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.rehearsal.carrier import Callee
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


@pytest.mark.parametrize(
    ("situation", "tables"),
    [
        ("closed", {"lines": {"default": {"agent": "reception", "hours": "off UTC"}}}),
        ("full", {"limits": {"calls_per_minute_per_caller": 1}}),
        ("blocked", {"lines": {"default": {"agent": "reception", "block": ["+15550100001"]}}}),
    ],
)
async def test_a_caller_who_is_turned_away_hears_the_operator_s_own_document(
    rehearsal: Start, tmp_path: Path, situation: str, tables: dict[str, object]
) -> None:
    """It speaks, and hands over to a destination by its name."""
    template = tmp_path / "own.xml"
    template.write_text('<Response><Say>This way.</Say><Dial destination="sales"/></Response>')
    people = {"+15557654321": Callee()}
    sales = {"destinations": {"sales": {"to": "+15557654321"}}}
    run = await rehearsal([], people=people, twiml={situation: template}, **sales, **tables)
    if situation == "full":
        first = await run.dial()
        await first.until(lambda: "call.answered" in run.seen.events())
        first.hang_up()
        await first.ended()

    call = await run.dial()
    await call.until(lambda: any(leg.to == "+15557654321" and leg.answered_s for leg in run.carrier.calls))
    call.hang_up()
    await call.ended()

    assert ["This way."] == call.told
    assert [] == run.carrier.faults
