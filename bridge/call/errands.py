"""Errands: what a call leaves its stream for and may come back from. Keys are sent to the far end, or somebody rings.

Only configured destinations are known here, by their names; the model can never name a number. What follows on a
destination that was not reached is in its `on_failure`: back to the bot, the next destination, or a goodbye.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from bridge.call.actions import Order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.settings import Destination

KEYS = re.compile(r"[0-9*#wW]{1,32}")
"""What `<Play digits>` takes; `w` waits half a second."""
_TONE_S = 0.5
_MARGIN_S = 15.0
"""How much longer than its tones or its ringing an errand may take, the carrier's requests included."""
_CARRIER_ADDS_S = 5.0
"""Twilio lets a destination ring that much longer than `timeout` says."""
_WHISPER_S = 60.0
"""How long a human may listen and make up their mind."""
MAX_PASSES = 8
"""How often one transfer may be passed on; configurations with circles are refused at start anyway."""


class Errand(msgspec.Struct):
    """What the call is out for."""

    order: Order
    call_id: str
    """Of the function call that asked for it, which is answered when the call comes back."""
    outcome: str = ""
    passes: int = 0
    is_last_word: bool = False
    """Nobody was reached, and the call is to end with a goodbye."""


class Errands:
    """At most one errand of one call.

    Args:
        destinations: where the call may be transferred to, by name.
    """

    def __init__(self, destinations: Mapping[str, Destination]) -> None:
        self._destinations = destinations
        self.current: Errand | None = None

    def order_for(self, name: str, arguments: Mapping[str, object]) -> Order | str:
        """The order that a function call of the model asks for, or a sentence that says what is wrong with it."""
        if name == "send_digits":
            digits = arguments.get("digits")
            if not (isinstance(digits, str) and KEYS.fullmatch(digits)):
                return "digits must be 1 to 32 of 0-9, *, # and w"
            return Order("keys", digits=digits)
        destination, summary = arguments.get("destination"), arguments.get("summary", "")
        if not isinstance(destination, str) or destination not in self._destinations:
            return f"destination must be one of: {', '.join(self._destinations)}"
        return Order("transfer", destination=destination, summary=summary if isinstance(summary, str) else "")

    def announcement(self, order: Order) -> str:
        """What the operator wants said before this order is carried out; empty when that is left to the model."""
        return self._destinations[order.destination].announce if order.kind == "transfer" else ""

    def begin(self, order: Order, call_id: str) -> None:
        """The call leaves its stream."""
        self.current = Errand(order, call_id)

    def within_s(self) -> float:
        """How long until the errand must have gone another way: tones take so long, a telephone rings so long."""
        order = self.current.order if self.current is not None else Order("resume")
        if order.kind == "transfer":
            return self._destinations[order.destination].timeout_s + _CARRIER_ADDS_S + _MARGIN_S
        return len(order.digits) * _TONE_S + _MARGIN_S

    def answered_within_s(self) -> float:
        """How much longer, when a human has picked up and is being told who calls."""
        return _WHISPER_S + _MARGIN_S

    def failed(self, outcome: str) -> Order:
        """The transfer has failed: what the carrier is to do now."""
        errand = self.current
        if errand is None:
            return Order("resume")
        errand.outcome = outcome
        next_step = self._destinations[errand.order.destination].on_failure
        if next_step in self._destinations and errand.passes < MAX_PASSES:
            errand.passes += 1
            errand.outcome = ""
            errand.order = Order("transfer", destination=next_step, summary=errand.order.summary)
            return errand.order
        errand.is_last_word = next_step == "hang_up"
        return Order("resume")

    def come_back(self) -> Errand | None:
        """The call has a stream again: the errand that is over."""
        errand, self.current = self.current, None
        return errand
