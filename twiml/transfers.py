"""What Twilio's webhooks say about a transfer: to whom, and how it went. Pure.

Sources: Twilio `docs/voice/twiml/dial`, `…/enqueue` and `…/refer`, the parameters of each `action`; `…/number`, those
of `url`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from twiml.parameters import TERMINAL, BadParameterError

if TYPE_CHECKING:
    from twiml.parameters import Parameters


class TransferOutcome(StrEnum):
    """How a transfer went, whichever verb made it."""

    CONNECTED = "connected"
    DECLINED = "declined"
    """Answered, but never connected with the caller: the whisper was not accepted."""
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    CANCELED = "canceled"
    """The caller hung up first."""
    UNKNOWN = "unknown"
    """The request says nothing: the caller was redirected here."""


_DIAL_OUTCOMES = {
    "completed": TransferOutcome.CONNECTED,
    "answered": TransferOutcome.CONNECTED,
    "busy": TransferOutcome.BUSY,
    "no-answer": TransferOutcome.NO_ANSWER,
    "failed": TransferOutcome.FAILED,
    "canceled": TransferOutcome.CANCELED,
}
_QUEUE_OUTCOMES = {
    "bridged": TransferOutcome.CONNECTED,
    "bridging-in-process": TransferOutcome.CONNECTED,
    "redirected-from-bridged": TransferOutcome.CONNECTED,
    "queue-full": TransferOutcome.BUSY,
    "leave": TransferOutcome.NO_ANSWER,
    "hangup": TransferOutcome.CANCELED,
    "error": TransferOutcome.FAILED,
    "system-error": TransferOutcome.FAILED,
}
_SIP_OUTCOMES = {
    486: TransferOutcome.BUSY,  # RFC 3261, section 21
    600: TransferOutcome.BUSY,
    408: TransferOutcome.NO_ANSWER,
    480: TransferOutcome.NO_ANSWER,
    603: TransferOutcome.DECLINED,
    487: TransferOutcome.CANCELED,
}
_REFER_OUTCOMES = {
    "in-progress": TransferOutcome.CONNECTED,  # a REFER that worked leaves the call in progress
    "completed": TransferOutcome.CONNECTED,
    "busy": TransferOutcome.BUSY,
    "no-answer": TransferOutcome.NO_ANSWER,
    "failed": TransferOutcome.FAILED,
    "canceled": TransferOutcome.CANCELED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    """The `action` of `<Dial>`, `<Enqueue>` or `<Refer>`, or a caller redirected to the same place."""

    call_sid: str
    status: str
    """The caller's own leg: `in-progress` while the caller is there."""
    outcome: TransferOutcome
    callee_sid: str
    """The dialled leg; empty where there was none."""
    duration_s: int | None
    """How long the two talked."""
    attempt: str
    """From our own URL: which of the call's transfers this is the result of."""

    @property
    def is_over(self) -> bool:
        """Whether the caller's leg has ended, so that no document can reach the caller."""
        return self.status in TERMINAL

    @classmethod
    def parse(cls, parameters: Parameters) -> TransferResult:
        """Read the request of any of the three verbs."""
        return cls(
            call_sid=parameters.call_sid(),
            status=parameters.text("CallStatus"),
            outcome=_outcome(parameters),
            callee_sid=parameters.text("DialCallSid"),
            duration_s=parameters.integer("DialCallDuration"),
            attempt=parameters.query.get("attempt", ""),
        )


def _outcome(parameters: Parameters) -> TransferOutcome:
    if dial := parameters.text("DialCallStatus"):
        outcome = _DIAL_OUTCOMES.get(dial, TransferOutcome.FAILED)
        unbridged = outcome is TransferOutcome.CONNECTED and parameters.flag("DialBridged") is False
        return TransferOutcome.DECLINED if unbridged else outcome
    if queue := parameters.text("QueueResult"):
        return _QUEUE_OUTCOMES.get(queue, TransferOutcome.UNKNOWN)  # `redirected` is our own doing
    if refer := parameters.text("ReferCallStatus"):
        outcome = _REFER_OUTCOMES.get(refer, TransferOutcome.FAILED)
        if outcome is TransferOutcome.FAILED:
            return _SIP_OUTCOMES.get(parameters.integer("NotifySipResponseCode") or 0, outcome)
        return outcome
    return TransferOutcome.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper:
    """The callee has picked up, or has pressed a key."""

    call_sid: str
    """The callee's leg."""
    caller_sid: str
    """The call that is being transferred."""
    digits: str
    """The key; empty on the first request."""
    answered_by: str

    @classmethod
    def parse(cls, parameters: Parameters) -> Whisper:
        """Read the request for a `<Number url>` document, or of its `<Gather action>`."""
        caller_sid = parameters.caller_sid()
        if not caller_sid:
            raise BadParameterError("The whisper's URL must name the caller's call, ?call=CA…")
        return cls(
            call_sid=parameters.call_sid(),
            caller_sid=caller_sid,
            digits=parameters.text("Digits"),
            answered_by=parameters.text("AnsweredBy"),
        )
