"""What is announced is heard in full before it is done, unless the caller goes on speaking."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from bridge.call.actions import CloseStream
from bridge.call.controls import ModelLost, Transfer
from bridge.call.speaking import OVERDUE_S, STANDS_STILL_S
from bridge.settings import Destination
from bridge.wire.commands import CreateItem, CreateResponse
from tests.unit.call.rig import (
    SILENCE_FRAME,
    Bench,
    FunctionCall,
    Reply,
    Rig,
    Speech,
    facts,
    key_message,
    make_plan,
    media_message,
    of,
    sound,
)

HELLO: dict[str, Any] = {"greeting_message": 'Hello, this is "Acme".'}
CONFIRMED: dict[str, Any] = {"barge_in": {"mode": "confirmed"}}


def asked_for(actions: list[Any]) -> list[str]:
    """The instructions of the responses that were asked for."""
    return [action.response.get("instructions", "") for action in of(CreateResponse, actions)]


def goodbye(duration_ms: int = 4000) -> Rig:
    """A call whose model says goodbye and ends it; the goodbye is being heard."""
    rig = Rig()
    rig.begin()
    rig.server.replies.append(Reply((Speech(duration_ms), FunctionCall("end_call", "{}", "call_end"))))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(300)
    return rig


def test_caller_says_okay_bye_over_the_goodbye() -> None:
    """A short word stops nothing, whatever the agent's mode."""
    rig = goodbye()
    rig.phone.speak(400)

    rig.run_until(lambda: rig.endings)

    assert (["bot_hung_up"], 0, 1) == (rig.endings, rig.ear.clears, len(rig.server.responses))
    assert 4000 == rig.ear.heard_bytes() // 8


def test_caller_says_bye_while_the_goodbye_is_being_made() -> None:
    """Neither before nor during it does a short word stop it."""
    rig = Rig()
    rig.begin()
    rig.server.replies += [Reply((FunctionCall("end_call", "{}", "call_end"),)), Reply((Speech(2000),), after_ms=1500)]
    rig.phone.speak(1000)
    rig.run_until(lambda: of(CreateResponse, rig.log))
    rig.run(200)
    rig.phone.speak(300)

    rig.run_until(lambda: rig.endings)

    assert (["bot_hung_up"], 0) == (rig.endings, rig.ear.clears)
    assert 2000 == rig.ear.heard_bytes() // 8
    assert 2 == len(rig.server.responses)


def test_caller_goes_on_speaking_over_the_goodbye() -> None:
    """The bot is cut, the call does not end, the model is told and answers the turn once."""
    rig = goodbye()
    rig.phone.speak(2000)

    rig.run(6000)

    assert ([], 1) == (rig.endings, rig.ear.clears)
    ((call_id, output),) = rig.server.outputs
    assert "call_end" == call_id
    assert "has not ended" in json.loads(output)["error"]
    assert 2 == len(rig.server.responses)
    assert [] == rig.server.refused
    rig.phone.speak(1000)
    rig.run(4000)
    assert rig.server.responses[-1].by_server


def test_caller_goes_on_speaking_over_the_goodbye_for_no_input() -> None:
    """The model did not ask for it, and is told all the same that the call goes on."""
    rig = Rig(make_plan(silence={"prompt_after_s": 2, "prompts": 0}))
    rig.begin()
    rig.server.replies.append(Reply((Speech(6000),)))
    rig.run_until(rig.ear.heard_bytes)
    rig.phone.speak(2000)

    rig.run(5000)

    assert ([], 1) == (rig.endings, rig.ear.clears)
    (told,) = of(CreateItem, rig.log)
    assert "has not ended" in told.item["content"][0]["text"]
    assert 2 == len(rig.server.responses)


def test_caller_speaks_over_a_protected_greeting_that_is_followed_by_an_end() -> None:
    """Nothing is undone while nothing may be cut."""
    rig = Rig(make_plan(max_call_s=1, **HELLO))
    rig.server.replies += [Reply((Speech(6000),)), Reply((Speech(2000),))]
    rig.begin()
    rig.run_until(rig.ear.heard_bytes)
    rig.run(1500)
    rig.phone.speak(2000)

    rig.run(4000)
    assert ([], 0) == (facts("act.undone", rig.log), rig.ear.clears)
    rig.run_until(lambda: rig.endings)

    assert ["time_limit"] == rig.endings
    assert 8000 == rig.ear.heard_bytes() // 8


def test_announcement_that_was_undone_is_not_said_after_all() -> None:
    """Its create may be refused after the caller has spoken: it is nobody's wish any more."""
    bench = Bench(make_plan(**CONFIRMED))
    bench.up()
    (ask,) = of(CreateResponse, bench.turn())
    bench.respond("resp_1", ask)
    item = {"id": "i", "type": "function_call", "call_id": "c", "name": "end_call", "arguments": "{}"}
    bench.model("response.output_item.done", response_id="resp_1", item=item)
    (goodbye_,) = of(CreateResponse, bench.done("resp_1"))
    bench.caller(key_message("1"))
    code = "conversation_already_has_active_response"
    bench.model("error", error={"code": code, "event_id": goodbye_.event_id})

    actions = bench.caller(key_message("#")) + bench.wait(3)

    assert [""] == asked_for(actions)


def test_what_was_made_of_an_announcement_is_heard_before_the_call_leaves_without_a_model() -> None:
    """The session is lost for good in the middle of it: the sound that is there is played, and then it is done."""
    places = {"sales": Destination(name="sales", to="+15557654321", announce="One moment.")}
    bench = Bench(msgspec.structs.replace(make_plan(), destinations=places))
    bench.up()
    (asked,) = of(CreateResponse, bench.control(Transfer("sales")))
    bench.respond("resp_1", asked)
    said = bench.speak("resp_1", "item_1", sound("announcement", 2000))
    bench.listen(500)

    bench.control(ModelLost("unauthorized", "401"))
    bench.listen(1400)
    assert [] == of(CloseStream, bench.log)

    assert ["transfer"] == [action.order.kind for action in of(CloseStream, bench.marks(said))]


def test_sound_is_not_waited_for_although_the_streams_clock_stands_still(bench: Bench) -> None:
    """Its mark is lost, too: by our own clock it was over long ago."""
    bench.up()
    bench.frame()
    bench.respond("resp_1")
    bench.speak("resp_1", "item_1", sound("answer", 1000))
    bench.done("resp_1")

    for _ in range(20):
        bench.wait((1 + STANDS_STILL_S + 2 * OVERDUE_S) / 20)
        bench.caller(media_message(SILENCE_FRAME, 0))

    assert [{"marks": 1}] == facts("playout.marks_lost", bench.log)
