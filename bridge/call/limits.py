"""How long a call may last and what it may cost: a word before, a goodbye then, and the end whatever anybody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call import prompts
from bridge.call.actions import Order
from bridge.call.acts import Act
from bridge.call.ending import Ending
from bridge.call.presence import MAX_LOSSES

if TYPE_CHECKING:
    from bridge.call.deadlines import Deadlines
    from bridge.call.plan import Plan

LAST_WORDS_S = 30.0
"""How long a call that has reached a limit may last whose caller does not let the bot say so."""
LEAST_WARNINGS = 3
"""A call is warned only if it may last that many times as long as the warning is early."""
TALKS_WITHIN_S = 4 * 3600 + 60.0
"""How long a caller may speak with a human, by the carrier's limit, before the call is given up as lost."""
MARGIN_S = 300.0
"""What a call may take beyond all its limits, for requests under way, before something must be wrong with it."""


def longest_s(plan: Plan) -> float:
    """How long a call can last at the very most, all its limits one after the other.

    A stream that cannot be opened is offered again, and one more is waited for when a human is not reached after all.
    """
    ringing_s = plan.outgoing.ring_within_s if plan.outgoing is not None else 0.0
    coming_s = (1 + MAX_LOSSES) * plan.claim_within_s
    away_s = TALKS_WITHIN_S + plan.claim_within_s if plan.destinations else 0.0
    return ringing_s + coming_s + plan.max_call_s + LAST_WORDS_S + away_s + MARGIN_S


class Limits:
    """The limits of one call. `ending` is the one that was reached; None: none yet."""

    def __init__(self, plan: Plan, deadlines: Deadlines) -> None:
        self.ending: Ending | None = None
        self._max_s = plan.max_call_s
        warn_s = plan.warn_before_s
        self._warn_before_s = warn_s if LEAST_WARNINGS * warn_s <= plan.max_call_s else 0.0
        self._deadlines = deadlines
        self._ends_at: float | None = None

    def stream_started(self, now: float) -> bool:
        """The caller is there: from the first time on it counts. Whether this is that."""
        is_first = self._ends_at is None
        if self._ends_at is None:
            self._ends_at = now + self._max_s
        self._deadlines.set("call.limit", max(now, self._ends_at))
        if self._warn_before_s:
            self._deadlines.set("call.warning", max(now, self._ends_at - self._warn_before_s))
        return is_first

    def stream_left(self) -> None:
        """The caller is away: a human has them, or the line broke. The time is looked at when they are back."""
        self._deadlines.clear("call.limit")
        self._deadlines.clear("call.warning")

    def warning(self) -> str:
        """The call will end soon: instructions for a response that says so, once."""
        minutes = max(1, round(self._warn_before_s / 60))
        self._warn_before_s = 0.0
        return prompts.TIME_RUNS_OUT.format(time="one minute" if minutes == 1 else f"{minutes} minutes")

    def reached(self, ending: Ending, now: float) -> Act | None:
        """A limit is reached: the act to be announced; None when one was before: the call is to end at once."""
        if self.ending is not None:
            return None
        self.ending = ending
        self._ends_at = now + LAST_WORDS_S
        self._warn_before_s = 0.0
        self._deadlines.clear("call.warning")
        self._deadlines.set("call.limit", self._ends_at)
        announcement = prompts.COST_IS_REACHED if ending is Ending.COST_LIMIT else prompts.TIME_IS_UP
        return Act(ending, Order("hang_up"), announcement)
