"""What was turned away, counted; and one line in the log for many, or a flood would fill the disk as well."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.clock import Clock

LOG_EVERY_S = 10.0
"""A reason is logged at once, and then as long as it goes on so often, with how many there were since."""
_log = logging.getLogger("bridge")


class Refusals:
    """Counts by reason; reasons are from a closed list.

    Args:
        clock: says when the next line is due.
        counted: told each reason.
    """

    def __init__(self, clock: Clock, counted: Callable[[str], object]) -> None:
        self.by_reason: dict[str, int] = {}
        self._clock = clock
        self._counted = counted
        self._logged: dict[str, tuple[float, int]] = {}

    def refused(self, reason: str) -> None:
        """A request was turned away."""
        count = self.by_reason[reason] = self.by_reason.get(reason, 0) + 1
        self._counted(reason)
        logged_at, logged = self._logged.get(reason, (float("-inf"), 0))
        now = self._clock.now()
        if now >= logged_at + LOG_EVERY_S:
            self._logged[reason] = now, count
            _log.warning("request.refused", extra={"reason": reason, "times": count - logged})
