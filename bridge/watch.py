"""What a rehearsal sees of the bridge's side: moments as they happen, and the transcript afterwards."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

from bridge.rehearsal.carrier import Event
from bridge.rehearsal.rehearse import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.call.actions import Said
    from bridge.edge.driver import Driver
    from bridge.recent import RecentCalls
    from bridge.rehearsal.carrier import Carrier
    from bridge.rehearsal.rehearse import Rehearsed, Transcript

SHOWN = {
    "model.readied": "model is ready",
    "model.lost": "session is lost: {reason}",
    "successor.lost": "the next session cannot be had: {reason}",
    "session.replaced": "session is replaced after {took_ms} ms, at the {endpoint} endpoint",
    "model.failed": "model failed: {reason}",
    "bargein.performed": "bot is cut: {heard_ms} ms heard, {unheard_ms} ms not",
    "turn.left_unanswered": "caller's sound does not count as a turn",
    "function.called": "model calls {function}",
    "function.answered": "function has answered",
    "act.announced": "announced: {act}",
    "act.undone": "not done: {act}",
    "caller.prompted": "caller is asked whether they are there",
    "call.returned": "call is back from: {errand}",
    "call.ended": "call is over for the bridge: {ending}",
}
"""Moments that a person wants to see, of all that a call reports."""


class Watch:
    """Adds the bridge's moments and the words to the carrier's timeline; an observer of a bridge in this process."""

    def __init__(self) -> None:
        self.carrier: Carrier | None = None

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        if event in SHOWN:
            self._show(driver, SHOWN[event].format(**fields))

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""
        self._show(driver, f"{line.role}: {line.words}{' —' if line.is_cut else ''}")

    def _show(self, driver: Driver, text: str) -> None:
        if self.carrier is not None:
            self.carrier.happened(Event(driver.clock.now(), driver.plan.call_sid, text))


def kept_by(recent: RecentCalls) -> Transcript:
    """The transcripts of a bridge in this process."""

    async def transcript(call_sid: str) -> Sequence[Turn]:
        view = recent.find(call_sid)
        lines = [(line.role, line.words, line.at_s, line.is_cut) for line in view.transcript] if view else []
        return turns(lines)

    return transcript


def asked_of(url: str, admin_token: str) -> Transcript | None:
    """The transcripts of a bridge in another process, by its operator API; None without its token."""
    if not admin_token:
        return None

    async def transcript(call_sid: str) -> Sequence[Turn]:
        headers = {"Authorization": f"Bearer {admin_token}"}
        view: dict[str, Any] = {}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=5, trust_env=False) as client:
            for _ in range(20):  # the bridge may learn a little later than the carrier that the call is over
                try:
                    answer = await client.get(f"/api/calls/{call_sid}")
                except httpx.TransportError:  # it was told to leave, and this was its last call
                    break
                view = answer.json()
                if answer.status_code != httpx.codes.OK or view["ending"] is not None:
                    break
                await asyncio.sleep(0.1)
        lines = view.get("transcript", ())
        return turns((line["role"], line["words"], line["at_s"], line["is_cut"]) for line in lines)

    return transcript


def turns(lines: Iterable[tuple[str, str | None, float, bool]]) -> list[Turn]:
    """Lines of a transcript in the order in which they were said, without those that have no words."""
    ordered = sorted(lines, key=lambda line: line[2])
    return [
        Turn("caller" if role == "caller" else "bot", words, at_s, cut) for role, words, at_s, cut in ordered if words
    ]


def as_json(rehearsed: Rehearsed) -> str:
    """What came of a rehearsal, for machines."""
    started_s = rehearsed.call.started_s
    return json.dumps(
        {
            "call_sid": rehearsed.call.sid,
            "ended_by": rehearsed.call.ended_by,
            "turns": [{"role": t.role, "words": t.text, "at_s": t.at_s, "is_cut": t.is_cut} for t in rehearsed.turns],
            "events": [
                {"at_s": round(event.at_s - started_s, 3), "event": event.kind, "text": event.text}
                for event in rehearsed.events
            ],
            "replies_s": [round(seconds, 3) for seconds in rehearsed.replies_s],
            "stops_s": [round(seconds, 3) for seconds in rehearsed.stops_s],
            "warnings": [{"code": notice.code, "text": notice.text} for notice in rehearsed.warnings],
            "failures": list(rehearsed.failures),
        },
        indent=2,
    )
