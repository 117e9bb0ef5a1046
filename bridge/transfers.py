"""Transfers, on the signalling side: the documents that make them, and the call to the human who is asked first.

Which transfer is made, and what follows when it fails, is the call core's to say. State is by CallSid and attempt, so a
request that comes twice, late or in another order changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bridge.call.controls import CalleeAnswered, HandedOver
from twiml import documents
from twiml.calls import CallRefusedError, OutboundCall

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bridge.call.actions import Order
    from bridge.edge.driver import Driver
    from bridge.settings import Destination, Settings
    from twiml.calls import CallControl
    from twiml.parameters import CallStatus
    from twiml.transfers import Whisper

ACCEPT_KEY = "1"
ACCEPT_WITHIN_S = 10
"""How long the human may take to press the key, after hearing the summary."""
ALONE_FOR_S = 5.0
"""How long a caller is left in a conference that the human was to have ended by leaving it."""
_OUTCOMES = {"busy": "busy", "no-answer": "no_answer", "failed": "failed", "canceled": "canceled"}
_log = logging.getLogger("bridge")


@dataclass
class Transfer:
    """One attempt of one call."""

    driver: Driver
    order: Order
    destination: Destination
    attempt: str
    """Its number; empty once what came of it has been told."""
    callee_sid: str = ""
    is_accepted: bool = False
    is_over: bool = False
    outcome: str = ""
    """How it ended, as far as we know by ourselves."""

    def is_about(self, leg_sid: str) -> bool:
        """Whether a request about this leg concerns this attempt: an earlier one's can come late."""
        return not self.callee_sid or leg_sid == self.callee_sid


class Transfers:
    """The transfers of all calls of one bridge.

    Args:
        settings: the configuration.
        control: the carrier's REST interface; None without credentials, and then a warm transfer asks by `<Number
        url>`.
    """

    def __init__(self, settings: Settings, control: CallControl | None) -> None:
        self._settings = settings
        self._control = control
        self._public_url = settings.server.public_url.rstrip("/")
        self._by_call: dict[str, Transfer] = {}
        self._count = 0
        self._working: set[asyncio.Task[None]] = set()

    def of(self, call_sid: str) -> Transfer | None:
        """The transfer a call is on."""
        return self._by_call.get(call_sid)

    def document(self, driver: Driver, order: Order) -> str:
        """Begin a transfer: the document for the caller's leg."""
        self._count += 1
        call_sid = driver.plan.call_sid
        destination = driver.plan.destinations[order.destination]
        transfer = self._by_call[call_sid] = Transfer(driver, order, destination, str(self._count))
        action = self._result_url(transfer)
        scheme, _, rest = destination.to.partition(":")
        if scheme == "queue":
            if rest.startswith("WW"):
                context = {"call_sid": call_sid, "from": driver.plan.info.from_number, "summary": order.summary}
                return documents.enqueue_task(rest, context, action=action)
            return documents.enqueue(rest, action=action)
        if destination.kind == "refer":
            return documents.refer(destination.to, action=action)
        if destination.kind == "warm" and self._control is not None:
            self._begin(self._call_human(transfer, self._control))
            return documents.wait_in_conference(call_sid, action=action)
        whispers = destination.kind == "warm" or destination.whisper
        callee = documents.Callee(
            to=destination.to,
            timeout_s=destination.timeout_s,
            caller_id=destination.caller_id,
            whisper_url=self._whisper_url(call_sid) if whispers else "",
            answered_url="" if whispers else self._status_url(transfer),
        )
        return documents.dial(callee, action=action)

    async def whisper(self, callee: Whisper) -> str:
        """The human has picked up, or has pressed a key."""
        transfer = self._by_call.get(callee.caller_sid)
        if transfer is None or transfer.is_over or not transfer.is_about(callee.call_sid):
            return documents.hang_up()
        if callee.digits == ACCEPT_KEY and not transfer.is_accepted:
            transfer.is_accepted = True
            transfer.driver.control(HandedOver())
        if transfer.is_accepted:  # whatever else is said about it comes too late
            return documents.join_conference(callee.caller_sid) if transfer.callee_sid else documents.accept()
        if callee.digits:
            await self._failed(transfer, "declined")
            return documents.hang_up()
        transfer.driver.control(CalleeAnswered())
        text = transfer.order.summary or "A caller is waiting for you."
        if transfer.destination.kind != "warm":
            return documents.whisper(text)
        question = f"{text} Press {ACCEPT_KEY} to take the call."
        return documents.ask_to_accept(question, action=self._whisper_url(callee.caller_sid), timeout_s=ACCEPT_WITHIN_S)

    async def callee_status(self, status: CallStatus) -> None:
        """The leg to the human moved on."""
        transfer = self._by_call.get(status.caller_sid)
        if transfer is None or not transfer.is_about(status.call_sid):
            return
        if status.attempt != transfer.attempt:  # a leg of an attempt before, whose end is told late
            return
        if transfer.is_accepted:
            if status.is_terminal and transfer.callee_sid:
                self._begin(self._left(transfer))
            return
        if status.status == "in-progress":  # asked for where nobody whispers
            transfer.driver.control(HandedOver())
        if status.is_terminal:
            await self._failed(transfer, _OUTCOMES.get(status.status, "declined"))

    def outcome(self, call_sid: str, reported: str) -> str:
        """How the transfer of a call went, from what the carrier reports and what we know."""
        transfer = self._by_call.get(call_sid)
        if transfer is None:
            return reported if reported != "unknown" else "failed"
        if transfer.is_accepted and reported in ("connected", "unknown"):
            return "connected"
        if transfer.destination.kind == "warm" and reported == "connected" and self._control is not None:
            return transfer.outcome or "no_answer"  # the conference ended without the human
        return reported if reported != "unknown" else transfer.outcome or "failed"

    def caller_left(self, call_sid: str) -> None:
        """The caller's call is over: whoever still rings stops ringing."""
        transfer = self._by_call.pop(call_sid, None)
        if transfer is None:
            return
        transfer.is_over = True
        if transfer.callee_sid and not transfer.is_accepted and self._control is not None:
            self._begin(self._complete(self._control, transfer.callee_sid))

    async def close(self) -> None:
        """Wait for what is under way; the requests have their own limits."""
        await asyncio.gather(*self._working, return_exceptions=True)

    # The leg to the human

    async def _call_human(self, transfer: Transfer, control: CallControl) -> None:
        call_sid, destination = transfer.driver.plan.call_sid, transfer.destination
        call = OutboundCall(
            to=destination.to,
            from_=destination.caller_id or transfer.driver.plan.info.own_number,
            url=self._whisper_url(call_sid),
            status_callback=self._status_url(transfer),
            timeout_s=destination.timeout_s,
        )
        try:
            transfer.callee_sid = await control.create(call)
        except CallRefusedError as error:
            _log.warning("transfer.refused", extra={"call_sid": call_sid, "code": error.code, "status": error.status})
            await self._failed(transfer, "failed")
            return
        if transfer.is_over:
            await self._complete(control, transfer.callee_sid)

    async def _left(self, transfer: Transfer) -> None:
        """The human who had accepted is gone. That ends the conference, and the carrier asks what now.

        Unless they hung up before they were in it: then it does not, and the caller waits there alone.
        """
        await transfer.driver.clock.sleep(ALONE_FOR_S)
        if self._by_call.get(transfer.driver.plan.call_sid) is transfer and transfer.attempt:
            transfer.is_accepted = False
            await self._failed(transfer, "declined")

    async def _failed(self, transfer: Transfer, outcome: str) -> None:
        """The human does not come: fetch the caller, where only we can."""
        if transfer.is_over:
            return
        transfer.is_over = True
        transfer.outcome = outcome
        if transfer.destination.kind != "warm" or self._control is None:
            return  # the carrier's own `<Dial action>` tells
        try:
            await self._control.redirect(transfer.driver.plan.call_sid, url=self._result_url(transfer))
        except CallRefusedError as error:
            extra = {"call_sid": transfer.driver.plan.call_sid, "code": error.code, "status": error.status}
            _log.warning("transfer.caller_lost", extra=extra)

    async def _complete(self, control: CallControl, call_sid: str) -> None:
        try:
            await control.complete(call_sid)
        except CallRefusedError as error:
            if not error.gone:
                _log.warning("transfer.ringing_on", extra={"call_sid": call_sid, "code": error.code})

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _result_url(self, transfer: Transfer) -> str:
        return f"{self._public_url}/twiml/transfer-result?{urlencode({'attempt': transfer.attempt})}"

    def _status_url(self, transfer: Transfer) -> str:
        about = {"call": transfer.driver.plan.call_sid, "attempt": transfer.attempt}
        return f"{self._public_url}/twiml/call-status?{urlencode(about)}"

    def _whisper_url(self, call_sid: str) -> str:
        return f"{self._public_url}/twiml/whisper?{urlencode({'call': call_sid})}"
