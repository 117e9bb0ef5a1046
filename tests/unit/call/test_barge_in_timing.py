"""A caller who interrupts at any time, on any network: what is told is what was heard, and nothing old follows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.call.actions import ClearPlayout, Said, SetMark
from bridge.wire.commands import AppendAudio, CancelResponse, TruncateItem
from tests.unit.call.rig import (
    Reply,
    Rig,
    Speech,
    facts,
    make_plan,
    of,
)

if TYPE_CHECKING:
    from bridge.call.actions import Action

CONFIRMED: dict[str, Any] = {"barge_in": {"mode": "confirmed"}}


GUARD_MS = 40


@pytest.mark.parametrize("delta_ms", [20, 100, 437, 2000, 10_000])
@pytest.mark.parametrize("heard_ms", [300, 3333, 9000])
def test_caller_interrupts_a_burst_whose_response_is_done(delta_ms: int, heard_ms: int) -> None:
    """Clear is the first thing done, the truncation is what the ear heard, and no byte of the old answer follows."""
    rig = Rig()
    rig.begin()
    rig.server.replies.append(Reply((Speech(10_000, delta_ms=delta_ms),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    assert rig.server.active is None
    rig.run(heard_ms - 100)
    before = len(rig.log)
    rig.phone.speak(1000)

    rig.run_until(lambda: rig.truncations)

    step = [index for index, action in enumerate(rig.log) if isinstance(action, ClearPlayout)]
    assert [AppendAudio] == list({type(action) for action in rig.log[before : step[0]]} - {SetMark})
    (cut,) = rig.truncations
    rig.run_until(lambda: rig.ear.clears)
    assert abs(cut.audio_end_ms - rig.heard_ms(cut.item_id)) <= GUARD_MS
    heard = rig.heard_ms(cut.item_id)
    rig.run(10_000)
    assert heard == rig.heard_ms(cut.item_id)
    assert [] == rig.server.refused
    assert [] == of(CancelResponse, rig.log)


@pytest.mark.parametrize("settings", [{}, CONFIRMED], ids=["instant", "confirmed"])
def test_clear_is_the_first_action_of_its_step(settings: dict[str, Any]) -> None:
    """Whatever else there is to tell comes after it."""
    steps: list[list[Action]] = []

    class Watched(Rig):
        """Keeps the steps apart."""

        def check(self, actions: list[Action]) -> None:
            """Keep the step."""
            steps.append(actions)
            super().check(actions)

    rig = Watched(make_plan(**settings))
    rig.begin()
    rig.server.replies.append(Reply((Speech(10_000),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(2000)
    rig.phone.speak(3000)

    rig.run_until(lambda: rig.ear.clears)

    (step,) = [actions for actions in steps if of(ClearPlayout, actions)]
    assert isinstance(step[0], ClearPlayout)
    assert isinstance(step[1], TruncateItem)


def test_caller_interrupts_a_response_that_is_being_made() -> None:
    """The server cancels by itself; what it still sends is not played."""
    rig = Rig()
    rig.begin()
    rig.server.replies.append(Reply((Speech(10_000, every_ms=80),)))
    rig.phone.speak(1000)
    rig.run_until(rig.ear.heard_bytes)
    rig.run(3000)
    rig.phone.speak(1000)

    rig.run(4000)

    assert [] == of(CancelResponse, rig.log)
    assert [] == rig.server.refused
    (cut,) = rig.truncations
    assert 2900 < cut.audio_end_ms < 3200
    assert ["one two three", "one two three four five six seven eight nine ten"] == [
        line.words for line in of(Said, rig.log) if line.role == "bot"
    ]


milliseconds = st.integers


speeches = st.builds(
    Speech,
    duration_ms=milliseconds(20, 6000),
    delta_ms=milliseconds(10, 3000),
    every_ms=st.sampled_from([0, 0, 5, 60, 150]),
    parts=st.integers(1, 2),
)


replies = st.builds(Reply, outputs=st.lists(speeches, min_size=1, max_size=3).map(tuple), after_ms=milliseconds(0, 800))


@dataclass(frozen=True)
class Circumstances:
    """What a call meets with: who speaks when, and what the networks do."""

    mode: str
    script: list[Reply]
    speech: list[tuple[int, int]]
    """Pauses and turns of the caller, in ms."""
    late_ms: list[int]
    """How late marks are, round and round."""
    lost: list[bool]
    """Which marks are lost, round and round."""
    model_ms: int
    down_ms: int
    up_ms: int


def play(met: Circumstances) -> Rig:
    """The whole call, until nobody speaks any more."""
    rig = Rig(make_plan(barge_in={"mode": met.mode}), down_ms=met.down_ms, up_ms=met.up_ms, model_ms=met.model_ms)
    late, lost = itertools.cycle(met.late_ms), itertools.cycle(met.lost)
    rig.ear.marks_late_ms = lambda: next(late)
    rig.ear.loses_mark = lambda: next(lost)
    rig.server.replies.extend(met.script)
    rig.begin()
    at_ms = 0
    for pause_ms, duration_ms in met.speech:
        rig.phone.speak(duration_ms, after_ms=at_ms + pause_ms)
        at_ms += pause_ms + duration_ms
    rig.run(at_ms)
    rig.run_until(lambda: not (rig.ear.is_playing or rig.server.active), within_ms=120_000)
    rig.run(7000)
    return rig


@given(
    st.builds(
        Circumstances,
        mode=st.sampled_from(["instant", "confirmed"]),
        script=st.lists(replies, min_size=1, max_size=4),
        speech=st.lists(st.tuples(milliseconds(0, 4000), milliseconds(100, 2500)), min_size=1, max_size=5),
        late_ms=st.lists(milliseconds(0, 120), min_size=1, max_size=5),
        lost=st.lists(st.booleans(), min_size=1, max_size=6),
        model_ms=milliseconds(1, 150),
        down_ms=milliseconds(0, 60),
        up_ms=milliseconds(0, 60),
    )
)
@example(Circumstances("instant", [Reply((Speech(10_000, 10_000),))], [(0, 500), (3000, 500)], [0], [True], 20, 20, 20))
def test_caller_interrupts_at_any_time(met: Circumstances) -> None:
    """However it is cut, the model is told what was heard, and, as the rig sees to, nothing that was cut is played."""
    rig = play(met)

    delay_ms = met.down_ms + met.up_ms + 20
    for cut in rig.truncations:
        assert 0 < cut.audio_end_ms <= cut.sent_ms
        assert cut.audio_end_ms <= rig.heard_ms(cut.item_id, cut.content_index) + delay_ms
    assert {"response_cancel_not_active"} >= {code for code, _ in rig.server.refused}
    assert [] == facts("response.overlapped", rig.log)
    told_ms = sum(line.heard_ms for line in of(Said, rig.log) if line.role == "bot")
    assert told_ms <= rig.ear.heard_bytes() / 8 + delay_ms * (1 + rig.ear.clears)
    if not any(met.lost):
        for item_id in (item_id for item_id, item in rig.server.items.items() if item.is_deleted):
            assert rig.heard_ms(item_id, 0) + rig.heard_ms(item_id, 1) <= delay_ms + max(met.late_ms) + 1
