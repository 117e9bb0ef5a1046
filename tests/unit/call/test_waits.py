"""How long callers wait, and what of it is told: heard, not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.call.actions import Happened, RunFunction
from bridge.call.controls import FunctionResult
from bridge.call.plan import Plan
from bridge.replay.script import Script
from bridge.settings import Agent

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK_DELAY_S = 0.1
SILENCE_MS, PADDING_MS = 500, 300
"""As an agent has them by default: what the model counts to a turn's end and beginning."""


def begin(**agent: object) -> Script:
    """A call that is up; what was sent is heard after a tenth of a second, and so is its mark."""
    settings = Agent.model_validate({"name": "reception", "silence": {"prompt_after_s": 60}, **agent})
    plan = Plan("CA" + "0" * 32, settings, "ga", functions=frozenset({"look_up"}))
    script = Script(plan, mark_delay_s=MARK_DELAY_S, frame_ms=20)
    script.begin()
    return script


def facts(script: Script, event: str) -> list[Mapping[str, object]]:
    """The fields of each fact of that name."""
    return [action.fields for action in script.all(Happened) if action.event == event]


def ask(script: Script, item_id: str, *, noticed_s: float = 0.1) -> None:
    """The caller speaks for a second and falls silent; the model says so when that has lasted, and a little later."""
    script.model("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=script.model_ms)
    script.wait(1.0 + SILENCE_MS / 1000)
    ended_ms = script.model_ms
    script.wait(noticed_s)
    script.model("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=ended_ms)
    script.model("input_audio_buffer.committed", item_id=item_id)


def test_caller_waits_from_their_last_sound_to_the_first_they_hear() -> None:
    """The silence that ends the turn counts, the model's time, and the way of the sound to the ear and back."""
    script = begin()
    script.wait(1)
    ask(script, "item_1")
    script.wait(0.4)
    script.respond("resp_1", "item_2", "Yes.", speech_ms=800, by_server=True)
    script.wait(2)

    assert [{"kind": "answer", "turn_ms": 600, "model_ms": 1000, "wait_ms": 1100}] == facts(script, "reply.heard")


def test_hole_in_the_stream_lengthens_no_wait() -> None:
    """Of a long one only a part is filled: the carrier's clock and the model's are apart from then on."""
    script = begin()
    script.wait(3)
    script.stream_ms += 60_000
    script.wait(1)
    ask(script, "item_1", noticed_s=0.2)
    script.respond("resp_1", "item_2", "Yes.", speech_ms=800, by_server=True)
    script.wait(2)

    assert [700] == [fields["model_ms"] for fields in facts(script, "reply.heard")]


def test_second_stream_lengthens_no_wait() -> None:
    """Its clock begins anew, the model's goes on."""
    script = begin()
    script.wait(4)
    keys = {"id": "item_1", "type": "function_call", "status": "completed", "call_id": "c", "name": "send_digits"}
    script.created("resp_1", by_server=True)
    script.model("response.output_item.done", response_id="resp_1", item={**keys, "arguments": '{"digits":"1"}'})
    script.response_done("resp_1")
    script.stream_over()
    script.pass_time(2)
    script.stream_started("MZ00000000000000000000000000000002")
    script.wait(0.3)
    script.respond("resp_2", "item_2", "That is done.", speech_ms=400)
    script.wait(1)
    ask(script, "item_3", noticed_s=0.2)
    script.respond("resp_3", "item_4", "Yes.", speech_ms=800, by_server=True)
    script.wait(2)

    assert [700] == [fields["model_ms"] for fields in facts(script, "reply.heard")]


def test_greeting_is_waited_for_from_the_start_of_the_stream() -> None:
    """That is what somebody hears who calls."""
    script = begin(greeting_message="Hello.")
    script.wait(0.7)
    script.respond("resp_1", "item_1", "Hello.", speech_ms=800)
    script.wait(2)

    assert [{"kind": "greeting", "model_ms": 700, "wait_ms": 800}] == facts(script, "reply.heard")


def test_server_whose_clock_says_nothing_is_timed_by_its_messages() -> None:
    """A compatible server may leave the times out; what is known then is the message, and the silence before it."""
    script = begin()
    script.wait(1)
    script.model("input_audio_buffer.speech_started", item_id="item_1")
    script.wait(1)
    script.model("input_audio_buffer.speech_stopped", item_id="item_1")
    script.model("input_audio_buffer.committed", item_id="item_1")
    script.respond("resp_1", "item_2", "Yes.", speech_ms=800, by_server=True)
    script.wait(2)

    assert [500] == [fields["turn_ms"] for fields in facts(script, "reply.heard")]


def test_answer_that_is_cut_before_it_is_confirmed_is_not_told() -> None:
    """Nobody knows whether the caller heard any of it."""
    script = begin()
    ask(script, "item_1")
    script.respond("resp_1", "item_2", "Well, listen.", speech_ms=3000, by_server=True)
    script.wait(0.06)
    script.model("input_audio_buffer.speech_started", item_id="item_3", audio_start_ms=script.model_ms)
    script.wait(1)

    assert [] == facts(script, "reply.heard")


def test_question_of_the_bot_after_a_long_silence_is_no_answer() -> None:
    """The caller was not waiting; ten seconds of it would spoil every figure."""
    script = begin(silence={"prompt_after_s": 2, "prompts": 1})
    ask(script, "item_1")
    script.created("resp_1", by_server=True)
    script.response_done("resp_1")  # the model has nothing to say
    script.wait(2.5)
    script.respond("resp_2", "item_2", "Are you still there?", speech_ms=800)
    script.wait(1.5)

    assert [] == facts(script, "reply.heard")


@pytest.mark.parametrize(("mode", "stop_ms"), [("instant", 150), ("confirmed", 150)])
def test_bot_that_is_cut_has_been_talked_over_for_so_long(mode: str, stop_ms: int) -> None:
    """From the caller's first sound, by the model's clock without its padding, to the clear."""
    script = begin(barge_in={"mode": mode, "confirm_ms": 20})
    ask(script, "item_1")
    script.respond("resp_1", "item_2", "Well, listen.", speech_ms=6000, by_server=mode == "instant")
    script.wait(2)
    spoke_ms = script.model_ms
    script.wait(0.16, sound=lambda size: bytes(range(0, 128, 2)) * (size // 64) + bytes(size % 64))
    script.model("input_audio_buffer.speech_started", item_id="item_3", audio_start_ms=spoke_ms - PADDING_MS)

    assert [stop_ms // 100] == [int(str(fields["stop_ms"])) // 100 for fields in facts(script, "bargein.performed")]


def test_key_stops_the_bot_at_once() -> None:
    """There is no speech to be noticed first."""
    script = begin()
    ask(script, "item_1")
    script.respond("resp_1", "item_2", "Well, listen.", speech_ms=6000, by_server=True)
    script.wait(2)
    script.caller("dtmf", dtmf={"digit": "1"})

    assert [0] == [fields["stop_ms"] for fields in facts(script, "bargein.performed")]


def test_function_is_told_with_its_name_and_its_time() -> None:
    """Which one is slow is seen without reading the calls before it."""
    script = begin()
    ask(script, "item_1")
    script.created("resp_1", by_server=True)
    item = {"id": "item_2", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "look_up"}
    script.model("response.output_item.done", response_id="resp_1", item={**item, "arguments": "{}"})
    assert "look_up" == script.last(RunFunction).name
    script.wait(0.34)
    script.control(FunctionResult("call_1", "{}"))

    assert [{"function": "look_up", "call_id": "call_1", "took_ms": 340}] == facts(script, "function.answered")


def test_last_line_of_a_call_sums_it_up() -> None:
    """One line says how the call went: turns, answers and what was waited for them, barge-ins."""
    script = begin()
    for number, thought_s in enumerate((0.2, 0.4, 0.9)):
        ask(script, f"turn_{number}")
        script.wait(thought_s)
        script.respond(f"resp_{number}", f"item_{number}", "Yes.", speech_ms=400, by_server=True)
        script.wait(1)
    script.hang_up()

    summed = {"turns": 3, "barge_ins": 0, "replies": 3, "wait_ms": 1100, "longest_wait_ms": 1600}
    assert summed.items() <= facts(script, "call.ended")[0].items()
