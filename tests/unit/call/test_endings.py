"""How calls end without a word: each ending once, with what the carrier is told, and nothing after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.call.actions import CloseModel, CloseStream, ConnectModel, Ended, LeaveOrder, Order, RunFunction, Said
from bridge.call.controls import CallOver, FunctionResult, HangUp, ModelConnected, ModelLost, Say, Shutdown
from bridge.wire.commands import CreateResponse, UpdateSession
from tests.unit.call.rig import (
    Bench,
    FunctionCall,
    Reply,
    Rig,
    Speech,
    facts,
    key_message,
    make_plan,
    mark_message,
    media_message,
    of,
    sound,
    start_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

STOP = {"event": "stop", "sequenceNumber": "9"}
LOST = '{"event":"stop","lost":true}'


def orders(bench: Bench) -> list[str]:
    """What the carrier was told to do with the call, each time the stream was closed."""
    return [action.order.kind for action in of(CloseStream, bench.log)]


def up() -> Bench:
    """A call with both legs up."""
    bench = Bench()
    bench.up()
    return bench


def awaited() -> Bench:
    """A call whose stream has not come."""
    return Bench()


def prepared() -> Bench:
    """A call whose session is ready and whose stream has not come."""
    bench = Bench()
    bench.ready()
    return bench


def connecting() -> Bench:
    """A call whose stream is there and whose session is being opened."""
    bench = Bench()
    bench.start()
    return bench


def configuring() -> Bench:
    """A call whose stream is there and whose session is not confirmed."""
    bench = connecting()
    bench.control(ModelConnected())
    return bench


STATES: dict[str, Callable[[], Bench]] = {
    "awaited": awaited,
    "prepared": prepared,
    "connecting": connecting,
    "configuring": configuring,
    "up": up,
}


@pytest.mark.parametrize("state", STATES)
def test_caller_hangs_up_in_any_state(state: str) -> None:
    """The carrier's stop ends the call at once."""
    bench = STATES[state]()

    bench.caller(STOP)

    assert ["caller_hung_up"] == bench.endings
    assert [] == orders(bench)
    assert 1 == len(of(CloseModel, bench.log))


@pytest.mark.parametrize("state", ["connecting", "configuring", "up"])
def test_stream_that_is_lost_in_any_state_may_come_back_for_a_while(state: str) -> None:
    """A socket that goes away without a stop says nothing about the call; that no other comes does."""
    bench = STATES[state]()

    bench.caller(LOST)

    assert [LeaveOrder(Order("resume"))] == of(LeaveOrder, bench.log)
    assert [] == bench.endings

    bench.wait(15.1)

    assert ["caller_lost"] == bench.endings


@pytest.mark.parametrize("state", STATES)
def test_carrier_says_that_the_call_is_over_in_any_state(state: str) -> None:
    """The signalling may know before the stream does."""
    bench = STATES[state]()

    bench.control(CallOver("completed"))

    assert ["caller_hung_up"] == bench.endings


@pytest.mark.parametrize("state", ["connecting", "configuring", "up"])
@pytest.mark.parametrize(
    ("request_", "ending", "order"),
    [(HangUp(), "operator_hung_up", "hang_up"), (Shutdown(), "drained", "fallback")],
    ids=["operator", "shutdown"],
)
def test_call_is_taken_down_with_a_stream(state: str, request_: HangUp | Shutdown, ending: str, order: str) -> None:
    """The stream is closed with an order, and the call is over when it is gone."""
    bench = STATES[state]()

    bench.control(request_)

    assert ([], [order]) == (bench.endings, orders(bench))

    bench.caller(STOP)

    assert [ending] == bench.endings
    assert [order] == orders(bench)


@pytest.mark.parametrize("state", ["awaited", "prepared"])
@pytest.mark.parametrize(
    ("request_", "ending", "order"), [(HangUp(), "operator_hung_up", "hang_up"), (Shutdown(), "drained", "fallback")]
)
def test_call_is_taken_down_before_its_stream(state: str, request_: HangUp | Shutdown, ending: str, order: str) -> None:
    """Without a stream there is nothing to wait for; the carrier, whose stream will be refused, is told what now."""
    bench = STATES[state]()

    bench.control(request_)

    assert [ending] == bench.endings
    assert [order] == [action.order.kind for action in of(LeaveOrder, bench.log)]


def test_call_whose_stream_was_lost_is_taken_down_with_the_fallback() -> None:
    """It waits for another stream, which will not come any more: the carrier is told so when it asks."""
    bench = STATES["up"]()
    bench.caller({"event": "stop", "lost": True})

    bench.control(Shutdown())

    assert ["drained"] == bench.endings
    assert ["resume", "fallback"] == [action.order.kind for action in of(LeaveOrder, bench.log)]


def test_stream_never_comes() -> None:
    """A session that nobody claims is closed."""
    bench = Bench()
    bench.ready()

    bench.wait(61)

    assert ["not_claimed"] == bench.endings
    assert 1 == len(of(CloseModel, bench.log))


def test_carrier_never_lets_go_of_a_stream_that_was_closed() -> None:
    """The call ends all the same, five seconds later."""
    bench = up()
    bench.control(HangUp())

    bench.wait(4.9)
    assert [] == bench.endings
    bench.wait(0.2)

    assert ["operator_hung_up"] == bench.endings


@pytest.mark.parametrize("state", ["connecting", "configuring", "up"])
def test_model_is_lost_for_good_with_a_caller_on_the_line(state: str) -> None:
    """The caller hears the fallback."""
    bench = STATES[state]()

    bench.control(ModelLost("unauthorized", "401"))

    assert ["fallback"] == orders(bench)
    assert 1 == len(of(CloseModel, bench.log))
    bench.caller(STOP)
    assert ["model_failed"] == bench.endings


@pytest.mark.parametrize("state", ["awaited", "prepared"])
def test_model_is_lost_for_good_before_the_stream_comes(state: str) -> None:
    """The caller hears the fallback as soon as the stream is there."""
    bench = STATES[state]()
    bench.control(ModelLost("unauthorized", "401"))
    bench.wait(20)
    assert ([], []) == (bench.endings, orders(bench))

    bench.start()

    assert ["fallback"] == orders(bench)
    bench.caller(LOST)
    assert ["model_failed"] == bench.endings


def test_model_is_lost_while_it_is_configured_before_the_stream_comes() -> None:
    """The time limit of the confirmation means nothing any more."""
    bench = Bench()
    bench.control(ModelConnected())
    bench.control(ModelLost("closed", "4000"))

    bench.wait(59)
    bench.start()

    assert ["fallback"] == orders(bench)
    assert 1 == len(of(CloseModel, bench.log))


def test_model_is_never_connected() -> None:
    """However the driver came to say nothing, the caller does not wait for ever."""
    bench = connecting()

    for _ in range(25):
        bench.stream_ms += 1000
        bench.wait(1)
        bench.frame()

    assert ["fallback"] == orders(bench)


def test_session_is_never_confirmed() -> None:
    """Another one is opened after ten seconds; the caller hears the fallback after twenty."""
    bench = configuring()

    for _ in range(21):
        bench.wait(1)
        if bench.endings:
            break
        bench.caller(media_message("////", int(bench.now * 1000)))

    assert ["fallback"] == orders(bench)
    assert 2 == len(of(ConnectModel, bench.log))


def test_session_is_never_confirmed_before_the_stream_comes() -> None:
    """It is given up in time, and the call waits for the caller to tell them."""
    bench = Bench()
    bench.control(ModelConnected())

    bench.wait(30)

    assert len(of(ConnectModel, bench.log)) == len(of(CloseModel, bench.log))
    bench.start()
    assert ["fallback"] == orders(bench)


def test_stream_of_another_format_comes() -> None:
    """Audio that is not mu-law is not played with."""
    bench = prepared()
    form = {"encoding": "audio/x-l16", "sampleRate": 16000, "channels": 1}

    bench.caller(start_message(mediaFormat=form))

    assert ["fallback"] == orders(bench)
    assert 1 == len(facts("stream.refused", bench.log))


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_done_after_the_end(state: str) -> None:
    """Whatever still arrives is ignored."""
    bench = STATES[state]()
    bench.caller(STOP)
    count = len(bench.log)

    bench.start()
    bench.frame()
    bench.caller(key_message("1"))
    bench.caller(mark_message("0.1"))
    bench.caller(STOP)
    bench.model("session.updated", session={})
    bench.respond("resp_1")
    bench.speak("resp_1", "item_1", sound("late", 20))
    bench.control(ModelConnected())
    bench.control(ModelLost("closed"))
    bench.control(FunctionResult("call_1", "{}"))
    bench.control(Say("Hello."))
    bench.control(HangUp())
    bench.control(Shutdown())
    bench.call.handle_timer(now=bench.now + 10_000)

    assert [] == bench.call.actions()
    assert count == len(bench.log)
    assert isinstance(bench.log[-1], Ended)


@pytest.mark.parametrize("state", STATES)
def test_call_is_woken_hours_late(state: str) -> None:
    """A machine that slept has all its deadlines due at once: the call ends in order."""
    bench = STATES[state]()

    bench.at(100_000)
    while not bench.endings:
        bench.timer()

    assert 1 == len(bench.endings)


def test_frames_of_a_stream_that_is_being_closed_still_arrive() -> None:
    """They are neither sent to the model nor counted as odd."""
    bench = up()
    bench.control(HangUp())

    actions = bench.listen(200) + bench.caller(mark_message("0.1"))

    assert [] == actions


def test_stream_is_closed_while_the_session_is_configured() -> None:
    """Nothing more is done with the session."""
    bench = configuring()
    bench.control(HangUp())
    asked = of(UpdateSession, bench.log)[0].session

    actions = bench.model("session.updated", session=asked)

    assert [] == of(CreateResponse, actions)
    bench.caller(STOP)
    assert ["operator_hung_up"] == bench.endings


def test_caller_hangs_up_while_the_bot_speaks() -> None:
    """What was heard of the last answer is in the transcript."""
    rig = Rig()
    rig.begin()
    rig.server.replies.append(Reply((Speech(10_000, every_ms=90),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(5000)
    assert rig.server.active is not None

    rig.caller(STOP)

    line = of(Said, rig.log)[-1]
    assert ("bot", True) == (line.role, line.is_cut)
    assert 4900 <= line.heard_ms <= 5100


def test_call_ends_while_a_function_runs() -> None:
    """Its result comes too late and does nothing."""
    rig = Rig(make_plan(functions=("lookup",)))
    rig.functions["lookup"] = (5000, "{}")
    rig.begin()
    rig.server.replies.append(Reply((FunctionCall("lookup"),)))
    rig.phone.speak(1000)
    rig.run_until(lambda: of(RunFunction, rig.log))

    rig.caller(STOP)
    rig.run(10_000)

    assert [] == rig.server.outputs
