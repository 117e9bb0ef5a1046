"""Announcements and goodbyes in whole calls: heard to the end before anything is done, undone by speech."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.rehearsal.sound import read_wav
from tests.shop import Wire, asks, until
from tests.support import Rehearsal, Start, by_every_client

CALLERS = Path(__file__).parents[3] / "fixtures" / "calls"
SALES = "+15557654321"
HELLO = Reply(speech="Hello there.")
END = (FunctionCall("end_call", {"reason": "done"}),)
GOODBYE = "Thank you very much for your call and have a nice day and goodbye from all of us."
THROUGH = "I will now put you through to our sales department where somebody will be glad to help."
TRANSFER = Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "Wants a price."}),))
PLACES = {"sales": {"to": SALES, "announce": THROUGH, "timeout_s": 10}}
WORD_MS = 300
CONTROL = ("action", "redirect", "rest")


@pytest.fixture
def door() -> str:
    """What is announced does not depend on the door."""
    return "plain"


@pytest.fixture(params=["slt", "awb"])
def bye(request: pytest.FixtureRequest) -> bytes:
    """Somebody who says "okay, bye"."""
    return read_wav(CALLERS / str(request.param) / "bye.wav")


def over(run: Rehearsal, sound: bytes, *, after_s: float = 0.6) -> Callable[[Call], Awaitable[None]]:
    """A caller who asks, and who speaks again when the announcement that follows has begun."""

    async def script(call: Call) -> None:
        await asks(call)
        await call.until(lambda: bool(run.seen.of("act.announced")))
        await call.until(lambda: call.phone.listened_s > after_s)
        await call.say(sound)

    return script


def heard_in_full(run: Rehearsal, words: str) -> list[tuple[int | None, bool]]:
    """For each time the bot said this: how much of it was heard, and whether it was cut."""
    return [(line.heard_ms, line.is_cut) for line in run.seen.lines if line.words == words]


def whole(words: str) -> list[tuple[int | None, bool]]:
    """What `heard_in_full` says of words that were said once and heard to the end."""
    return [(WORD_MS * len(words.split()), False)]


GOODBYES = pytest.mark.parametrize(
    "goodbye",
    [
        pytest.param([Reply(speech=GOODBYE, calls=END)], id="said with the call"),
        pytest.param([Reply(calls=END), Reply(speech=GOODBYE)], id="asked for"),
    ],
)


class TestGoodbyes:
    """`end_call`."""

    @by_every_client
    @GOODBYES
    async def test_a_caller_hears_the_goodbye_to_the_end(self, rehearsal: Start, goodbye: list[Reply]) -> None:
        """The model may say it in the same response; where it does not, it is asked to."""
        run = await rehearsal([HELLO, *goodbye], heard=["that is all"])
        call = await run.dial(asks)
        await call.ended()

        assert whole(GOODBYE) == heard_in_full(run, GOODBYE)
        assert ["Hello there.", GOODBYE] == run.seen.bot_words()
        assert ["bot_hung_up"] == run.seen.endings()
        assert run.is_empty()

    async def test_a_model_that_has_said_goodbye_is_not_asked_for_another(self, rehearsal: Start, wire: Wire) -> None:
        """The only response that was asked for is the greeting."""
        run = await rehearsal([HELLO, Reply(speech=GOODBYE, calls=END)], heard=["that is all"])
        call = await run.dial(asks)
        await call.ended()

        assert 1 == len(wire.wishes())
        assert [] == wire.outputs()

    @GOODBYES
    async def test_a_caller_who_says_bye_stops_nothing(
        self, rehearsal: Start, goodbye: list[Reply], bye: bytes
    ) -> None:
        """The goodbye is heard in full over "okay, bye", and the call ends."""
        run = await rehearsal([HELLO, *goodbye], heard=["that is all", "okay bye"])
        call = await run.dial(over(run, bye))
        await call.ended()

        assert [] == run.seen.of("act.undone")
        assert whole(GOODBYE) == heard_in_full(run, GOODBYE)
        assert ["bot_hung_up"] == run.seen.endings()

    @GOODBYES
    async def test_a_caller_who_goes_on_speaking_keeps_the_call(
        self, rehearsal: Start, goodbye: list[Reply], wire: Wire, voice: bytes
    ) -> None:
        """The goodbye is cut, the model is told that the call has not ended, and answers."""
        run = await rehearsal([HELLO, *goodbye, Reply(speech="Yes of course.")], heard=["that is all", "one more"])
        call = await run.dial(over(run, voice))
        await until(call, lambda: "Yes of course." in run.seen.bot_words())

        assert [{"act": "hang_up"}] == run.seen.of("act.undone")
        assert ["has not ended" in told for told in wire.outputs()] == [True]
        assert "has not ended" in str(run.mind.histories[-1])
        assert ["caller_hung_up"] == run.seen.endings()

    async def test_a_call_ends_when_the_model_has_no_goodbye_to_say(self, rehearsal: Start) -> None:
        """A response without a word is waited for no longer than it lasts."""
        run = await rehearsal([HELLO, Reply(calls=END)], heard=["that is all"])
        call = await run.dial(asks)
        await call.ended()

        assert ["Hello there."] == run.seen.bot_words()
        assert ["bot_hung_up"] == run.seen.endings()

    async def test_a_call_ends_when_the_goodbye_is_never_made(self, rehearsal: Start, wire: Wire) -> None:
        """A model that asks for its end again instead of saying goodbye is not asked for ever."""
        run = await rehearsal([HELLO, Reply(calls=END), Reply(calls=END)], heard=["that is all"])
        call = await run.dial(asks)
        await call.ended()

        assert 2 == len(wire.wishes())
        assert ["bot_hung_up"] == run.seen.endings()


class TestTransfers:
    """The announcement of a transfer."""

    async def test_a_caller_hears_the_announcement_before_anything_is_handed_over(self, rehearsal: Start) -> None:
        """Only when its last sound was heard is the carrier asked for anything."""
        run = await rehearsal(
            [HELLO, TRANSFER, Reply(speech=THROUGH)],
            heard=["sales please"],
            people={SALES: Callee(result="busy", after_s=1)},
            destinations=PLACES,
        )
        call = await run.dial(asks)
        await call.until(lambda: bool(run.seen.of("transfer.ended")))
        call.hang_up()
        await call.ended()

        ends = [
            event.at_s for event in run.carrier.events if event.kind == "bot.stopped" and event.call_sid == call.sid
        ]
        asked = [exchange.at_s for exchange in run.carrier.record if exchange.kind in CONTROL]
        assert whole(THROUGH) == heard_in_full(run, THROUGH)
        assert ends[1] <= asked[0]

    async def test_a_caller_who_says_okay_stops_nothing(self, rehearsal: Start, bye: bytes) -> None:
        """The announcement is heard in full, and the transfer made."""
        run = await rehearsal(
            [HELLO, TRANSFER, Reply(speech=THROUGH)],
            heard=["sales please", "okay bye"],
            people={SALES: Callee(result="busy", after_s=1)},
            destinations=PLACES,
        )
        call = await run.dial(over(run, bye))
        await until(call, lambda: bool(run.seen.of("transfer.ended")))

        assert whole(THROUGH) == heard_in_full(run, THROUGH)
        assert [call.sid] == [leg.parent_sid for leg in run.carrier.calls if leg is not call]

    async def test_a_caller_who_speaks_during_the_announcement_stops_the_transfer(
        self, rehearsal: Start, wire: Wire, voice: bytes
    ) -> None:
        """Nobody is called; the model is told that the caller was not transferred, and answers."""
        run = await rehearsal(
            [HELLO, TRANSFER, Reply(speech=THROUGH), Reply(speech="What else?")],
            heard=["sales please", "no wait"],
            people={SALES: Callee()},
            destinations=PLACES,
        )
        call = await run.dial(over(run, voice))
        await until(call, lambda: "What else?" in run.seen.bot_words())

        assert [{"act": "transfer"}] == run.seen.of("act.undone")
        assert ["not transferred" in told for told in wire.outputs()] == [True]
        assert [call] == run.carrier.calls
        assert [] == run.asked(*CONTROL)[:-1]

    async def test_a_caller_can_be_transferred_after_having_stopped_it(self, rehearsal: Start, voice: bytes) -> None:
        """What was undone can be asked for again."""
        run = await rehearsal(
            [HELLO, TRANSFER, Reply(speech=THROUGH), TRANSFER, Reply(speech=THROUGH)],
            heard=["sales please", "no wait yes sales"],
            people={SALES: Callee(result="busy", after_s=1)},
            destinations=PLACES,
        )
        call = await run.dial(over(run, voice))
        await until(call, lambda: bool(run.seen.of("transfer.ended")))

        assert 1 == len(run.seen.of("act.undone"))
        assert whole(THROUGH) == heard_in_full(run, THROUGH)


class TestSilence:
    """Nobody speaks."""

    async def test_a_caller_who_says_nothing_is_asked_and_then_left_politely(
        self, rehearsal: Start, wire: Wire
    ) -> None:
        """As often as configured; then a goodbye is heard, and the call ends as `no_input`."""
        run = await rehearsal(
            [HELLO, Reply(speech="Are you there?"), Reply(speech="Still there?"), Reply(speech="Goodbye.")],
            agent={"silence": {"prompt_after_s": 2, "prompts": 2}},
        )
        call = await run.dial()
        await call.ended()

        assert ["Hello there.", "Are you there?", "Still there?", "Goodbye."] == run.seen.bot_words()
        assert ["no_input"] == run.seen.endings()
        assert 2 == sum("still there" in wish for wish in wire.wishes())

    async def test_a_caller_who_answers_the_prompt_is_asked_anew(self, rehearsal: Start) -> None:
        """A sign of life begins the count again."""
        run = await rehearsal(
            [
                HELLO,
                Reply(speech="Are you there?"),
                Reply(speech="Good."),
                Reply(speech="Still there?"),
                Reply(speech="Goodbye."),
            ],
            heard=["yes"],
            agent={"silence": {"prompt_after_s": 3, "prompts": 1}},
        )

        async def answers(call: Call) -> None:
            await call.until(lambda: "Are you there?" in run.seen.bot_words())
            await asks(call)

        call = await run.dial(answers)
        await call.ended()

        assert ["Hello there.", "Are you there?", "Good.", "Still there?", "Goodbye."] == run.seen.bot_words()
        assert ["no_input"] == run.seen.endings()

    async def test_a_caller_who_speaks_up_during_the_goodbye_keeps_the_call(
        self, rehearsal: Start, wire: Wire, voice: bytes
    ) -> None:
        """No function call waits for it, so the model gets a message that the call has not ended."""
        run = await rehearsal(
            [HELLO, Reply(speech=GOODBYE), Reply(speech="Yes of course.")],
            heard=["here I am"],
            agent={"silence": {"prompt_after_s": 2, "prompts": 0}},
        )

        async def speaks_up(call: Call) -> None:
            await call.until(lambda: bool(run.seen.of("act.announced")))
            await call.until(lambda: call.phone.listened_s > 0.6)
            await call.say(voice)

        call = await run.dial(speaks_up)
        await until(call, lambda: "Yes of course." in run.seen.bot_words())

        assert ["has not ended" in message for message in wire.messages()] == [True]
        assert ["caller_hung_up"] == run.seen.endings()


class TestCostLimit:
    """`limits.max_cost` and `[prices]`."""

    async def test_a_caller_whose_call_costs_too_much_hears_a_goodbye(self, rehearsal: Start) -> None:
        """The server's own usage is counted, each cached token once; the call ends when the goodbye was heard."""
        run = await rehearsal(
            [HELLO, Reply(speech="We open at nine."), Reply(speech=GOODBYE)],
            heard=["opening hours"],
            limits={"max_cost": 40},
            prices={"gpt-realtime-2.1": {"audio_out": 1_000_000}},
        )
        call = await run.dial(asks)
        await call.ended()

        counted = [fact for fact in run.seen.of("usage.counted") if fact["of"] == "response"]
        assert whole(GOODBYE) == heard_in_full(run, GOODBYE)
        assert ["cost_limit"] == run.seen.endings()
        assert [fact["audio_out"] for fact in counted] == [fact["cost"] for fact in counted]
        assert sum(cast("float", fact["cost"]) for fact in counted) == run.seen.of("call.ended")[0]["cost"]
        assert counted[1]["text_cached_in"] == cast("int", counted[0]["text_in"])


class TestTimeLimit:
    """`limits.max_call_s`."""

    async def test_a_caller_whose_time_is_up_hears_a_goodbye(self, rehearsal: Start) -> None:
        """The call ends as `time_limit` when it was heard."""
        run = await rehearsal([HELLO, Reply(speech=GOODBYE)], limits={"max_call_s": 10})
        call = await run.dial()
        await call.ended()

        assert ["Hello there.", GOODBYE] == run.seen.bot_words()
        assert whole(GOODBYE) == heard_in_full(run, GOODBYE)
        assert ["time_limit"] == run.seen.endings()
        assert 10 <= call.duration_s <= 18

    async def test_a_caller_who_talks_the_goodbye_down_is_cut_off_in_the_end(
        self, rehearsal: Start, voice: bytes
    ) -> None:
        """The limit holds whatever the caller does: some last words later the call is over."""
        run = await rehearsal(
            [HELLO, *[Reply(speech=GOODBYE)] * 20], heard=["and then"] * 20, limits={"max_call_s": 10}
        )

        async def talks(call: Call) -> None:
            await call.until(lambda: bool(run.seen.of("act.announced")))
            await call.until(lambda: call.phone.listened_s > 0.6)
            for _ in range(20):
                await call.say(voice)

        call = await run.dial(talks)
        await call.ended()

        assert [{"act": "hang_up"}] == run.seen.of("act.undone")
        assert ["time_limit"] == run.seen.endings()
        assert 40 <= call.duration_s <= 50
