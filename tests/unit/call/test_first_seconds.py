"""The first seconds of a call: the greeting, the session's confirmation, and what the caller says meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.call.actions import CloseStream
from bridge.call.controls import ModelConnected
from bridge.wire.commands import AppendAudio, CreateItem, CreateResponse, UpdateSession
from tests.unit.call.rig import (
    SILENCE_FRAME,
    Bench,
    Reply,
    Rig,
    Speech,
    facts,
    make_plan,
    of,
    sound,
)

HELLO: dict[str, Any] = {"greeting_message": 'Hello, this is "Acme".'}
UNPROTECTED: dict[str, Any] = HELLO | {"greeting_protected": False}


def turn_control(actions: list[Any]) -> list[tuple[bool, bool]]:
    """What the server was told about turns, update by update."""
    found = []
    for action in of(UpdateSession, actions):
        session = action.session
        detection = session.get("turn_detection") or session["audio"]["input"]["turn_detection"]
        found.append((detection["create_response"], detection["interrupt_response"]))
    return found


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_bot_greets_when_both_legs_are_up(dialect: str) -> None:
    """Word for word, and without calling functions."""
    rig = Rig(make_plan(dialect, **HELLO))
    rig.server.default = Reply((Speech(1500),))

    rig.begin()
    rig.run(2500)

    (asked,) = of(CreateResponse, rig.log)
    assert "Hello, this is 'Acme'." in asked.response["instructions"]
    assert "none" == asked.response["tool_choice"]
    assert 1500 == rig.ear.heard_bytes() // 8


@pytest.mark.parametrize("first", ["stream", "session"])
def test_greeting_is_asked_for_once_whatever_comes_first(first: str) -> None:
    """The stream may be there before the session, or after it."""
    bench = Bench(make_plan(**HELLO))

    actions = bench.start() + bench.ready() if first == "stream" else bench.ready() + bench.start()

    assert 1 == len(of(CreateResponse, actions))


def test_caller_speaks_over_a_protected_greeting() -> None:
    """It is heard in full, the turn is answered once after it, and from then on the server answers."""
    rig = Rig(make_plan(**HELLO))
    rig.server.replies.append(Reply((Speech(4000),)))
    rig.begin()
    rig.run_until(rig.ear.heard_bytes)
    rig.run(500)
    rig.phone.speak(1500)

    rig.run(3000)
    assert (0, 1) == (rig.ear.clears, len(rig.server.responses))
    rig.run(5000)

    assert 0 == rig.ear.clears
    assert 2 == len(rig.server.responses)
    assert 5000 == rig.ear.heard_bytes() // 8
    assert [(False, False), (True, True)] == turn_control(rig.log)
    rig.phone.speak(1000)
    rig.run(4000)
    assert 3 == len(rig.server.responses)
    assert rig.server.responses[-1].by_server
    assert [] == rig.server.refused


def test_caller_speaks_over_the_end_of_a_protected_greeting() -> None:
    """A turn that goes on when the greeting has ended is answered once, by the bridge."""
    rig = Rig(make_plan(**HELLO))
    rig.server.replies.append(Reply((Speech(2000),)))
    rig.begin()
    rig.run_until(rig.ear.heard_bytes)
    rig.run(1600)
    rig.phone.speak(1500)

    rig.run(6000)

    assert (0, 2) == (rig.ear.clears, len(rig.server.responses))
    assert not rig.server.responses[-1].by_server
    assert [] == rig.server.refused


def test_caller_cuts_an_unprotected_greeting() -> None:
    """It is speech like any other."""
    rig = Rig(make_plan(**UNPROTECTED))
    rig.server.replies.append(Reply((Speech(4000),)))
    rig.begin()
    rig.run_until(rig.ear.heard_bytes)
    rig.run(500)
    rig.phone.speak(1500)

    rig.run(5000)

    assert (1, 2) == (rig.ear.clears, len(rig.server.responses))
    assert [(True, True)] == turn_control(rig.log)


def test_caller_speaks_first() -> None:
    """Without a greeting the bridge asks for nothing."""
    rig = Rig()
    rig.begin()

    rig.run(5000)

    assert [] == of(CreateResponse, rig.log)
    assert [(True, True)] == turn_control(rig.log)


@pytest.mark.parametrize("mode", ["confirmed", "off"])
def test_server_never_answers_by_itself_in_other_modes(mode: str) -> None:
    """The bridge decides whether a turn counts."""
    bench = Bench(make_plan(barge_in={"mode": mode}))
    bench.up()

    actions = bench.turn()

    assert [(False, False)] == turn_control(bench.log)
    assert 1 == len(of(CreateResponse, actions))


def test_caller_speaks_before_the_session_is_ready() -> None:
    """The sound is kept, and goes first, in order; nothing is sent before the formats are confirmed."""
    bench = Bench()
    bench.start()
    kept = [sound(f"frame {index}", 20) for index in range(10)]
    for payload in kept:
        assert [] == of(AppendAudio, bench.frame(payload))

    actions = bench.ready() + bench.frame()

    assert [*kept, SILENCE_FRAME] == [action.audio for action in of(AppendAudio, actions)]


def test_session_takes_long_to_get_ready() -> None:
    """Ten seconds are kept, the newest; what was dropped is counted."""
    bench = Bench()
    bench.start()
    kept = [sound(f"frame {index}", 20) for index in range(600)]
    for payload in kept:
        bench.frame(payload)

    actions = bench.ready()

    assert kept[100:] == [action.audio for action in of(AppendAudio, actions)]
    assert [{"dropped_ms": 2000}] == facts("caller.audio_dropped", actions)


def test_agent_has_messages_to_remember() -> None:
    """They are told before any sound."""
    messages = [{"role": "user", "content": "I am Ann."}, {"role": "assistant", "content": "Hello, Ann."}]
    bench = Bench(make_plan(messages=messages, **HELLO))
    bench.start()
    bench.frame()

    kinds = [type(action) for action in bench.ready() if not facts("model.readied", [action])]

    assert [UpdateSession, CreateItem, CreateItem, AppendAudio, CreateResponse] == kinds


@pytest.mark.parametrize(
    ("dialect", "path"),
    [("ga", ("audio", "input", "format")), ("ga", ("audio", "output", "format")), ("beta", ("input_audio_format",))],
)
def test_server_confirms_another_format(dialect: str, path: tuple[str, ...]) -> None:
    """The caller hears the fallback, and not one piece of sound is sent."""
    bench = Bench(make_plan(dialect))
    bench.start()
    bench.frame()
    session = json.loads(json.dumps(of(UpdateSession, bench.control(ModelConnected()))[0].session))
    place = session
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = {"type": "audio/pcm", "rate": 24000} if dialect == "ga" else "pcm16"

    actions = bench.model("session.updated", session=session) + bench.frame()

    assert ["fallback"] == [action.order.kind for action in of(CloseStream, actions)]
    assert [] == of(AppendAudio, bench.log)
    assert 1 == len(facts("session.mismatched", actions))


@pytest.mark.parametrize(
    ("code", "names_event"),
    [("unknown_parameter", True), ("invalid_value", True), ("missing_required_parameter", False), ("whatever", True)],
)
def test_server_refuses_the_session(code: str, names_event: bool) -> None:  # noqa: FBT001 - a table
    """The caller hears the fallback at once, not when the time is up."""
    bench = Bench()
    bench.start()
    (update,) = of(UpdateSession, bench.control(ModelConnected()))
    event_id = update.event_id if names_event else None

    actions = bench.model("error", error={"type": "invalid_request_error", "code": code, "event_id": event_id})

    assert ["fallback"] == [action.order.kind for action in of(CloseStream, actions)]
    assert [{"what": "session", "code": code, "param": None}] == facts("model.command_refused", actions)


def test_server_refuses_a_later_update() -> None:
    """The conversation goes on, and the update is not sent again and again."""
    bench = Bench(make_plan(**HELLO))
    actions = bench.up()
    bench.respond("resp_1", of(CreateResponse, actions)[0])
    spoken = bench.speak("resp_1", "item_1", sound("hello", 1000))
    bench.done("resp_1")
    updates = of(UpdateSession, bench.marks(spoken))
    bench.model("error", error={"code": "unknown_parameter", "event_id": updates[0].event_id})

    actions = bench.turn()

    assert [] == of(UpdateSession, actions)
    assert 1 == len(of(CreateResponse, actions))


def test_caller_finishes_before_the_server_has_taken_over() -> None:
    """Until it has confirmed that it answers turns, they are ours to answer."""
    bench = Bench(make_plan(**HELLO))
    actions = bench.up()
    bench.respond("resp_1", of(CreateResponse, actions)[0])
    spoken = bench.speak("resp_1", "item_1", sound("hello", 1000))
    bench.done("resp_1")
    (update,) = of(UpdateSession, bench.marks(spoken))

    first = bench.turn("item_a")
    bench.respond("resp_2", of(CreateResponse, first)[0])
    bench.done("resp_2")
    bench.model("session.updated", session=update.session)
    second = bench.turn("item_b")

    assert (1, 0) == (len(of(CreateResponse, first)), len(of(CreateResponse, second)))
