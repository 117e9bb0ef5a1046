"""Who answers a turn, and when; what fails, gets lost or crosses on the way."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.call.actions import CloseStream, PlayAudio, Said, SetMark
from bridge.call.controls import Say
from bridge.wire.commands import CreateResponse
from tests.unit.call.rig import (
    Bench,
    FunctionCall,
    Reply,
    Rig,
    Speech,
    facts,
    make_plan,
    of,
    sound,
)

HELLO: dict[str, Any] = {"greeting_message": 'Hello, this is "Acme".'}
CONFIRMED: dict[str, Any] = {"barge_in": {"mode": "confirmed"}}


def asked_for(actions: list[Any]) -> list[str]:
    """The instructions of the responses that were asked for."""
    return [action.response.get("instructions", "") for action in of(CreateResponse, actions)]


def test_server_forgets_to_answer(bench: Bench) -> None:
    """After five seconds the bridge asks for the answer, once."""
    bench.up()
    bench.turn()
    actions = []
    for _ in range(3):
        bench.listen(40)
        actions += bench.wait(2.5)

    assert 1 == len(of(CreateResponse, actions))
    assert 1 == len(facts("response.missed", actions))


def test_server_that_hands_no_metadata_back_forgets_to_answer() -> None:
    """The response that the bridge asks for is known for its own all the same."""
    bench = Bench(make_plan(silence={"prompt_after_s": 60}))
    bench.up()
    bench.turn()
    bench.wait(5.1)

    bench.model("response.created", response={"id": "resp_1"})
    bench.done("resp_1")
    for _ in range(5):
        bench.listen(40)
        bench.wait(4)

    assert [] == of(CloseStream, bench.log)


def test_server_hands_no_metadata_back() -> None:
    """Greeting, answers by the server, and announcements go on as usual."""
    rig = Rig(make_plan(**HELLO))
    rig.server.echoes_metadata = False
    rig.begin()
    rig.run(3000)
    rig.phone.speak(1000)
    rig.run(4000)
    rig.control(Say("Ten minutes left."))
    rig.run(4000)

    assert [False, True, False] == [made.by_server for made in rig.server.responses]
    assert [] == rig.server.refused
    rig.run(20_000)
    assert None is rig.order


def test_caller_goes_on_before_the_server_has_answered(bench: Bench) -> None:
    """The server answers the longer turn; the bridge does not ask for another answer."""
    bench.up()
    bench.turn()
    bench.listen(20)
    bench.model("input_audio_buffer.speech_started", item_id="item_2")
    for _ in range(4):
        bench.listen(40)
        bench.wait(2)
    bench.model("input_audio_buffer.speech_stopped", item_id="item_2")
    bench.model("input_audio_buffer.committed", item_id="item_2")
    bench.respond("resp_1")
    bench.speak("resp_1", "item_1", sound("a", 20))
    bench.done("resp_1")

    assert [] == of(CreateResponse, bench.log)


def test_turn_is_never_committed(bench: Bench) -> None:
    """What is wanted meanwhile is asked for after two seconds."""
    bench.up()
    bench.model("input_audio_buffer.speech_started", item_id="item_1")
    bench.control(Say("One moment."))
    bench.model("input_audio_buffer.speech_stopped", item_id="item_1")

    assert [] == of(CreateResponse, bench.log)
    actions = bench.wait(2.1)

    assert 1 == len(of(CreateResponse, actions))


def test_operator_says_something_while_the_caller_speaks() -> None:
    """It waits until the caller's turn is answered or over."""
    rig = Rig(make_plan(**CONFIRMED))
    rig.begin()
    rig.phone.speak(2000)
    rig.run(1000)
    rig.control(Say("The office closes soon."))

    rig.run(1000)
    assert [] == of(CreateResponse, rig.log)
    rig.run(5000)

    assert sorted(
        ["", 'Say exactly this to the caller, word for word, and nothing else: "The office closes soon."']
    ) == sorted(asked_for(rig.log))
    assert [] == rig.server.refused


def test_operators_words_are_interrupted_before_they_began(bench: Bench) -> None:
    """They are said once, after the turn."""
    bench.up()
    (create,) = of(CreateResponse, bench.control(Say("Hello.")))
    bench.model("input_audio_buffer.speech_started", item_id="item_1")
    code = "conversation_already_has_active_response"
    bench.model("error", error={"code": code, "event_id": create.event_id})
    bench.model("input_audio_buffer.speech_stopped", item_id="item_1")
    bench.model("input_audio_buffer.committed", item_id="item_1")
    bench.respond("resp_1")
    actions = bench.done("resp_1")

    asked = of(CreateResponse, actions)
    assert 1 == len(asked)
    bench.respond("resp_2", asked[0])
    assert [] == of(CreateResponse, bench.done("resp_2"))


@pytest.mark.parametrize("names_event", [True, False])
def test_create_crosses_the_servers_own_response(bench: Bench, names_event: bool) -> None:  # noqa: FBT001 - a table
    """It is refused, and asked for again exactly once when that one is done; also of a server that names no event."""
    bench.up()
    (create,) = of(CreateResponse, bench.control(Say("Hello.")))
    bench.turn()
    bench.respond("resp_1")
    code = "conversation_already_has_active_response"
    event_id = create.event_id if names_event else None
    refused = bench.model("error", error={"code": code, "event_id": event_id})

    actions = bench.done("resp_1")

    assert ([], 1) == (of(CreateResponse, refused), len(of(CreateResponse, actions)))
    bench.respond("resp_2", of(CreateResponse, actions)[0])
    assert [] == of(CreateResponse, bench.done("resp_2"))
    assert [] == facts("model.command_refused", bench.log)


def test_create_is_refused_for_a_response_that_we_never_saw(bench: Bench) -> None:
    """It is tried again after half a second."""
    bench.up()
    (create,) = of(CreateResponse, bench.control(Say("Hello.")))
    refused = bench.model(
        "error", error={"code": "conversation_already_has_active_response", "event_id": create.event_id}
    )

    assert ([], 1) == (of(CreateResponse, refused), len(of(CreateResponse, bench.wait(0.6))))


def test_create_is_refused_for_good(bench: Bench) -> None:
    """A response that cannot be had is a failure: after the third one in a row another session is opened."""
    bench.up()
    bench.control(Say("Hello."))
    for _ in range(3):
        create = of(CreateResponse, bench.log)[-1]
        bench.model("error", error={"code": "rate_limit_exceeded", "event_id": create.event_id})
        bench.wait(0.6)

    assert 3 == len(of(CreateResponse, bench.log))
    assert [{"reason": "responses_failed", "code": "rate_limit_exceeded"}] == facts("model.lost", bench.log)
    assert [] == of(CloseStream, bench.log)


def test_three_responses_fail_in_a_row() -> None:
    """Another session is opened, and another; when none of four has given an answer, the caller hears the fallback."""
    rig = Rig()
    rig.begin()
    rig.server.default = Reply((), status="failed")
    rig.phone.speak(1000)

    rig.run_until(lambda: rig.endings)

    assert (["model_failed"], "fallback", 4 * 3) == (rig.endings, rig.order, len(rig.server.responses))


def test_two_responses_fail_and_the_third_is_good() -> None:
    """The caller has been answered, and the count begins anew."""
    rig = Rig()
    rig.begin()
    rig.server.replies += [Reply((), status="failed"), Reply((), status="failed")]
    rig.phone.speak(1000)
    rig.run(5000)
    rig.server.replies += [Reply((), status="failed"), Reply((), status="failed")]
    rig.phone.speak(1000)
    rig.run(5000)

    assert (2000, []) == (rig.ear.heard_bytes() // 8, rig.endings)
    assert 6 == len(rig.server.responses)


def test_greeting_fails_once() -> None:
    """It is asked for again, word for word, and stays protected."""
    rig = Rig(make_plan(**HELLO))
    rig.server.replies.append(Reply((), status="failed"))
    rig.begin()
    rig.run(200)
    rig.phone.speak(600)
    rig.run(4000)

    asked = asked_for(rig.log)
    assert asked[0] == asked[1]
    assert 0 == rig.ear.clears


def test_end_of_a_response_gets_lost() -> None:
    """A session that stalls is replaced, for the caller's sake."""
    rig = Rig()
    rig.begin()
    rig.server.loses = lambda kind: kind == "response.done" and rig.server.session == 1
    rig.phone.speak(1000)

    rig.run_until(lambda: facts("session.replaced", rig.log))
    rig.run(2000)

    assert [{"reason": "response_overdue", "code": ""}] == facts("model.lost", rig.log)
    assert (2, "completed", []) == (len(rig.server.responses), rig.server.responses[-1].status, rig.endings)


def test_end_of_a_response_gets_lost_and_the_caller_speaks_on() -> None:
    """The next response takes its place; its function calls are answered, and nothing heard is deleted."""
    rig = Rig(make_plan(functions=("lookup",)))
    rig.functions["lookup"] = (100, "{}")
    rig.begin()
    rig.server.loses = lambda kind: kind == "response.done" and len(rig.server.responses) == 1
    rig.server.replies.append(Reply((Speech(1000), FunctionCall("lookup", "{}", "call_1"))))
    rig.phone.speak(1000)
    rig.run(4000)
    rig.phone.speak(1000)
    rig.run(5000)

    assert [("call_1", "{}")] == rig.server.outputs
    assert {("response_cancel_not_active")} >= {code for code, _ in rig.server.refused}
    assert not [item for item in rig.server.items.values() if item.is_deleted]
    assert 2 <= len(rig.server.responses)


def test_end_of_a_cancelled_response_gets_lost() -> None:
    """It is not waited for longer than five seconds, and what nobody heard of it is deleted."""
    rig = Rig(make_plan(**CONFIRMED))
    rig.begin()
    rig.server.loses = lambda kind: kind == "response.done" and len(rig.server.responses) == 1
    rig.server.replies.append(Reply((Speech(10_000), Speech(5000, every_ms=100))))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(500)
    rig.phone.speak(2500)

    rig.run(10_000)

    assert 1 == len(facts("response.end_missed", rig.log))
    assert 1 == sum(item.is_deleted for item in rig.server.items.values())
    assert 2 == len(rig.server.responses)
    assert [] == rig.endings


@pytest.mark.parametrize("mode", ["instant", "confirmed", "off"])
def test_all_marks_are_lost(mode: str) -> None:
    """The bridge goes by the stream's clock, three seconds late, and the conversation goes on."""
    rig = Rig(make_plan(barge_in={"mode": mode}, silence={"prompt_after_s": 10, "prompts": 1}))
    rig.ear.loses_mark = lambda: True
    rig.begin()
    rig.server.replies.append(Reply((Speech(3000),)))
    rig.phone.speak(1000)

    rig.run(9000)

    assert [3000] == [line.heard_ms for line in of(Said, rig.log) if line.role == "bot"]
    rig.run_until(lambda: rig.endings)
    assert ["no_input"] == rig.endings


def test_model_makes_sound_of_no_length(bench: Bench) -> None:
    """There is nothing to play and nothing to wait for."""
    bench.up()
    bench.turn()
    bench.respond("resp_1")

    actions = bench.speak("resp_1", "item_1", "")

    assert [] == of(PlayAudio, actions) + of(SetMark, actions)


def test_model_calls_two_functions_at_once() -> None:
    """Both run, their outputs go in the order asked, and one answer follows."""
    rig = Rig(make_plan(functions=("slow", "quick")))
    rig.functions |= {"slow": (900, '{"n": 1}'), "quick": (10, '{"n": 2}')}
    rig.begin()
    rig.server.replies.append(Reply((FunctionCall("slow", "{}", "call_a"), FunctionCall("quick", "{}", "call_b"))))
    rig.phone.speak(1000)

    rig.run(6000)

    assert [("call_a", '{"n": 1}'), ("call_b", '{"n": 2}')] == rig.server.outputs
    assert 1 == len(of(CreateResponse, rig.log))
    assert 1000 == rig.ear.heard_bytes() // 8


def test_model_calls_a_function_that_does_not_exist() -> None:
    """It is told so, and answers."""
    rig = Rig()
    rig.begin()
    rig.server.replies.append(Reply((FunctionCall("invent", "{}", "call_a"),)))
    rig.phone.speak(1000)

    rig.run(4000)

    assert [("call_a", '{"error": "there is no such function"}')] == rig.server.outputs
    assert 2 == len(rig.server.responses)


def test_function_result_comes_while_the_caller_speaks() -> None:
    """It is told at once; the server's answer to the turn is the answer to it as well."""
    rig = Rig(make_plan(functions=("lookup",)))
    rig.functions["lookup"] = (2000, '{"n": 1}')
    rig.begin()
    rig.server.replies.append(Reply((FunctionCall("lookup"),)))
    rig.phone.speak(1000)
    rig.phone.speak(2000, after_ms=2500)

    rig.run(9000)

    assert 1 == len(rig.server.outputs)
    assert [] == of(CreateResponse, rig.log)
    assert [] == rig.server.refused
