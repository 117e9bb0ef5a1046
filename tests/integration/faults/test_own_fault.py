"""The bridge's own code fails in the middle of a call: that call ends with the fallback, and no other is harmed."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest

from bridge.call.machine import Call as Core
from bridge.call.plan import CallInfo
from bridge.edge import driver as driving
from bridge.errors import LocalProtocolError
from bridge.rehearsal.carrier import Call
from bridge.rehearsal.conversation import Reply
from tests.shop import asks, greeted
from tests.support import Rehearsal, Start

HELLO = Reply(speech="Hello there.")
NINE = Reply(speech="We open at nine.")
SORRY = "Sorry, our assistant is unavailable."
UNLUCKY = "+15550100009"
NO_TAPE = {"record": False}
"""A tape of a call whose code failed would be replayed by code that does not."""
Break = Callable[[str], None]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Lets one of the core's methods fail, for the calls of one caller, once they are under way."""

    def let_fail(name: str) -> None:
        works = getattr(Core, name)

        def fails(self: Core, *args: Any, **keys: Any) -> object:  # noqa: ANN401 - as they come
            info: CallInfo = self.plan.info
            if info.from_number == UNLUCKY and self.is_up and self.memory.has_bot_spoken:
                raise LocalProtocolError("the caller said: my number is 4711")
            return works(self, *args, **keys)

        monkeypatch.setattr(Core, name, fails)

    return let_fail


async def two_calls(run: Rehearsal) -> tuple[Call, Call]:
    """A caller whose call fails, and one who asks in the meantime; both to their end."""
    unlucky = await run.dial(greeted, from_=UNLUCKY)
    lucky = await run.dial(asks)
    await unlucky.ended()
    await lucky.until(lambda: NINE.speech in run.seen.bot_words())
    assert not lucky.is_over
    lucky.hang_up()
    await lucky.ended()
    await run.carrier.settled()
    return unlucky, lucky


@pytest.mark.parametrize("name", ["receive_caller", "receive_model", "handle_timer", "pass_on", "actions"])
async def test_a_call_whose_code_fails_ends_with_the_fallback_and_the_others_go_on(
    rehearsal: Start, broken: Break, log: StringIO, name: str
) -> None:
    """Whichever way it came in; the log says where it was, and nothing of what was said."""
    broken(name)
    run = await rehearsal([HELLO, HELLO, NINE], heard=["opening hours"], tape=NO_TAPE, fallback={"say": SORRY})
    unlucky, lucky = await two_calls(run)

    assert [SORRY] == unlucky.told
    assert [] == lucky.told
    assert ["bridge_failed", "caller_hung_up"] == run.seen.endings()
    (line,) = (json.loads(text) for text in log.getvalue().splitlines() if '"call.crashed"' in text)
    assert ("LocalProtocolError", unlucky.sid) == (line["error"], line["call_sid"])
    assert line["place"].startswith("bridge/edge/driver.py:")
    assert "4711" not in log.getvalue()
    assert run.is_empty()


async def test_a_call_that_has_passed_every_limit_is_ended(rehearsal: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog stands above whatever the call itself believes to be waiting for."""
    monkeypatch.setattr(driving, "longest_s", lambda _: 20.0)
    run = await rehearsal([HELLO], tape=NO_TAPE, fallback={"say": SORRY}, agent={"silence": {"prompt_after_s": 60}})
    call = await run.dial()
    await call.ended()
    await run.carrier.settled()

    assert [SORRY] == call.told
    assert ["bridge_failed"] == run.seen.endings()
    assert 18 <= call.duration_s <= 24
    assert run.is_empty()
