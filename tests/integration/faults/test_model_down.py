"""The model is known to be down: callers hear the fallback at once, and one of them finds out when it is back."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.client import CALLEE, TABLES, Operator, refusal
from tests.peers import Model, Twilio
from tests.support import ACCOUNT, LINE, Rehearsal, Start, free_port

SORRY = "Sorry, our assistant is unavailable."
PAUSE_S = 30.0


@pytest.fixture
def door() -> str:
    """What is known of the model is decided before any door."""
    return "plain"


async def answer(twilio: Twilio, number: int) -> str:
    """What a caller is answered: `stream`, or `fallback`."""
    form = {
        "CallSid": f"CA{number:032}",
        "AccountSid": ACCOUNT,
        "From": f"+1555010{number:04}",
        "To": LINE,
        "CallStatus": "ringing",
    }
    text = (await twilio.post("/twiml/answer", **form, Direction="inbound")).text
    return "fallback" if SORRY in text else "stream"


def of(model: Model, **more: object) -> dict[str, object]:
    """The endpoint's settings; a call gives it up soon."""
    return {"url": model.url, "restore_within_s": 2} | more


async def fails(run: Rehearsal, twilio: Twilio, number: int) -> None:
    """A call whose session fails."""
    assert "stream" == await answer(twilio, number)
    await run.clock.sleep(4)


async def test_callers_hear_the_fallback_at_once_when_the_key_is_refused(rehearsal: Start) -> None:
    """The first call finds out, and costs its caller a wait; nobody after it is connected into a silence."""
    async with Model(status=401) as model:
        run = await rehearsal(model=of(model), fallback={"say": SORRY, "retry_after_s": PAUSE_S})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await fails(run, twilio, 1)

            assert ["fallback"] * 3 == [await answer(twilio, number) for number in (2, 3, 4)]
            assert 1 == model.handshakes
            assert {"model_down": 3} == run.refusals
            assert 2 == run.number("voicebridge_model_breaker_state", endpoint="primary")


async def test_one_caller_tries_after_a_pause_and_the_model_that_is_back_is_used_again(
    rehearsal: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its webhook is answered when its session is ready, and then everybody is let through."""
    async with Model(status=401) as model:
        run = await rehearsal(model=of(model), fallback={"say": SORRY, "retry_after_s": PAUSE_S})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await fails(run, twilio, 1)
            monkeypatch.setattr(model, "_status", 101)
            before = await answer(twilio, 2)
            await run.clock.sleep(PAUSE_S)
            tried = await answer(twilio, 3)
            ready = len(run.seen.of("model.readied"))
            after = await answer(twilio, 4)

            assert ["fallback", "stream", "stream"] == [before, tried, after]
            assert 1 == ready
            assert 0 == run.number("voicebridge_model_breaker_state", endpoint="primary")


async def test_a_trial_that_fails_costs_one_caller_a_wait_and_no_other(rehearsal: Start) -> None:
    """The others hear the fallback meanwhile, and for twice as long afterwards."""
    async with Model(status=401) as model:
        run = await rehearsal(model=of(model), fallback={"say": SORRY, "retry_after_s": PAUSE_S})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await fails(run, twilio, 1)
            await run.clock.sleep(PAUSE_S)
            await fails(run, twilio, 2)
            await run.clock.sleep(PAUSE_S)

            assert "fallback" == await answer(twilio, 3)
            assert 2 == model.handshakes


async def test_a_key_that_is_changed_makes_what_was_known_of_the_old_one_forgotten(rehearsal: Start) -> None:
    """The operator has mended it: the next caller gets the bot, and the alert ends."""
    async with Model(status=401) as model:
        run = await rehearsal(model=of(model), fallback={"say": SORRY, "retry_after_s": PAUSE_S})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await fails(run, twilio, 1)
            before = run.number("voicebridge_model_breaker_state", endpoint="primary")
            given = run.bridge.given
            mended = given.model.model_copy(update={"api_key": SecretStr("another-rehearsed-key")})
            await run.bridge.adopt(given.model_copy(update={"model": mended}))

            assert (2, 0) == (before, run.number("voicebridge_model_breaker_state", endpoint="primary"))
            assert "stream" == await answer(twilio, 2)


async def test_no_call_is_placed_while_the_model_is_down(rehearsal: Start) -> None:
    """Whoever picked up would hear nothing but the fallback; the operator is told instead."""
    async with Model(status=401) as model:
        run = await rehearsal(**TABLES, model=of(model), fallback={"say": SORRY, "retry_after_s": PAUSE_S})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await fails(run, twilio, 1)
        held = len(run.bridge.desk.calls)
        answered = await Operator(run).post("/api/calls", {"to": CALLEE, "from": LINE})

        assert (503, "model_down") == refusal(answered)
        assert held == len(run.bridge.desk.calls)


async def test_the_standby_answers_while_the_first_endpoint_is_down(rehearsal: Start, model: Model) -> None:
    """It is asked first then: no caller waits for the endpoint that is known to be down."""
    down = f"ws://127.0.0.1:{free_port()}/v1/realtime"
    standby = {"provider": "compatible", "url": model.url, "api_key": "another-key"}
    run = await rehearsal(
        model={"url": down, "standby": standby}, fallback={"say": SORRY, "after_failures": 1, "retry_after_s": PAUSE_S}
    )
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        await fails(run, twilio, 1)
        lost = len(run.seen.of("model.lost"))

        assert "stream" == await answer(twilio, 2)
        await model.session(1)
        assert lost == len(run.seen.of("model.lost"))


async def test_a_bridge_whose_model_is_down_stays_ready(rehearsal: Start) -> None:
    """It has an answer for callers; with no bridge to ask, they would hear the carrier's error."""
    async with Model(status=401) as model:
        run = await rehearsal(model=of(model), fallback={"say": SORRY})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await fails(run, twilio, 1)

            assert 200 == (await twilio.get("/readyz")).status_code
