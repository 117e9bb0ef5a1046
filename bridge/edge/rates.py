"""How often each caller has called lately: the same count for one bridge alone and for several together."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
MAX_CALLERS = 10_000
"""Callers whose recent calls are remembered; with more, the one who called longest ago is forgotten."""


class CallerRates:
    """Counts calls by caller over the last minute; nobody's number is kept for longer.

    Args:
        per_minute: how many are allowed.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._recent: dict[str, deque[float]] = {}
        """By caller, who called longest ago first."""

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._recent)

    def add(self, caller: str, now: float) -> bool:
        """Count one more call, unless that would be one too many: then False, and it counts for nothing."""
        self._forget(now - WINDOW_S)
        calls = self._recent.get(caller) or deque()
        while calls and calls[0] <= now - WINDOW_S:
            calls.popleft()
        if len(calls) >= self.per_minute:
            return False
        calls.append(now)
        self._recent.pop(caller, None)
        self._recent[caller] = calls
        if len(self._recent) > MAX_CALLERS:
            del self._recent[next(iter(self._recent))]
        return True

    def _forget(self, before: float) -> None:
        """Forget who has not called since."""
        while self._recent:
            caller, calls = next(iter(self._recent.items()))
            if calls[-1] > before:
                return
            del self._recent[caller]
