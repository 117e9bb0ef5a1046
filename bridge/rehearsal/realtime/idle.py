"""The caller's silence after a response: `idle_timeout_ms` of `server_vad`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.clock import Clock, Timer
    from bridge.rehearsal.realtime.performance import Response
    from bridge.rehearsal.realtime.settings import TurnDetection


class IdleTimer:
    """Tells when nobody has spoken for as long as the session allows.

    Args:
        on_idle: called with that time, in milliseconds.
    """

    def __init__(self, clock: Clock, on_idle: Callable[[int], None]) -> None:
        self._clock = clock
        self._on_idle = on_idle
        self._timer: Timer | None = None

    def arm(self, response: Response, detection: TurnDetection | None) -> None:
        """Wait for the caller, from when a response of the conversation that is done will have been heard."""
        if response.conversation_id is None or detection is None or detection.idle_timeout_ms is None:
            return
        self.cancel()
        idle_ms = detection.idle_timeout_ms
        when = self._clock.now() + (response.audio_sent_ms + idle_ms) / 1000
        self._timer = self._clock.call_at(when, lambda: self._on_idle(idle_ms))

    def cancel(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
