"""Calls that the bridge places: ringing, who answers, and the message that is left on a machine."""

from __future__ import annotations

import msgspec
import pytest

from bridge.call.actions import ClearPlayout, CloseStream, ConnectModel, HangUpCall, LeaveOrder
from bridge.call.controls import (
    Answered,
    CallOver,
    FunctionResult,
    HangUp,
    MachineDetected,
    Say,
    Shutdown,
    Transfer,
    TransferOver,
)
from bridge.call.detection import Detection
from bridge.call.ending import Ending
from bridge.call.plan import OnMachine, Outgoing, Plan
from bridge.settings import Destination
from bridge.wire.commands import CreateItem, CreateResponse
from tests.unit.call.rig import Bench, Reply, Rig, Speech, facts, key_message, make_plan, of

MESSAGE = "Please call us back."
RING_S = 30.0


def outgoing(on_machine: OnMachine = "talk", mode: str = "instant") -> Plan:
    """The plan of a call that the bridge places."""
    message = MESSAGE if on_machine == "leave_message" else ""
    plan = make_plan(greeting_message="Hello there.", barge_in={"mode": mode})
    return msgspec.structs.replace(plan, outgoing=Outgoing(RING_S, on_machine, message))


def picked_up(on_machine: OnMachine, replies: tuple[Reply, ...] = (), mode: str = "instant") -> Rig:
    """A call that was answered and is being greeted."""
    rig = Rig(outgoing(on_machine, mode))
    rig.server.replies.extend(replies)
    rig.control(Answered())
    rig.begin()
    return rig


def asked(rig: Bench) -> list[str]:
    """What responses were asked to say, in order."""
    return [action.response.get("instructions", "") for action in of(CreateResponse, rig.log)]


# --- ringing ---------------------------------------------------------------------------------------------------------


def test_no_session_is_opened_before_somebody_answers() -> None:
    """A telephone that rings costs no session."""
    bench = Bench(outgoing())
    bench.wait(10)

    assert [] == of(ConnectModel, bench.log)
    assert 1 == len(of(ConnectModel, bench.control(Answered())))


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
def test_a_call_that_nobody_takes_is_not_reached_and_says_why(status: str) -> None:
    """The carrier's status is the reason."""
    bench = Bench(outgoing())

    actions = bench.control(CallOver(status))

    assert ["not_reached"] == bench.endings
    assert [status.replace("-", "_")] == [fact["reason"] for fact in facts("call.ended", actions)]
    assert [] == of(HangUpCall, actions)


def test_a_callee_who_hangs_up_before_we_are_asked_has_hung_up() -> None:
    """`completed` says that somebody had answered."""
    bench = Bench(outgoing())

    bench.control(CallOver("completed"))

    assert ["caller_hung_up"] == bench.endings


def test_a_call_that_the_carrier_forgets_ends_by_itself() -> None:
    """Without a word from the carrier it rings no longer than it may, and is called off."""
    bench = Bench(outgoing())

    actions = bench.timer()

    assert RING_S == bench.now
    assert ["not_reached"] == bench.endings
    assert 1 == len(of(HangUpCall, actions))


@pytest.mark.parametrize(
    ("request_", "ending"), [(HangUp(), "operator_hung_up"), (Shutdown(), "drained")], ids=["operator", "shutdown"]
)
def test_a_telephone_stops_ringing_when_the_call_is_called_off(request_: HangUp | Shutdown, ending: str) -> None:
    """There is no stream to close: the carrier is asked, and finds an order if it asks first."""
    bench = Bench(outgoing())

    actions = bench.control(request_)

    assert [ending] == bench.endings
    assert ["hang_up"] == [action.order.kind for action in of(LeaveOrder, actions)]
    assert 1 == len(of(HangUpCall, actions))


def test_an_answer_that_is_told_twice_opens_one_session() -> None:
    """The carrier may repeat itself."""
    bench = Bench(outgoing())

    bench.control(Answered())
    bench.control(Answered())

    assert 1 == len(of(ConnectModel, bench.log))


def test_an_answered_call_whose_stream_does_not_come_is_not_claimed() -> None:
    """From the answer on it is a call like any other."""
    bench = Bench(outgoing())
    bench.control(Answered())

    bench.wait(120)

    assert ["not_claimed"] == bench.endings


# --- who answered ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_machine", "answered_by", "ending"),
    [
        ("talk", "machine", None),
        ("talk", "fax", None),
        ("hang_up", "human", None),
        ("hang_up", "unknown", None),
        ("hang_up", "machine", Ending.MACHINE),
        ("hang_up", "machine_listening", Ending.MACHINE),
        ("hang_up", "fax", Ending.FAX),
        ("leave_message", "human", None),
        ("leave_message", "machine", None),
        ("leave_message", "machine_listening", Ending.MESSAGE_LEFT),
        ("leave_message", "fax", Ending.FAX),
    ],
)
def test_what_follows_from_who_answered(on_machine: OnMachine, answered_by: str, ending: Ending | None) -> None:
    """Each verdict under each policy."""
    assert ending == Detection(Outgoing(RING_S, on_machine, MESSAGE)).told(answered_by)


def test_the_first_verdict_counts() -> None:
    """A callback that comes again, or a later one, changes nothing."""
    detection = Detection(Outgoing(RING_S, "hang_up"))

    assert None is detection.told("human")
    assert None is detection.told("machine")


def test_a_machine_that_still_speaks_is_waited_for() -> None:
    """That it is a machine is not yet that it listens."""
    detection = Detection(Outgoing(RING_S, "leave_message", MESSAGE))

    assert None is detection.told("machine")
    assert Ending.MESSAGE_LEFT is detection.told("machine_listening")


@pytest.mark.parametrize(("answered_by", "ending"), [("machine", "machine"), ("fax", "fax")])
def test_a_call_ends_at_once_when_no_human_answers(answered_by: str, ending: str) -> None:
    """In the middle of the greeting."""
    rig = picked_up("hang_up", (Reply((Speech(5000),)),))
    rig.run_until(lambda: rig.ear.is_playing)

    rig.control(MachineDetected(answered_by))
    rig.run(100)

    assert [ending] == rig.endings
    assert "hang_up" == rig.order


def test_a_call_ends_at_once_when_the_verdict_comes_before_the_stream() -> None:
    """Detection may be faster than the media stream."""
    bench = Bench(outgoing("hang_up"))
    bench.control(Answered())

    bench.control(MachineDetected("machine"))

    assert ["machine"] == bench.endings


def test_a_human_hears_nothing_of_the_detection() -> None:
    """The conversation goes on as it was."""
    rig = picked_up("leave_message")
    rig.run(2000)
    before = len(rig.log)

    rig.control(MachineDetected("human"))

    assert before == len(rig.log)


# --- the message -----------------------------------------------------------------------------------------------------


def test_a_message_is_left_instead_of_what_was_being_said() -> None:
    """What plays is cleared, the message is asked for word for word, heard in full, and then the call ends."""
    rig = picked_up("leave_message", (Reply((Speech(5000),)), Reply((Speech(4000, words=MESSAGE),))))
    rig.run_until(lambda: rig.ear.is_playing)

    actions = rig.control(MachineDetected("machine_listening"))
    rig.run_until(lambda: rig.endings)

    assert 1 == len(of(ClearPlayout, actions))
    assert MESSAGE in asked(rig)[-1]
    assert ["message_left"] == rig.endings
    assert [("bot", MESSAGE)] == rig.transcript()[-1:]
    item_id = next(reversed([key for key, item in rig.server.items.items() if item.role == "assistant"]))
    assert 4000 == rig.heard_ms(item_id)
    assert 0 == facts("call.ended", rig.log)[0]["barge_ins"]


def test_a_message_is_left_once() -> None:
    """The verdict may come again."""
    rig = picked_up("leave_message")

    for _ in range(3):
        rig.control(MachineDetected("machine_listening"))
        rig.run(300)
    rig.run_until(lambda: rig.endings)

    assert 1 == sum(MESSAGE in words for words in asked(rig))
    assert ["message_left"] == rig.endings


@pytest.mark.parametrize("mode", ["instant", "confirmed", "off"])
def test_a_message_is_not_stopped_by_whatever_the_machine_says(mode: str) -> None:
    """Nobody listens to us there: neither speech nor keys cut the message, and nothing is answered."""
    rig = picked_up("leave_message", (Reply((Speech(500),)), Reply((Speech(6000, words=MESSAGE),))), mode)
    rig.run(2000)
    rig.control(MachineDetected("machine_listening"))
    rig.phone.speak(2500, after_ms=1000)
    rig.run(2000)
    rig.caller(key_message("5"))
    rig.control(Say("Hello?"))
    rig.run_until(lambda: rig.endings)

    assert ["message_left"] == rig.endings
    assert ("bot", MESSAGE) == rig.transcript()[-1]
    assert MESSAGE in asked(rig)[-1]


def test_an_answer_that_the_server_begins_by_itself_is_not_heard() -> None:
    """The server answers the machine's greeting in the very moment in which the message is due."""
    rig = picked_up("leave_message", (Reply((Speech(500),)), Reply((Speech(3000, words="How can I help?"),))))
    rig.run(2000)
    rig.server.replies.append(Reply((Speech(2000, words=MESSAGE),)))
    rig.phone.speak(1500)
    rig.run_until(lambda: len(rig.server.responses) == 2)

    rig.control(MachineDetected("machine_listening"))
    rig.run_until(lambda: rig.endings)

    assert ["message_left"] == rig.endings
    assert "How can I help?" not in [words for _, words in rig.transcript()]


def test_a_machine_that_listens_before_the_stream_is_there_hears_the_message_and_no_greeting() -> None:
    """A verdict that comes early waits."""
    rig = Rig(outgoing("leave_message"))
    rig.control(Answered())
    rig.control(MachineDetected("machine_listening"))
    rig.begin()
    rig.run_until(lambda: rig.endings)

    assert 1 == len(asked(rig))
    assert MESSAGE in asked(rig)[0]
    assert ["message_left"] == rig.endings


def test_a_function_that_returns_late_adds_nothing_to_the_message() -> None:
    """Its output asks for no answer any more."""
    rig = picked_up("leave_message")
    rig.control(MachineDetected("machine_listening"))
    rig.control(FunctionResult("call_1", "{}"))
    rig.run_until(lambda: rig.endings)

    assert MESSAGE in asked(rig)[-1]


# --- the operator's hand ---------------------------------------------------------------------------------------------


def with_sales() -> Rig:
    """A call that may be transferred, greeted."""
    sales = Destination(name="sales", to="+15557654321", announce="I will put you through.")
    plan = msgspec.structs.replace(make_plan(greeting_message="Hello there."), destinations={"sales": sales})
    rig = Rig(plan)
    rig.begin()
    rig.run(3000)
    return rig


def test_an_operator_transfers_a_call_like_the_model_does() -> None:
    """The announcement is heard first; then the call leaves its stream for the destination."""
    rig = with_sales()

    rig.control(Transfer("sales", "Wants a price."))
    rig.run_until(lambda: rig.order)

    assert "I will put you through." in asked(rig)[-1]
    assert ["transfer"] == [action.order.kind for action in of(CloseStream, rig.log)]
    assert ["Wants a price."] == [action.order.summary for action in of(CloseStream, rig.log)]


def test_a_model_is_told_why_a_call_came_back_that_the_operator_transferred() -> None:
    """No function call waits for it, so it is a message."""
    rig = with_sales()
    rig.control(Transfer("sales"))
    rig.run_until(lambda: rig.order)
    rig.run(100)
    rig.control(TransferOver("busy"))

    rig.begin()
    rig.run(2000)

    assert 1 == sum("busy" in str(action.item) for action in of(CreateItem, rig.log))
    assert [] == rig.endings


def test_an_operator_ends_a_call_that_is_being_transferred() -> None:
    """The carrier is asked to end it, for there is no stream to close."""
    rig = with_sales()
    rig.control(Transfer("sales"))
    rig.run_until(lambda: rig.order)
    rig.run(100)

    actions = rig.control(HangUp())

    assert 1 == len(of(HangUpCall, actions))
    assert ["operator_hung_up"] == rig.endings
