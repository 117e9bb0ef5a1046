"""Both peers say odd things: they are counted and survived."""

from __future__ import annotations

import pytest

from bridge.call.actions import RunFunction
from bridge.call.controls import FunctionResult
from bridge.wire.commands import AppendAudio, CreateItem, CreateResponse
from tests.unit.call.rig import (
    SILENCE_FRAME,
    Bench,
    facts,
    key_message,
    make_plan,
    mark_message,
    media_message,
    of,
    start_message,
)


def test_caller_leg_says_odd_things(bench: Bench) -> None:
    """They are counted, and the call goes on."""
    bench.caller({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    bench.caller(media_message(SILENCE_FRAME, 0))
    bench.caller(mark_message("0.1"))
    bench.caller(key_message("1"))
    bench.up()
    for text in ("", "{", "[]", "null", '{"event":"weather"}', '{"event":"media"}', '{"event":"media","media":5}'):
        bench.caller(text)
    bench.caller(start_message())

    assert 4 == len(facts("caller.message_unexpected", bench.log))
    assert 1 == len(facts("caller.message_unknown", bench.log))
    assert 6 == len(facts("caller.message_malformed", bench.log))
    assert 1 == len(facts("stream.started", bench.log))
    assert [AppendAudio(SILENCE_FRAME)] == bench.frame()


def test_model_says_odd_things(bench: Bench) -> None:
    """They are counted, and the call goes on."""
    bench.up()
    for text in ("", "{", "[]", "null", '{"type":"weather"}', '{"type":"response.done"}', '{"type":5}'):
        bench.model_text(text)
    bench.done("resp_unknown")
    bench.model("conversation.item.truncated", item_id="item_unknown", content_index=0, audio_end_ms=5)
    bench.model("response.output_item.done", response_id="resp_unknown", item={"type": "message", "id": "item_x"})
    bench.model("error", error={"message": "strange"})
    bench.model("input_audio_buffer.speech_stopped", item_id="item_x")
    bench.model("session.created", session={})

    assert 1 == len(facts("model.event_unknown", bench.log))
    assert 6 == len(facts("model.event_malformed", bench.log))
    assert [] == bench.endings
    assert 1 == len(of(AppendAudio, bench.frame()))


def test_function_arguments_are_nested_without_end() -> None:
    """They are answered with an error like any others that are no object."""
    bench = Bench(make_plan(functions=("lookup",)))
    bench.up()
    bench.turn()
    bench.respond("resp_1")
    item = {"id": "i", "type": "function_call", "call_id": "c", "name": "lookup", "arguments": "[" * 100_000}
    bench.model("response.output_item.done", response_id="resp_1", item=item)

    actions = bench.done("resp_1")

    (output,) = of(CreateItem, actions)
    assert "c" == output.item["call_id"]
    assert [] == of(RunFunction, bench.log)


@pytest.mark.parametrize("mode", ["instant", "confirmed"])
@pytest.mark.parametrize("payload", ["aaaaa", "€€€€", "////€"])
def test_sound_is_no_base64(mode: str, payload: str) -> None:
    """Whatever listens to it here, on either leg, the call goes on."""
    bench = Bench(make_plan(barge_in={"mode": mode}))
    bench.up()
    bench.turn()
    bench.respond("resp_1")
    bench.speak("resp_1", "item_1", payload)

    assert [AppendAudio(payload)] == of(AppendAudio, bench.frame(payload))
    assert AppendAudio(SILENCE_FRAME) == bench.frame()[-1]


def test_server_loses_the_end_of_a_turn(bench: Bench) -> None:
    """Neither `speech_stopped` nor `committed` comes: after 45 s the caller is answered all the same."""
    bench.up()
    bench.model("input_audio_buffer.speech_started", item_id="item_caller")

    before = [action for _ in range(40) for action in (*bench.wait(1), *bench.frame())]
    after = [action for _ in range(10) for action in (*bench.wait(1), *bench.frame())]

    assert [] == of(CreateResponse, before)
    assert 1 == len(facts("turn.end_missed", after))
    assert 1 == len(of(CreateResponse, after))
    assert [] == bench.endings


LOOKUP = {"id": "i", "type": "function_call", "status": "completed", "call_id": "c", "name": "lookup"}


def test_server_loses_the_beginning_and_the_end_of_a_response() -> None:
    """The model has the output of its function all the same, and answers."""
    bench = Bench(make_plan(functions=("lookup",)))
    bench.up()
    bench.model("response.output_item.done", response_id="resp_1", item=LOOKUP)
    bench.control(FunctionResult("c", '{"n": 1}'))

    actions = [action for _ in range(11) for action in (*bench.wait(1), *bench.frame())]

    assert ['{"n": 1}'] == [told.item["output"] for told in of(CreateItem, actions)]
    assert 1 == len(of(CreateResponse, actions))


def test_server_loses_the_end_of_a_response_after_another_has_begun() -> None:
    """What it still asks for is not done; that the model is told so does not wait for an end that nobody watches."""
    bench = Bench(make_plan(functions=("lookup",)))
    bench.up()
    bench.respond("resp_1")
    bench.respond("resp_2")
    bench.model("response.output_item.done", response_id="resp_1", item=LOOKUP)
    bench.done("resp_2")

    actions = [action for _ in range(11) for action in (*bench.wait(1), *bench.frame())]

    assert ["c"] == [told.item["call_id"] for told in of(CreateItem, actions)]
    assert [] == of(RunFunction, bench.log)
