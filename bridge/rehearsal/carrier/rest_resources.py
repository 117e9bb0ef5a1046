"""How calls, recordings, conferences, participants and refusals look in the REST interface's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.call import API_VERSION
from bridge.rehearsal.carrier.records import rfc2822_now

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.conferences import Conference
    from bridge.rehearsal.carrier.recordings import Recording
    from bridge.rehearsal.carrier.rooms import Seat

Resource = dict[str, object]


class RestError(Exception):
    """A refused request: HTTP status, Twilio's code, a sentence."""

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status = status
        self.code = code
        super().__init__(message)


def call_resource(call: Call) -> Resource:
    """A call. Its dates are those of the answer: a rehearsal's clock knows no calendar."""
    uri = f"/{API_VERSION}/Accounts/{call.carrier.account_sid}/Calls/{call.sid}"
    now = rfc2822_now()
    return {
        "sid": call.sid,
        "account_sid": call.carrier.account_sid,
        "api_version": API_VERSION,
        "parent_call_sid": call.parent_sid,
        "from": call.from_,
        "from_formatted": call.from_,
        "to": call.to,
        "to_formatted": call.to,
        "status": call.status,
        "direction": call.direction,
        "answered_by": call.answered_by,
        "duration": str(call.duration_s) if call.is_over else None,
        "start_time": now if call.answered_s is not None else None,
        "end_time": now if call.is_over else None,
        "date_created": now,
        "date_updated": now,
        "queue_time": "0",
        "uri": f"{uri}.json",
        "subresource_uris": {"recordings": f"{uri}/Recordings.json", "streams": f"{uri}/Streams.json"},
    }


def recording_resource(call: Call, recording: Recording) -> Resource:
    """A recording of a call."""
    return {
        "sid": recording.sid,
        "account_sid": call.carrier.account_sid,
        "call_sid": call.sid,
        "api_version": API_VERSION,
        "status": recording.status,
        "source": recording.source,
        "channels": int(recording.channels),
        "duration": str(recording.duration_s),
        "uri": f"/{API_VERSION}/Accounts/{call.carrier.account_sid}/Recordings/{recording.sid}.json",
    }


def conference_resource(conference: Conference, account_sid: str) -> Resource:
    """A conference."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Conferences/{conference.sid}"
    return {
        "sid": conference.sid,
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "friendly_name": conference.name,
        "status": conference.status,
        "region": "us1",
        "uri": f"{uri}.json",
        "subresource_uris": {"participants": f"{uri}/Participants.json"},
    }


def participant(conference: Conference, seat: Seat, account_sid: str) -> Resource:
    """A leg in a conference."""
    terms = conference.terms[seat]
    return {
        "account_sid": account_sid,
        "call_sid": seat.call.sid,
        "conference_sid": conference.sid,
        "label": terms.label or None,
        "status": "connected",
        "muted": seat.is_muted,
        "hold": seat.is_on_hold,
        "coaching": False,
        "start_conference_on_enter": terms.starts,
        "end_conference_on_exit": terms.ends,
    }


def page(key: str, resources: list[Resource]) -> Resource:
    """A list with everything on one page."""
    return {key: resources, "page": 0, "page_size": 50, "next_page_uri": None, "previous_page_uri": None, "uri": ""}
