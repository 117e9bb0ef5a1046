"""What Twilio's webhooks say: form values to frozen values. Pure.

Numbers arrive as text and may be missing or odd, so whatever is not a plain number becomes None rather than a fault;
only a call that is not named is refused. Names of parameters are Twilio's (`docs/voice/twiml`,
`docs/voice/api/call-resource`, `docs/voice/twiml/stream`), names of fields are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - whoever makes these values from plain data reads the annotations
from dataclasses import dataclass

_CALL_SID = re.compile(r"CA[0-9a-f]{32}", re.IGNORECASE)
TERMINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""The statuses of a call that is over."""


class BadParameterError(ValueError):
    """A request does not name its call as Twilio does; the text says what is wrong, without repeating the value."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The values of one request: what Twilio says, and the query that we put into the URL ourselves."""

    values: Mapping[str, str]
    query: Mapping[str, str]

    def text(self, name: str) -> str:
        """A value, or an empty text where there is none."""
        return self.values.get(name, "")

    def integer(self, name: str) -> int | None:
        """A whole number of at most nine digits."""
        text = self.text(name)
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None

    def flag(self, name: str) -> bool | None:
        """`true` or `false` in any case."""
        return {"true": True, "false": False}.get(self.text(name).lower())

    def call_sid(self) -> str:
        """The call that the request is about.

        Raises:
            BadParameterError: it is missing or malformed.
        """
        return _call_sid("CallSid", self.text("CallSid"))

    def placed(self) -> str:
        """The `placed` of our own query: the name we gave to a call before Twilio did; empty where there is none."""
        return self.query.get("placed", "")

    def stream(self) -> int:
        """The `stream` of our own query: the number of a media stream within its call; 0 where there is none."""
        text = self.query.get("stream", "")
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0

    def caller_sid(self) -> str:
        """The `call` of our own query: the caller for whom this leg was dialled; empty where there is none.

        Raises:
            BadParameterError: it is malformed.
        """
        text = self.query.get("call", "")
        return text and _call_sid("call", text)


def _call_sid(name: str, text: str) -> str:
    if not _CALL_SID.fullmatch(text):
        raise BadParameterError(f"The parameter {name} must be CA and 32 hexadecimal digits.")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall:
    """A call comes in, or a call that we placed was answered (`direction` says which)."""

    call_sid: str
    account_sid: str
    from_: str
    """E.164, `client:name`, a SIP URI, or one of the spellings of a withheld number."""
    to: str
    direction: str
    """`inbound`, `outbound-api` or `outbound-dial`."""
    status: str
    forwarded_from: str
    """As the carrier says, which is not reliable; empty when it does not."""
    caller_name: str
    parent_call_sid: str
    stir_verstat: str
    """`TN-Validation-Passed-A` and the like; empty when the carrier did not attest anything."""
    call_token: str
    """Lets a leg that we dial keep the caller's attestation."""
    sip_call_id: str
    """Not empty when the caller came by SIP; only then a REFER can work."""
    sip_headers: Mapping[str, str]
    """The caller's own `X-…` headers."""
    answered_by: str
    """Only with synchronous machine detection."""
    query: Mapping[str, str]
    """What our own URL said, as for a call that we placed."""

    @property
    def placed(self) -> str:
        """Our own name of a call that we placed; empty for any other."""
        return self.query.get("placed", "")

    @classmethod
    def parse(cls, parameters: Parameters) -> IncomingCall:
        """Read a voice request."""
        text = parameters.text
        prefix = "SipHeader_"
        return cls(
            call_sid=parameters.call_sid(),
            account_sid=text("AccountSid"),
            from_=text("From"),
            to=text("To"),
            direction=text("Direction"),
            status=text("CallStatus"),
            forwarded_from=text("ForwardedFrom"),
            caller_name=text("CallerName"),
            parent_call_sid=text("ParentCallSid"),
            stir_verstat=text("StirVerstat"),
            call_token=text("CallToken"),
            sip_call_id=text("SipCallId"),
            sip_headers={k.removeprefix(prefix): v for k, v in parameters.values.items() if k.startswith(prefix)},
            answered_by=text("AnsweredBy"),
            query=dict(parameters.query),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded:
    """The `<Connect action>` of a media stream; `status` tells whether anybody is still there."""

    call_sid: str
    status: str
    stream: int
    """Which stream of the call it was, as our own query says; 0 where it does not."""

    @property
    def is_over(self) -> bool:
        """Whether the call has ended, so that no document can reach the caller."""
        return self.status in TERMINAL

    @classmethod
    def parse(cls, parameters: Parameters) -> StreamEnded:
        """Read a `<Connect action>` request."""
        return cls(call_sid=parameters.call_sid(), status=parameters.text("CallStatus"), stream=parameters.stream())


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackNotice:
    """Twilio could not use one of our answers."""

    call_sid: str
    error_code: int | None
    """Such as 11205, no answer in time; the webhook's own failure, not the call's."""

    @classmethod
    def parse(cls, parameters: Parameters) -> FallbackNotice:
        """Read the request of a number's fallback URL."""
        return cls(call_sid=parameters.call_sid(), error_code=parameters.integer("ErrorCode"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStatus:
    """A call moved on; requests overtake each other, so order them by `sequence_number`."""

    call_sid: str
    caller_sid: str
    """For a leg that we dialled for a transfer: the caller's call. Else empty."""
    placed: str
    """Our own name of a call that we placed; empty for any other."""
    attempt: str
    """For a leg that we dialled for a transfer: which attempt of it."""
    parent_call_sid: str
    direction: str
    status: str
    sequence_number: int | None
    """From 0 for each call; None when Twilio sent none."""
    duration_s: int | None
    """`CallDuration`; the parameter `Duration` counts minutes."""
    sip_response_code: int | None
    answered_by: str
    timestamp: str
    """RFC 2822."""

    @property
    def is_terminal(self) -> bool:
        """Whether the call is over."""
        return self.status in TERMINAL

    @classmethod
    def parse(cls, parameters: Parameters) -> CallStatus:
        """Read a call's status callback."""
        return cls(
            call_sid=parameters.call_sid(),
            caller_sid=parameters.caller_sid(),
            placed=parameters.placed(),
            attempt=parameters.query.get("attempt", ""),
            parent_call_sid=parameters.text("ParentCallSid"),
            direction=parameters.text("Direction"),
            status=parameters.text("CallStatus"),
            sequence_number=parameters.integer("SequenceNumber"),
            duration_s=parameters.integer("CallDuration"),
            sip_response_code=parameters.integer("SipResponseCode"),
            answered_by=parameters.text("AnsweredBy"),
            timestamp=parameters.text("Timestamp"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """A media stream started, stopped or failed."""

    call_sid: str
    stream_sid: str
    event: str
    """`stream-started`, `stream-stopped` or `stream-error`."""
    error: str
    """Twilio's words; empty unless it failed."""
    timestamp: str
    """ISO 8601, unlike a call's."""

    @classmethod
    def parse(cls, parameters: Parameters) -> StreamStatus:
        """Read a stream's status callback."""
        return cls(
            call_sid=parameters.call_sid(),
            stream_sid=parameters.text("StreamSid"),
            event=parameters.text("StreamEvent"),
            error=parameters.text("StreamError"),
            timestamp=parameters.text("Timestamp"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStatus:
    """A recording of a call is done, or there is none (`docs/voice/api/recording`, RecordingStatusCallback)."""

    call_sid: str
    recording_sid: str
    """Empty when it is none of Twilio's names."""
    status: str
    """`in-progress`, `completed` or `absent`; another is empty."""
    duration_s: int | None
    channels: int | None

    @classmethod
    def parse(cls, parameters: Parameters) -> RecordingStatus:
        """Read a recording's status callback."""
        sid, status = parameters.text("RecordingSid"), parameters.text("RecordingStatus")
        return cls(
            call_sid=parameters.call_sid(),
            recording_sid=sid if re.fullmatch(r"RE[0-9a-f]{32}", sid, re.IGNORECASE) else "",
            status=status if status in ("in-progress", "completed", "absent") else "",
            duration_s=parameters.integer("RecordingDuration"),
            channels=parameters.integer("RecordingChannels"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDetection:
    """Who answered an outbound call."""

    call_sid: str
    placed: str
    """Our own name of the call."""
    answered_by: str
    """`human`, `fax`, `unknown`, `machine_start`, or `machine_end_beep`, `…_silence`, `…_other`."""
    duration_ms: int | None

    @property
    def is_machine(self) -> bool:
        """Whether a machine answered; a fax is none, and cannot be spoken to at all."""
        return self.answered_by.startswith("machine_")

    @property
    def may_leave_message(self) -> bool:
        """Whether the machine's greeting is over."""
        return self.answered_by.startswith("machine_end_")

    @classmethod
    def parse(cls, parameters: Parameters) -> MachineDetection:
        """Read the callback of asynchronous machine detection."""
        return cls(
            call_sid=parameters.call_sid(),
            placed=parameters.placed(),
            answered_by=parameters.text("AnsweredBy"),
            duration_ms=parameters.integer("MachineDetectionDuration"),
        )
