"""The model's leg fails: what the caller hears and when, and how the call ends. Rows of `docs/faults.md`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bridge.rehearsal.carrier import Call
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.rehearsal.sound import is_loud
from tests.peers import Model
from tests.shop import Gate, Wire, asks
from tests.support import Rehearsal, Start, by_every_client, speech

HELLO = Reply(speech="Hello there.")
LONG = Reply(speech="The shop is open from nine to five on every day but Sunday and on holidays it is closed all day.")
SHORT = Reply(speech="From nine to five.")
LOOKUP = Reply(calls=(FunctionCall("lookup"),))
SORRY = "Sorry, our assistant is unavailable."
HEARD = ["opening hours", "thank you"]
PATIENT = {"silence": {"prompt_after_s": 60}}
FRAME_BYTES = 160
SOON_S = 2.0
"""How soon the caller is promised to hear something when a session is lost."""
LATE_S = 0.8
"""What a busy machine may add to that, at ten times real time."""
CALM_RATE = 4.0
"""For calls in which many short silences follow each other."""
REFUSED = {"kind": "refuse", "status": 503}


def silences_s(call: Call, since: int = 0) -> list[float]:
    """How long the caller heard nothing, each time, from a position on; the end of the call is none of them."""
    heard = call.heard[since:]
    silences, frames = [], 0
    for start in range(0, len(heard), FRAME_BYTES):
        if is_loud(heard[start : start + FRAME_BYTES]):
            silences.append(frames * 0.02)
            frames = 0
        else:
            frames += 1
    return silences or [0.0]


class Talk:
    """A caller who is greeted, asks, waits for something, and hangs up a moment later."""

    def __init__(self, run: Rehearsal, until: Callable[[], bool], *, then_s: float = 3.0) -> None:
        self.run = run
        self.asked_at = 0
        self._until = until
        self._then_s = then_s

    async def __call__(self, call: Call) -> None:
        """The script."""
        await asks(call)
        self.asked_at = call.phone.position()
        await call.until(self._until)
        await self.run.clock.sleep(self._then_s)
        call.hang_up()


async def talk(run: Rehearsal, until: Callable[[], bool], *, then_s: float = 3.0) -> tuple[Call, float]:
    """Make the call; the call, and the longest silence after the caller has asked."""
    caller = Talk(run, until, then_s=then_s)
    call = await run.dial(caller)
    await call.ended()
    await run.carrier.settled()
    await run.clock.sleep(1)
    assert run.is_empty()
    return call, max(silences_s(call, caller.asked_at))


def replaced(run: Rehearsal) -> Callable[[], bool]:
    """Whether a session was replaced."""
    return lambda: bool(run.seen.of("session.replaced"))


def said(run: Rehearsal, count: int) -> Callable[[], bool]:
    """Whether so many lines of the bot were heard."""
    return lambda: len(run.seen.bot_words()) >= count


@by_every_client
async def test_session_is_lost_in_the_middle_of_an_answer(rehearsal: Start, wire: Wire) -> None:
    """The caller hears what was sent, and then the rest from another session, which is told how far it had come."""
    faults = [{"kind": "drop", "response": 2}]
    run = await rehearsal([HELLO, LONG, SHORT], heard=HEARD, faults=faults, agent=PATIENT)
    call, silence_s = await talk(run, said(run, 3))

    assert ["caller_hung_up"] == run.seen.endings()
    assert [{"reason": "closed", "code": "1011"}] == run.seen.of("model.lost")
    assert ("lost", "primary") == tuple(run.seen.of("session.replaced")[0][key] for key in ("cause", "endpoint"))
    assert "From nine to five." == run.seen.bot_words()[-1]
    assert 1 == sum("Hello there." in wish for wish in wire.wishes())
    assert any("broke off while you were speaking" in text for text in wire.messages())
    assert "opening hours" in wire.messages()
    assert silence_s < SOON_S + LATE_S
    assert [] == call.told


async def test_session_is_lost_while_it_calls_a_function(
    rehearsal: Start, offer: Callable[..., dict[str, object]]
) -> None:
    """The call was not complete, so nothing has run; the next session is asked the same, and calls it."""
    ran = []

    def lookup() -> str:
        ran.append(1)
        return "from nine to five"

    run = await rehearsal(
        [HELLO, LOOKUP, LOOKUP, SHORT],
        heard=HEARD,
        faults=[{"kind": "drop", "response": 2}],
        agent=PATIENT | {"tools": ["lookup"]},
        functions=offer(lookup=lookup),
    )
    _, silence_s = await talk(run, said(run, 2))

    assert [1] == ran
    assert ["Hello there.", "From nine to five."] == run.seen.bot_words()
    assert silence_s < SOON_S + LATE_S


async def test_session_is_lost_while_a_function_runs(
    rehearsal: Start, wire: Wire, offer: Callable[..., dict[str, object]]
) -> None:
    """It runs on; its call and its output are told to the next session, in that order, and answered once."""
    gate = Gate()

    async def lookup() -> str:
        await gate.passed()
        return "from nine to five"

    run = await rehearsal(
        [HELLO, LOOKUP, SHORT],
        heard=HEARD,
        agent=PATIENT | {"tools": ["lookup"]},
        functions=offer(lookup=lookup),
    )
    loop = asyncio.get_running_loop()

    async def cut() -> None:
        while not run.seen.of("function.called"):
            await run.clock.sleep(0.1)
        run.model.sessions[-1]._outbox.close(1011, "")  # noqa: SLF001 - the server's end
        while not run.seen.of("session.replaced"):
            await run.clock.sleep(0.1)
        gate.open()

    cutting = loop.create_task(cut())
    _, silence_s = await talk(run, said(run, 2))
    await cutting

    assert silence_s < SOON_S + LATE_S
    kinds = [event["item"]["type"] for event in wire.of("conversation.item.create")]
    assert ["function_call", "function_call_output"] == [kind for kind in kinds if kind.startswith("function")]
    assert ["Hello there.", "From nine to five."] == run.seen.bot_words()


@by_every_client
async def test_caller_hears_the_clip_while_the_endpoint_is_away(rehearsal: Start) -> None:
    """Something within two seconds, again and again, and then the answer."""
    faults = [{"kind": "drop", "response": 2, "deltas": 0}, REFUSED | {"times": 3}]
    run = await rehearsal(
        [HELLO, LONG, SHORT], heard=HEARD, faults=faults, agent=PATIENT, model={"restore_within_s": 60}, rate=CALM_RATE
    )
    call, silence_s = await talk(run, said(run, 2))

    (fact,) = run.seen.of("session.replaced")
    assert 4 == fact["attempts"]
    assert 1500 < int(str(fact["took_ms"]))
    assert silence_s < SOON_S + LATE_S
    assert "From nine to five." == run.seen.bot_words()[-1]
    assert [] == call.told


async def test_endpoint_does_not_come_back(rehearsal: Start) -> None:
    """The clip for as long as may be, then the fallback."""
    faults = [{"kind": "drop", "response": 2, "deltas": 0}, REFUSED | {"times": 100}]
    run = await rehearsal(
        [HELLO, LONG],
        heard=HEARD,
        faults=faults,
        fallback={"say": SORRY},
        model={"restore_within_s": 12},
        rate=CALM_RATE,
        agent=PATIENT,
    )
    call, silence_s = await talk(run, lambda: False)

    assert [SORRY] == call.told
    assert ["model_failed"] == run.seen.endings()
    assert [{"reason": "unavailable", "code": "503 rehearsed"}] == run.seen.of("model.failed")
    assert silence_s < SOON_S + LATE_S


async def test_endpoint_is_away_for_a_moment_when_the_call_comes_in(rehearsal: Start) -> None:
    """The caller is greeted a little later."""
    run = await rehearsal([HELLO, SHORT], heard=HEARD, faults=[REFUSED | {"times": 2}], agent=PATIENT)
    call, _ = await talk(run, said(run, 2))

    assert ["Hello there.", "From nine to five."] == run.seen.bot_words()
    assert max(silences_s(call)[:50]) < SOON_S + LATE_S
    assert [] == run.seen.of("session.replaced")


async def test_quota_is_used_up(rehearsal: Start) -> None:
    """Told apart from a rate limit: nobody waits for nothing."""
    faults = [{"kind": "refuse", "status": 429, "code": "insufficient_quota", "times": 9}]
    run = await rehearsal(faults=faults, fallback={"say": SORRY})
    call = await run.dial()
    await call.ended()

    assert [SORRY] == call.told
    assert [{"reason": "rate_limited", "code": "429 insufficient_quota"}] == run.seen.of("model.lost")
    assert 6 > (call.ended_s or 0) - (call.answered_s or 0)  # what is said included


@pytest.mark.parametrize(
    ("fault", "reason"),
    [({"kind": "fail", "responses": 9}, "responses_failed"), ({"kind": "nonsense"}, "nonsense")],
    ids=["fails", "nonsense"],
)
async def test_session_that_makes_no_answer_is_replaced(
    rehearsal: Start, fault: dict[str, object], reason: str
) -> None:
    """Three failed answers, or events that make no sense: another session answers."""
    run = await rehearsal([HELLO, *[SHORT] * 6], heard=HEARD, faults=[fault | {"response": 2}], agent=PATIENT)
    _, silence_s = await talk(run, lambda: replaced(run)() and said(run, 2)())

    assert reason == run.seen.of("model.lost")[0]["reason"]
    assert "From nine to five." == run.seen.bot_words()[-1]
    assert silence_s < SOON_S + LATE_S + 1


@pytest.mark.parametrize("kind", ["empty", "silent"])
async def test_answer_that_nobody_can_hear_is_asked_for_again(rehearsal: Start, kind: str) -> None:
    """In the same session."""
    run = await rehearsal([HELLO, SHORT, SHORT], heard=HEARD, faults=[{"kind": kind, "response": 2}], agent=PATIENT)
    _, silence_s = await talk(run, lambda: bool(run.seen.of("response.failed")) and said(run, 2)(), then_s=2)

    assert [kind] == [fact["status"] for fact in run.seen.of("response.failed")]
    assert [] == run.seen.of("model.lost")
    assert "From nine to five." == run.seen.bot_words()[-1]
    assert silence_s < 5 + LATE_S


async def test_answer_never_comes(rehearsal: Start) -> None:
    """The clip after four seconds, another session after ten."""
    faults = [{"kind": "stall", "response": 2}]
    run = await rehearsal([HELLO, LONG, SHORT], heard=HEARD, faults=faults, agent=PATIENT)
    _, silence_s = await talk(run, lambda: replaced(run)() and said(run, 2)())

    assert [{"reason": "response_overdue", "code": ""}] == run.seen.of("model.lost")
    assert "From nine to five." == run.seen.bot_words()[-1]
    assert 3 < silence_s < 5 + LATE_S


@pytest.mark.parametrize(("kind", "reason"), [("formats", "session_mismatched"), ("unconfirmed", "timed_out")])
async def test_second_endpoint_takes_over_at_the_beginning(rehearsal: Start, kind: str, reason: str) -> None:
    """The first will not do, and the caller is greeted by the other."""
    async with Model() as standby:
        run = await rehearsal(
            faults=[{"kind": kind, "times": 9}],
            model={"standby": {"provider": "compatible", "url": standby.url, "api_key": "another-key"}},
            agent=PATIENT,
        )

        async def script(call: Call) -> None:
            await (await standby.session()).first("response.create")
            call.hang_up()

        call = await run.dial(script)
        await call.ended()

    assert reason == run.seen.of("model.lost")[0]["reason"]
    assert "Bearer another-key" == standby.headers[0]["Authorization"]
    assert [] == run.seen.of("model.failed")


@by_every_client
async def test_second_endpoint_takes_over_in_the_middle_of_a_call(rehearsal: Start, model: Model) -> None:
    """The first is lost for good; the greeting that nobody heard is asked of the other."""
    async with Model() as standby:
        second = {"provider": "compatible", "url": standby.url, "api_key": "another-key"}
        run = await rehearsal(model={"url": model.url, "standby": second}, agent=PATIENT)

        async def script(call: Call) -> None:
            session = await model.session()
            await session.first("response.create")
            await session.close(4000)
            create = await (await standby.session()).first("response.create")
            assert "Hello there." in create["response"]["instructions"]
            call.hang_up()

        call = await run.dial(script)
        await call.ended()

    assert [("lost", "standby")] == [(fact["cause"], fact["endpoint"]) for fact in run.seen.of("session.replaced")]
    assert 1 == len(model.sessions)


@by_every_client
async def test_session_reaches_its_limit(rehearsal: Start, wire: Wire) -> None:
    """The call moves to another one before, in a quiet moment: the caller notices nothing, and is answered there."""
    run = await rehearsal([HELLO, SHORT, SHORT], heard=HEARD, faults=[{"kind": "expire", "after_s": 20}], agent=PATIENT)
    call = await run.dial(talks_beyond_the_limit(run))
    await call.ended()

    (fact,) = run.seen.of("session.replaced")
    assert ("limit", 1, 0) == (fact["cause"], fact["attempts"], fact["took_ms"])
    assert ([], [], []) == (run.seen.of("model.lost"), run.seen.of("successor.lost"), call.told)
    assert "From nine to five." in wire.messages()
    assert 3 == len(run.seen.bot_words())


async def test_endpoint_is_away_when_the_session_reaches_its_limit(rehearsal: Start) -> None:
    """The call keeps the session that works until another one can be had."""
    faults = [{"kind": "expire", "after_s": 30}, REFUSED]
    run = await rehearsal([HELLO, SHORT, SHORT], heard=HEARD, faults=faults, agent=PATIENT)
    call = await run.dial(talks_beyond_the_limit(run))
    await call.ended()

    assert [{"reason": "unavailable", "code": "503 rehearsed"}] == run.seen.of("successor.lost")
    (fact,) = run.seen.of("session.replaced")
    assert ("limit", 2, 0) == (fact["cause"], fact["attempts"], fact["took_ms"])
    assert ([], []) == (run.seen.of("model.lost"), call.told)
    assert 3 == len(run.seen.bot_words())


async def test_next_caller_is_spared_an_endpoint_that_a_live_call_cannot_move_to(rehearsal: Start) -> None:
    """They hear the fallback at once; the call that has found out goes on with the session that it has."""
    faults = [{"kind": "expire", "after_s": 60}, REFUSED | {"times": 100}]
    run = await rehearsal(
        [HELLO, SHORT], heard=HEARD, faults=faults, agent=PATIENT, fallback={"say": SORRY, "after_failures": 1}
    )

    async def script(call: Call) -> None:
        await asks(call)
        await call.until(lambda: bool(run.seen.of("successor.lost")))
        other = await run.dial(from_="+15550100009")
        await other.ended()
        assert [SORRY] == other.told
        call.hang_up()

    call = await run.dial(script)
    await call.ended()

    assert ["caller_hung_up"] == run.seen.endings()
    assert ([], []) == (run.seen.of("model.lost"), call.told)


async def test_endpoint_is_away_until_the_session_has_ended(rehearsal: Start) -> None:
    """Then the session is lost like any other, and is replaced when the endpoint is back."""
    faults = [{"kind": "expire", "after_s": 12}, REFUSED | {"times": 3}]
    run = await rehearsal([HELLO, SHORT, SHORT], heard=HEARD, faults=faults, agent=PATIENT, rate=CALM_RATE)
    call = await run.dial(talks_beyond_the_limit(run))
    await call.ended()

    assert run.seen.of("successor.lost")
    (fact,) = run.seen.of("session.replaced")
    assert 0 < int(str(fact["took_ms"]))
    assert [] == call.told
    assert 3 == len(run.seen.bot_words())


def talks_beyond_the_limit(run: Rehearsal) -> Callable[[Call], Awaitable[None]]:
    """A caller who is answered, is silent until the session was replaced, and is answered once more."""

    async def script(call: Call) -> None:
        await asks(call)
        await call.until(said(run, 2))
        await call.until(replaced(run))
        await run.clock.sleep(1)
        await call.say(speech(1.5))
        await call.until(said(run, 3))
        call.hang_up()

    return script
