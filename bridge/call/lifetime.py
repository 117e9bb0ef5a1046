"""How long a session lasts, by the server's word: the call moves to another one before that, in a quiet moment.

A server ends a session at its limit (60 minutes at OpenAI, less elsewhere) whatever is being said. `expires_at` of the
session tells when, by the wall clock; sessions that do not say so are replaced when they are lost.

Source: OpenAI's guide to Realtime conversations, "Session lifecycle"; `session.expires_at` is in Unix seconds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.call.deadlines import Deadlines

LOOK_BEFORE_S = 120.0
"""How long before its end a quiet moment is looked for; of a short session a quarter."""
LATEST_BEFORE_S = 10.0
"""How long before its end a session is left, whatever is being said; of a short one a twentieth."""
LONGEST_S = 86_400.0
"""A longer life is not believed: the clocks disagree."""


class Age(IntEnum):
    """How far a session has come."""

    YOUNG = 0
    ENDING = 1
    """The next one is opened beside it, and the call moves there in a quiet moment."""
    LATE = 2
    """The call moves as soon as the next one is ready, whatever is being said."""
    OVER = 3


class Lifetime:
    """The life of the session that there is; the deadline `session.limit` comes with each age that it reaches."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._began_at = self._unix_s = 0.0
        self._moments: tuple[float, ...] = ()
        self.age = Age.YOUNG

    def began(self, now: float, unix_s: float) -> None:
        """A session is open; `unix_s` is the wall clock's time."""
        self.over()
        self._began_at, self._unix_s = now, unix_s

    def over(self) -> None:
        """The session is gone."""
        self.age = Age.YOUNG
        self._moments = ()
        self._deadlines.clear("session.limit")

    def confirmed(self, expires_at: object, now: float) -> None:
        """The session is as it was asked for, and says when it ends."""
        if not isinstance(expires_at, int | float) or not self._unix_s:
            return
        lasts_s = expires_at - self._unix_s
        if 0 < lasts_s <= LONGEST_S:
            ends_at = self._began_at + lasts_s
            look_at = ends_at - min(LOOK_BEFORE_S, lasts_s / 4)
            self._moments = look_at, ends_at - min(LATEST_BEFORE_S, lasts_s / 20), ends_at
            self.watch(now)

    def watch(self, now: float) -> None:
        """Wait for what comes next, also after an errand that has made an end of all deadlines."""
        if self.age < len(self._moments):
            self._deadlines.set("session.limit", max(now, self._moments[self.age]))

    def due(self, now: float) -> None:
        """The deadline has come: the session is in its next age."""
        self.age = Age(self.age + 1)
        self.watch(now)
