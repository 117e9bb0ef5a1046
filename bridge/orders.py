"""What the carrier is to be told when it asks about a call whose stream is closed: one order for each call."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.call.actions import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.edge.driver import Driver

KEPT = 10_000
"""Orders that are kept; the oldest is forgotten first."""
ASKED_WITHIN_S = 5.0
"""When the carrier asks for an order at the latest, if it does: it asks at once, and its own limit is 15 s."""


class Orders:
    """The orders of all calls.

    Args:
        make: makes the document of an order.
    """

    def __init__(self, make: Callable[[Driver, Order], str]) -> None:
        self._make = make
        self._orders: OrderedDict[str, _Ordered] = OrderedDict()

    def __contains__(self, call_sid: str) -> bool:
        """Whether there is an order for this call."""
        return call_sid in self._orders

    def leave(self, driver: Driver, order: Order) -> None:
        """Keep an order in the place of the one before."""
        call_sid = driver.plan.call_sid
        self._orders[call_sid] = _Ordered(driver, order, driver.clock.now())
        self._orders.move_to_end(call_sid)
        if len(self._orders) > KEPT:
            self._orders.popitem(last=False)

    def document(self, call_sid: str) -> str | None:
        """The document of the order that stands; made once, so that a repeated question gets the same one."""
        ordered = self._orders.get(call_sid)
        if ordered is None:
            return None
        ordered.is_awaited = False
        if not ordered.document and ordered.driver is not None:
            ordered.document = self._make(ordered.driver, ordered.order)
        return ordered.document

    def ended(self, driver: Driver) -> None:
        """The call has ended: what it ordered stays to be told, and nothing of the call itself is kept for that."""
        ordered = self._orders.get(driver.plan.call_sid)
        if ordered is None or ordered.driver is not driver:
            return
        if not ordered.document:
            order = Order("hang_up") if ordered.order.kind == "transfer" else ordered.order
            ordered.document = self._make(driver, order)
        ordered.driver = None

    def call_over(self, call_sid: str) -> None:
        """The carrier says that the call has ended: it does not ask any more."""
        if (ordered := self._orders.get(call_sid)) is not None:
            ordered.is_awaited = False

    def are_awaited(self, now: float) -> bool:
        """Whether the carrier has yet to ask for an order: whoever leaves now leaves a caller without an answer."""
        for ordered in reversed(self._orders.values()):
            if ordered.left_at + ASKED_WITHIN_S < now:
                return False
            if ordered.is_awaited:
                return True
        return False


@dataclass
class _Ordered:
    """An order, and the document it became."""

    driver: Driver | None
    """None when its call has ended: then there is a document."""
    order: Order
    left_at: float
    document: str = ""
    is_awaited: bool = True
