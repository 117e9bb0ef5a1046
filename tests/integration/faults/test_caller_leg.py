"""The caller's leg fails: what the caller hears and when, and how the call ends. Rows of `docs/faults.md`."""

from __future__ import annotations

import asyncio

import pytest

from bridge.call.presence import MAX_LOSSES
from bridge.rehearsal.carrier import Call
from bridge.rehearsal.carrier.stream import MediaStream
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.peers import Model, Twilio
from tests.shop import Wire, asks, greeted, until
from tests.support import Rehearsal, Start

HELLO = Reply(speech="Hello there.")
LONG = Reply(speech="The shop is open from nine to five on every day but Sunday and on holidays it is closed all day.")
GO_ON = Reply(speech="As I was saying it is closed on Sunday.")
SORRY = "Sorry, our assistant is unavailable."
PATIENT = {"silence": {"prompt_after_s": 60}}
SID = "CA" + "1" * 32
BACK_WITHIN_S = 6.0
"""How long the caller may hear nothing when the stream is lost in the middle of the bot's words."""
CONTROLS = pytest.mark.parametrize("rest", [True, False], ids=["rest", "action"])


def stream_of(call: Call) -> MediaStream:
    """The media stream that a call has now."""
    assert call.stream is not None
    return call.stream


async def asks_and_listens(call: Call) -> None:
    """The caller asks, and has heard a second of the answer."""
    await asks(call)
    await call.until(lambda: call.phone.listened_s > 1)


async def settled(run: Rehearsal) -> None:
    """Wait until the carrier has made its last request, and hold the bridge to having let go."""
    await run.carrier.settled()
    await run.clock.sleep(1)
    assert run.is_empty()


class TestSocketLost:
    """The socket goes away without a `stop`, and the call is still up."""

    @CONTROLS
    async def test_the_conversation_goes_on_in_another_stream(
        self, rehearsal: Start, wire: Wire, *, rest: bool
    ) -> None:
        """The same session; the answer that was cut is truncated at what was heard, and goes on; no second greeting."""
        run = await rehearsal([HELLO, LONG, GO_ON], heard=["opening hours"], rest=rest)

        async def script(call: Call) -> None:
            await asks_and_listens(call)
            stream_of(call).drop()

        call = await run.dial(script)
        await until(call, lambda: GO_ON.speech in run.seen.bot_words())

        assert 2 == len(call.streams)
        assert 1 == len(run.seen.of("model.readied"))
        assert ["Hello there.", GO_ON.speech] == [run.seen.bot_words()[0], run.seen.bot_words()[-1]]
        (cut,) = wire.of("conversation.item.truncate")
        assert -600 < cut["audio_end_ms"] - heard_ms(call) < 100
        assert [{"cause": "socket", "losses": 1}] == run.seen.of("stream.lost")
        assert silences(call)[-1] < BACK_WITHIN_S
        assert ["caller_hung_up"] == run.seen.endings()
        await settled(run)

    async def test_a_quiet_line_comes_back_without_a_word(self, rehearsal: Start, wire: Wire) -> None:
        """Nobody was speaking: the caller need not know, and the next question is answered."""
        run = await rehearsal([HELLO, LONG], heard=["opening hours"])

        async def script(call: Call) -> None:
            await greeted(call)
            stream_of(call).drop()
            await call.until(lambda: len(call.streams) == 2)
            await call.carrier.clock.sleep(1)
            await asks(call)

        call = await run.dial(script)
        await until(call, lambda: LONG.speech in run.seen.bot_words())

        assert ["Hello there.", LONG.speech] == run.seen.bot_words()
        assert [] == wire.messages()
        assert ["caller_hung_up"] == run.seen.endings()

    async def test_a_goodbye_that_was_cut_is_said_again_and_the_call_ends(self, rehearsal: Start) -> None:
        """What was to happen when the announcement was heard still does."""
        bye = "Thank you very much for your call and goodbye from all of us."
        end = Reply(speech=bye, calls=(FunctionCall("end_call", {"reason": "done"}),))
        run = await rehearsal([HELLO, end, Reply(speech="Goodbye.")], heard=["that is all"])

        async def script(call: Call) -> None:
            await asks(call)
            await call.until(lambda: bool(run.seen.of("act.announced")))
            await call.until(lambda: call.phone.listened_s > 0.5)
            stream_of(call).drop()

        call = await run.dial(script)
        await call.ended()

        assert "Goodbye." == run.seen.bot_words()[-1]
        assert ["bot_hung_up"] == run.seen.endings()
        await settled(run)

    async def test_a_stream_that_is_lost_again_and_again_means_the_fallback(self, rehearsal: Start) -> None:
        """It comes back some times; then the call ends, and the caller hears why."""
        run = await rehearsal([HELLO], fallback={"say": SORRY})

        async def script(call: Call) -> None:
            await greeted(call)
            for number in range(1, MAX_LOSSES + 2):
                await call.until(lambda number=number: len(call.streams) == number)  # type: ignore[misc]  # it is called without
                await call.carrier.clock.sleep(0.5)
                stream_of(call).drop()

        call = await run.dial(script)
        await call.ended()

        assert MAX_LOSSES + 1 == len(call.streams)
        assert [SORRY] == call.told
        assert ["caller_lost"] == run.seen.endings()
        await settled(run)

    async def test_a_caller_who_hangs_up_meanwhile_is_not_waited_for(self, rehearsal: Start) -> None:
        """The carrier asks with a call that is over."""
        run = await rehearsal([HELLO])

        async def script(call: Call) -> None:
            await greeted(call)
            stream_of(call).drop()
            call.hang_up()

        call = await run.dial(script)
        await call.ended()
        await run.carrier.settled()
        await run.clock.sleep(1)

        assert ["caller_hung_up"] == run.seen.endings()
        assert run.is_empty()

    async def test_a_carrier_that_never_asks_is_waited_for_so_long(
        self, bridge: Rehearsal, model: Model, twilio: Twilio
    ) -> None:
        """The call is lost then, and nothing is left of it."""
        stream = await twilio.call(SID)
        await model.session()
        stream.socket.transport.abort()
        await bridge.clock.sleep(5)
        assert [] == bridge.seen.endings()
        await bridge.clock.sleep(15)

        assert ["caller_lost"] == bridge.seen.endings()
        assert bridge.is_empty()


class TestSilentStream:
    """No sound comes, though the socket stands."""

    async def test_sound_that_comes_back_is_a_gap(self, rehearsal: Start, wire: Wire) -> None:
        """The carrier answers ping and mark: the call goes on, and the model hears silence for the time between."""
        run = await rehearsal([HELLO, LONG], heard=["opening hours"], agent=PATIENT)

        async def script(call: Call) -> None:
            await greeted(call)
            stream_of(call).mute()
            await call.carrier.clock.sleep(13)
            stream_of(call).mute(is_on=False)
            await asks(call)

        call = await run.dial(script)
        await until(call, lambda: LONG.speech in run.seen.bot_words())

        assert 1 == len(call.streams)
        assert 2 <= len(run.seen.of("caller.probed"))
        assert [] == run.seen.of("stream.lost")
        assert abs(len(wire.heard()) / 8000 - call.duration_s) < 6  # at most ten seconds of a gap are filled

    @CONTROLS
    async def test_a_frozen_stream_is_replaced(self, rehearsal: Start, *, rest: bool) -> None:
        """Nothing answers: the stream is given up after ten seconds, and a carrier that hears of it gets another."""
        run = await rehearsal([HELLO, LONG], heard=["opening hours"], rest=rest, agent=PATIENT)

        async def script(call: Call) -> None:
            await greeted(call)
            begun = call.carrier.clock.now()
            stream_of(call).freeze()
            await call.until(lambda: bool(run.seen.of("stream.lost")))
            assert 9 < call.carrier.clock.now() - begun < 12
            if not rest:  # nothing reaches the carrier but what it finds out by itself
                stream_of(call).freeze(is_on=False)
            await call.until(lambda: len(call.streams) == 2)
            await call.carrier.clock.sleep(1)
            await asks(call)

        call = await run.dial(script)
        await until(call, lambda: LONG.speech in run.seen.bot_words())

        assert [{"cause": "silent", "losses": 1}] == run.seen.of("stream.lost")
        assert ["Hello there.", LONG.speech] == run.seen.bot_words()
        await settled(run)

    async def test_a_dead_carrier_ends_the_call(self, bridge: Rehearsal, model: Model, twilio: Twilio) -> None:
        """A peer that reads nothing, says nothing and never closes: the call is lost, and nothing waits for it."""
        stream = await twilio.call(SID)
        session = await model.session()
        await stream.speak(b"\xff" * 160)
        await session.first("input_audio_buffer.append")
        stream.socket.transport.pause_reading()
        await bridge.clock.sleep(9)
        assert [] == bridge.seen.of("stream.lost")
        await bridge.clock.sleep(30)

        assert ["caller_lost"] == bridge.seen.endings()
        assert bridge.is_empty()
        async with asyncio.timeout(5):
            await session.closed.wait()


def heard_ms(call: Call) -> float:
    """How much of what the bot was saying the caller had heard when the stream broke."""
    (dropped,) = (event.at_s for event in call.carrier.events if event.kind == "stream.dropped")
    starts = [event.at_s for event in call.carrier.events if event.kind == "bot.started"]
    return (dropped - max(start for start in starts if start < dropped)) * 1000


def silences(call: Call) -> list[float]:
    """How long the caller heard nobody, each time between two stretches of the bot's speech."""
    events = [event for event in call.carrier.events if event.call_sid == call.sid]
    stops = [event.at_s for event in events if event.kind == "bot.stopped"]
    starts = [event.at_s for event in events if event.kind == "bot.started"]
    return [start - stop for stop, start in zip(sorted(stops), sorted(starts)[1:], strict=False)]
