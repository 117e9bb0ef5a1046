"""The calls of this process that live or have ended lately: for the operator API and whoever watches a rehearsal."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from bridge.records.reading import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.call.actions import Said
    from bridge.edge.driver import Driver

KEPT = 200
"""Calls that are kept when they have ended; the one that ended first is forgotten first."""
MAX_LINES = 1000
_BEGINNINGS: dict[str, Literal["ringing", "live"]] = {"call.placed": "ringing", "call.answered": "live"}


class Summary(msgspec.Struct, kw_only=True):
    """What is told about a call wherever it is listed: nobody's number, nobody's words."""

    call_sid: str
    agent: str
    """Who answered, or was to speak."""
    direction: str
    """`inbound`, or `outbound` when the bridge placed the call."""
    began_at: datetime
    """Date and time, UTC."""
    state: Literal["ringing", "live", "ended", "interrupted"] = "live"
    """`interrupted`: its bridge was killed in mid-call."""
    answered_s: float | None = None
    """Seconds since it began until it was answered; None when it was not."""
    ended_s: float | None = None
    """Seconds since it began until it ended."""
    ending: str | None = None
    """See `bridge.call.ending`; None until then."""
    reason: str | None = None
    """Further to some endings."""


class CallView(Summary, kw_only=True):
    """What is told about one call."""

    from_number: str = msgspec.field(name="from")
    to_number: str = msgspec.field(name="to")
    transcript: list[Line] = []

    def summary(self) -> Summary:
        """The part of it for lists."""
        return Summary(**{name: getattr(self, name) for name in Summary.__struct_fields__})


class RecentCalls:
    """Watches calls and keeps what is told about those that live, and about the last of the others."""

    def __init__(self) -> None:
        self._live: dict[str, CallView] = {}
        self._ended: OrderedDict[str, CallView] = OrderedDict()

    def __iter__(self) -> Iterator[CallView]:
        return iter([*self._ended.values(), *self._live.values()])

    def find(self, call_sid: str) -> CallView | None:
        """What is told about a call, unless it is forgotten."""
        return self._live.get(call_sid) or self._ended.get(call_sid)

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        if event in _BEGINNINGS:
            view = self._live.setdefault(driver.plan.call_sid, _view(driver))
            view.state = _BEGINNINGS[event]
            if view.state == "live":
                view.answered_s = _since_begin(driver)
        elif event == "call.ended" and driver.plan.call_sid in self._live:
            view = self._live.pop(driver.plan.call_sid)
            view.state = "ended"
            view.ended_s = _since_begin(driver)
            view.ending = str(fields["ending"])
            view.reason = str(fields["reason"]) if "reason" in fields else None
            self._ended[view.call_sid] = view
            if len(self._ended) > KEPT:
                self._ended.popitem(last=False)

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""
        view = self.find(driver.plan.call_sid)
        if view is not None and len(view.transcript) < MAX_LINES:
            at_s = round(line.at - driver.began_at, 3)
            view.transcript.append(Line(line.role, line.words, at_s, line.heard_ms, line.is_cut))


def _view(driver: Driver) -> CallView:
    info = driver.plan.info
    return CallView(
        call_sid=info.call_sid,
        agent=info.agent,
        direction=info.direction,
        began_at=driver.began_on,
        from_number=info.from_number,
        to_number=info.to_number,
    )


def _since_begin(driver: Driver) -> float:
    return round(driver.clock.now() - driver.began_at, 3)
