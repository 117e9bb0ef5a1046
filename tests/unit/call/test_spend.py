"""What a call costs, and its end when that is too much."""

from __future__ import annotations

import msgspec

from bridge.call.actions import CloseStream
from bridge.call.plan import Plan, Tariff
from bridge.wire.commands import CreateResponse
from tests.unit.call.rig import Bench, facts, make_plan, of

PRICE = Tariff(text_in=4, text_cached_in=0.4, audio_in=32, audio_cached_in=0.4, text_out=24, audio_out=64)
USAGE = {
    "input_token_details": {
        "text_tokens": 1000,
        "audio_tokens": 2000,
        "cached_tokens_details": {"text_tokens": 400, "audio_tokens": 500},
    },
    "output_token_details": {"text_tokens": 100, "audio_tokens": 300},
}
COST = (600 * 4 + 400 * 0.4 + 1500 * 32 + 500 * 0.4 + 100 * 24 + 300 * 64) / 1_000_000
STOP = {"event": "stop", "sequenceNumber": "9"}


def priced(**limits: float) -> Plan:
    """A plan with a price."""
    return msgspec.structs.replace(make_plan(), price=PRICE, transcription_price=Tariff(audio_in=3), **limits)


def answered(bench: Bench, number: int = 1) -> None:
    """The model has answered once more; nothing was heard of it."""
    bench.turn()
    bench.respond(f"resp_{number}")
    bench.done(f"resp_{number}", usage=USAGE)


def test_the_cost_of_a_call_adds_up() -> None:
    """Each response tells its own, and the end of the call the whole."""
    bench = Bench(priced())
    bench.up()
    answered(bench, 1)
    answered(bench, 2)
    usage = {"type": "tokens", "input_token_details": {"audio_tokens": 1000}, "output_tokens": 5}
    bench.model(
        "conversation.item.input_audio_transcription.completed", item_id="item_caller", transcript="Hi", usage=usage
    )
    bench.at(bench.now + 30)
    bench.caller(STOP)

    counted = facts("usage.counted", bench.log)
    assert [COST, COST, 0.003] == [fact["cost"] for fact in counted]
    assert ["response", "response", "transcription"] == [fact["of"] for fact in counted]
    assert (600, 400, 1500, 500, 100, 300) == tuple(
        counted[0][kind]
        for kind in ("text_in", "text_cached_in", "audio_in", "audio_cached_in", "text_out", "audio_out")
    )
    (ended,) = facts("call.ended", bench.log)
    assert (round(2 * COST + 0.003, 6), 30.0) == (ended["cost"], ended["lasted_s"])


def test_a_call_without_prices_counts_tokens_and_knows_no_cost() -> None:
    """Nothing is made up."""
    bench = Bench()
    bench.up()
    answered(bench)
    bench.caller(STOP)

    assert ["cost" in fact for fact in facts("usage.counted", bench.log)] == [False]
    assert ["cost" in fact for fact in facts("call.ended", bench.log)] == [False]


def test_a_call_that_costs_too_much_ends_when_the_caller_has_been_told() -> None:
    """The goodbye is asked for, and heard before the call is left."""
    bench = Bench(priced(max_cost=1.5 * COST))
    bench.up()
    answered(bench, 1)
    assert [] == facts("act.announced", bench.log)
    answered(bench, 2)

    asked = of(CreateResponse, bench.log)[-1]
    assert "cannot go on" in asked.response["instructions"]
    assert [] == of(CloseStream, bench.log)
    bench.respond("resp_bye", asked)
    bench.done("resp_bye", usage=USAGE)
    bench.caller(STOP)

    assert ["cost_limit"] == bench.endings
    assert 1 == len(facts("act.announced", bench.log))
