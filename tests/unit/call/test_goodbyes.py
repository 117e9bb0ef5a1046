"""Endings that are announced: by the model, by the time limit, and because nobody speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.wire.commands import CreateResponse
from tests.unit.call.rig import (
    FunctionCall,
    Reply,
    Rig,
    Speech,
    facts,
    make_plan,
    of,
)

if TYPE_CHECKING:
    pass


def test_call_reaches_its_time_limit() -> None:
    """The caller is told, and the call ends when that was heard."""
    rig = Rig(make_plan(max_call_s=20, greeting_message="Hello."))
    rig.begin()
    rig.phone.speak(1500, after_ms=10_000)

    rig.run_until(lambda: rig.endings)

    assert ["time_limit"] == rig.endings
    assert "hang_up" == rig.order
    assert 20 < rig.now < 23
    assert "time limit" in of(CreateResponse, rig.log)[-1].response["instructions"]


def test_caller_talks_over_the_time_limit() -> None:
    """The limit holds even for those who do not let the bot say so."""
    rig = Rig(make_plan(max_call_s=20))
    rig.begin()
    rig.server.default = Reply((Speech(5_000),))
    for second in range(0, 300, 3):
        rig.phone.speak(2400, after_ms=second * 1000)

    rig.run_until(lambda: rig.endings, within_ms=120_000)

    assert ["time_limit"] == rig.endings


def test_nobody_speaks() -> None:
    """The bot asks twice, says goodbye and ends the call."""
    rig = Rig(make_plan(silence={"prompt_after_s": 10, "prompts": 2}))
    rig.begin()

    rig.run_until(lambda: rig.endings, within_ms=60_000)

    assert ["no_input"] == rig.endings
    assert 2 == len(facts("caller.prompted", rig.log))
    assert 3 == len(of(CreateResponse, rig.log))
    assert 33 < rig.now < 36


def test_nobody_speaks_and_no_prompts_are_wanted() -> None:
    """The first silence is the last."""
    rig = Rig(make_plan(silence={"prompt_after_s": 5, "prompts": 0}))
    rig.begin()

    rig.run_until(lambda: rig.endings)

    assert ["no_input"] == rig.endings
    assert 1 == len(of(CreateResponse, rig.log))


def test_caller_breaks_the_silence_after_a_prompt() -> None:
    """The count of prompts begins anew."""
    rig = Rig(make_plan(silence={"prompt_after_s": 5, "prompts": 1}))
    rig.begin()
    rig.run_until(lambda: facts("caller.prompted", rig.log))
    rig.run(2000)
    rig.phone.speak(1000)

    rig.run_until(lambda: len(facts("caller.prompted", rig.log)) == 2)

    assert [] == rig.endings


def test_model_hangs_up_after_its_goodbye() -> None:
    """The goodbye that it spoke in the same response is heard in full."""
    rig = Rig()
    rig.begin()
    rig.server.replies.append(Reply((Speech(3000), FunctionCall("end_call", '{"reason": "done"}'))))
    rig.phone.speak(1000)

    rig.run_until(lambda: rig.endings)

    assert ["bot_hung_up"] == rig.endings
    assert 3000 == rig.ear.heard_bytes() // 8
    assert [] == of(CreateResponse, rig.log)
    assert [] == rig.server.outputs


def test_model_hangs_up_without_a_goodbye() -> None:
    """It is asked to say one, which is heard in full."""
    rig = Rig()
    rig.begin()
    rig.server.replies += [Reply((FunctionCall("end_call"),)), Reply((Speech(2000),))]
    rig.phone.speak(1000)

    rig.run_until(lambda: rig.endings)

    assert ["bot_hung_up"] == rig.endings
    assert 2000 == rig.ear.heard_bytes() // 8
    assert 1 == len(of(CreateResponse, rig.log))


def test_goodbye_never_comes() -> None:
    """The call ends all the same."""
    rig = Rig()
    rig.begin()
    rig.server.replies += [Reply((FunctionCall("end_call"),)), Reply((Speech(1000),), after_ms=100_000)]
    rig.phone.speak(1000)

    rig.run_until(lambda: rig.endings, within_ms=60_000)

    assert 1 == len(rig.endings)


def test_marks_of_the_goodbye_are_lost() -> None:
    """The end is not waited for beyond the goodbye's own length and a margin."""
    rig = Rig()
    rig.begin()
    rig.ear.loses_mark = lambda: True
    rig.server.replies.append(Reply((Speech(3000), FunctionCall("end_call"))))
    rig.phone.speak(1000)

    rig.run_until(lambda: rig.endings, within_ms=9_000)

    assert ["bot_hung_up"] == rig.endings
    assert 3000 == rig.ear.heard_bytes() // 8
