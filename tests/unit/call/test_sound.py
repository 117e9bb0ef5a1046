"""Sound passes through unchanged, to the right place; the same input gives the same call."""

from __future__ import annotations

from typing import Any

from bridge.call.controls import FunctionResult, ModelLost
from bridge.call.machine import Call
from bridge.wire.commands import AppendAudio, CancelResponse, TruncateItem
from tests.unit.call.rig import (
    SILENCE_FRAME,
    Bench,
    FunctionCall,
    Reply,
    Rig,
    Speech,
    make_plan,
    media_message,
    of,
    sound,
)

HELLO: dict[str, Any] = {"greeting_message": 'Hello, this is "Acme".'}


def test_caller_audio_reaches_the_model_unchanged(bench: Bench) -> None:
    """Text for text."""
    bench.up()
    payloads = [sound(f"{size}", size) for size in (20, 20, 10, 40, 20)]
    at_ms, sent = 0, []
    for payload, size in zip(payloads, (20, 20, 10, 40, 20), strict=True):
        sent += [action.audio for action in of(AppendAudio, bench.caller(media_message(payload, at_ms)))]
        at_ms += size

    assert payloads == sent


def test_gap_in_the_callers_audio_is_filled(bench: Bench) -> None:
    """With as much silence as is missing."""
    bench.up()
    bench.caller(media_message(SILENCE_FRAME, 0))

    actions = bench.caller(media_message(SILENCE_FRAME, 220))

    assert 200 + 20 == sum(len(a.audio) * 3 // 4 for a in of(AppendAudio, actions)) // 8


def test_twenty_calls_go_on_side_by_side() -> None:
    """Every byte arrives at its own place, in order, unchanged."""
    rigs = [Rig(down_ms=number, up_ms=20 - number, model_ms=3 * number) for number in range(1, 21)]
    spoken: list[list[str]] = []
    for number, rig in enumerate(rigs):
        said: list[str] = []
        spoken.append(said)

        def make(at_ms: int, number: int = number, said: list[str] = said) -> str:
            said.append(SILENCE_FRAME if not 1000 <= at_ms < 2000 else sound(f"caller {number} at {at_ms}", 20))
            return said[-1]

        rig.phone.make = make
        rig.server.replies.append(Reply((Speech(1500 + 40 * number, delta_ms=30 + number, every_ms=7),)))
        rig.begin()
    for step in range(600):
        rigs[step * 7 % 20].run(200)

    for number, rig in enumerate(rigs):
        heard = "".join(piece.payload for piece in rig.ear.pieces)
        made = "".join(payload for payload in rig.server.part_of)
        assert made == heard
        assert 1500 + 40 * number == rig.ear.heard_bytes() // 8
        assert all(piece.payload in rig.server.part_of for piece in rig.ear.pieces)
        sent = [action.audio for action in of(AppendAudio, rig.log)]
        assert spoken[number][: len(sent)] == sent
        assert len(sent) >= len(spoken[number]) - 2


def test_a_model_that_was_lost_is_spoken_for(rig: Rig) -> None:
    """The stream is closed with the fallback's order, whatever is being said."""
    rig.begin()
    rig.server.replies.append(Reply((Speech(10_000),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)

    rig.control(ModelLost("closed", "4000"))
    rig.run(1000)

    assert ("fallback", ["model_failed"]) == (rig.order, rig.endings)


def test_function_results_that_nobody_waits_for_are_ignored(bench: Bench) -> None:
    """A second result, or one for a call that was never made."""
    bench.up()

    assert [] == bench.control(FunctionResult("call_unknown", "{}"))


def test_core_needs_no_clock_to_be_the_same_twice() -> None:
    """The same input at the same times gives the same actions: what a tape is replayed by."""

    def play() -> Rig:
        rig = Rig(make_plan(functions=("lookup",), **HELLO))
        rig.functions["lookup"] = (300, "{}")
        rig.begin()
        rig.server.replies += [Reply((Speech(500),)), Reply((FunctionCall("lookup"), FunctionCall("lookup")))]
        rig.phone.speak(1000, after_ms=1500)
        rig.phone.speak(1000, after_ms=5000)
        rig.run(9000)
        return rig

    assert play().log == play().log
    assert isinstance(play().call, Call)


def test_truncations_name_what_was_cancelled_once() -> None:
    """A caller who interrupts again and again is told about each item once."""
    rig = Rig()
    rig.begin()
    rig.server.default = Reply((Speech(5000, every_ms=50),))
    for second in range(0, 12, 3):
        rig.phone.speak(800, after_ms=1000 * second)

    rig.run(14_000)

    items = [action.item_id for action in of(TruncateItem, rig.log)]
    assert 3 == len(items) == len(set(items))
    assert [] == of(CancelResponse, rig.log)
