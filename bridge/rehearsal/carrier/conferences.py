"""`<Dial><Conference>`: a named room that legs wait in until somebody starts it, and that ends with whoever ends it.

Source: Twilio's pages `docs/voice/twiml/conference` and `docs/voice/api/conference-participant-resource`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.records import new_sid, rfc2822_now
from bridge.rehearsal.carrier.rooms import Room

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.carrier import Carrier
    from bridge.rehearsal.carrier.flow import Goto
    from bridge.rehearsal.carrier.interpreter import Interpreter
    from bridge.rehearsal.carrier.records import Params
    from bridge.rehearsal.carrier.rooms import Seat


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a leg takes part, and how it is entertained until the conference starts.

    Attributes:
        wait: the document to hear; None: the network's music, or nothing where `is_quiet`.
        callback, events: where the conference reports, and what; the first leg that names one decides.
    """

    starts: bool = True
    ends: bool = False
    is_muted: bool = False
    wait: Goto | None = None
    is_quiet: bool = False
    callback: str = ""
    events: tuple[str, ...] = ()
    label: str = ""


class Conference(Room):
    """A conference from its first leg to its last.

    Attributes:
        name: its FriendlyName.
        status: `init`, `in-progress` or `completed`.
        terms: how each seat takes part.
    """

    def __init__(self, carrier: Carrier, name: str) -> None:
        super().__init__()
        self.sid = new_sid("CF")
        self.name = name
        self.status = "init"
        self.terms: dict[Seat, Terms] = {}
        self._carrier = carrier
        self._started = asyncio.Event()
        self._callback = ""
        self._events: tuple[str, ...] = ()
        self._callbacks_made = 0

    async def hold(self, interpreter: Interpreter, terms: Terms) -> None:
        """Keep a leg in the conference until one of the two ends."""
        if terms.callback and not self._callback:
            self._callback, self._events = terms.callback, terms.events
        seat = self.enter(interpreter.call)
        seat.is_muted = terms.is_muted
        self.terms[seat] = terms
        interpreter.call.event("conference.joined", self.name)
        self._report("join", seat)
        if terms.starts and self.status == "init":
            self.status = "in-progress"
            self._started.set()
            self._report("start")
        try:
            await self._wait_for_start(interpreter, terms, seat)
            await seat.gone.wait()
        finally:
            self._remove(seat)

    def find(self, call_sid: str) -> Seat | None:
        """The seat of a leg; None where it has none."""
        return next((seat for seat in self.seats if seat.call.sid == call_sid), None)

    def end(self) -> None:
        """Put everybody out."""
        for seat in tuple(self.seats):
            self._remove(seat)

    async def _wait_for_start(self, interpreter: Interpreter, terms: Terms, seat: Seat) -> None:
        waits: list[asyncio.Future[object]] = [
            asyncio.ensure_future(self._started.wait()),
            asyncio.ensure_future(seat.gone.wait()),
        ]
        if not (self._started.is_set() or terms.is_quiet):
            waits.append(asyncio.ensure_future(interpreter.wait(terms.wait)))
        try:
            await asyncio.wait(waits[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.wait(waits)

    def _remove(self, seat: Seat) -> None:
        if seat not in self.seats:
            return
        self.leave(seat)
        seat.call.event("conference.left", self.name)
        self._report("leave", seat)
        if self.terms[seat].ends:
            self.end()
        if not self.seats and self.status != "completed":
            self.status = "completed"
            self._report("end")

    def _report(self, event: str, seat: Seat | None = None) -> None:
        if not self._callback or event not in self._events:
            return
        self._callbacks_made += 1
        params: Params = {
            "AccountSid": self._carrier.account_sid,
            "ConferenceSid": self.sid,
            "FriendlyName": self.name,
            "StatusCallbackEvent": f"participant-{event}" if seat is not None else f"conference-{event}",
            "SequenceNumber": str(self._callbacks_made),
            "Timestamp": rfc2822_now(),
        }
        if seat is not None:
            params |= _of_seat(seat.call, self.terms[seat], is_muted=seat.is_muted, is_on_hold=seat.is_on_hold)
        self._carrier.report("conference-status", self._callback, params, "POST", seat.call.sid if seat else "")


def _of_seat(call: Call, terms: Terms, *, is_muted: bool, is_on_hold: bool) -> Params:
    params: Params = {
        "CallSid": call.sid,
        "Muted": str(is_muted).lower(),
        "Hold": str(is_on_hold).lower(),
        "Coaching": "false",
        "StartConferenceOnEnter": str(terms.starts).lower(),
        "EndConferenceOnExit": str(terms.ends).lower(),
    }
    return params | {"ParticipantLabel": terms.label} if terms.label else params
