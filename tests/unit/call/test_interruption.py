"""The caller interrupts the bot: fifteen situations, each of which a bridge has been seen to get wrong."""

from __future__ import annotations

import pytest

from bridge.call.actions import ClearPlayout, CloseStream, PlayAudio, SetMark
from bridge.call.controls import HangUp, ModelLost
from bridge.call.plan import Plan
from bridge.replay.script import Script
from bridge.settings import Agent, Silence
from bridge.wire.commands import AppendAudio, CancelResponse, DeleteItem, TruncateItem
from bridge.wire.g711 import silence, size_of

NEVER_S = 1000.0
"""Marks come back when the test says so."""


@pytest.fixture
def script() -> Script:
    """A call that is up, with nothing said; the caller cuts at the first sound."""
    agent = Agent(name="reception", silence=Silence(prompt_after_s=600))
    script = Script(Plan(call_sid="CA" + "0" * 32, agent=agent, dialect="ga"), frame_ms=10, mark_delay_s=NEVER_S)
    script.begin()
    script.wait(0.1)
    return script


def begin(script: Script, response_id: str) -> None:
    """The server begins a response to a turn by itself."""
    script.speech_started(f"turn_before_{response_id}")
    script.speech_stopped(f"turn_before_{response_id}")
    script.created(response_id, by_server=True)


def return_mark(script: Script, number: int) -> None:
    """The carrier has played everything before the mark that was set as the `number`-th."""
    script.caller("mark", mark={"name": script.all(SetMark)[number].name})


def truncations(script: Script) -> list[tuple[str, int, int]]:
    """Item, content index and milliseconds of each truncation."""
    return [(cut.item_id, cut.content_index, cut.audio_end_ms) for cut in script.all(TruncateItem)]


def test_caller_who_speaks_while_nothing_plays_interrupts_nothing(script: Script) -> None:
    """Before the bot has said anything there is nothing to clear, to cancel or to truncate."""
    script.speech_started("turn")

    assert [] == [a for a in script.done if isinstance(a, ClearPlayout | CancelResponse | TruncateItem | DeleteItem)]


def test_item_is_truncated_at_the_last_mark_and_the_time_since(script: Script) -> None:
    """Of 200 ms the first 100 are confirmed, and 50 more have had the time to be played."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    return_mark(script, 0)
    script.delta("response_a", "item_a", 800)
    script.wait(0.05)
    script.speech_started("turn")

    assert [("item_a", 0, 150)] == truncations(script)
    assert 1 == len(script.all(ClearPlayout))


def test_caller_who_interrupts_twice_is_one_interruption(script: Script) -> None:
    """A second speech-start before the response is done finds nothing left to do."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    script.wait(0.02)
    script.speech_started("turn")
    script.speech_started("turn")

    assert 1 == len(script.all(ClearPlayout))
    assert [("item_a", 0, 20)] == truncations(script)


def test_fraction_of_a_millisecond_is_rounded_down(script: Script) -> None:
    """161 bytes are 20.125 ms; the server takes whole ones, and never more than it has sent."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 161)
    return_mark(script, 0)
    script.delta("response_a", "item_a", 161)
    script.speech_started("turn")

    assert [("item_a", 0, 20)] == truncations(script)


def test_item_that_nobody_heard_is_deleted_and_the_one_before_truncated(script: Script) -> None:
    """Two responses lie in the carrier's buffer: each is cut at its own place, the second before its first sound."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    return_mark(script, 0)
    script.delta("response_a", "item_a", 800)
    script.response_done("response_a")
    script.created("response_b", by_server=True)
    script.delta("response_b", "item_b", 800)
    script.wait(0.05)
    script.speech_started("turn")

    assert [("item_a", 0, 150)] == truncations(script)

    script.response_done("response_b", "cancelled")

    assert ["item_b"] == [gone.item_id for gone in script.all(DeleteItem)]


def test_mark_that_a_clear_returned_confirms_nothing_of_what_is_played_since(script: Script) -> None:
    """After a clear all marks come back at once, also when the next response is already playing."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    return_mark(script, 0)
    script.delta("response_a", "item_a", 800)
    script.wait(0.05)
    script.speech_started("turn_1")
    script.speech_stopped("turn_1")
    script.response_done("response_a", "cancelled")
    script.created("response_b", by_server=True)
    script.delta("response_b", "item_b", 800)
    return_mark(script, 1)
    script.wait(0.05)
    script.speech_started("turn_2")

    assert [("item_a", 0, 150), ("item_b", 0, 50)] == truncations(script)


def test_late_sound_of_an_interrupted_response_is_not_played(script: Script) -> None:
    """Whatever item it is for and whatever else arrives meanwhile; the next response is heard."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    script.wait(0.02)
    script.speech_started("turn")
    played_before = len(script.all(PlayAudio))
    script.delta("response_a", "item_a", 800)
    script.delta("response_a", "item_b", 800)
    script.stream_started("MZ00000000000000000000000000000002")
    script.delta("response_a", "item_c", 800)

    assert played_before == len(script.all(PlayAudio))

    script.speech_stopped("turn")
    script.response_done("response_a", "cancelled")
    script.created("response_b", by_server=True)
    script.delta("response_b", "item_d", 800)

    assert played_before + 1 == len(script.all(PlayAudio))


def test_response_that_is_interrupted_before_its_first_sound_is_never_heard(script: Script) -> None:
    """The caller goes on speaking just when the answer begins."""
    begin(script, "response_a")
    script.speech_started("turn")
    script.delta("response_a", "item_a", 800)

    assert [] == script.all(PlayAudio)
    assert [] == script.all(ClearPlayout)


def test_call_that_we_are_closing_is_not_interrupted(script: Script) -> None:
    """The operator hung up while the bot was speaking: what the caller says then changes nothing."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    script.control(HangUp())
    done_before = len(script.done)
    script.speech_started("turn")

    assert [] == script.done[done_before:]


def test_call_whose_session_is_lost_truncates_nothing(script: Script) -> None:
    """There is nobody left who could be told what was heard."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    script.control(ModelLost("closed", "1006"))
    done_before = len(script.done)
    script.speech_started("turn")

    assert [] == [a for a in script.done[done_before:] if isinstance(a, TruncateItem | CancelResponse | DeleteItem)]


def come_back(script: Script) -> None:
    """The bot sends keys to the far end: the stream is closed, and another one comes, with a clock of its own."""
    begin(script, "response_keys")
    call = {
        "id": "item_keys",
        "type": "function_call",
        "call_id": "call_keys",
        "name": "send_digits",
        "status": "completed",
    }
    script.model("response.output_item.done", response_id="response_keys", item={**call, "arguments": '{"digits":"1"}'})
    script.response_done("response_keys")
    assert ["keys"] == [closed.order.kind for closed in script.all(CloseStream)]
    script.hang_up()
    script.stream_ms = 0
    script.wait(1)
    script.stream_ms = 0
    script.stream_started("MZ00000000000000000000000000000002")


def test_call_that_came_back_is_interrupted_by_its_new_clock(script: Script) -> None:
    """What was sent to the stream before is no part of it any more, and its marks mean nothing."""
    script.wait(5)
    come_back(script)
    begin(script, "response_b")
    script.delta("response_b", "item_b", 800)
    script.wait(0.05)
    script.speech_started("turn")

    assert ("item_b", 0, 50) == truncations(script)[-1]
    assert 1 == len(truncations(script))


def test_gap_in_the_callers_sound_is_filled_on_a_stream_that_came_back(script: Script) -> None:
    """Frames that the line lost are silence to the model; the time between the two streams is not."""
    come_back(script)
    script.hear(b"\xff" * 80)
    script.stream_ms += 500
    script.hear(b"\xff" * 80)

    assert silence(500) == script.all(AppendAudio)[-2].audio
    assert 2 == sum(size_of(sent.audio) == 80 for sent in script.all(AppendAudio)[-3:])


def test_item_that_was_heard_in_full_is_not_truncated_later(script: Script) -> None:
    """Its last mark came back long before the next item was interrupted."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    script.response_done("response_a")
    script.wait(0.1)
    return_mark(script, 0)
    begin(script, "response_b")
    script.delta("response_b", "item_b", 800)
    script.wait(0.05)
    script.speech_started("turn")

    assert [("item_b", 0, 50)] == truncations(script)


def test_item_that_ends_after_the_next_has_begun_keeps_its_own_place(script: Script) -> None:
    """The sounds of two items arrive interleaved with their ends; marks belong to items, not to the newest one."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800)
    script.delta("response_a", "item_b", 800)
    script.model("response.output_audio.done", response_id="response_a", item_id="item_a", content_index=0)
    script.delta("response_a", "item_b", 800)
    return_mark(script, 0)
    return_mark(script, 1)
    script.speech_started("turn")

    assert [("item_b", 0, 100)] == truncations(script)


def test_parts_of_one_item_are_truncated_each_at_its_own_place(script: Script) -> None:
    """A content part that was heard is left alone, the one that was playing is cut."""
    begin(script, "response_a")
    script.delta("response_a", "item_a", 800, content_index=0)
    script.delta("response_a", "item_a", 800, content_index=1)
    script.model("response.output_audio.done", response_id="response_a", item_id="item_a", content_index=0)
    return_mark(script, 0)
    script.wait(0.03)
    script.speech_started("turn")

    assert [("item_a", 1, 30)] == truncations(script)
