"""An event loop whose time passes at once: it jumps to what is planned next. For tasks and timers without a socket."""

from __future__ import annotations

import asyncio
import selectors

from bridge.clock import Clock


class StuckError(Exception):
    """Everybody waits for somebody else: nothing is planned that could ever happen."""


class _Selector(selectors.SelectSelector):
    """Waits for no socket; what it is asked to wait, it lets pass."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError
        self.passed_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs tasks and timers in virtual time. No thread may have a part in it. `faults` are what callbacks raised."""

    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)
        self.faults: list[BaseException | str] = []
        self.set_exception_handler(self._keep_fault)
        self.clock = Clock()
        self.clock.now = self.time

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._passing.passed_s

    def planned(self) -> int:
        """How many timers are still to go off."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # nothing public counts them
        return sum(not handle.cancelled() for handle in scheduled)

    def _keep_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self.faults.append(error if isinstance(error, BaseException) else str(context["message"]))
