"""The time of a call: a warning before, and an end that every state has."""

from __future__ import annotations

import msgspec
import pytest

from bridge.call.actions import Action, CloseStream, LeaveOrder
from bridge.call.controls import CalleeAnswered, CallOver, HangUp, ModelConnected, ModelLost, StreamOver, Transfer
from bridge.call.limits import MARGIN_S, longest_s
from bridge.call.plan import Outgoing
from bridge.call.presence import MAX_LOSSES
from bridge.call.states import CallerLeg, ModelLeg
from bridge.settings import Destination
from bridge.wire.commands import CreateItem, CreateResponse
from tests.unit.call.rig import Bench, facts, make_plan, of

QUIET = {"prompt_after_s": 600}
STOP = {"event": "stop", "sequenceNumber": "9"}
LOST = '{"event":"stop","lost":true}'
SALES = Destination(name="sales", to="+15557654321", timeout_s=5, announce="One moment.")


def limited(max_call_s: float, warn_before_s: float = 60) -> Bench:
    """A call that may last so long, up, on a line that is alive."""
    plan = make_plan(max_call_s=max_call_s, silence=QUIET)
    bench = Bench(msgspec.structs.replace(plan, warn_before_s=warn_before_s))
    bench.up()
    return bench


def lasts(bench: Bench, seconds: float) -> list[Action]:
    """The call goes on; a piece of sound comes now and then."""
    actions = []
    for _ in range(int(seconds / 2)):
        actions += bench.wait(1.98) + bench.frame()
    return actions


class TestWarning:
    """A caller is told that the call must end soon."""

    def test_a_caller_is_told_a_minute_before_the_end(self) -> None:
        """In one response, once; then the call goes on, and ends in time."""
        bench = limited(300)

        assert [] == of(CreateResponse, lasts(bench, 238))
        (asked,) = of(CreateResponse, lasts(bench, 4))
        assert "end in one minute" in asked.response["instructions"]
        bench.respond("resp_1", asked)
        bench.done("resp_1")
        assert [] == of(CreateResponse, lasts(bench, 54))
        (asked,) = of(CreateResponse, lasts(bench, 6))

        assert "time limit" in asked.response["instructions"]
        assert [{}] == facts("call.warned", bench.log)

    def test_a_caller_of_a_short_call_is_not_warned(self) -> None:
        """The warning would come before there was anything to warn of."""
        bench = limited(120)

        (asked,) = of(CreateResponse, lasts(bench, 124))

        assert "time limit" in asked.response["instructions"]
        assert [] == facts("call.warned", bench.log)

    def test_a_caller_whose_stream_was_lost_is_warned_all_the_same(self) -> None:
        """As soon as they can hear it, and once."""
        bench = limited(300)
        lasts(bench, 238)
        bench.caller(LOST)
        bench.wait(5)

        actions = bench.start() + lasts(bench, 4)

        assert 1 == len(facts("call.warned", actions))
        assert 1 == len(of(CreateResponse, actions))


def stand(leg: CallerLeg, model: ModelLeg) -> Bench | None:
    """A call whose legs stand like this; None where that cannot be."""
    plan = make_plan(silence=QUIET)
    destinations = {"sales": SALES}
    outgoing = Outgoing(ring_within_s=30) if leg is CallerLeg.RINGING else None
    bench = Bench(msgspec.structs.replace(plan, destinations=destinations, outgoing=outgoing))
    if leg in (CallerLeg.GONE, CallerLeg.RINGING):
        return bench if leg is CallerLeg.RINGING and model is ModelLeg.GONE else None
    if model is not ModelLeg.CONNECTING:
        bench.control(ModelConnected()) if model is ModelLeg.CONFIGURING else bench.ready()
    if leg is CallerLeg.AWAITED:
        return _without_model(bench, model)
    bench.start()
    if leg is CallerLeg.UP:
        return bench if model is not ModelLeg.GONE else None
    if leg is CallerLeg.CLOSING:
        bench.control(HangUp())
        return _without_model(bench, model)
    if model in (ModelLeg.CONNECTING, ModelLeg.CONFIGURING):
        bench.caller(LOST)
        return bench
    bench.respond("resp_1", *of(CreateResponse, bench.control(Transfer("sales"))))
    bench.done("resp_1")
    bench.caller(STOP)
    if model is ModelLeg.GONE:
        bench.control(CalleeAnswered())
        bench.wait(80)
    return bench


def _without_model(bench: Bench, model: ModelLeg) -> Bench:
    if model is ModelLeg.GONE:
        bench.control(ModelLost("closed", "1006"))
    return bench


PAIRS = [(leg, model) for leg in CallerLeg for model in ModelLeg if stand(leg, model) is not None]


@pytest.mark.parametrize(("leg", "model"), PAIRS)
def test_a_call_that_is_left_alone_ends(leg: CallerLeg, model: ModelLeg) -> None:
    """However the two legs stand, and though nothing more is said by anybody."""
    bench = stand(leg, model)
    assert bench is not None
    bench.wait(5 * 3600)

    assert 1 == len(bench.endings)
    assert None is bench.call.deadline()


def test_each_state_of_a_leg_is_looked_at() -> None:
    """But for the one that a call has only when it is over."""
    assert set(CallerLeg) - {CallerLeg.GONE} == {leg for leg, _ in PAIRS}
    assert set(ModelLeg) == {model for _, model in PAIRS}


def test_an_order_is_left_for_every_call_that_the_carrier_may_ask_about() -> None:
    """A call that is over while its stream is away has nothing to say any more."""
    bench = limited(300)
    bench.caller(LOST)
    bench.control(CallOver("completed"))

    assert ["resume"] == [action.order.kind for action in of(LeaveOrder, bench.log)]
    assert [] == of(CreateItem, bench.log)


def test_a_stream_that_is_offered_again_and_again_passes_no_limit() -> None:
    """The watchdog is for what has no exit, and not for a carrier that takes its time four times over."""
    plan = msgspec.structs.replace(make_plan(max_call_s=60, silence=QUIET), claim_within_s=600)
    bench = Bench(plan)
    bench.ready()
    for _ in range(MAX_LOSSES):
        bench.wait(599)
        bench.control(StreamOver())
    bench.wait(599)
    bench.start()
    while not bench.endings:
        lasts(bench, 2)
        if of(CloseStream, bench.log) and not bench.endings:
            bench.caller(STOP)

    assert ["time_limit"] == bench.endings
    assert 4 * 599 + 60 < bench.now < longest_s(plan) - MARGIN_S
