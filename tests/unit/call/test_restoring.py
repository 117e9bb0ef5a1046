"""A session is lost in the middle of a call: what the caller hears, and what the next session is told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from bridge.call.actions import ClearPlayout, CloseStream, ConnectModel, Outbox, PlayAudio, SetMark
from bridge.call.controls import ModelLost, Say, Transfer
from bridge.call.deadlines import Deadlines
from bridge.call.hold import Hold
from bridge.call.inbound import Inbound
from bridge.call.plan import Plan
from bridge.call.playout import Playout
from bridge.call.prompts import CUT_OFF, WORDS_LOST
from bridge.settings import Destination
from bridge.wire.commands import AppendAudio, CancelResponse, CreateResponse, TruncateItem
from bridge.wire.g711 import silence
from tests.unit.call.rig import Bench, FunctionCall, Reply, Rig, Speech, facts, key_message, make_plan, of, sound

CLIP = sound("hold", 600)
LOOKUP = FunctionCall("lookup", '{"order": 7}', "call_1")


def plan(**more: Any) -> Plan:  # noqa: ANN401 - fields of the plan, and settings of the agent
    """A plan with a clip."""
    own = {key: more.pop(key) for key in list(more) if key in ("standby_dialect", "restore_within_s", "destinations")}
    return msgspec.structs.replace(make_plan(**more), hold_clip=CLIP, **own)


def told(rig: Rig) -> list[tuple[str, Any]]:
    """What the session that there is was told: who, and the words; of functions what was given and taken."""
    return [
        (item["role"], item["content"][0]["text"])
        if item["type"] == "message"
        else (item["type"], item.get("arguments", item.get("output")))
        for item in rig.server.told
    ]


def clip_began_s(rig: Rig) -> list[float]:
    """When the clip began to be heard, each time."""
    return [piece.begins / 8000 for piece in rig.ear.pieces if piece.payload == CLIP]


def asked(rig: Rig) -> list[str]:
    """The instructions of the responses that this session was asked for."""
    creates = [command for command in rig.server.received if command["type"] == "response.create"]
    return [command["response"].get("instructions", "") for command in creates]


def talked(rig: Rig, words: str = "What do you have?") -> None:
    """The caller has said something, and its words are known."""
    rig.phone.speak(1000)
    rig.run_until(lambda: rig.server.commits)
    rig.run(50)
    line = next(line for line in rig.call.memory if line.role == "caller")
    rig.model(
        "conversation.item.input_audio_transcription.completed", item_id=line.item_id, content_index=0, transcript=words
    )


def test_session_is_lost_in_the_middle_of_an_answer_and_replaced_at_once() -> None:
    """What was sent is heard, the next session knows it, and goes on from there without a greeting."""
    rig = Rig(plan(greeting_message="Hello."))
    rig.begin()
    rig.run(2000)
    rig.server.replies.append(Reply((Speech(3000, every_ms=100, words="one two three four five six"),)))
    talked(rig)
    rig.run(1200)
    rig.lose()
    rig.run(3000)

    assert [{"reason": "closed", "code": "1006"}] == facts("model.lost", rig.log)
    (fact,) = facts("session.replaced", rig.log)
    assert ("lost", 1, "primary") == (fact["cause"], fact["attempts"], fact["endpoint"])
    assert fact["took_ms"] < 1000
    assert ["assistant", "user", "assistant", "system"] == [role for role, _ in told(rig)]
    assert ("user", "What do you have?") in told(rig)
    assert "one two" in told(rig)[2][1]
    assert "six" not in told(rig)[2][1]
    assert ("system", CUT_OFF) == told(rig)[-1]
    assert [] == rig.truncations
    assert ([], []) == (rig.endings, clip_began_s(rig))
    assert "completed" == rig.server.responses[-1].status


def test_caller_hears_the_clip_within_two_seconds_of_silence_and_until_the_bot_speaks() -> None:
    """Again and again, without any model; it is cleared when there is something better to be heard."""
    rig = Rig(plan())
    rig.begin()
    rig.server.replies.append(Reply((Speech(5000, every_ms=100),)))
    talked(rig)
    rig.run_until(rig.ear.heard_bytes)
    rig.refusals += [ModelLost("unavailable", "503")] * 3
    rig.lose()
    rig.run_until(lambda: not rig.ear.is_playing)
    silent_from = rig.timeline.samples / 8000
    rig.run_until(lambda: facts("session.replaced", rig.log))
    rig.run(3000)

    began = clip_began_s(rig)
    assert 2 <= len(began)
    assert 1.0 < began[0] - silent_from < 2.0
    assert all(1.5 < later - earlier < 3.0 for earlier, later in pairwise(began))
    assert [] == facts("bargein.performed", rig.log)
    assert 4 == facts("session.replaced", rig.log)[0]["attempts"]
    spoken = [piece for piece in rig.ear.pieces if piece.payload != CLIP and piece.begins / 8000 > began[-1]]
    assert spoken


def test_clip_that_plays_is_cleared_for_the_answer() -> None:
    """The caller hears no word of the answer behind a clip that must first come to its end."""
    rig = Rig(msgspec.structs.replace(plan(), hold_clip=sound("long", 30_000)))
    rig.begin()
    talked(rig)
    rig.refusals += [ModelLost("unavailable", "503")] * 3
    rig.lose()
    rig.run_until(lambda: rig.ear.is_playing)
    rig.run_until(lambda: facts("session.replaced", rig.log))
    rig.run(500)

    assert 1 == len(of(ClearPlayout, rig.log))
    assert rig.ear.heard_bytes(lambda payload: payload in rig.server.part_of)
    assert [] == of(TruncateItem, rig.log)


def test_clip_that_was_cut_like_speech_is_not_cleared_again() -> None:
    """With nothing unheard, nothing is sent."""
    outbox, playout = Outbox(), Playout()
    hold = Hold(CLIP, outbox=outbox, deadlines=Deadlines(), playout=playout, inbound=Inbound())
    hold.expect(0)
    hold.due(2)
    playout.clear(0)
    hold.stop()

    assert [PlayAudio, SetMark] == [type(action) for action in outbox.take()]


def test_words_that_the_lost_session_had_are_asked_for_again() -> None:
    """The server had the sound and nobody the words: the model is told to ask."""
    rig = Rig(plan())
    rig.begin()
    rig.server.loses = lambda kind: kind == "response.created"
    rig.phone.speak(1000)
    rig.run_until(lambda: rig.server.commits)
    rig.lose()
    rig.server.loses = lambda _: False
    rig.run(3000)

    assert [("system", WORDS_LOST)] == told(rig)
    assert "completed" == rig.server.responses[-1].status


def test_what_the_caller_says_meanwhile_is_heard_by_the_next_session() -> None:
    """Kept, and sent first."""
    rig = Rig(plan())
    rig.begin()
    rig.refusals += [ModelLost("unreachable", "ConnectionRefusedError")] * 2
    rig.lose()
    heard_before = len(rig.server.heard)
    rig.phone.speak(1000, after_ms=200)
    rig.run_until(lambda: facts("session.replaced", rig.log))
    rig.run(3000)

    assert len(rig.server.heard) - heard_before > 3000 * 8
    assert 1 == rig.server.commits
    assert 1 == len([made for made in rig.server.responses if made.by_server])


def test_greeting_that_has_begun_is_not_begun_anew() -> None:
    """The caller has heard who speaks."""
    rig = Rig(plan(greeting_message="Hello there."))
    rig.server.replies.append(Reply((Speech(3000, every_ms=100),)))
    rig.begin()
    rig.run_until(rig.ear.heard_bytes)
    rig.lose()
    rig.run(5000)

    assert 1 == len(of(CreateResponse, rig.log))
    assert [] == rig.endings


def test_greeting_that_nobody_heard_is_spoken() -> None:
    """The session was lost between the wish and the first sound."""
    rig = Rig(plan(greeting_message="Hello there."))
    rig.server.replies.append(Reply((Speech(3000),), after_ms=5000))
    rig.begin()
    rig.lose()
    rig.run(5000)

    assert ["Hello there." in instructions for instructions in asked(rig)] == [True, True]
    assert rig.ear.heard_bytes(lambda payload: payload in rig.server.part_of)


def test_function_runs_on_and_its_output_goes_to_the_next_session() -> None:
    """The new session is told of the call, then of its output, and answers once."""
    rig = Rig(plan(functions=("lookup",)))
    rig.functions["lookup"] = (3000, '{"state": "sent"}')
    rig.begin()
    rig.server.replies.append(Reply((LOOKUP,)))
    talked(rig)
    rig.run_until(lambda: rig.ran)
    rig.run(200)
    rig.lose()
    rig.run(6000)

    assert ["call_1"] == rig.ran
    assert [
        ("user", "What do you have?"),
        ("function_call", '{"order": 7}'),
        ("function_call_output", '{"state": "sent"}'),
    ] == told(rig)
    assert 1 == len([made for made in rig.server.responses if made.status == "completed" and not made.calls])


def test_output_that_was_given_is_told_again() -> None:
    """What a function has returned is part of what was said."""
    rig = Rig(plan(functions=("lookup",)))
    rig.functions["lookup"] = (100, '{"state": "sent"}')
    rig.begin()
    rig.server.replies += [Reply((LOOKUP,)), Reply((Speech(500, words="It is sent."),))]
    talked(rig)
    rig.run(4000)
    rig.lose()
    rig.run(3000)

    assert ["user", "function_call", "function_call_output", "assistant"] == [kind for kind, _ in told(rig)]
    assert 2 == len(rig.server.responses)  # nothing was left to be answered


def test_function_whose_call_was_cut_off_is_called_again() -> None:
    """The session was lost before the call was complete, so the turn is unanswered."""
    rig = Rig(plan(functions=("lookup",)))
    rig.functions["lookup"] = (100, "{}")
    rig.begin()
    rig.server.replies += [Reply((LOOKUP,), after_ms=2000), Reply((LOOKUP,))]
    talked(rig)
    rig.run(500)
    rig.lose()
    rig.run(3000)

    assert ["call_1"] == rig.ran


def test_only_the_newest_lines_are_told() -> None:
    """As many as `max_history` says."""
    rig = Rig(plan(max_history=2))
    rig.begin()
    for number in range(4):
        rig.control(Say(f"Line {number}."))
        rig.server.replies.append(Reply((Speech(300, words=f"Line {number}."),)))
        rig.run(1500)
    rig.lose()
    rig.run(1000)

    assert [("assistant", "Line 2."), ("assistant", "Line 3.")] == told(rig)


def test_caller_cuts_what_an_older_session_said() -> None:
    """The session knows no item of that name: it is told in words how much of it was heard."""
    rig = Rig(plan())
    rig.begin()
    rig.server.replies.append(Reply((Speech(6000, words="one two three four five six"),)))
    talked(rig)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(500)
    rig.lose()
    rig.run(500)
    rig.phone.speak(600)
    rig.run(1500)

    assert [] == rig.truncations
    assert ("assistant", "one two three four five six") in told(rig)
    assert any(role == "system" and '"one"' in words for role, words in told(rig))


def test_goodbye_is_heard_without_a_session() -> None:
    """It was made before the session was lost: it is heard to its end, and then the call ends."""
    rig = Rig(plan())
    rig.begin()
    rig.server.replies.append(Reply((Speech(3000), FunctionCall("end_call", '{"reason": "done"}'))))
    talked(rig)
    rig.run_until(rig.ear.heard_bytes)
    rig.refusals += [ModelLost("unavailable", "503")] * 30
    rig.lose()
    rig.run_until(lambda: rig.order)

    assert ("hang_up", 3000) == (rig.order, rig.ear.heard_bytes(lambda payload: payload != CLIP) // 8)
    rig.run(1000)
    assert ["bot_hung_up"] == rig.endings


def test_goodbye_is_heard_though_no_session_will_ever_do() -> None:
    """It was made, and is heard to its end: that nothing can follow is no reason to cut it."""
    rig = Rig(plan())
    rig.begin()
    rig.server.replies.append(Reply((Speech(3000), FunctionCall("end_call", '{"reason": "done"}'))))
    talked(rig)
    rig.run_until(rig.ear.heard_bytes)
    rig.lose("unauthorized", "401")
    rig.run_until(lambda: rig.order)

    assert ("hang_up", 3000) == (rig.order, rig.ear.heard_bytes(lambda payload: payload != CLIP) // 8)


def test_caller_presses_a_key_during_a_goodbye_after_which_no_session_will_do() -> None:
    """The call does not end, but nobody can go on with it: the caller hears the fallback."""
    rig = Rig(plan())
    rig.begin()
    rig.server.replies.append(Reply((Speech(3000), FunctionCall("end_call", '{"reason": "done"}'))))
    talked(rig)
    rig.run_until(rig.ear.heard_bytes)
    rig.lose("unauthorized", "401")
    rig.caller(key_message("1"))
    rig.run(1000)

    assert "fallback" == rig.order


def test_announcement_is_said_by_the_next_session_and_then_the_caller_is_put_through() -> None:
    """A transfer that was announced in half is announced in whole."""
    rig = Rig(plan(destinations={"sales": Destination(name="sales", to="+15557654321", announce="One moment.")}))
    rig.server.default = Reply((Speech(2000, every_ms=100),))
    rig.begin()
    rig.control(Transfer("sales"))
    rig.run_until(rig.ear.heard_bytes)
    rig.lose()
    rig.run_until(lambda: rig.order, 8000)

    assert "transfer" == rig.order
    assert ["One moment." in instructions for instructions in asked(rig)] == [True, True]


def test_transfer_is_done_where_no_session_can_announce_it() -> None:
    """The caller wanted a human, and gets one."""
    rig = Rig(plan(destinations={"sales": Destination(name="sales", to="+15557654321", announce="One moment.")}))
    rig.begin()
    rig.control(Transfer("sales"))
    rig.lose("unauthorized", "401")
    rig.run(1000)

    assert "transfer" == rig.order


def test_session_does_not_come_back() -> None:
    """The caller hears the clip for as long as may be, and then the fallback; no attempt is made too soon."""
    rig = Rig(plan(restore_within_s=10.0))
    rig.begin()
    rig.refusals += [ModelLost("unavailable", "503")] * 100
    began = rig.now
    rig.lose()
    rig.run_until(lambda: rig.order)

    assert "fallback" == rig.order
    assert 5 < rig.now - began <= 10.1
    assert 4 <= len(of(ConnectModel, rig.log)) - 1 <= 10
    assert [{"reason": "unavailable", "code": "503"}] == facts("model.failed", rig.log)


@pytest.mark.parametrize(
    ("before", "told"),
    [([], ("timed_out", "")), ([ModelLost("rate_limited", "429")], ("rate_limited", "429"))],
    ids=["no attempt was answered", "one was"],
)
def test_operator_learns_why_no_session_came_while_the_last_attempt_hung(
    before: list[ModelLost | None], told: tuple[str, str]
) -> None:
    """What an attempt was refused for says more than that the time is up; why the session before was lost, nothing."""
    rig = Rig(plan(restore_within_s=10.0))
    rig.begin()
    rig.refusals += [*before, None]
    rig.lose()
    rig.run_until(lambda: rig.order)

    assert [{"reason": told[0], "code": told[1]}] == facts("model.failed", rig.log)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("closed", "4000 invalid_request_error.beta_api_shape_disabled"),
        ("unauthorized", "401 invalid_api_key"),
        ("not_found", "404"),
        ("rate_limited", "429 insufficient_quota"),
        ("tls_failed", "SSLCertVerificationError"),
    ],
)
def test_failure_that_no_attempt_can_mend_is_not_tried_again(reason: str, code: str) -> None:
    """Nobody is kept waiting for nothing."""
    rig = Rig(plan())
    rig.begin()
    rig.lose(reason, code)

    assert 1 == len(of(ConnectModel, rig.log))
    assert ["fallback"] == [action.order.kind for action in of(CloseStream, rig.log)]


def test_second_endpoint_is_used_when_the_first_will_never_do() -> None:
    """At once, and in its own dialect."""
    rig = Rig(plan(standby_dialect="beta"))
    rig.begin()
    rig.server.is_beta = True
    rig.lose("unauthorized", "401")
    rig.run(1000)
    rig.phone.speak(800)
    rig.run(3000)

    assert ["primary", "standby"] == [action.endpoint for action in of(ConnectModel, rig.log)]
    assert "standby" == facts("session.replaced", rig.log)[0]["endpoint"]
    assert rig.ear.heard_bytes(lambda payload: payload != CLIP)


def test_second_endpoint_is_used_when_the_first_does_not_come_back() -> None:
    """After one attempt more at the first."""
    rig = Rig(plan(standby_dialect="ga"))
    rig.begin()
    rig.refusals.append(ModelLost("unreachable", "ConnectionRefusedError"))
    rig.lose()
    rig.run(2000)

    assert ["primary", "primary", "standby"] == [action.endpoint for action in of(ConnectModel, rig.log)]


def test_calls_do_not_come_back_all_at_once() -> None:
    """Their first attempts are spread, and each call does the same again when it is replayed."""
    pauses = []
    for sid in ("CA1", "CA2", "CA3", "CA1"):
        rig = Rig(msgspec.structs.replace(plan(), call_sid=sid))
        rig.begin()
        began = rig.now
        rig.lose()
        while len(of(ConnectModel, rig.log)) < 2:
            rig.run(1)
        pauses.append(round(rig.now - began, 3))

    assert pauses[0] == pauses[3]
    assert 3 == len(set(pauses))
    assert all(0 <= pause <= 0.26 for pause in pauses)


def test_answer_that_is_silence_is_taken_back_and_asked_for_again(bench: Bench) -> None:
    """The caller hears a few seconds of nothing at most, and the session is kept."""
    bench.up()
    bench.control(Say("Hello."))
    create = of(CreateResponse, bench.log)[-1]
    bench.respond("resp_1", create)
    for _ in range(30):
        bench.speak("resp_1", "item_1", silence(200))

    assert [{"status": "silent", "code": None}] == facts("response.failed", bench.log)
    assert 19 == len(of(PlayAudio, bench.log))
    assert (1, 1) == (len(of(ClearPlayout, bench.log)), len(of(CancelResponse, bench.log)))
    bench.done("resp_1", "cancelled", output=[])
    again = of(CreateResponse, bench.log)[-1]
    assert (False, create.response["instructions"]) == (again is create, again.response["instructions"])


def test_short_answer_that_is_silence_is_asked_for_again(bench: Bench) -> None:
    """Its end tells."""
    bench.up()
    bench.control(Say("Hello."))
    bench.respond("resp_1", of(CreateResponse, bench.log)[-1])
    bench.speak("resp_1", "item_1", silence(600))
    item = {"type": "message", "id": "item_1", "role": "assistant", "status": "completed"}
    bench.done("resp_1", output=[item])

    assert [{"status": "silent", "code": None}] == facts("response.failed", bench.log)
    assert 2 == len(of(CreateResponse, bench.log))
    assert 1 == len(of(ClearPlayout, bench.log))


def test_model_has_nothing_to_say() -> None:
    """It is asked once more; then it is left alone, and the rules of silence hold."""
    rig = Rig(plan())
    rig.begin()
    rig.server.default = Reply(())
    rig.phone.speak(1000)
    rig.run(5000)

    assert [{"status": "empty", "code": None}] == facts("response.failed", rig.log)
    assert (2, 1) == (len(rig.server.responses), rig.server.session)


def test_server_talks_nonsense() -> None:
    """A few odd events are survived; twenty in a row are another session's turn."""
    rig = Rig(plan())
    rig.begin()
    for _ in range(19):
        rig.model_text("{")
    rig.model("rate_limits.updated", rate_limits=[])
    assert [] == facts("model.lost", rig.log)
    for _ in range(20):
        rig.model_text("{")
    rig.run(1000)

    assert [{"reason": "nonsense", "code": ""}] == facts("model.lost", rig.log)
    assert 2 == rig.server.session


def test_late_events_of_a_lost_session_say_nothing() -> None:
    """They may still be under way when the next one is being opened."""
    rig = Rig(plan())
    rig.begin()
    rig.lose()
    actions = rig.model("input_audio_buffer.speech_started", item_id="old")

    assert [] == actions


def test_quota_is_used_up_in_the_middle_of_a_call() -> None:
    """The failed response says so: it is not asked for three times."""
    rig = Rig(plan())
    rig.begin()
    error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no"}
    rig.model("response.created", response={"id": "resp_x"})
    details = {"type": "failed", "error": error}
    rig.model("response.done", response={"id": "resp_x", "status": "failed", "status_details": details, "output": []})

    assert [{"reason": "responses_failed", "code": "insufficient_quota"}] == facts("model.failed", rig.log)
    assert ["fallback"] == [action.order.kind for action in of(CloseStream, rig.log)]


def test_nothing_is_sent_before_the_next_session_is_confirmed() -> None:
    """Neither sound nor the keys that the caller presses meanwhile."""
    rig = Rig(plan(keys={"terminator": "#"}))
    rig.begin()
    rig.refusals += [ModelLost("unreachable", "")] * 2
    rig.lose()
    sent = len(of(AppendAudio, rig.log))
    rig.run(600)
    rig.caller(key_message("1"))
    rig.caller(key_message("#"))

    assert sent == len(of(AppendAudio, rig.log))
    rig.run(3000)
    assert ("user", "The caller pressed 1 #.") in told(rig)
    assert rig.server.responses
