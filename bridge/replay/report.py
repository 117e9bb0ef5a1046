"""The outcome of a replay as text: one line when all is as it was, else each difference with what led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.replay.words import action_words

if TYPE_CHECKING:
    from bridge.replay.comparison import Difference, Outcome

SHOWN = 10


def report(name: str, outcome: Outcome) -> str:
    """What a replay came to, for people."""
    lines = [f"{name}: {summary(outcome)}"]
    for difference in outcome.differences[:SHOWN]:
        lines += ["", *_difference(difference)]
    more = len(outcome.differences) - SHOWN + outcome.omitted
    if more > 0:
        lines += ["", f"and {more} more"]
    return "\n".join(lines)


def summary(outcome: Outcome) -> str:
    """One line: how long the call was, how it ended, whether it is the same again."""
    count = len(outcome.differences) + outcome.omitted
    verdict = "no difference" if not count else "1 difference" if count == 1 else f"{count} differences"
    parts = [f"{outcome.call_s:.1f} s, {outcome.steps} inputs, {outcome.actions} actions: {verdict}"]
    if outcome.recorded_ending == outcome.replayed_ending:
        parts.append(f"ended {outcome.replayed_ending}" if outcome.replayed_ending else "the tape ends before the call")
    else:
        parts.append(
            f"ended {outcome.replayed_ending or 'not at all'}, on the tape {outcome.recorded_ending or 'not at all'}"
        )
    if outcome.lost:
        parts.append(f"the tape has lost {outcome.lost} lines: compared up to there")
    return "; ".join(parts)


def _difference(difference: Difference) -> list[str]:
    lines = [f"  {line}" for line in difference.context]
    match difference.kind:
        case "missing":
            lines.append(f"- {'':9}    {action_words(difference.recorded)}")
        case "extra":
            lines.append(f"+ {'':9}    {action_words(difference.replayed)}")
        case "changed":
            lines.append(f"- {'':9}    {action_words(difference.recorded)}")
            lines.append(f"+ {'':9}    {action_words(difference.replayed)}")
        case "moved":
            when = (
                "in another order"
                if difference.moved_s == 0
                else f"{abs(difference.moved_s):.3f} s {_direction(difference)}"
            )
            lines.append(f"~ {'':9}    {action_words(difference.replayed)}  ({when})")
    return lines


def _direction(difference: Difference) -> str:
    return "later" if difference.moved_s > 0 else "earlier"
