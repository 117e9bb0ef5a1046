"""A caller who takes the floor: the line is cleared first, the model learns what was heard, and nothing old follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.call.actions import ClearPlayout, Happened, RunFunction, Said
from bridge.wire.commands import AppendAudio, CancelResponse, CreateItem, CreateResponse, DeleteItem, TruncateItem
from tests.unit.call.rig import (
    Bench,
    Reply,
    Rig,
    Speech,
    facts,
    key_message,
    make_plan,
    mark_message,
    of,
    sound,
)

if TYPE_CHECKING:
    from bridge.call.actions import Action

CONFIRMED: dict[str, Any] = {"barge_in": {"mode": "confirmed"}}
OFF: dict[str, Any] = {"barge_in": {"mode": "off"}}
"""How far a truncation may be from what the ear heard, where the network takes 5 ms each way."""


def telling(actions: list[Action]) -> list[Action]:
    """The actions that somebody notices."""
    return [action for action in actions if not isinstance(action, (Happened, Said, AppendAudio))]


def answered(bench: Bench, response_id: str = "resp_1") -> None:
    """The caller has said something, and the server makes a response by itself."""
    bench.model("input_audio_buffer.speech_started", item_id="item_caller")
    bench.model("input_audio_buffer.speech_stopped", item_id="item_caller")
    bench.model("input_audio_buffer.committed", item_id="item_caller")
    bench.respond(response_id)


def speech_starts(bench: Bench) -> list[Action]:
    """The model hears the caller."""
    return bench.model("input_audio_buffer.speech_started", item_id="item_next")


def test_caller_speaks_when_nothing_is_unheard(bench: Bench) -> None:
    """Nothing is sent: neither clear nor truncation nor cancel."""
    bench.up()
    answered(bench)
    bench.marks(bench.speak("resp_1", "item_1", sound("a", 100)))
    bench.done("resp_1")
    bench.listen(200)

    assert [] == telling(speech_starts(bench))


def test_caller_speaks_while_the_answer_is_thought_over(bench: Bench) -> None:
    """The server cancels it by itself, and nothing of it is played should it still come."""
    bench.up()
    answered(bench)

    assert [] == telling(speech_starts(bench))

    assert [] == telling(bench.speak("resp_1", "item_1", sound("a", 100)))
    assert [] == telling(bench.done("resp_1", "cancelled"))


def test_items_nobody_heard_are_deleted_when_their_response_is_done(bench: Bench) -> None:
    """The item that was playing is truncated at once; the one behind it waits for its response to end."""
    bench.up()
    answered(bench)
    for item_id in ("item_1", "item_2"):
        bench.model("response.output_item.added", response_id="resp_1", item={"id": item_id, "type": "message"})
        bench.speak("resp_1", item_id, sound(item_id, 1000))
    bench.listen(400)

    cut = telling(speech_starts(bench))
    over = telling(bench.done("resp_1", "cancelled"))

    assert [ClearPlayout, TruncateItem] == [type(action) for action in cut]
    assert [("item_1", 0, 400)] == [(a.item_id, a.content_index, a.audio_end_ms) for a in of(TruncateItem, cut)]
    assert ["item_2"] == [action.item_id for action in of(DeleteItem, over)]
    assert 1 == len(over)


def test_items_of_a_response_that_is_done_are_deleted_at_once(bench: Bench) -> None:
    """There is nothing to wait for."""
    bench.up()
    answered(bench)
    for item_id in ("item_1", "item_2"):
        bench.speak("resp_1", item_id, sound(item_id, 1000))
    bench.done("resp_1")
    bench.listen(400)

    kinds = [type(action) for action in telling(speech_starts(bench))]

    assert [ClearPlayout, TruncateItem, DeleteItem] == kinds


def test_part_of_an_item_is_cut(bench: Bench) -> None:
    """What was heard of the item is the sum of its parts; the item stays when only its second part was not heard."""
    bench.up()
    answered(bench)
    bench.model("response.output_item.added", response_id="resp_1", item={"id": "item_1", "type": "message"})
    for part in (0, 1):
        bench.speak("resp_1", "item_1", sound(f"part {part}", 1000), part)
    bench.done("resp_1")
    bench.listen(400)

    actions = speech_starts(bench)

    assert [("item_1", 0, 400)] == [(a.item_id, a.content_index, a.audio_end_ms) for a in of(TruncateItem, actions)]
    assert [] == of(DeleteItem, actions)


def test_second_part_of_an_item_is_cut(bench: Bench) -> None:
    """The truncation is of that part, and the transcript counts both."""
    bench.up()
    answered(bench)
    marks = [bench.speak("resp_1", "item_1", sound(f"part {part}", 1000), part) for part in (0, 1)]
    bench.done("resp_1")
    bench.listen(1000)
    bench.marks(marks[0])
    bench.listen(400)

    actions = speech_starts(bench)

    assert [("item_1", 1, 400)] == [(a.item_id, a.content_index, a.audio_end_ms) for a in of(TruncateItem, actions)]
    assert [(1400, True)] == [(line.heard_ms, line.is_cut) for line in of(Said, actions)]


def test_item_with_two_parts_that_nobody_heard_is_deleted_once(bench: Bench) -> None:
    """It is one item."""
    bench.up()
    answered(bench)
    bench.speak("resp_1", "item_1", sound("first", 1000))
    for part in (0, 1):
        bench.speak("resp_1", "item_2", sound(f"part {part}", 1000), part)
    bench.done("resp_1")
    bench.listen(400)

    assert ["item_2"] == [action.item_id for action in of(DeleteItem, speech_starts(bench))]


def test_transcript_keeps_the_order_of_overlapping_items(bench: Bench) -> None:
    """The first item was heard in full, the second is cut: they are told in this order."""
    bench.up()
    answered(bench)
    first = bench.speak("resp_1", "item_1", sound("first", 400))
    bench.speak("resp_1", "item_2", sound("second", 1000))
    bench.done("resp_1")
    bench.listen(400)
    bench.marks(first)
    bench.listen(300)

    lines = of(Said, speech_starts(bench))

    assert [(400, False), (300, True)] == [(line.heard_ms, line.is_cut) for line in lines]


def test_marks_that_a_clear_returned_do_not_count(bench: Bench) -> None:
    """They say that nothing is pending, not that anything was heard."""
    bench.up()
    answered(bench)
    spoken = bench.speak("resp_1", "item_1", sound("a", 1000))
    bench.done("resp_1")
    bench.listen(400)
    speech_starts(bench)
    answered(bench, "resp_2")
    bench.speak("resp_2", "item_2", sound("b", 1000))

    bench.marks(spoken)
    bench.listen(200)

    assert [200] == [action.audio_end_ms for action in of(TruncateItem, speech_starts(bench))]


def test_response_goes_on_after_a_clear_whose_sound_was_heard_but_for_the_mark(bench: Bench) -> None:
    """Nothing of it follows the clear, however late it comes: by the clock all was heard, but a clear went out."""
    bench.up()
    answered(bench)
    bench.speak("resp_1", "item_1", sound("a", 100))
    bench.done("resp_1")
    bench.listen(200)
    assert [ClearPlayout()] == of(ClearPlayout, speech_starts(bench))

    assert [] == bench.speak("resp_1", "item_1", sound("b", 100))


def test_heard_never_goes_beyond_the_next_mark(bench: Bench) -> None:
    """A line that stands still plays nothing, whatever the stream's clock says."""
    bench.up()
    answered(bench)
    bench.speak("resp_1", "item_1", sound("a", 100))
    bench.speak("resp_1", "item_1", sound("b", 900))
    bench.done("resp_1")
    bench.listen(700)

    assert [100] == [action.audio_end_ms for action in of(TruncateItem, speech_starts(bench))]


@pytest.mark.parametrize(
    "name", ["", ".", "0.", ".1", "0.99", "7.1", "x", "0.1.1", "-1.1", "1" * 5000 + ".1", "0." + "1" * 5000]
)
def test_mark_that_is_not_ours_comes_back(bench: Bench, name: str) -> None:
    """It confirms nothing."""
    bench.up()
    answered(bench)
    bench.speak("resp_1", "item_1", sound("a", 1000))
    bench.listen(400)

    bench.caller(mark_message(name))

    assert [400] == [action.audio_end_ms for action in of(TruncateItem, speech_starts(bench))]


def test_refused_truncation_is_a_fact(bench: Bench) -> None:
    """The call goes on as if it had been done."""
    bench.up()
    answered(bench)
    bench.speak("resp_1", "item_1", sound("a", 1000))
    bench.listen(400)
    (truncate,) = of(TruncateItem, speech_starts(bench))

    actions = bench.model("error", error={"code": "invalid_value", "event_id": truncate.event_id})

    assert [{"what": "truncate", "code": "invalid_value", "param": None}] == facts("model.command_refused", actions)
    assert [] == telling(actions)


@pytest.mark.parametrize("name", ["lookup", "end_call", "unknown"])
def test_function_is_called_by_a_response_that_was_cut(name: str) -> None:
    """The server keeps a call that was complete, so it gets an output: not done. The caller is answered, not that."""
    bench = Bench(make_plan(functions=("lookup",)))
    bench.up()
    answered(bench)
    bench.speak("resp_1", "item_1", sound("bye", 1000))
    bench.listen(200)
    speech_starts(bench)
    item = {"id": "item_2", "type": "function_call", "call_id": "call_1", "name": name, "status": "completed"}
    bench.model("response.output_item.done", response_id="resp_1", item=item)

    actions = bench.done("resp_1", output=[item])
    actions += bench.model("input_audio_buffer.speech_stopped", item_id="item_next")
    actions += bench.model("input_audio_buffer.committed", item_id="item_next")

    assert [] == bench.endings
    assert [("call_1", True)] == [(a.item["call_id"], "not done" in a.item["output"]) for a in of(CreateItem, actions)]
    assert [] == of(RunFunction, actions) + of(CreateResponse, actions)


def test_caller_murmurs_in_confirmed_mode() -> None:
    """A short sound neither cuts nor gets an answer."""
    rig = Rig(make_plan(**CONFIRMED))
    rig.begin()
    rig.server.replies.append(Reply((Speech(6_000),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(1000)
    rig.phone.speak(300)

    rig.run(8000)

    assert 0 == rig.ear.clears
    assert 6000 == rig.ear.heard_bytes() // 8
    assert 1 == len(rig.server.responses)
    assert 1 == len(facts("turn.left_unanswered", rig.log))


def test_caller_takes_the_floor_in_confirmed_mode() -> None:
    """Once they have spoken long enough the bot is cut, the response cancelled by us, and the turn answered once."""
    rig = Rig(make_plan(**CONFIRMED))
    rig.begin()
    rig.server.replies.append(Reply((Speech(20_000, every_ms=95),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(1000)
    rig.phone.speak(2500)
    spoke_at = rig.now

    rig.run_until(lambda: rig.ear.clears)
    assert 0.7 <= rig.now - spoke_at <= 1.4
    rig.run(6000)

    assert 1 == len(of(CancelResponse, rig.log))
    assert [] == rig.server.refused
    assert 2 == len(rig.server.responses)
    assert 2 == len(of(CreateResponse, rig.log))


def test_caller_speaks_while_the_bot_is_silent_in_confirmed_mode() -> None:
    """There is no question to ask: a short word is a turn."""
    rig = Rig(make_plan(**CONFIRMED))
    rig.begin()
    rig.phone.speak(200)

    rig.run(3000)

    assert 1 == len(rig.server.responses)
    assert 1000 == rig.ear.heard_bytes() // 8


def test_nobody_cuts_the_bot_in_off_mode() -> None:
    """A long turn over its speech is answered when that was heard, once."""
    rig = Rig(make_plan(**OFF))
    rig.begin()
    rig.server.replies.append(Reply((Speech(8_000),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(1000)
    rig.phone.speak(2500)

    rig.run(6000)
    assert (0, 1) == (rig.ear.clears, len(rig.server.responses))
    rig.run(5000)

    assert (0, 2) == (rig.ear.clears, len(rig.server.responses))
    assert 9000 == rig.ear.heard_bytes() // 8


@pytest.mark.parametrize(
    ("settings", "clears"), [({}, 1), (CONFIRMED, 1), (OFF, 0)], ids=["instant", "confirmed", "off"]
)
def test_caller_presses_a_key_while_the_bot_speaks(settings: dict[str, Any], clears: int) -> None:
    """A key cuts like a confirmed turn; the response is cancelled by us, for the server has heard nothing."""
    rig = Rig(make_plan(keys={"pause_s": 0.5}, **settings))
    rig.begin()
    rig.server.replies.append(Reply((Speech(20_000, every_ms=95),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(1000)

    rig.caller(key_message("5"))
    rig.run(3000)

    assert clears == rig.ear.clears
    assert clears == len(of(CancelResponse, rig.log))
    assert [] == rig.server.refused
