"""A rehearsed call for the eye: its timeline while it goes on, and its transcript and latencies afterwards."""

from __future__ import annotations

import heapq
from statistics import median
from typing import TYPE_CHECKING

from bridge.rehearsal.hearing import PAUSE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.clock import Clock
    from bridge.rehearsal.carrier import Event
    from bridge.rehearsal.rehearse import Rehearsed, Turn

_SETTLING_S = PAUSE_MS / 1000 + 0.1
"""The end of speech is known only after a pause: a line is held back that long, so that lines come in order of time."""
_LINES = {
    "application.failed": "application error: {}",
    "bot.started": "bot speaks",
    "bot.stopped": "bot is silent",
    "call.answered": "answered",
    "call.bridged": "connected with {}",
    "call.dialled": "dialled {}",
    "call.ended": "ended: {}",
    "call.redirected": "redirected by the bridge",
    "call.referred": "referred to {}",
    "caller.started": "caller speaks",
    "caller.stopped": "caller is silent",
    "carrier.said": "carrier says: {}",
    "carrier.warned": "carrier warns: {}",
    "conference.joined": "joined conference {}",
    "conference.left": "left conference {}",
    "key.pressed": "caller presses a key",
    "keys.gathered": "keys gathered",
    "keys.sent": "keys sent",
    "machine.detected": "answered by: {}",
    "playout.cleared": "playout cleared: {}",
    "queue.entered": "entered queue {}",
    "stream.started": "media stream up",
    "stream.stopped": "media stream down",
    "wait.failed": "no waiting music: {}",
}


def line_of(event: Event, started_s: float) -> str:
    """One line of a timeline. Keys that were pressed are not shown: they may be a secret."""
    text = _LINES.get(event.kind, f"{event.kind} {{}}").format(event.text).rstrip()
    return f"{event.at_s - started_s:7.2f} s  {text}"


class Timeline:
    """Writes the moments of a call as they happen; give it to the carrier as `on_event`, and close it at the end.

    Other parts may add moments of their own through `carrier.happened(Event(…))`: kinds without a line of their own are
    shown as they are.
    """

    def __init__(self, clock: Clock, write: Callable[[str], object]) -> None:
        self._clock = clock
        self._write = write
        self._held: list[tuple[float, int, Event]] = []
        self._count = 0
        self._first_s: float | None = None

    def __call__(self, event: Event) -> None:
        """Take a moment; its line follows a little later."""
        if self._first_s is None:
            self._first_s = event.at_s
        self._count += 1
        heapq.heappush(self._held, (event.at_s, self._count, event))
        self._clock.call_at(self._clock.now() + _SETTLING_S, self._flush)

    def close(self) -> None:
        """Write what is still held back."""
        self._flush(everything=True)

    def _flush(self, *, everything: bool = False) -> None:
        until_s = self._clock.now() - _SETTLING_S
        while self._held and (everything or self._held[0][0] <= until_s + 1e-3):
            event = heapq.heappop(self._held)[2]
            self._write(line_of(event, self._first_s or 0.0))


def outcome(rehearsed: Rehearsed) -> str:
    """What was said, and how it went, as far as there is anything to tell."""
    return "\n\n".join(filter(None, (transcript(rehearsed.turns), summary(rehearsed))))


def transcript(turns: Sequence[Turn]) -> str:
    """The turns, a line each; a dash ends what the caller cut short."""
    return "\n".join(f"{turn.role:>6}: {turn.text}{' —' if turn.is_cut else ''}" for turn in turns)


def summary(rehearsed: Rehearsed) -> str:
    """How long the caller waited for the bot, and for its silence; what went wrong."""
    lines = []
    for what, measured in (("replies", rehearsed.replies_s), ("stops", rehearsed.stops_s)):
        if measured:
            each = ", ".join(f"{seconds:.2f}" for seconds in measured)
            lines.append(f"{what}: median {median(measured):.2f} s, longest {max(measured):.2f} s ({each})")
    lines += [f"carrier warned: {notice.code} {notice.text}" for notice in rehearsed.warnings]
    lines += [f"failed: {failure}" for failure in rehearsed.failures]
    return "\n".join(lines)
