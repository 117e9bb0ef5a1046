"""What the webhooks say, read from recorded forms."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twiml.parameters import (
    BadParameterError,
    CallStatus,
    FallbackNotice,
    IncomingCall,
    MachineDetection,
    Parameters,
    RecordingStatus,
    StreamEnded,
    StreamStatus,
)
from twiml.transfers import TransferOutcome, TransferResult, Whisper

FIXTURES = Path(__file__).parents[3] / "fixtures" / "twiml"
CALLER = "CA0123456789abcdef0123456789abcdef"
CALLEE = "CAfedcba9876543210fedcba9876543210"


def form(name: str, **query: str) -> Parameters:
    """A recorded form, and the query of our own URL."""
    text = (FIXTURES / f"{name}.form").read_text(encoding="ascii").removesuffix("\n")
    return Parameters(dict(parse_qsl(text, keep_blank_values=True)), query)


def test_incoming_call_is_read() -> None:
    """Who calls whom, and what the carrier vouches for."""
    call = IncomingCall.parse(form("valid/answer", order="7"))

    assert (CALLER, "+15557654321", "+15551230000") == (call.call_sid, call.from_, call.to)
    assert ("inbound", "ringing") == (call.direction, call.status)
    assert ("TN-Validation-Passed-A", "+15550001111", "ÅSA & CO") == (
        call.stir_verstat,
        call.forwarded_from,
        call.caller_name,
    )
    assert '{"parentCallInfoToken":"x.y"}' == call.call_token
    assert {"order": "7"} == call.query
    assert ("", {}) == (call.sip_call_id, call.sip_headers)


def test_incoming_sip_call_brings_its_headers() -> None:
    """The caller's own headers are there, and that the call came by SIP."""
    call = IncomingCall.parse(form("valid/answer-sip"))

    assert "a1b2@192.0.2.1" == call.sip_call_id
    assert {"X-Customer": "42", "X-Empty": ""} == call.sip_headers


@pytest.mark.parametrize(("name", "is_over"), [("after-stream", False), ("after-stream-over", True)])
def test_end_of_stream_tells_whether_the_caller_is_there(name: str, *, is_over: bool) -> None:
    """Only a call in progress can go on."""
    assert is_over == StreamEnded.parse(form(f"valid/{name}")).is_over


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("dial-connected", TransferOutcome.CONNECTED),
        ("dial-declined", TransferOutcome.DECLINED),
        ("dial-busy", TransferOutcome.BUSY),
        ("dial-no-answer", TransferOutcome.NO_ANSWER),
        ("dial-caller-gone", TransferOutcome.CANCELED),
        ("enqueue-bridged", TransferOutcome.CONNECTED),
        ("enqueue-full", TransferOutcome.BUSY),
        ("refer-accepted", TransferOutcome.CONNECTED),
        ("refer-busy", TransferOutcome.BUSY),
        ("refer-refused", TransferOutcome.FAILED),
        ("redirected", TransferOutcome.UNKNOWN),
    ],
)
def test_transfer_has_one_outcome_whatever_the_verb(name: str, outcome: TransferOutcome) -> None:
    """Dial, Enqueue and Refer each report in their own words."""
    assert outcome == TransferResult.parse(form(f"valid/{name}")).outcome


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"DialCallStatus": "completed"}, TransferOutcome.CONNECTED),
        ({"DialCallStatus": "answered", "DialBridged": "TRUE"}, TransferOutcome.CONNECTED),
        ({"DialCallStatus": "failed", "DialBridged": "false"}, TransferOutcome.FAILED),
        ({"DialCallStatus": "exploded"}, TransferOutcome.FAILED),
        ({"QueueResult": "leave"}, TransferOutcome.NO_ANSWER),
        ({"QueueResult": "hangup"}, TransferOutcome.CANCELED),
        ({"QueueResult": "system-error"}, TransferOutcome.FAILED),
        ({"QueueResult": "redirected"}, TransferOutcome.UNKNOWN),
        ({"ReferCallStatus": "failed", "NotifySipResponseCode": "603"}, TransferOutcome.DECLINED),
        ({"ReferCallStatus": "failed", "NotifySipResponseCode": "abc"}, TransferOutcome.FAILED),
        ({"ReferCallStatus": "no-answer"}, TransferOutcome.NO_ANSWER),
    ],
)
def test_rare_transfer_results_are_understood(values: dict[str, str], outcome: TransferOutcome) -> None:
    """An old carrier without DialBridged, a word nobody knows, a SIP code that says more than the status."""
    assert outcome == TransferResult.parse(Parameters({"CallSid": CALLER, **values}, {})).outcome


def test_transfer_result_names_the_callee_and_the_length() -> None:
    """The dialled leg and how long the two talked; nothing where there was no leg."""
    talked = TransferResult.parse(form("valid/dial-connected"))
    queued = TransferResult.parse(form("valid/enqueue-full"))

    assert (CALLEE, 31, False) == (talked.callee_sid, talked.duration_s, talked.is_over)
    assert ("", None) == (queued.callee_sid, queued.duration_s)
    assert TransferResult.parse(form("valid/dial-caller-gone")).is_over


def test_whisper_names_both_legs_and_the_key() -> None:
    """The callee's leg comes from Twilio, the caller's from our own URL."""
    asked = Whisper.parse(form("valid/whisper", call=CALLER))
    pressed = Whisper.parse(form("valid/whisper-key", call=CALLER))

    assert (CALLEE, CALLER, "") == (asked.call_sid, asked.caller_sid, asked.digits)
    assert "1" == pressed.digits


@pytest.mark.parametrize("query", [{}, {"call": ""}, {"call": "CA1"}, {"call": CALLER + "\n"}])
def test_whisper_without_its_caller_is_refused(query: dict[str, str]) -> None:
    """Nobody is told about a call that is not named."""
    with pytest.raises(BadParameterError):
        Whisper.parse(form("valid/whisper", **query))


def test_call_status_counts_seconds_and_its_place() -> None:
    """CallDuration is seconds, Duration minutes; the sequence number puts callbacks in order."""
    status = CallStatus.parse(form("valid/call-status", call=CALLEE))

    assert ("completed", True, 61, 3, 200) == (
        status.status,
        status.is_terminal,
        status.duration_s,
        status.sequence_number,
        status.sip_response_code,
    )
    assert CALLEE == status.caller_sid


def test_odd_numbers_of_a_status_are_survived() -> None:
    """What is no plain number is no number, and no fault."""
    status = CallStatus.parse(form("valid/call-status-odd-numbers"))

    assert (None, None, None, False, "") == (
        status.duration_s,
        status.sequence_number,
        status.sip_response_code,
        status.is_terminal,
        status.caller_sid,
    )


def test_stream_status_and_fallback_notice_are_read() -> None:
    """The stream's fault in Twilio's words, the webhook's as a number."""
    status = StreamStatus.parse(form("valid/stream-status"))

    assert ("stream-error", "handshake failed") == (status.event, status.error)
    assert 11205 == FallbackNotice.parse(form("valid/fallback")).error_code


@pytest.mark.parametrize(
    ("answered_by", "is_machine", "may_leave_message"),
    [
        ("human", False, False),
        ("fax", False, False),
        ("unknown", False, False),
        ("machine_start", True, False),
        ("machine_end_beep", True, True),
        ("machine_end_silence", True, True),
        ("machine_end_other", True, True),
    ],
)
def test_machine_detection_tells_when_to_speak(answered_by: str, *, is_machine: bool, may_leave_message: bool) -> None:
    """A message is left once the machine's own greeting is over, and never to a fax."""
    values = {**form("valid/machine-detection").values, "AnsweredBy": answered_by}

    detection = MachineDetection.parse(Parameters(values, {}))

    assert (is_machine, may_leave_message, 4120) == (
        detection.is_machine,
        detection.may_leave_message,
        detection.duration_ms,
    )


def test_recording_tells_its_name_its_length_and_how_it_went() -> None:
    """What is none of Twilio's names becomes no key of ours."""
    values = dict(form("valid/recording-status").values)
    odd = values | {"RecordingSid": "RE1; drop", "RecordingStatus": "eaten", "RecordingDuration": "-1"}

    told, strange = (RecordingStatus.parse(Parameters(each, {})) for each in (values, odd))

    assert ("RE0123456789abcdef0123456789abcdef", "completed", 68, 2) == (
        told.recording_sid,
        told.status,
        told.duration_s,
        told.channels,
    )
    assert ("", "", None) == (strange.recording_sid, strange.status, strange.duration_s)


@pytest.mark.parametrize("path", sorted((FIXTURES / "invalid").glob("call-sid-*.form")), ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", [IncomingCall, StreamEnded, TransferResult, CallStatus])
def test_request_that_names_no_call_is_refused(
    path: Path, kind: type[IncomingCall | StreamEnded | TransferResult | CallStatus]
) -> None:
    """A missing or odd CallSid never becomes a key of ours."""
    with pytest.raises(BadParameterError, match="CallSid"):
        kind.parse(form(f"invalid/{path.stem}"))


def test_call_sid_may_be_written_in_capitals() -> None:
    """Twilio writes small letters; another carrier may not."""
    values = {"CallSid": CALLER.upper()}

    assert CALLER.upper() == StreamEnded.parse(Parameters(values, {})).call_sid


@given(values=st.dictionaries(st.sampled_from(["CallSid", "CallStatus", "SequenceNumber", "DialBridged"]), st.text()))
def test_no_form_makes_parsing_raise_anything_else(values: dict[str, str]) -> None:
    """A form is read or refused as one that names no call."""
    for parse in (CallStatus.parse, TransferResult.parse, IncomingCall.parse):
        try:
            parse(Parameters({"CallSid": CALLER, **values}, {}))
        except BadParameterError:
            assert values["CallSid"] != CALLER
