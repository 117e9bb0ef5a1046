"""How many calls live here, and whose media stream is whose.

A call is admitted when its webhook comes and holds its place until it has ended. Its stream must show the token that
was put into the TwiML: single-use, short-lived, and good for this CallSid alone.
"""

from __future__ import annotations

import hmac
import secrets
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge.edge.rates import CallerRates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Limits

Held = TypeVar("Held")


class Refused(Enum):
    """Why a call is not admitted."""

    FULL = "full"
    TOO_OFTEN = "too_often"
    DRAINING = "draining"


class Place(Generic[Held]):
    """The place of one call."""

    def __init__(self, held: Held, expires_at: float) -> None:
        self.held = held
        self.token = secrets.token_urlsafe(32)
        self.streams = 1
        """How many streams the call was offered; the number of the one that the token opens."""
        self._expires_at = expires_at
        self._is_claimed = False

    def claim(self, token: str, now: float) -> bool:
        """Whether the token opens this place, which it does once and in time."""
        is_right = hmac.compare_digest(token.encode(), self.token.encode())
        if not is_right or self._is_claimed or now > self._expires_at:
            return False
        self._is_claimed = True
        return True

    def renew(self, expires_at: float) -> None:
        """Have another token, for the next stream of the same call; the old one is worth nothing any more."""
        self.token = secrets.token_urlsafe(32)
        self.streams += 1
        self._expires_at = expires_at
        self._is_claimed = False


class Admission(Generic[Held]):
    """The calls of one bridge. A place is taken in one step, so two webhooks at once never share the last one."""

    def __init__(self, limits: Limits) -> None:
        self.is_draining = False
        self._max_calls = limits.max_calls
        self._rates = CallerRates(limits.calls_per_minute_per_caller)
        self._token_ttl_s = limits.token_ttl_s
        self._places: dict[str, Place[Held]] = {}
        self._parked: dict[str, Place[Held]] = {}
        self._reserved: set[str] = set()

    def limit(self, limits: Limits) -> None:
        """Have other limits from now on; calls that are there stay."""
        self._max_calls = limits.max_calls
        self._rates.per_minute = limits.calls_per_minute_per_caller
        self._token_ttl_s = limits.token_ttl_s

    def __len__(self) -> int:
        return len(self._places) + len(self._reserved)

    def __iter__(self) -> Iterator[Held]:
        return (place.held for place in [*self._places.values(), *self._parked.values()])

    async def admit(self, call_sid: str, caller: str, now: float) -> Refused | None:
        """Do what `refuse` does; where several bridges share the places, ask them."""
        return self.refuse(call_sid, caller, now)

    async def book(self, name: str) -> Refused | None:
        """Do what `reserve` does; where several bridges share the places, ask them."""
        return self.reserve(name)

    def refuse(self, call_sid: str, caller: str, now: float) -> Refused | None:
        """Why a new call of that caller is refused. If it is not, it has a place reserved: `place` it, or `leave`."""
        if (refusal := self._refuse()) is not None:
            return refusal
        if not self._rates.add(caller, now):
            return Refused.TOO_OFTEN
        self._reserved.add(call_sid)
        return None

    def reserve(self, name: str) -> Refused | None:
        """Why a call must not be placed now. If it may, a place is reserved under this name: `leave` gives it back."""
        refusal = self._refuse()
        if refusal is None:
            self._reserved.add(name)
        return refusal

    def _refuse(self) -> Refused | None:
        if self.is_draining:
            return Refused.DRAINING
        return Refused.FULL if len(self) >= self._max_calls else None

    def place(self, call_sid: str, held: Held, now: float) -> Place[Held]:
        """Give a call its place; `leave` must be called when it has ended."""
        self._reserved.discard(call_sid)
        place = self._places[call_sid] = Place(held, now + self._token_ttl_s)
        return place

    def find(self, call_sid: str) -> Place[Held] | None:
        """The place of a live call, parked or not."""
        return self._places.get(call_sid) or self._parked.get(call_sid)

    def park(self, call_sid: str) -> None:
        """The call is with a human: it takes up no place until it comes back, if it does."""
        if (place := self._places.pop(call_sid, None)) is not None:
            self._parked[call_sid] = place

    def renew(self, call_sid: str, now: float) -> Place[Held] | None:
        """Have another token for the next stream of a live call, which has its place again even when none is left."""
        place = self.find(call_sid)
        if place is None:
            return None
        self._parked.pop(call_sid, None)
        self._places[call_sid] = place
        place.renew(now + self._token_ttl_s)
        return place

    def leave(self, call_sid: str) -> None:
        """The call has ended, or has never begun."""
        self._reserved.discard(call_sid)
        self._places.pop(call_sid, None)
        self._parked.pop(call_sid, None)
