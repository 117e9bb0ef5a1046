"""How a session that is lost is replaced: where the next one is opened, when, and when that is given up.

An endpoint that will never do is not asked again. Of the others the one with the fewest attempts comes next, first the
one where the session was. Pauses double from attempt to attempt; their jitter keeps the calls of a bridge, which all
lose their sessions at once when an endpoint goes down, from coming back at once. It is made of the call's own name, so
that a recorded call does the same again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from bridge.call.failures import Verdict, judge
from bridge.call.plan import EndpointName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.call.plan import Plan

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0
AT_ONCE_S = 0.25
"""What an attempt that need not wait is spread over."""
PATIENCE_S = 5.0
"""How long one endpoint may take to have a session ready when there is another one to ask."""
MAX_IN_A_ROW = 3
"""Sessions that may be replaced one after the other without one good answer; then the endpoint will not do."""


class Attempt(msgspec.Struct, frozen=True):
    """The next attempt to open a session."""

    endpoint: EndpointName
    after_s: float


class Recovery:
    """The endpoints of one call, and the time it has been without a session.

    Args:
        plan: which endpoints there are.
        usable: those that are still asked; by default all.
    """

    def __init__(self, plan: Plan, usable: Sequence[EndpointName] | None = None) -> None:
        self.endpoint: EndpointName = plan.endpoints[0]
        """Where the session is, or is being opened."""
        self.attempts = 0
        """How often a session was opened since the call had one."""
        self.since = 0.0
        """When the call was last left without a session, or began."""
        self._plan = plan
        self._usable = list(plan.endpoints if usable is None else usable)
        self._tries: dict[EndpointName, int] = {}
        self._in_a_row = 0

    @property
    def has_another(self) -> bool:
        """Whether there is another endpoint to be asked."""
        return any(endpoint != self.endpoint for endpoint in self._usable)

    def begin(self, now: float) -> None:
        """The call has no session from now on."""
        self.since = now
        self.attempts = 0
        self._tries.clear()

    def fork(self, now: float) -> Recovery:
        """For a session that is opened beside the present one from now on: what fails there does not count here."""
        fork = Recovery(self._plan, self._usable)
        fork.endpoint, fork._in_a_row = self.endpoint, self._in_a_row
        fork.begin(now)
        return fork

    def opening(self, endpoint: EndpointName) -> None:
        """A session is being opened."""
        self.endpoint = endpoint
        self.attempts += 1
        self._tries[endpoint] = self._tries.get(endpoint, 0) + 1

    def replaced(self) -> None:
        """There is a session again, which has yet to prove good."""
        self._in_a_row += 1

    def proved(self) -> None:
        """The session has given a good answer."""
        self._in_a_row = 0

    def after(self, reason: str, code: str) -> Attempt | None:
        """What comes after a failure at the endpoint; None when no endpoint will do any more."""
        verdict = judge(reason, code)
        if self._in_a_row >= MAX_IN_A_ROW:
            verdict, self._in_a_row = Verdict.NEVER, 0
        if verdict is Verdict.NEVER and self.endpoint in self._usable:
            self._usable.remove(self.endpoint)
        if not self._usable:
            return None
        here = self.endpoint
        endpoint = min(self._usable, key=lambda each: (self._tries.get(each, 0), each != here))
        tries = self._tries.get(endpoint, 0)
        needs_pause = tries > 0 or (verdict is Verdict.LATER and endpoint == here)
        return Attempt(endpoint, self._pause_s(tries) if needs_pause else AT_ONCE_S * self._jitter())

    def _pause_s(self, tries: int) -> float:
        whole_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**tries)
        return whole_s * (1 + self._jitter()) / 2

    def _jitter(self) -> float:
        """From 0 to 1."""
        return crc32(f"{self._plan.call_sid}/{self.since}/{self.attempts}".encode()) / 2**32
