"""Admission where several bridges, or workers, share the places: the register is asked and told as well."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bridge.edge.admission import Admission, Held, Refused
from bridge.edge.shared import SharedLostError, Verdict

if TYPE_CHECKING:
    from bridge.edge.admission import Place
    from bridge.edge.shared import Shared
    from bridge.settings import Limits

_REFUSALS = {Verdict.FULL: Refused.FULL, Verdict.TOO_OFTEN: Refused.TOO_OFTEN}
_log = logging.getLogger("bridge")


class SharedAdmission(Admission[Held]):
    """The calls of this process, of which there are no more than all processes together may have.

    While the register is lost, each process admits what its own limits allow: a caller is turned away when there is no
    place, not when nobody knows.
    """

    def __init__(self, limits: Limits, shared: Shared) -> None:
        super().__init__(limits)
        self._shared = shared

    async def admit(self, call_sid: str, caller: str, now: float) -> Refused | None:
        """Why a new call of that caller is refused; see `Admission.refuse`."""
        if self.is_draining:
            return Refused.DRAINING
        try:
            verdict = await self._shared.admit(call_sid, caller)
        except SharedLostError:
            _log.warning("call.admitted_alone", extra={"call_sid": call_sid})
            return self._alone(call_sid, self.refuse(call_sid, caller, now))
        if verdict is Verdict.ADMITTED:
            self._reserved.add(call_sid)
        return _REFUSALS.get(verdict)

    async def book(self, name: str) -> Refused | None:
        """Why a call must not be placed now; see `Admission.reserve`."""
        if self.is_draining:
            return Refused.DRAINING
        try:
            verdict = await self._shared.admit(name, "")
        except SharedLostError:
            return self._alone(name, self.reserve(name))
        if verdict is Verdict.ADMITTED:
            self._reserved.add(name)
        return _REFUSALS.get(verdict)

    def _alone(self, name: str, refusal: Refused | None) -> Refused | None:
        """The verdict of this process; if it refuses, a place that the register took before it was lost is free."""
        if refusal is not None:
            self._shared.leave(name)
        return refusal

    def limit(self, limits: Limits) -> None:
        """Have other limits from now on, over all processes."""
        super().limit(limits)
        self._shared.limit(limits.max_calls, limits.calls_per_minute_per_caller)

    def place(self, call_sid: str, held: Held, now: float) -> Place[Held]:
        """Give a call its place."""
        self._shared.take(call_sid)
        return super().place(call_sid, held, now)

    def park(self, call_sid: str) -> None:
        """The call is with a human: it takes up no place until it comes back."""
        self._shared.park(call_sid)
        super().park(call_sid)

    def renew(self, call_sid: str, now: float) -> Place[Held] | None:
        """Have another token for the next stream of a live call, which has its place again."""
        place = super().renew(call_sid, now)
        if place is not None:
            self._shared.take(call_sid)
        return place

    def leave(self, call_sid: str) -> None:
        """The call has ended, or has never begun."""
        self._shared.leave(call_sid)
        super().leave(call_sid)
