"""A call that leaves its stream for an errand: what overtakes what, and what it comes back to."""

from __future__ import annotations

import msgspec
import pytest

from bridge.call.actions import Action, CloseModel, CloseStream, LeaveOrder, Park, ResumeRecording, RunFunction
from bridge.call.controls import CalleeAnswered, CallOver, HandedOver, Say, Transfer, TransferOver
from bridge.call.plan import Plan
from bridge.settings import Collect, Destination
from bridge.wire.commands import CreateItem, CreateResponse
from tests.unit.call.rig import Bench, Rig, facts, key_message, make_plan, of

STOP = {"event": "stop", "sequenceNumber": "9"}
PROMPT = "Please enter your number."
PLACES = {
    "sales": Destination(name="sales", to="+15557654321", announce="One moment.", timeout_s=5, on_failure="office"),
    "office": Destination(name="office", to="+15557654322", timeout_s=5),
}


def greeted(plan: Plan) -> Rig:
    """A call that was greeted just now."""
    rig = Rig(plan)
    rig.begin()
    rig.run(3000)
    return rig


def ringing(*, is_closed: bool = True) -> Rig:
    """A call that is being transferred to sales; its stream is closed, or told to."""
    rig = greeted(msgspec.structs.replace(make_plan(greeting_message="Hello there."), destinations=PLACES))
    rig.control(Transfer("sales"))
    rig.run_until(lambda: rig.order)
    if is_closed:
        rig.run(100)
    return rig


def test_a_result_that_overtakes_the_end_of_the_stream_is_taken() -> None:
    """The destination fails at once, and the carrier asks before the old stream has said that it is over."""
    rig = ringing(is_closed=False)

    actions = rig.control(TransferOver("failed"))

    assert ["office"] == [action.order.destination for action in of(LeaveOrder, actions)]
    assert [{"outcome": "failed"}] == facts("transfer.ended", rig.log)
    rig.run(1000)
    assert [] == rig.endings


def test_a_call_whose_two_people_talk_needs_no_session_and_no_place() -> None:
    """Told twice, it is let go of once; and a human who was connected after all the same can be missed later."""
    rig = ringing()

    actions = rig.control(HandedOver()) + rig.control(HandedOver())

    assert 1 == len(of(CloseModel, actions))
    assert 1 == len(of(Park, actions))
    rig.control(CallOver("completed"))
    assert ["transferred"] == rig.endings


def test_a_caller_may_talk_to_the_second_destination_for_as_long_as_to_the_first() -> None:
    """That the first one has failed says nothing about the second, who has answered."""
    rig = ringing()
    rig.control(TransferOver("busy"))
    rig.control(CalleeAnswered())

    rig.run(1_000_000)
    rig.control(TransferOver("connected"))

    assert ["transferred"] == rig.endings


def calls(bench: Bench, name: str, arguments: str = "{}") -> list[Action]:
    """The model calls a function, in a response that is over then."""
    item = {"id": "item_1", "type": "function_call", "status": "completed", "name": name, "call_id": "call_1"}
    bench.respond("resp_1")
    bench.model("response.output_item.done", response_id="resp_1", item=item | {"arguments": arguments})
    return bench.done("resp_1")


def test_keys_that_were_pressed_before_an_errand_reach_the_model_after_it() -> None:
    """The pause that completes the entry is waited for when the call is back."""
    bench = Bench()
    bench.up()
    bench.caller(key_message("4"))
    assert ["keys"] == [action.order.kind for action in of(CloseStream, calls(bench, "send_digits", '{"digits": "1"}'))]
    bench.caller(STOP)
    bench.start()

    actions = bench.wait(5)

    assert ["The caller pressed 4."] == [action.item["content"][0]["text"] for action in of(CreateItem, actions)]
    assert 1 == len(of(CreateResponse, actions))


def test_an_answer_that_was_awaited_before_an_errand_is_asked_for_after_it() -> None:
    """The caller has spoken as the call left: the server's own answer is not waited for any more."""
    bench = Bench()
    bench.up()
    bench.respond("resp_1")
    item = {"id": "item_1", "type": "function_call", "status": "completed", "name": "send_digits", "call_id": "call_1"}
    bench.model("response.output_item.done", response_id="resp_1", item=item | {"arguments": '{"digits": "1"}'})
    bench.turn()
    bench.done("resp_1")
    bench.caller(STOP)

    actions = bench.start()

    assert 1 == len(of(CreateResponse, actions))


def test_a_response_whose_beginning_was_lost_before_an_errand_is_waited_for_after_it() -> None:
    """What the operator wants said was asked for when the server answered the caller by itself, with keys to be sent.

    Nobody waits for anything while the call is away; back from it, a server that never begins makes no sense.
    """
    bench = Bench()
    bench.up()
    bench.control(Say("Please hold on."))
    bench.turn()
    assert 1 == len(of(CloseStream, calls(bench, "send_digits", '{"digits": "1"}')))
    bench.caller(STOP)
    bench.start()

    bench.listen(7000)
    actions = bench.timer()

    assert [{"waiting_for": "created"}] == facts("response.stalled", actions)
    assert [] == bench.endings


def test_a_response_that_ends_unseen_during_an_errand_keeps_nobody_waiting() -> None:
    """Its beginning got lost, and its end came while the call was away: back from it, the model is told how it went."""
    bench = Bench()
    bench.up()
    item = {"id": "item_1", "type": "function_call", "status": "completed", "name": "send_digits", "call_id": "call_1"}
    sent = bench.model("response.output_item.done", response_id="resp_1", item=item | {"arguments": '{"digits": "1"}'})
    assert 1 == len(of(CloseStream, sent))
    bench.caller(STOP)
    bench.done("resp_1")

    actions = bench.start()

    assert ['{"sent": "1"}'] == [told.item["output"] for told in of(CreateItem, actions)]
    assert 1 == len(of(CreateResponse, actions))


@pytest.mark.parametrize("outcome", ["busy", "connected"])
def test_word_of_an_older_transfer_comes_while_keys_are_sent(outcome: str) -> None:
    """Callbacks come late: it says nothing about the keys, nor about the call."""
    bench = Bench()
    bench.up()
    calls(bench, "send_digits", '{"digits": "1"}')
    bench.caller(STOP)

    actions = bench.control(TransferOver(outcome))

    assert ([], []) == (of(LeaveOrder, actions), bench.endings)
    assert 1 == len(facts("control.ignored", actions))


class TestSecrets:
    """Digits for a function."""

    @pytest.fixture
    def bench(self) -> Bench:
        """The model has called a function that wants digits, and the prompt is asked for but not begun."""
        collect = Collect(argument="digits", prompt=PROMPT, timeout_s=5, max_digits=4)
        bench = Bench(msgspec.structs.replace(make_plan(functions=("check",)), collects={"check": collect}))
        bench.up()
        (asked,) = of(CreateResponse, calls(bench, "check"))
        assert PROMPT in str(asked.response)
        return bench

    def test_a_prompt_that_the_first_key_overtakes_is_not_asked_for_again(self, bench: Bench) -> None:
        """The key comes before the server has begun to say it: that response is in vain, and wanted no more."""
        bench.caller(key_message("4"))
        bench.respond("resp_2", of(CreateResponse, bench.log)[-1])
        bench.done("resp_2", "cancelled")
        bench.wait(3)

        assert 1 == sum(PROMPT in str(asked.response) for asked in of(CreateResponse, bench.log))

    def test_a_caller_is_not_heard_until_a_second_after_the_last_key(self, bench: Bench) -> None:
        """The function gets the digits at once; the tone of the last key, and keys too many, still belong to them."""
        for key in "4071":
            bench.caller(key_message(key))
        assert [{"digits": "4071"}] == [run.secrets for run in of(RunFunction, bench.log)]
        bench.caller(key_message("9"))
        heard = [bool(of(ResumeRecording, bench.wait(seconds))) for seconds in (0.9, 0.2)]

        assert [False, True] == heard
        assert not bench.call.is_secret
        assert [] == facts("keys.collected", bench.log)

    def test_a_caller_who_presses_nothing_is_heard_again(self, bench: Bench) -> None:
        """The time for the prompt and the first key is over."""
        bench.wait(5 + len(PROMPT) / 10 + 0.1)

        assert [] == of(RunFunction, bench.log)
        assert 1 == len(of(ResumeRecording, bench.log))

    def test_a_function_that_the_agent_does_not_have_asks_for_no_digits(self) -> None:
        """A model may call what it was never given."""
        bench = Bench(msgspec.structs.replace(make_plan(), collects={"check": Collect(prompt=PROMPT)}))
        bench.up()
        calls(bench, "check")

        assert not bench.call.is_secret
        assert ["no such function" in str(told.item) for told in of(CreateItem, bench.log)] == [True]
