"""What counts as the same call once more, and how a difference is told."""

from __future__ import annotations

import pytest

from bridge.rehearsal.reenact.likeness import Tolerance, differences
from bridge.rehearsal.reenact.parts import Deeds, Line, Sent

TOLERANCE = Tolerance(heard_ms=200, moment_s=0.4)


def truncation(heard_ms: int, at: float = 3.0, item_id: str = "item_1") -> Sent:
    """An item is truncated."""
    return Sent(at, {"type": "conversation.item.truncate", "item_id": item_id, "audio_end_ms": heard_ms})


def create(at: float) -> Sent:
    """A response is asked for."""
    return Sent(at, {"type": "response.create"})


def deeds(*commands: Sent, clears: tuple[float, ...] = (), ending: str = "", lines: tuple[Line, ...] = ()) -> Deeds:
    """What was done in a call."""
    return Deeds(list(commands), list(clears), list(lines), ending)


def line(words: str, *, is_cut: bool = False) -> Line:
    """What the bot said."""
    return Line("bot", words, is_cut)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (deeds(truncation(1500)), deeds(truncation(1690, at=3.3))),
        (deeds(create(1.0), truncation(1500)), deeds(truncation(1500), create(1.0))),
        (deeds(create(-0.2)), deeds(create(1.5))),
        (deeds(clears=(1.0, 5.0)), deeds(clears=(1.2, 4.7))),
        (deeds(lines=(line("one two three four", is_cut=True),)), deeds(lines=(line("one two", is_cut=True),))),
        (deeds(ending="caller_lost"), deeds(ending="caller_hung_up")),
        (deeds(ending="no_input"), deeds()),
    ],
    ids=["heard", "order of kinds", "before the stream", "clears", "cut line", "caller's end", "ending unknown"],
)
def test_what_is_within_the_tolerances_is_the_same(then: Deeds, now: Deeds) -> None:
    """A line with jitter and a busy machine keep no more than that."""
    assert [] == differences(then, now, TOLERANCE)


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (deeds(truncation(1500)), deeds(truncation(1710)), ["~", "on the tape 1500 ms"]),
        (deeds(truncation(1500)), deeds(truncation(1500, item_id="item_2")), ["-", "item_1"]),
        (deeds(truncation(1500)), deeds(), ["-", "conversation.item.truncate"]),
        (deeds(create(1.0)), deeds(create(1.5)), ["~", "on the tape at 1.000"]),
        (deeds(), deeds(create(1.0)), ["+", "response.create"]),
        (deeds(clears=(1.0,)), deeds(), ["-", "the bot is cut"]),
        (deeds(), deeds(clears=(1.0,)), ["+", "the bot is cut"]),
        (deeds(lines=(line("one two"),)), deeds(lines=(line("one two", is_cut=True),)), ["~", "one two —"]),
        (deeds(lines=(line("one"),)), deeds(lines=(line("two"),)), ["-", "one"]),
        (deeds(ending="no_input"), deeds(ending="caller_hung_up"), ["~", "on the tape no_input"]),
    ],
)
def test_what_is_beyond_is_told(then: Deeds, now: Deeds, told: list[str]) -> None:
    """Which it is, and what it was."""
    first = differences(then, now, TOLERANCE)[0]

    assert first.startswith(told[0])
    assert told[1] in first


def test_words_that_nobody_could_ask_for_are_not_compared() -> None:
    """A running bridge without an operator API tells none."""
    assert [] == differences(deeds(lines=(line("one"),)), Deeds(lines=None), TOLERANCE)
