"""Who watches calls: metrics, records, traces, a terminal, a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bridge.call.actions import Said
    from bridge.edge.driver import Driver


class Observer(Protocol):
    """Watches calls, on the event loop: it neither waits nor raises."""

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""
