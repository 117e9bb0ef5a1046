"""Twilio's REST interface, as far as a voice bridge uses it: calls, their recordings, conferences and participants.

What is about the account is in `rest_account`.

`twilio.rest.Client` works against it when its `client.api.base_url` is the carrier's `api_url`. Sources: Twilio's pages
`docs/voice/api/call-resource`, `/recording`, `/conference-resource`, `/conference-participant-resource`, and of the
errors 20003, 20404, 21201, 21205, 21213 and 21220.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from quart import Quart, Response, g, request
from werkzeug.datastructures import MultiDict

from bridge.rehearsal.carrier.call import API_VERSION, Call, StatusCallback
from bridge.rehearsal.carrier.conferences import Terms
from bridge.rehearsal.carrier.flow import Goto
from bridge.rehearsal.carrier.interpreter import Interpreter
from bridge.rehearsal.carrier.outbound import Detection, following, placed
from bridge.rehearsal.carrier.people import Callee
from bridge.rehearsal.carrier.recordings import Recording
from bridge.rehearsal.carrier.records import Exchange
from bridge.rehearsal.carrier.rest_account import AccountInterface
from bridge.rehearsal.carrier.rest_resources import (
    RestError,
    call_resource,
    conference_resource,
    page,
    participant,
    recording_resource,
)

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.carrier import Carrier
    from bridge.rehearsal.carrier.conferences import Conference
    from bridge.rehearsal.carrier.records import Params
    from bridge.rehearsal.carrier.rest_resources import Resource
    from bridge.rehearsal.carrier.rooms import Seat

MAX_TWIML_CHARACTERS = 4000
_RECORDING_VALUES = {
    "RecordingChannels": ("mono", "dual"),
    "RecordingTrack": ("inbound", "outbound", "both"),
    "Trim": ("trim-silence", "do-not-trim"),
}
"""What the parameters of a recording may be; others may be anything."""
_BASE = f"/{API_VERSION}/Accounts/<account>"
Form = MultiDict[str, str]


def make_app(carrier: Carrier) -> Quart:
    """The HTTP application of one carrier."""
    app = Quart("carrier")
    _Interface(carrier).attach(app)
    AccountInterface(carrier).attach(app)
    return app


class _Interface:
    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def attach(self, app: Quart) -> None:
        app.before_request(self._authenticate)
        app.after_request(self._write_down)
        app.register_error_handler(RestError, _refused)
        app.register_error_handler(404, _not_found)
        for path, methods, view in (
            ("/Calls.json", ["POST"], self.create_call),
            ("/Calls/<sid>.json", ["POST"], self.update_call),
            ("/Calls/<sid>.json", ["GET"], self.fetch_call),
            ("/Calls/<sid>/Recordings.json", ["POST"], self.create_recording),
            ("/Calls/<sid>/Recordings/<recording>.json", ["POST"], self.update_recording),
            ("/Conferences.json", ["GET"], self.list_conferences),
            ("/Conferences/<sid>.json", ["GET"], self.fetch_conference),
            ("/Conferences/<sid>.json", ["POST"], self.update_conference),
            ("/Conferences/<sid>/Participants.json", ["GET"], self.list_participants),
            ("/Conferences/<sid>/Participants.json", ["POST"], self.create_participant),
            ("/Conferences/<sid>/Participants/<call>.json", ["GET"], self.fetch_participant),
            ("/Conferences/<sid>/Participants/<call>.json", ["POST"], self.update_participant),
            ("/Conferences/<sid>/Participants/<call>.json", ["DELETE"], self.remove_participant),
        ):
            app.add_url_rule(_BASE + path, f"{view.__name__}", view, methods=methods)

    # Calls

    async def create_call(self, account: str) -> tuple[Resource, int]:  # noqa: ARG002 - every path names the account
        form: Form = await request.form
        source = _source(form)
        if source is None:
            raise RestError(400, 21205, "Url parameter is required")
        timeout_s, detection = _number(form, "Timeout", 60), _detection(form)
        call = self._new_call(form)
        then = following(call, source)
        call.begin(placed(call, then, timeout_s=timeout_s, digits=form.get("SendDigits", ""), detection=detection))
        return call_resource(call), 201

    async def update_call(self, account: str, sid: str) -> Resource:  # noqa: ARG002 - the route has it; there is one account
        form: Form = await request.form
        call = self._call(sid)
        if call.is_over:
            raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.get("Url") and form.get("Twiml"):
            raise RestError(400, 20001, "Url and Twiml are mutually exclusive")
        source = _source(form)
        if source is not None and call.status != "in-progress":
            raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.get("FallbackUrl"):
            call.fallback = form["FallbackUrl"], form.get("FallbackMethod", "POST")
        if form.get("TimeLimit"):
            call.limit(_number(form, "TimeLimit", 0) - call.duration_s)
        self._end(call, form.get("Status", ""))
        if source is not None:
            call.event("call.redirected")
            call.replace(following(call, source))
        return call_resource(call)

    async def fetch_call(self, account: str, sid: str) -> Resource:  # noqa: ARG002 - the route has it; there is one account
        return call_resource(self._call(sid))

    # Recordings

    async def create_recording(self, account: str, sid: str) -> tuple[Resource, int]:  # noqa: ARG002 - the route has it; there is one account
        form: Form = await request.form
        call = self._call(sid)
        if call.status != "in-progress":
            raise RestError(400, 21220, "Call is not in-progress. Cannot record.")
        for name, known in _RECORDING_VALUES.items():
            if name in form and form[name] not in known:
                raise RestError(400, 20001, f"{name} must be one of {', '.join(known)}")
        recording = Recording(
            call,
            source="StartCallRecordingAPI",
            channels="2" if form.get("RecordingChannels") == "dual" else "1",
            callback=form.get("RecordingStatusCallback", ""),
            events=_recording_events(form),
        )
        return recording_resource(call, recording), 201

    async def update_recording(self, account: str, sid: str, recording: str) -> Resource:  # noqa: ARG002 - the route has it; there is one account
        form: Form = await request.form
        call = self._call(sid)
        going = [each for each in call.recordings if each.status in {"in-progress", "paused"}]
        found = next((each for each in going if recording in {each.sid, "Twilio.CURRENT"}), None)
        if found is None:
            raise RestError(404, 20404, f"The requested resource /Recordings/{recording}.json was not found")
        found.change(form.get("Status", ""))
        return recording_resource(call, found)

    # Conferences

    async def list_conferences(self, account: str) -> Resource:  # noqa: ARG002 - the route has it; there is one account
        wanted = request.args
        found = [
            conference_resource(each, self._carrier.account_sid)
            for each in self._carrier.conferences
            if wanted.get("FriendlyName", each.name) == each.name and wanted.get("Status", each.status) == each.status
        ]
        return page("conferences", found)

    async def fetch_conference(self, account: str, sid: str) -> Resource:  # noqa: ARG002 - the route has it; there is one account
        return conference_resource(self._conference(sid), self._carrier.account_sid)

    async def update_conference(self, account: str, sid: str) -> Resource:  # noqa: ARG002 - the route has it; there is one account
        form: Form = await request.form
        conference = self._conference(sid)
        if form.get("Status") == "completed":
            conference.end()
        return conference_resource(conference, self._carrier.account_sid)

    async def list_participants(self, account: str, sid: str) -> Resource:
        conference = self._conference(sid)
        return page("participants", [participant(conference, seat, account) for seat in conference.seats])

    async def create_participant(self, account: str, sid: str) -> tuple[Resource, int]:
        form: Form = await request.form
        known = [each for each in self._carrier.conferences if each.sid == sid and each.status != "completed"]
        conference = known[0] if known else self._carrier.conference(sid)
        timeout_s = _number(form, "Timeout", 60)
        call = self._new_call(form)
        terms = Terms(
            starts=_flag(form, "StartConferenceOnEnter", default=True),
            ends=_flag(form, "EndConferenceOnExit", default=False),
            is_muted=_flag(form, "Muted", default=False),
            callback=form.get("ConferenceStatusCallback", ""),
            events=tuple(form.getlist("ConferenceStatusCallbackEvent")),
            label=form.get("Label", ""),
        )
        interpreter = Interpreter(call)
        call.begin(placed(call, lambda: conference.hold(interpreter, terms), timeout_s=timeout_s))
        return {
            "account_sid": account,
            "call_sid": call.sid,
            "conference_sid": conference.sid,
            "label": terms.label,
            "status": "queued",
            "muted": terms.is_muted,
            "hold": False,
            "start_conference_on_enter": terms.starts,
            "end_conference_on_exit": terms.ends,
        }, 201

    async def fetch_participant(self, account: str, sid: str, call: str) -> Resource:
        conference, seat = self._seat(sid, call)
        return participant(conference, seat, account)

    async def update_participant(self, account: str, sid: str, call: str) -> Resource:
        form: Form = await request.form
        conference, seat = self._seat(sid, call)
        seat.is_muted = _flag(form, "Muted", default=seat.is_muted)
        seat.is_on_hold = _flag(form, "Hold", default=seat.is_on_hold)
        return participant(conference, seat, account)

    async def remove_participant(self, account: str, sid: str, call: str) -> tuple[str, int]:  # noqa: ARG002 - the route has it; there is one account
        _, seat = self._seat(sid, call)
        seat.gone.set()
        return "", 204

    # What they share

    def _new_call(self, form: Form) -> Call:
        for name, code in (("To", 21201), ("From", 21213)):
            if not form.get(name):
                raise RestError(400, code, f"No '{name}' number is specified")
        to = form["To"]
        call = Call(
            self._carrier,
            self._carrier.destinations.get(to, Callee(result="failed", after_s=0)),
            direction="outbound-api",
            from_=form["From"],
            to=to,
            callback=StatusCallback(
                form.get("StatusCallback", ""),
                form.get("StatusCallbackMethod", "POST"),
                form.getlist("StatusCallbackEvent") or ["completed"],
            ),
            fallback=(form["FallbackUrl"], form.get("FallbackMethod", "POST")) if form.get("FallbackUrl") else None,
        )
        call.max_s = _number(form, "TimeLimit", call.max_s)
        self._carrier.keep(call)
        return call

    def _end(self, call: Call, status: str) -> None:
        if status not in {"", "completed", "canceled"}:
            raise RestError(400, 20001, f"Status cannot be {status!r}")
        if status == "canceled" and call.status == "in-progress":
            raise RestError(400, 21220, "Call is in-progress. Cannot cancel.")
        if status:
            call.hang_up("rest")

    def _call(self, sid: str) -> Call:
        call = self._carrier.find(sid)
        if call is None:
            raise RestError(404, 20404, f"The requested resource /Calls/{sid}.json was not found")
        return call

    def _conference(self, sid: str) -> Conference:
        found = next((each for each in self._carrier.conferences if each.sid == sid), None)
        if found is None:
            raise RestError(404, 20404, f"The requested resource /Conferences/{sid}.json was not found")
        return found

    def _seat(self, sid: str, call_sid: str) -> tuple[Conference, Seat]:
        conference = self._conference(sid)
        seat = conference.find(call_sid)
        if seat is None:
            raise RestError(404, 20404, f"The requested resource /Participants/{call_sid}.json was not found")
        return conference, seat

    async def _authenticate(self) -> None:
        form: Form = await request.form
        params: Params = {
            name: values if len(values) > 1 else values[0] for name, values in form.to_dict(flat=False).items()
        }
        parts = urlsplit(request.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        g.exchange = Exchange(self._carrier.clock.now(), "bridge", "rest", request.method, path, params)
        self._carrier.record.append(g.exchange)
        if _credentials(request.headers.get("Authorization", "")) != (
            self._carrier.account_sid,
            self._carrier.auth_token,
        ):
            raise RestError(401, 20003, "Authenticate")

    async def _write_down(self, response: Response) -> Response:
        g.exchange.status = response.status_code
        g.exchange.answer = await response.get_data(as_text=True)
        return response


def _credentials(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    try:
        user, _, password = b64decode(value, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return None
    return (user, password) if scheme.lower() == "basic" else None


async def _refused(error: RestError) -> tuple[Resource, int]:
    info = f"https://www.twilio.com/docs/errors/{error.code}"
    return {"code": error.code, "message": str(error), "more_info": info, "status": error.status}, error.status


async def _not_found(_: Exception) -> tuple[Resource, int]:
    return await _refused(RestError(404, 20404, f"The requested resource {request.path} was not found"))


def _source(form: Form) -> Goto | str | None:
    """The document that a request names: its URL goes before its text."""
    if form.get("Url"):
        return Goto("voice", form["Url"], form.get("Method", "POST"))
    twiml = form.get("Twiml")
    if twiml is not None and len(twiml) > MAX_TWIML_CHARACTERS:
        raise RestError(400, 20001, f"Twiml must be at most {MAX_TWIML_CHARACTERS} characters")
    return twiml or None


def _recording_events(form: Form) -> list[str]:
    """What is reported of a recording: parameters of their own, or one with spaces in it."""
    events = " ".join(form.getlist("RecordingStatusCallbackEvent")).split() or ["completed"]
    if not set(events) <= {"in-progress", "completed", "absent"}:
        raise RestError(400, 20001, "RecordingStatusCallbackEvent must be of in-progress, completed and absent")
    return events


def _detection(form: Form) -> Detection | None:
    if form.get("MachineDetection") not in {"Enable", "DetectMessageEnd"} or form.get("SendDigits"):
        return None
    return Detection(
        is_async=_flag(form, "AsyncAmd", default=False),
        callback=form.get("AsyncAmdStatusCallback", ""),
        method=form.get("AsyncAmdStatusCallbackMethod", "POST"),
        timeout_s=_number(form, "MachineDetectionTimeout", 30),
    )


def _flag(form: Form, name: str, *, default: bool) -> bool:
    return form.get(name, str(default)).lower() == "true"


def _number(form: Form, name: str, default: float) -> float:
    try:
        return float(form.get(name, default))
    except ValueError:
        raise RestError(400, 20001, f"{name} must be a number") from None
