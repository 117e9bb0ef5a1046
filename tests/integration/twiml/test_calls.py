"""What is asked of Twilio by REST: the real library against a real server that answers as Twilio does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from quart import Quart, Response, jsonify, request

from bridge.clock import Clock
from twiml.calls import Account, CallControl, CallRefusedError, Number, OutboundCall
from twiml.documents import hang_up

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
CALL = "CA0123456789abcdef0123456789abcdef"
NUMBER = "PN0123456789abcdef0123456789abcdef"
BASE = f"/2010-04-01/Accounts/{ACCOUNT}"
URL = "https://bot.example.test/twiml/after-stream"
OUTBOUND = OutboundCall(to="+15557654321", from_="+15551230000", url=URL, status_callback="https://bot.example.test/s")

Answer = tuple[int, dict[str, object]] | Response


class FakeTwilio:
    """Answers in turn what it is told to, the last thing again and again, and writes down what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []
        self.credentials: list[tuple[str, str]] = []
        self.answers: list[Answer] = [(200, {"sid": CALL, "status": "in-progress", "call_sid": CALL})]
        self.delay_s = 0.0
        self.at_once = 0
        self.most_at_once = 0
        self.clock = Clock(10)
        self.app = Quart(__name__)
        self.app.add_url_rule("/<path:path>", "all", self.answer, methods=["GET", "POST"])

    async def answer(self, path: str) -> Response:
        """Answer whatever is asked."""
        form = await request.form
        self.requests.append((request.method, f"/{path}".removeprefix(BASE), dict(form.lists())))
        assert request.authorization is not None
        self.credentials.append((str(request.authorization.username), str(request.authorization.password)))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.clock.sleep(self.delay_s)
        self.at_once -= 1
        if isinstance(answer, Response):
            return answer
        response = jsonify(answer[1])
        response.status_code = answer[0]
        return response


@pytest.fixture
def twilio() -> FakeTwilio:
    """A Twilio that grants everything, until told otherwise."""
    return FakeTwilio()


@pytest.fixture
async def calls(twilio: FakeTwilio, serve: Callable[[Quart], Awaitable[int]]) -> AsyncIterator[CallControl]:
    """Control over the calls of that Twilio."""
    port = await serve(twilio.app)
    async with CallControl(ACCOUNT, "secret", api_url=f"http://127.0.0.1:{port}", clock=twilio.clock) as calls:
        yield calls


def refusal(code: int, message: str = "refused") -> dict[str, object]:
    """An error as Twilio words it."""
    return {"code": code, "message": message, "more_info": "https://www.twilio.com/docs/errors", "status": 400}


@pytest.mark.parametrize(
    ("operate", "path", "form"),
    [
        (lambda calls: calls.redirect(CALL, url=URL), f"/Calls/{CALL}.json", {"Url": [URL]}),
        (lambda calls: calls.redirect(CALL, twiml=hang_up("é")), f"/Calls/{CALL}.json", {"Twiml": [hang_up("é")]}),
        (lambda calls: calls.complete(CALL), f"/Calls/{CALL}.json", {"Status": ["completed"]}),
        (lambda calls: calls.cancel(CALL), f"/Calls/{CALL}.json", {"Status": ["canceled"]}),
        (
            lambda calls: calls.pause_recording(CALL),
            f"/Calls/{CALL}/Recordings/Twilio.CURRENT.json",
            {"Status": ["paused"], "PauseBehavior": ["silence"]},
        ),
        (
            lambda calls: calls.resume_recording(CALL),
            f"/Calls/{CALL}/Recordings/Twilio.CURRENT.json",
            {"Status": ["in-progress"]},
        ),
    ],
    ids=["redirect to url", "redirect to document", "complete", "cancel", "pause recording", "resume recording"],
)
async def test_operation_asks_for_exactly_this(
    twilio: FakeTwilio,
    calls: CallControl,
    operate: Callable[[CallControl], Awaitable[None]],
    path: str,
    form: dict[str, list[str]],
) -> None:
    """One request with the account's credentials, and nothing in it that was not meant."""
    await operate(calls)

    assert [("POST", path, form)] == twilio.requests
    assert [(ACCOUNT, "secret")] == twilio.credentials


async def test_recording_of_a_live_call_is_begun(twilio: FakeTwilio, calls: CallControl) -> None:
    """Both sides, not trimmed, so that its seconds are the call's."""
    sid = await calls.start_recording(CALL, channels="dual", status_callback=URL)

    assert CALL == sid
    expected = {
        "RecordingChannels": ["dual"],
        "RecordingTrack": ["both"],
        "Trim": ["do-not-trim"],
        "RecordingStatusCallback": [URL],
        "RecordingStatusCallbackEvent": ["completed", "absent"],
    }
    assert [("POST", f"/Calls/{CALL}/Recordings.json", expected)] == twilio.requests


async def test_call_is_placed_with_asynchronous_machine_detection(twilio: FakeTwilio, calls: CallControl) -> None:
    """The bot speaks at once and is told later who answered; every status is reported."""
    sid = await calls.create(
        OutboundCall(
            to="+15557654321",
            from_="+15551230000",
            url=URL,
            status_callback="https://bot.example.test/s",
            fallback_url="https://bot.example.test/f",
            timeout_s=25,
            time_limit_s=3600,
            machine_detection="DetectMessageEnd",
            machine_detection_callback="https://bot.example.test/m",
        )
    )

    assert CALL == sid
    expected = {
        "To": ["+15557654321"],
        "From": ["+15551230000"],
        "Url": [URL],
        "FallbackUrl": ["https://bot.example.test/f"],
        "StatusCallback": ["https://bot.example.test/s"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "Timeout": ["25"],
        "TimeLimit": ["3600"],
        "MachineDetection": ["DetectMessageEnd"],
        "AsyncAmd": ["true"],
        "AsyncAmdStatusCallback": ["https://bot.example.test/m"],
    }
    assert [("POST", "/Calls.json", expected)] == twilio.requests


async def test_call_without_extras_asks_for_none(twilio: FakeTwilio, calls: CallControl) -> None:
    """What is not set is not sent."""
    await calls.create(OUTBOUND)

    sent = twilio.requests[0][2]
    assert {"To", "From", "Url", "StatusCallback", "StatusCallbackEvent", "Timeout"} == set(sent)


async def test_participant_is_dialled_into_a_conference(twilio: FakeTwilio, calls: CallControl) -> None:
    """The leg's own CallSid comes back."""
    sid = await calls.add_participant(CALL, to="+15557654321", from_="+15551230000", status_callback=URL, timeout_s=20)

    method, path, form = twilio.requests[0]
    assert (CALL, "POST", f"/Conferences/{CALL}/Participants.json") == (sid, method, path)
    assert (["20"], ["false"], ["true"]) == (form["Timeout"], form["Beep"], form["EndConferenceOnExit"])


async def test_status_of_a_call_is_read(twilio: FakeTwilio, calls: CallControl) -> None:
    """As Twilio names it."""
    assert "in-progress" == await calls.status(CALL)
    assert ("GET", f"/Calls/{CALL}.json", {}) == twilio.requests[0]


async def test_account_shows_that_the_credentials_are_right(twilio: FakeTwilio, calls: CallControl) -> None:
    """Name, state and kind of the account."""
    twilio.answers = [(200, {"sid": ACCOUNT, "friendly_name": "Acme", "status": "active", "type": "Trial"})]

    assert Account(ACCOUNT, "Acme", "active", "Trial") == await calls.account()


async def test_numbers_are_listed_over_all_pages(twilio: FakeTwilio, calls: CallControl) -> None:
    """A page names the next one; what a number does not have is empty."""

    def page(name: str, following: str | None) -> Answer:
        number = {"sid": NUMBER, "phone_number": name, "voice_url": URL, "trunk_sid": None}
        return 200, {"incoming_phone_numbers": [number], "next_page_uri": following, "uri": "/", "page": 0}

    twilio.answers = [
        page("+15551230000", f"{BASE}/IncomingPhoneNumbers.json?Page=1"),
        page("+15551230001", None),
    ]

    numbers = await calls.numbers()

    assert [
        Number(NUMBER, "+15551230000", URL, "", "", "", ""),
        Number(NUMBER, "+15551230001", URL, "", "", "", ""),
    ] == numbers


async def test_number_is_pointed_at_the_service(twilio: FakeTwilio, calls: CallControl) -> None:
    """All three URLs, and no application that would be asked instead."""
    await calls.point_number(NUMBER, voice_url=URL, fallback_url=URL + "f", status_callback=URL + "s")

    expected = {
        "VoiceUrl": [URL],
        "VoiceMethod": ["POST"],
        "VoiceFallbackUrl": [URL + "f"],
        "VoiceFallbackMethod": ["POST"],
        "StatusCallback": [URL + "s"],
        "StatusCallbackMethod": ["POST"],
        "VoiceApplicationSid": [""],
    }
    assert [("POST", f"/IncomingPhoneNumbers/{NUMBER}.json", expected)] == twilio.requests


@pytest.mark.parametrize(
    ("status", "code", "gone"),
    [(400, 21220, True), (404, 20404, True), (404, 99999, True), (400, 21211, False), (401, 20003, False)],
)
async def test_refusal_says_why(twilio: FakeTwilio, calls: CallControl, status: int, code: int, *, gone: bool) -> None:
    """Status and code are kept, and whether the call is simply over; nothing is tried again."""
    twilio.answers = [(status, refusal(code, "Call is not in-progress"))]

    with pytest.raises(CallRefusedError, match="Call is not in-progress") as caught:
        await calls.complete(CALL)

    assert (status, code, gone) == (caught.value.status, caught.value.code, caught.value.gone)
    assert 1 == len(twilio.requests)


async def test_refusal_does_not_repeat_phone_numbers(twilio: FakeTwilio, calls: CallControl) -> None:
    """Twilio's words may hold a number; ours go to the log."""
    twilio.answers = [(400, refusal(21211, "The number +15557654321 is not valid"))]

    with pytest.raises(CallRefusedError) as caught:
        await calls.create(OUTBOUND)

    assert "Twilio: The number … is not valid (HTTP 400, code 21211)" == str(caught.value)


async def test_refusal_in_the_newer_form_is_understood(twilio: FakeTwilio, calls: CallControl) -> None:
    """RFC 9457: a title in place of the message."""
    twilio.answers = [(400, {"type": "x", "title": "Invalid parameter", "status": 400, "code": 20001})]

    with pytest.raises(CallRefusedError, match="Invalid parameter") as caught:
        await calls.complete(CALL)

    assert 20001 == caught.value.code


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_passing_refusal_is_tried_once_more(twilio: FakeTwilio, calls: CallControl, status: int) -> None:
    """Ending a call twice does no harm."""
    twilio.answers = [(status, refusal(20429)), *twilio.answers]

    await calls.complete(CALL)

    assert 2 == len(twilio.requests)


async def test_lasting_refusal_is_tried_twice_at_most(twilio: FakeTwilio, calls: CallControl) -> None:
    """The caller is waiting: two attempts, no more."""
    twilio.answers = [(503, {})]

    with pytest.raises(CallRefusedError) as caught:
        await calls.redirect(CALL, url=URL)

    assert (503, None, 2) == (caught.value.status, caught.value.code, len(twilio.requests))


@pytest.mark.parametrize(("status", "attempts"), [(500, 1), (503, 1), (429, 2)])
async def test_call_is_never_placed_twice(twilio: FakeTwilio, calls: CallControl, status: int, attempts: int) -> None:
    """After a server's error somebody's phone may ring already; after 429 it certainly does not."""
    twilio.answers = [(status, {})]

    with pytest.raises(CallRefusedError):
        await calls.create(OUTBOUND)

    assert attempts == len(twilio.requests)


@pytest.mark.parametrize("body", ["<html>proxy</html>", "[]", ""])
async def test_answer_that_is_not_twilios_is_refused(twilio: FakeTwilio, calls: CallControl, body: str) -> None:
    """Something in between may answer in Twilio's place."""
    twilio.answers = [Response(body, status=200)]

    with pytest.raises(CallRefusedError, match="not understood"):
        await calls.status(CALL)


async def test_list_that_is_none_is_refused(twilio: FakeTwilio, calls: CallControl) -> None:
    """The library's own complaint becomes ours."""
    twilio.answers = [(200, {"sid": CALL, "status": "in-progress"})]

    with pytest.raises(CallRefusedError, match="not understood"):
        await calls.numbers()


async def test_slow_twilio_is_given_up(twilio: FakeTwilio, calls: CallControl) -> None:
    """A request has a limit, whatever the other side does."""
    twilio.delay_s = 60

    with pytest.raises(CallRefusedError, match="no answer within 8 s") as caught:
        await calls.redirect(CALL, url=URL)

    assert (None, False) == (caught.value.status, caught.value.gone)


async def test_requests_wait_for_a_free_slot(twilio: FakeTwilio, calls: CallControl) -> None:
    """Forty calls that end at once do not bring on Twilio's 429."""
    twilio.delay_s = 0.5

    await asyncio.gather(*(calls.complete(CALL) for _ in range(40)))

    assert (40, 16) == (len(twilio.requests), twilio.most_at_once)


async def test_unreachable_twilio_is_refused() -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with CallControl(ACCOUNT, "secret", api_url=f"http://127.0.0.1:{port}", clock=Clock(10)) as calls:
        with pytest.raises(CallRefusedError, match="could not be reached") as caught:
            await calls.create(OUTBOUND)

    assert (None, None, False) == (caught.value.status, caught.value.code, caught.value.executed)


async def test_broken_connection_is_refused() -> None:
    """Twilio may or may not have acted, so a call is not placed again."""
    accepted = 0

    async def hang_up_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.close()

    async with await asyncio.start_server(hang_up_at_once, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with CallControl(ACCOUNT, "secret", api_url=f"http://127.0.0.1:{port}", clock=Clock(10)) as calls:
            with pytest.raises(CallRefusedError, match="the connection failed") as caught:
                await calls.create(OUTBOUND)

    assert (1, True) == (accepted, caught.value.executed)


async def test_environment_does_not_change_where_requests_go(
    twilio: FakeTwilio, serve: Callable[[Quart], Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the library's region nor a proxy comes between us and a rehearsal."""
    for name, value in {
        "TWILIO_REGION": "ie1",
        "TWILIO_EDGE": "dublin",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    port = await serve(twilio.app)

    async with CallControl(ACCOUNT, ("SK1", "s"), api_url=f"http://127.0.0.1:{port}/", clock=twilio.clock) as calls:
        await calls.complete(CALL)

    assert ("POST", f"/Calls/{CALL}.json", {"Status": ["completed"]}) == twilio.requests[0]
    assert [("SK1", "s")] == twilio.credentials


@pytest.mark.parametrize("target", [{}, {"url": URL, "twiml": hang_up()}, {"twiml": "x" * 4001}])
async def test_redirect_needs_one_target(twilio: FakeTwilio, calls: CallControl, target: dict[str, Any]) -> None:
    """A URL or a short document, not both and not nothing."""
    with pytest.raises(ValueError, match="redirect"):
        await calls.redirect(CALL, **target)

    assert [] == twilio.requests
