"""A caller's stream that falls silent, is lost, or is over without having said so."""

from __future__ import annotations

import pytest

from bridge.call.actions import Action, CloseStream, DropStream, LeaveOrder, Order, PlayAudio, ProbeCaller, SetMark
from bridge.call.controls import CallOver, PongReceived, Say, StreamOver
from bridge.call.presence import MAX_LOSSES, STEADY_AFTER_S
from bridge.wire.commands import AppendAudio, CreateItem, CreateResponse, TruncateItem
from tests.unit.call.rig import SILENCE_FRAME, Bench, facts, make_plan, mark_message, media_message, of, sound

LOST = '{"event":"stop","lost":true}'
STOP = {"event": "stop", "sequenceNumber": "9"}


def up() -> Bench:
    """A call with both legs up; nobody is asked whether they are there."""
    bench = Bench(make_plan(silence={"prompt_after_s": 600}))
    bench.up()
    return bench


def speaking() -> Bench:
    """A call in which the caller has heard half a second of an answer."""
    bench = up()
    bench.turn()
    bench.respond("resp_1")
    bench.speak("resp_1", "item_1", sound("answer", 2000))
    bench.listen(500)
    return bench


def orders(actions: list[Action]) -> list[str]:
    """What the carrier is to do, whichever way it is told."""
    return [action.order.kind for action in actions if isinstance(action, CloseStream | LeaveOrder)]


class TestSilence:
    """No sound comes."""

    def test_a_stream_that_falls_silent_is_asked_twice_over(self) -> None:
        """By a ping and by a mark, after five seconds; nothing is done about it yet."""
        bench = up()
        bench.listen(1000)

        assert [] == of(ProbeCaller, bench.wait(4.9))
        actions = bench.wait(0.2)

        assert [ProbeCaller()] == of(ProbeCaller, actions)
        assert [SetMark("probe-1")] == of(SetMark, actions)
        assert [] == orders(actions)

    @pytest.mark.parametrize("sign", ["mark", "pong", "sound"])
    def test_any_sign_of_life_is_an_answer(self, sign: str) -> None:
        """Then it is asked again five seconds later, and so on."""
        bench = up()
        bench.listen(1000)
        bench.wait(5.1)
        if sign == "mark":
            bench.caller(mark_message("probe-1"))
        elif sign == "pong":
            bench.control(PongReceived())
        else:
            bench.listen(20)

        assert [] == orders(bench.wait(9.8))
        assert 2 == len(of(ProbeCaller, bench.log))

    def test_a_stream_that_answers_nothing_is_given_up(self) -> None:
        """After five more seconds; the carrier is told to open another."""
        bench = up()
        bench.listen(1000)
        bench.wait(5.1)

        assert [] == orders(bench.wait(4.8))
        assert ["resume"] == orders(bench.wait(0.2))
        assert ["silent"] == [fact["cause"] for fact in facts("stream.lost", bench.log)]

    def test_a_stream_that_nobody_lets_go_of_is_not_waited_for(self) -> None:
        """Neither the end of the old one nor another one: the call is lost."""
        bench = up()
        bench.listen(1000)
        bench.wait(10.2)

        bench.wait(5.1)
        assert [] == bench.endings
        bench.wait(15.1)

        assert ["caller_lost"] == bench.endings

    def test_sound_that_comes_back_is_preceded_by_silence(self) -> None:
        """The model's time goes on."""
        bench = up()
        bench.frame()
        bench.wait(6)

        actions = bench.caller(media_message(SILENCE_FRAME, 6020))

        assert 2 == len(of(AppendAudio, actions))
        assert 6000 * 8 == pytest.approx(len(of(AppendAudio, actions)[0].audio) * 3 / 4, abs=2)


class TestLoss:
    """The socket is gone without a `stop`."""

    def test_what_was_being_said_is_truncated_at_what_was_heard(self) -> None:
        """The model knows what the caller heard before the line broke."""
        bench = speaking()

        actions = bench.caller(LOST)

        assert [500] == [action.audio_end_ms for action in of(TruncateItem, actions)]
        assert ["resume"] == orders(actions)

    def test_the_bot_goes_on_when_there_is_another_stream(self) -> None:
        """It is told why it was cut, and asked for one answer; the greeting is not repeated."""
        bench = speaking()
        bench.caller(LOST)
        bench.done("resp_1", "cancelled")

        actions = bench.start()

        (told,) = of(CreateItem, actions)
        assert "broke off" in told.item["content"][0]["text"]
        assert 1 == len(of(CreateResponse, actions))
        assert [{"errand": "resume", "outcome": ""}] == facts("call.returned", actions)

    def test_nothing_of_the_old_answer_is_played_into_the_new_stream(self) -> None:
        """What the model still says of it nobody hears."""
        bench = speaking()
        bench.caller(LOST)
        bench.start()

        assert [] == of(PlayAudio, bench.speak("resp_1", "item_1", sound("more", 500)))

    def test_words_of_the_operator_that_were_cut_are_said_again(self) -> None:
        """Word for word, as they were wished for."""
        bench = up()
        (asked,) = of(CreateResponse, bench.control(Say("We close in ten minutes.")))
        bench.respond("resp_1", asked)
        bench.caller(LOST)
        bench.done("resp_1", "cancelled")

        (again,) = of(CreateResponse, bench.start())

        assert "We close in ten minutes." in again.response["instructions"]

    def test_an_answer_that_the_server_begins_meanwhile_is_asked_for_later(self) -> None:
        """It is stopped, for nobody hears it."""
        bench = up()
        bench.turn()
        bench.caller(LOST)
        bench.respond("resp_1")
        bench.done("resp_1", "cancelled")

        assert 1 == len(of(CreateResponse, bench.start()))

    def test_a_caller_who_hung_up_is_told_from_one_who_was_lost(self) -> None:
        """The carrier's signalling says so while the call waits for another stream."""
        bench = up()
        bench.caller(LOST)

        bench.control(CallOver("completed"))

        assert ["caller_hung_up"] == bench.endings

    def test_a_stream_that_is_lost_too_often_means_the_fallback(self) -> None:
        """Some times in a row; the last order is the fallback's."""
        bench = up()
        for _ in range(MAX_LOSSES):
            assert ["resume"] == orders(bench.caller(LOST))
            bench.start()

        assert ["fallback"] == orders(bench.caller(LOST))
        assert ["caller_lost"] == bench.endings

    def test_losses_are_forgotten_when_a_stream_has_been_steady(self) -> None:
        """A call of an hour may be lost more often than one of a minute."""
        bench = up()
        for _ in range(2 * MAX_LOSSES):
            bench.listen(int(STEADY_AFTER_S * 1000))
            assert ["resume"] == orders(bench.caller(LOST))
            bench.start()

        assert [] == bench.endings


class TestOverForTheCarrier:
    """The carrier asks what to do with the call, which is the first that we hear of it."""

    def test_the_old_socket_is_let_go_of_and_the_call_goes_on(self) -> None:
        """As if the socket had been lost."""
        bench = up()

        actions = bench.control(StreamOver())

        assert [DropStream()] == of(DropStream, actions)
        assert [LeaveOrder(Order("resume"))] == of(LeaveOrder, actions)
        bench.start()
        assert 1 == len(of(AppendAudio, bench.frame()))

    def test_a_stream_that_cannot_be_opened_is_offered_some_more_times(self) -> None:
        """Then the caller hears the fallback."""
        bench = Bench()
        for _ in range(MAX_LOSSES):
            assert ["resume"] == orders(bench.control(StreamOver()))

        assert ["fallback"] == orders(bench.control(StreamOver()))
        assert ["not_claimed"] == bench.endings

    def test_a_call_that_is_being_left_is_over_at_once(self) -> None:
        """The carrier asks for the order: it has let go of the stream."""
        bench = up()
        bench.wait(5.1)
        bench.wait(5.1)

        bench.control(StreamOver())
        bench.start()

        assert 2 == len(facts("stream.started", bench.log))
        assert [] == bench.endings
