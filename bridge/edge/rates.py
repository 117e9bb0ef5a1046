"""How often each caller has called lately: the same count for one bridge alone and for several together."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
MAX_CALLERS = 10_000
"""Callers whose recent calls are remembered; with more, the one who called longest ago is forgotten."""


class CallerRates:
    """Counts calls by caller over the last minute.

    Args:
        per_minute: how many are allowed.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._recent: dict[str, deque[float]] = {}

    def add(self, caller: str, now: float) -> bool:
        """Count one more call, unless that would be one too many: then False, and it counts for nothing."""
        calls = self._recent.pop(caller, None) or deque()
        self._recent[caller] = calls
        while calls and calls[0] <= now - WINDOW_S:
            calls.popleft()
        if len(calls) >= self.per_minute:
            return False
        calls.append(now)
        if len(self._recent) > MAX_CALLERS:
            del self._recent[next(iter(self._recent))]
        return True
