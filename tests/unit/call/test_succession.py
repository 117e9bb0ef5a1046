"""A session that is about to end: the next one is opened beside it, and the call moves there in one step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from bridge.call.actions import (
    Action,
    ClearPlayout,
    CloseModel,
    CloseStream,
    CloseSuccessor,
    ConfigureSuccessor,
    ConnectModel,
    ConnectSuccessor,
    MoveToSuccessor,
)
from bridge.call.controls import HangUp, ModelConnected, ModelLost, Say, SuccessorConnected, SuccessorLost
from bridge.call.machine import Call
from bridge.call.plan import Colleague, Plan
from bridge.call.prompts import WORDS_LOST
from bridge.wire import caller as wire_caller
from bridge.wire.commands import AppendAudio, CreateItem, CreateResponse, UpdateSession
from tests.unit.call.bench import Bench, facts, make_agent, make_plan, of
from tests.unit.call.messages import mark_message, sound

UNIX_S = 1_000_000
LASTS_S = 480
LOOK_S, LATE_S = LASTS_S - 120, LASTS_S - 10
PATIENT = {"prompt_after_s": 600, "prompts": 10}
"""Longer than any of these calls."""
GONE = SuccessorLost("unreachable", "ConnectionRefusedError")


def plan(**more: Any) -> Plan:  # noqa: ANN401 - settings of the agent
    """A caller who is left in peace."""
    return make_plan(**{"silence": PATIENT} | more)


def up_for(bench: Bench, lasts_s: float = LASTS_S) -> Bench:
    """A call with both legs up, whose session says how long it lasts."""
    (update,) = of(UpdateSession, bench.control(ModelConnected(UNIX_S)))
    bench.model("session.updated", session=update.session | {"expires_at": UNIX_S + lasts_s})
    bench.start()
    return bench


def pass_seconds(bench: Bench, seconds: float) -> list[Action]:
    """Time passes; the caller's line is silent, and quicker than it would be: a frame a second is enough."""
    actions: list[Action] = []
    for _ in range(round(seconds)):
        bench.stream_ms += 980
        actions += bench.wait(0.98) + bench.frame()
    return actions


def listen(bench: Bench, duration_ms: int) -> list[Action]:
    """The caller's line for a while, silent, frame by frame."""
    return [action for _ in range(duration_ms // 20) for action in bench.frame() + bench.wait(0)]


def confirm(bench: Bench, actions: list[Action], lasts_s: float = 3600) -> list[Action]:
    """The session that is being opened beside comes up, and is as it was asked for."""
    assert of(ConnectSuccessor, actions)
    (configured,) = of(ConfigureSuccessor, bench.control(SuccessorConnected(UNIX_S + bench.now)))
    session = configured.update.session | {"expires_at": UNIX_S + bench.now + lasts_s}
    return bench.successor("session.updated", session=session)


def ending(**more: Any) -> Bench:  # noqa: ANN401 - settings of the agent
    """A call whose session is about to end, with the next one ready beside it, on a quiet line."""
    bench = up_for(Bench(plan(**more)))
    confirm(bench, pass_seconds(bench, LOOK_S + 1))
    return bench


def opening() -> Bench:
    """A call whose next session is just being opened."""
    bench = up_for(Bench(plan()))
    pass_seconds(bench, LOOK_S + 1)
    return bench


def causes(bench: Bench) -> list[str]:
    """Why sessions were replaced."""
    return [fact["cause"] for fact in facts("session.replaced", bench.log)]


def test_the_next_session_is_ready_before_the_call_leaves_the_old_one() -> None:
    """Two minutes before its end: opened beside it, configured, and moved to in one step; nothing is cut or owed."""
    bench = up_for(Bench(plan()))
    assert [] == of(ConnectSuccessor, pass_seconds(bench, LOOK_S - 1))
    confirm(bench, pass_seconds(bench, 2))
    assert [] == of(MoveToSuccessor, bench.log)
    listen(bench, 600)

    assert (1, 1) == (len(of(MoveToSuccessor, bench.log)), len(of(ConnectModel, bench.log)))
    assert ([], [], []) == tuple(of(kind, bench.log) for kind in (CloseModel, ClearPlayout, CloseSuccessor))
    assert [{"cause": "limit", "attempts": 1, "took_ms": 0, "endpoint": "primary"}] == facts(
        "session.replaced", bench.log
    )
    assert [] == facts("model.lost", bench.log)
    assert [] == of(CreateResponse, bench.log)


def test_the_next_session_has_a_limit_of_its_own() -> None:
    """A call of many hours moves again and again."""
    bench = up_for(Bench(plan()))
    confirm(bench, pass_seconds(bench, LOOK_S + 1), lasts_s=100)
    pass_seconds(bench, 2)
    confirm(bench, pass_seconds(bench, 80))
    pass_seconds(bench, 2)

    assert ["limit", "limit"] == causes(bench)


def drive(bench: Bench, payload: str) -> list[Action]:
    """A frame as the driver gives it to the core: by the short way, if the core lets it."""
    bench.samples += 160
    message = wire_caller.CallerAudio(payload, bench.stream_ms)
    bench.stream_ms += 20
    passed_on = bench.call.pass_on(message, bench.now)
    if passed_on is not None:
        bench.log.append(passed_on)
        return [passed_on]
    bench.call.receive_caller(message, now=bench.now)
    actions = bench.call.actions()
    bench.log += actions
    bench.call.handle_timer(now=bench.now)
    later = bench.call.actions()
    bench.log += later
    return actions + later


def test_no_frame_is_lost_or_sent_to_the_next_session_twice() -> None:
    """Each goes once to the session that there is; the newest half second is what the next one hears first."""
    bench = up_for(Bench(plan()))
    actions = pass_seconds(bench, LOOK_S + 1)
    frames = [sound(f"frame {number}", 20) for number in range(100)]
    sent: list[Action] = []
    for number, frame in enumerate(frames):
        if number == 30:
            sent += confirm(bench, actions)
        sent += drive(bench, frame)
    (moved,) = [number for number, action in enumerate(sent) if isinstance(action, MoveToSuccessor)]
    old = [action.audio for action in of(AppendAudio, sent[:moved])]
    new = [action.audio for action in of(AppendAudio, sent[moved:])]

    assert frames[: len(old)] == old
    assert frames[len(old) - 25 :] == new
    assert 55 <= len(old) <= 57


def test_frames_take_the_short_way_again_once_the_call_has_moved() -> None:
    """Keeping a copy costs something for a second in an hour, and for no longer."""
    bench = ending()
    frame = wire_caller.CallerAudio(sound("frame", 20), bench.stream_ms)
    assert bench.call.pass_on(frame, bench.now) is None
    listen(bench, 700)
    assert of(MoveToSuccessor, bench.log)
    frame = wire_caller.CallerAudio(sound("frame", 20), bench.stream_ms)

    assert AppendAudio(frame.payload) == bench.call.pass_on(frame, bench.now)


def test_the_next_session_knows_the_conversation_before_it_hears_anything() -> None:
    """What was said and heard, in order, and then the caller's newest sound."""
    bench = up_for(Bench(plan(messages=[{"role": "user", "content": "I am a regular."}])))
    bench.turn("item_1")
    bench.model("conversation.item.input_audio_transcription.completed", item_id="item_1", transcript="Are you open?")
    bench.respond("resp_1")
    spoken = bench.speak("resp_1", "item_2", sound("answer", 400))
    transcript = "response.output_audio_transcript.done"
    bench.model(transcript, response_id="resp_1", item_id="item_2", content_index=0, transcript="We are.")
    bench.done("resp_1")
    bench.marks(spoken)
    confirm(bench, pass_seconds(bench, LOOK_S + 1))
    actions = listen(bench, 600)
    moved = next(number for number, action in enumerate(actions) if isinstance(action, MoveToSuccessor))
    commands: list[Action] = [action for action in actions[moved:] if isinstance(action, CreateItem | AppendAudio)]
    items = of(CreateItem, commands)

    assert ["I am a regular.", "Are you open?", "We are."] == [item.item["content"][0]["text"] for item in items]
    assert items == commands[: len(items)]


def test_an_endpoint_that_is_down_just_then_costs_no_working_session() -> None:
    """The call stays where it is and goes on; it is tried again, ever less often, and moves when that works."""
    bench = up_for(Bench(plan()))
    pass_seconds(bench, LOOK_S + 1)
    tried_at = [bench.now]
    while bench.now < LATE_S - 40:
        opened = of(ConnectSuccessor, bench.control(GONE))
        while not opened:
            opened = of(ConnectSuccessor, pass_seconds(bench, 1))
        tried_at.append(bench.now)
    pauses_s = [after - before for before, after in pairwise(tried_at)]

    assert (1, []) == (len(of(ConnectModel, bench.log)), of(CloseModel, bench.log))
    assert 4 <= len(pauses_s) <= 12
    assert pauses_s[0] < 5
    assert all(pause_s <= 17 for pause_s in pauses_s)
    assert listen(bench, 40)[-1] == of(AppendAudio, bench.log)[-1]
    confirm(bench, of(ConnectSuccessor, bench.log))
    pass_seconds(bench, 2)
    assert ["limit"] == causes(bench)


def test_an_endpoint_that_stays_down_is_met_by_what_a_lost_session_is_met_by() -> None:
    """The old session lasts to its very end; then another is opened in its place, and the caller hears the clip."""
    bench = up_for(Bench(plan()))
    pass_seconds(bench, LOOK_S + 1)
    bench.control(GONE)
    while bench.now < LASTS_S - 2:
        if of(ConnectSuccessor, pass_seconds(bench, 1)):
            bench.control(GONE)
    assert [] == of(CloseModel, bench.log)
    pass_seconds(bench, 3)

    assert (2, 1) == (len(of(ConnectModel, bench.log)), len(of(CloseModel, bench.log)))
    bench.ready()
    assert ["limit"] == causes(bench)


@pytest.mark.parametrize("lost", [SuccessorLost("unauthorized", "401"), SuccessorLost("closed", "4000")])
def test_an_endpoint_that_would_fail_again_is_not_tried_again(lost: SuccessorLost) -> None:
    """A key that is refused is refused a second later as well."""
    bench = up_for(Bench(plan()))
    pass_seconds(bench, LOOK_S + 1)
    bench.control(lost)
    pass_seconds(bench, 100)

    assert 1 == len(of(ConnectSuccessor, bench.log))
    assert [] == of(CloseModel, bench.log)


def test_a_session_with_other_formats_is_not_moved_to() -> None:
    """It would be noise; the one that there is works."""
    bench = up_for(Bench(plan()))
    pass_seconds(bench, LOOK_S + 1)
    bench.control(SuccessorConnected(UNIX_S))
    bench.successor("session.updated", session={"type": "realtime"})
    pass_seconds(bench, 5)

    assert [{"reason": "session_mismatched", "code": ""}] == facts("successor.lost", bench.log)
    assert 1 == len(of(CloseSuccessor, bench.log))
    assert [] == of(MoveToSuccessor, bench.log)


@pytest.mark.parametrize(
    ("silent_s", "events", "reason"),
    [
        (11, [], "session_unconfirmed"),
        (0, [{"type": "invalid_request_error", "code": "unknown_parameter", "message": "no"}], "session_refused"),
        (0, [{"type": "x", "code": "insufficient_quota", "message": "no"}], "refused"),
    ],
)
def test_a_session_that_does_not_come_up_is_let_go_of(silent_s: int, events: list[dict[str, str]], reason: str) -> None:
    """Whatever the reason, the session that there is stays."""
    bench = up_for(Bench(plan()))
    pass_seconds(bench, LOOK_S + 1)
    bench.control(SuccessorConnected(UNIX_S))
    for error in events:
        bench.successor("error", error=error)
    pass_seconds(bench, silent_s)

    assert [reason] == [fact["reason"] for fact in facts("successor.lost", bench.log)]
    assert 1 == len(of(CloseSuccessor, bench.log))
    assert [] == of(CloseModel, bench.log)


def test_the_other_endpoint_is_asked_when_the_first_is_down() -> None:
    """The call goes on there, in its dialect."""
    bench = up_for(Bench(msgspec.structs.replace(plan(), standby_dialect="beta")))
    pass_seconds(bench, LOOK_S + 1)
    bench.control(GONE)
    actions = pass_seconds(bench, 20)
    assert "standby" == of(ConnectSuccessor, bench.log)[1].endpoint
    confirm(bench, of(ConnectSuccessor, actions))
    pass_seconds(bench, 2)

    assert ["standby"] == [fact["endpoint"] for fact in facts("session.replaced", bench.log)]
    assert "modalities" in of(ConfigureSuccessor, bench.log)[-1].update.session


def test_the_move_waits_while_the_caller_speaks() -> None:
    """A word that has begun is heard to its end by one session, and answered."""
    bench = ending()
    listen(bench, 200)
    bench.model("input_audio_buffer.speech_started", item_id="item_1")
    pass_seconds(bench, 20)
    assert [] == of(MoveToSuccessor, bench.log)
    bench.model("input_audio_buffer.speech_stopped", item_id="item_1")
    bench.model("input_audio_buffer.committed", item_id="item_1")
    bench.model("conversation.item.input_audio_transcription.completed", item_id="item_1", transcript="Hello?")
    bench.respond("resp_1")
    spoken = bench.speak("resp_1", "item_2", sound("answer", 400))
    bench.done("resp_1")
    listen(bench, 400)
    assert [] == of(MoveToSuccessor, bench.log)
    bench.marks(spoken)
    listen(bench, 600)

    assert 1 == len(of(MoveToSuccessor, bench.log))
    assert [] == of(ClearPlayout, bench.log)


def test_the_move_waits_for_the_words_of_the_last_turn() -> None:
    """The next session would never know them, for they come from the one that heard them."""
    bench = ending(barge_in={"mode": "confirmed"})
    bench.turn("item_1")
    bench.respond("resp_1", of(CreateResponse, bench.log)[-1])
    spoken = bench.speak("resp_1", "item_2", sound("answer", 400))
    bench.done("resp_1")
    listen(bench, 400)
    bench.marks(spoken)
    listen(bench, 2000)
    assert [] == of(MoveToSuccessor, bench.log)
    bench.model("conversation.item.input_audio_transcription.completed", item_id="item_1", transcript="Hello?")
    moved = listen(bench, 600)

    assert 1 == len(of(MoveToSuccessor, moved))
    assert "Hello?" in [item.item["content"][0]["text"] for item in of(CreateItem, moved)]


def test_words_that_never_come_are_waited_for_no_longer_than_ten_seconds() -> None:
    """Not every server is asked for them."""
    bench = ending(barge_in={"mode": "confirmed"})
    bench.turn("item_1")
    bench.respond("resp_1", of(CreateResponse, bench.log)[-1])
    spoken = bench.speak("resp_1", "item_2", sound("answer", 400))
    bench.done("resp_1")
    bench.marks(spoken)
    pass_seconds(bench, 12)

    assert 1 == len(of(MoveToSuccessor, bench.log))


def test_ten_seconds_before_the_end_the_call_moves_whatever_is_being_said() -> None:
    """What the bot has not said is said by the next session; nothing that was sent is thrown away."""
    bench = ending()
    bench.control(Say("Hello."))
    bench.respond("resp_1", of(CreateResponse, bench.log)[-1])
    while bench.now < LATE_S - 2:
        bench.speak("resp_1", "item_1", sound(f"piece {bench.now}", 1000))
        pass_seconds(bench, 1)
    assert [] == of(MoveToSuccessor, bench.log)
    asked = len(of(CreateResponse, bench.log))
    pass_seconds(bench, 4)

    assert (1, []) == (len(of(MoveToSuccessor, bench.log)), of(ClearPlayout, bench.log))
    assert asked + 1 == len(of(CreateResponse, bench.log))


def test_a_caller_who_speaks_to_the_very_end_is_asked_to_say_it_again() -> None:
    """The half sentence that the old session had says nothing to the new one."""
    bench = up_for(Bench(plan()), lasts_s=100)
    confirm(bench, pass_seconds(bench, 76))
    bench.model("input_audio_buffer.speech_started", item_id="item_1")
    pass_seconds(bench, 22)
    later = bench.log[bench.log.index(MoveToSuccessor()) :]

    assert [WORDS_LOST] == [item.item["content"][0]["text"] for item in of(CreateItem, later)]
    assert 1 == len(of(CreateResponse, later))
    assert isinstance(later[later.index(of(CreateItem, later)[0]) + 1], CreateResponse | AppendAudio)


@pytest.mark.parametrize(
    ("prepare", "follows"),
    [(ending, [MoveToSuccessor]), (opening, [CloseSuccessor, CloseModel])],
    ids=["ready", "being opened"],
)
def test_the_old_session_is_lost_while_the_next_one_is_there(
    prepare: Callable[[], Bench], follows: list[type[Action]]
) -> None:
    """One that is ready takes over at once; one that is not is let go of, and a lost session is replaced as ever."""
    bench = prepare()
    actions = bench.control(ModelLost("closed", "1006"))

    kinds = (MoveToSuccessor, CloseSuccessor, CloseModel)
    assert follows == [type(action) for action in actions if isinstance(action, kinds)]
    assert ["lost"] * (follows == [MoveToSuccessor]) == causes(bench)


def test_the_next_session_is_lost_before_the_call_has_moved() -> None:
    """Another one is opened after a pause; nothing is kept for the one that is gone."""
    bench = ending()
    actions = bench.control(SuccessorLost("closed", "1006"))
    frame = wire_caller.CallerAudio(sound("frame", 20), bench.stream_ms)

    assert 1 == len(of(CloseSuccessor, actions))
    bench.frame()
    frame = wire_caller.CallerAudio(sound("frame", 20), bench.stream_ms)
    assert bench.call.pass_on(frame, bench.now) is not None
    assert of(ConnectSuccessor, pass_seconds(bench, 10))


def test_a_hand_over_has_the_next_session_opened_anew() -> None:
    """It was configured for another agent."""
    colleague = Colleague(make_agent(instructions="You are the colleague.", silence=PATIENT))
    bench = up_for(
        Bench(msgspec.structs.replace(plan(hand_over_to=["colleague"]), colleagues={"colleague": colleague}))
    )
    confirm(bench, pass_seconds(bench, LOOK_S + 1))
    bench.respond("resp_1")
    item = {"id": "item_1", "type": "function_call", "call_id": "call_1", "name": "hand_over", "status": "completed"}
    arguments = '{"agent": "colleague"}'
    actions = bench.model("response.output_item.done", response_id="resp_1", item=item | {"arguments": arguments})

    assert [CloseSuccessor, ConnectSuccessor] == [
        type(action) for action in actions if isinstance(action, CloseSuccessor | ConnectSuccessor)
    ]
    (configured,) = of(ConfigureSuccessor, bench.control(SuccessorConnected(UNIX_S)))
    assert "You are the colleague." == configured.update.session["instructions"]


def test_the_caller_is_asked_in_time_whether_they_are_there() -> None:
    """Their silence is counted through the move: they are not to notice it."""
    bench = up_for(Bench(plan(silence={"prompt_after_s": 20, "prompts": 1})), lasts_s=20)
    confirm(bench, pass_seconds(bench, 16))
    pass_seconds(bench, 3)
    assert 1 == len(of(MoveToSuccessor, bench.log))
    pass_seconds(bench, 2)

    assert 1 == len(facts("caller.prompted", bench.log))


@pytest.mark.parametrize("prepare", [ending, opening], ids=["ready", "being opened"])
def test_a_call_that_ends_leaves_no_session_behind(prepare: Callable[[], Bench]) -> None:
    """Neither the one nor the other."""
    bench = prepare()
    bench.control(HangUp())
    bench.caller({"event": "stop", "streamSid": "MZ", "sequenceNumber": "9"})

    assert ["operator_hung_up"] == bench.endings
    assert (1, 1) == (len(of(CloseSuccessor, bench.log)), len(of(CloseModel, bench.log)))


def test_a_stream_that_breaks_gives_the_next_session_up_until_it_is_back() -> None:
    """Deadlines end with the stream, and nobody is there to whom it mattered."""
    bench = ending()
    bench.caller({"event": "stop", "streamSid": "MZ", "sequenceNumber": "9", "lost": True})
    assert 1 == len(of(CloseSuccessor, bench.log))
    bench.stream_ms = 0
    confirm(bench, bench.start())
    listen(bench, 700)

    assert 1 == len(of(MoveToSuccessor, bench.log))
    assert [] == of(CloseStream, bench.log)


@pytest.mark.parametrize("expires_in_s", [-5, 0, 10_000_000])
def test_end_that_cannot_be_is_not_believed(expires_in_s: int) -> None:
    """The clocks disagree: the session is replaced when it is lost."""
    bench = up_for(Bench(plan()), expires_in_s)
    pass_seconds(bench, 120)

    assert [] == of(ConnectSuccessor, bench.log)


def test_what_comes_from_a_session_that_was_let_go_of_says_nothing() -> None:
    """It may still be under way; and a carrier of the core's own making may be confused."""
    call = Call(plan(), now=0)
    call.receive_control(SuccessorConnected(UNIX_S), now=1)
    call.receive_control(SuccessorLost("closed"), now=1)
    call.actions()
    bench = up_for(Bench(plan()))

    assert [] == bench.control(SuccessorConnected(UNIX_S))
    assert [] == bench.control(GONE)
    assert [] == bench.successor("session.updated", session={})
    assert [] == bench.caller(mark_message("0.1"))[1:]
