"""Who watches calls: metrics, records, traces, a terminal, a test."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from bridge.edge.abandoned import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.actions import Said
    from bridge.edge.driver import Driver

_log = logging.getLogger("bridge")


class Observer(Protocol):
    """Watches calls, on the event loop: it neither waits nor raises."""

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""


class Observers:
    """Tells all who watch, in their order; one that raises all the same keeps nothing from the others or the call.

    Args:
        observers: who watches.
        failed: told each time that one of them has raised; the log says it once for each call.
    """

    def __init__(self, observers: tuple[Observer, ...], failed: Callable[[], object]) -> None:
        self._observers = observers
        self._failed = failed
        self._missed: WeakSet[Driver] = WeakSet()
        """The calls of which somebody has missed something."""

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        for observer in self._observers:
            try:
                observer.happened(driver, event, fields)
            except Exception as error:  # noqa: BLE001 - told by `_survive`
                self._survive(driver, observer, error)

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""
        for observer in self._observers:
            try:
                observer.said(driver, line)
            except Exception as error:  # noqa: BLE001 - told by `_survive`
                self._survive(driver, observer, error)

    def _survive(self, driver: Driver, observer: Observer, error: Exception) -> None:
        self._failed()
        if driver not in self._missed:
            self._missed.add(driver)
            fields = {"call_sid": driver.plan.call_sid, "observer": type(observer).__name__} | fault_of(error)
            _log.error("observer.failed", extra=fields)
