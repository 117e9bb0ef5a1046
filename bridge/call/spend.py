"""What a call has cost so far: the tokens of each response and transcription, and money where prices are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bridge.wire.usage import Usage, usage_of, usage_of_transcription

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.plan import Plan, Tariff

_PER = 1_000_000
"""Prices are for a million tokens."""
_DECIMALS = 6


class Spend:
    """The spend of one call. `cost` is None for as long as nothing with a known price was used."""

    def __init__(self, plan: Plan, outbox: Outbox) -> None:
        self.cost: float | None = None if plan.price is None else 0.0
        self._max_cost = plan.max_cost
        self._price = plan.price
        self._transcription_price = plan.transcription_price
        self._outbox = outbox

    @property
    def is_too_much(self) -> bool:
        """Whether the call has cost as much as it may."""
        return bool(self._max_cost) and self.cost is not None and self.cost >= self._max_cost

    def response_done(self, usage: Any) -> None:  # noqa: ANN401 - as the server sent it
        """A response is over, in whatever way."""
        self._count(usage_of(usage), self._price, "response")

    def transcribed(self, usage: Any) -> None:  # noqa: ANN401 - the same
        """Something that the caller said was written down."""
        self._count(usage_of_transcription(usage), self._transcription_price, "transcription")

    def told(self) -> dict[str, float]:
        """The cost as a field of a fact; nothing where it is not known."""
        return {} if self.cost is None else {"cost": round(self.cost, _DECIMALS)}

    def _count(self, usage: Usage | None, price: Tariff | None, what: str) -> None:
        if usage is None:
            return
        cost = {}
        if price is not None:
            spent = sum(getattr(usage, kind) * getattr(price, kind) for kind in usage.__struct_fields__) / _PER
            self.cost = (self.cost or 0.0) + spent
            cost = {"cost": round(spent, _DECIMALS)}
        self._outbox.happened("usage.counted", of=what, **msgspec.structs.asdict(usage), **cost)
