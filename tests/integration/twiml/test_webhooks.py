"""The webhooks as Twilio meets them: real requests to a real server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from quart import Quart
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from bridge.clock import Clock
from twiml import documents
from twiml.parameters import (
    CallStatus,
    FallbackNotice,
    IncomingCall,
    MachineDetection,
    RecordingStatus,
    StreamEnded,
    StreamStatus,
)
from twiml.ports import Desk
from twiml.signature import SIGNATURE_HEADER, Validator
from twiml.transfers import TransferOutcome, TransferResult, Whisper
from twiml.webhooks import Webhooks

FIXTURES = Path(__file__).parents[3] / "fixtures" / "twiml"
PUBLIC_URL = "https://bot.example.test/voice"
TOKEN = "12345"
CALLER = "CA0123456789abcdef0123456789abcdef"
FALLBACK = documents.fallback("Sorry.")
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}

QUESTIONS = {
    "/twiml/answer": ("answer", IncomingCall),
    "/twiml/after-stream": ("after-stream", StreamEnded),
    "/twiml/transfer-result": ("dial-busy", TransferResult),
    f"/twiml/whisper?call={CALLER}": ("whisper", Whisper),
}
CALLBACKS = {
    "/twiml/call-status": ("call-status", CallStatus),
    "/twiml/stream-status": ("stream-status", StreamStatus),
    "/twiml/recording-status": ("recording-status", RecordingStatus),
    "/twiml/machine-detection": ("machine-detection", MachineDetection),
}
ALL = {**QUESTIONS, **CALLBACKS, "/twiml/fallback": ("fallback", FallbackNotice)}


class RecordingDesk(Desk):
    """A desk that writes down what it is asked, and answers, fails or dawdles as it is told."""

    def __init__(self, clock: Clock) -> None:
        self.asked: list[object] = []
        self.fault: Exception | None = None
        self.delay_s = 0.0
        self._clock = clock

    async def _ask(self, question: object) -> str:
        self.asked.append(question)
        await self._clock.sleep(self.delay_s)
        if self.fault:
            raise self.fault
        return documents.hang_up(type(question).__name__)

    async def answer(self, call: IncomingCall) -> str:
        """Answer a call."""
        return await self._ask(call)

    async def after_stream(self, ended: StreamEnded) -> str:
        """Go on after the stream."""
        return await self._ask(ended)

    async def transfer_result(self, result: TransferResult) -> str:
        """Go on after a transfer."""
        return await self._ask(result)

    async def whisper(self, callee: Whisper) -> str:
        """Whisper to the callee."""
        return await self._ask(callee)

    async def fallback(self, notice: FallbackNotice) -> None:
        """Take note."""
        await self._ask(notice)

    async def call_status(self, status: CallStatus) -> None:
        """Take note."""
        await self._ask(status)

    async def stream_status(self, status: StreamStatus) -> None:
        """Take note."""
        await self._ask(status)

    async def recording_status(self, status: RecordingStatus) -> None:
        """Take note."""
        await self._ask(status)

    async def machine_detection(self, detection: MachineDetection) -> None:
        """Take note."""
        await self._ask(detection)


class Rig:
    """A service on a free port, and a Twilio that signs for its public URL and sends to where it really listens."""

    def __init__(self, *, rate: float = 1, insecure: bool = False) -> None:
        self.clock = Clock(rate)
        self.desk = RecordingDesk(self.clock)
        self.refused: list[str] = []
        self.failed: list[str] = []
        self.port = 0
        self.http = httpx.AsyncClient(trust_env=False)
        self.app = Quart(__name__)
        hooks = Webhooks(
            self.desk,
            validator=None if insecure else Validator((TOKEN,), PUBLIC_URL),
            fallback=lambda: FALLBACK,
            clock=self.clock,
            refused=self.refused.append,
            failed=lambda: self.failed.append("failed"),
            insecure=insecure,
        )
        self.app.register_blueprint(hooks.blueprint())

    async def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None, signed_url: str = PUBLIC_URL
    ) -> httpx.Response:
        """Post a form that is signed over `signed_url` and the path."""
        form = MultiDict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
        signature = RequestValidator(TOKEN).compute_signature(signed_url + path, form)
        return await self.send("POST", path, body, {SIGNATURE_HEADER: signature, **FORM_TYPE, **(headers or {})})

    async def send(
        self, method: str, target: str, body: bytes | AsyncIterator[bytes] = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request as it is given."""
        url = httpx.URL(f"http://127.0.0.1:{self.port}").copy_with(raw_path=target.encode())
        return await self.http.request(method, url, content=body, headers=headers)


@pytest.fixture
async def rig(serve: Callable[[Quart], Awaitable[int]]) -> AsyncIterator[Rig]:
    """A service that checks signatures."""
    rig = Rig()
    rig.port = await serve(rig.app)
    async with rig.http:
        yield rig


@pytest.fixture
async def hurried_rig(serve: Callable[[Quart], Awaitable[int]]) -> AsyncIterator[Rig]:
    """The same with a clock that runs ten times as fast, for tests that wait for a limit."""
    rig = Rig(rate=10)
    rig.port = await serve(rig.app)
    async with rig.http:
        yield rig


def body_of(name: str) -> bytes:
    """A recorded form as it travels; the line break belongs to the file."""
    return (FIXTURES / f"{name}.form").read_bytes().removesuffix(b"\n")


def error_code(response: httpx.Response) -> str:
    """The code of a JSON error."""
    error = response.json()["error"]
    assert {"code", "message"} == set(error)
    return str(error["code"])


@pytest.mark.parametrize(("path", "recorded", "kind"), [(path, *rest) for path, rest in QUESTIONS.items()])
async def test_question_is_answered_by_the_desk(rig: Rig, path: str, recorded: str, kind: type) -> None:
    """Each question reaches the desk as a value and its document reaches Twilio as XML."""
    response = await rig.post(path, body_of(f"valid/{recorded}"))

    assert (200, documents.hang_up(kind.__name__)) == (response.status_code, response.text)
    assert "text/xml; charset=utf-8" == response.headers["content-type"]
    assert "no-store" == response.headers["cache-control"]
    assert [kind] == [type(asked) for asked in rig.desk.asked]


@pytest.mark.parametrize(("path", "recorded", "kind"), [(path, *rest) for path, rest in CALLBACKS.items()])
async def test_callback_is_taken_note_of(rig: Rig, path: str, recorded: str, kind: type) -> None:
    """A callback needs no document."""
    response = await rig.post(path, body_of(f"valid/{recorded}"))

    assert (204, b"") == (response.status_code, response.content)
    assert [kind] == [type(asked) for asked in rig.desk.asked]


async def test_fallback_is_served_and_told(rig: Rig) -> None:
    """The desk learns of it, but the document does not come from there."""
    response = await rig.post("/twiml/fallback", body_of("valid/fallback"))

    assert (200, FALLBACK) == (response.status_code, response.text)
    assert [FallbackNotice(call_sid=CALLER, error_code=11205)] == rig.desk.asked


async def test_values_arrive_decoded(rig: Rig) -> None:
    """Plus signs, empty values and letters beyond ASCII survive the way."""
    await rig.post("/twiml/answer?order=a%2Bb", body_of("valid/answer"))

    call = rig.desk.asked[0]
    assert isinstance(call, IncomingCall)
    assert ("+15557654321", "ÅSA & CO", {"order": "a+b"}) == (call.from_, call.caller_name, call.query)


async def test_transfer_result_reaches_the_desk_as_an_outcome(rig: Rig) -> None:
    """What the desk is told is how it went."""
    await rig.post("/twiml/transfer-result", body_of("valid/dial-declined"))

    result = rig.desk.asked[0]
    assert isinstance(result, TransferResult)
    assert TransferOutcome.DECLINED == result.outcome


@pytest.mark.parametrize("path", sorted(ALL))
async def test_unsigned_request_reaches_nobody(rig: Rig, path: str) -> None:
    """Without a signature nothing happens, on no route."""
    response = await rig.send("POST", path, body_of(f"valid/{ALL[path][0]}"), FORM_TYPE)

    assert (403, "signature_missing") == (response.status_code, error_code(response))
    assert ([], ["signature_missing"]) == (rig.desk.asked, rig.refused)


@pytest.mark.parametrize("path", sorted(ALL))
async def test_wrongly_signed_request_reaches_nobody(rig: Rig, path: str) -> None:
    """A signature for another service does not count here."""
    response = await rig.post(path, body_of(f"valid/{ALL[path][0]}"), signed_url="https://other.example.test")

    assert (403, "signature_wrong") == (response.status_code, error_code(response))
    assert ([], ["signature_wrong"]) == (rig.desk.asked, rig.refused)


async def test_headers_of_the_request_do_not_change_the_signed_url(rig: Rig) -> None:
    """Whoever can set Host or X-Forwarded headers gains nothing, and a proxy's own do no harm."""
    forged = {"Host": "evil.example.test", "X-Forwarded-Host": "evil.example.test", "X-Forwarded-Proto": "http"}
    body = body_of("valid/answer")

    honest = await rig.post("/twiml/answer", body, forged)
    dishonest = await rig.post("/twiml/answer", body, forged, signed_url="https://evil.example.test")

    assert (200, 403) == (honest.status_code, dishonest.status_code)


async def test_repeated_parameters_are_checked_as_sent(rig: Rig) -> None:
    """A form with a name twice is accepted, and refused with one more value."""
    body = body_of("valid/answer-repeated-parameter")
    signature = RequestValidator(TOKEN).compute_signature(
        PUBLIC_URL + "/twiml/answer", MultiDict(parse_qsl(body.decode(), keep_blank_values=True))
    )
    headers = {SIGNATURE_HEADER: signature, **FORM_TYPE}

    accepted = await rig.send("POST", "/twiml/answer", body, headers)
    refused = await rig.send("POST", "/twiml/answer", body + b"&StirPassportToken=c", headers)

    assert (200, 403) == (accepted.status_code, refused.status_code)


@pytest.mark.parametrize("path", ["/twiml/answer", "/twiml/fallback"])
async def test_number_that_is_configured_as_get_is_served(rig: Rig, path: str) -> None:
    """Then the parameters stand in the query, encoded as Twilio likes."""
    target = f"{path}?CallSid={CALLER}&From=%2b15557654321&To=%2B1555123%30000&CallerName=A+B"
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + target, {})

    response = await rig.send("GET", target, headers={SIGNATURE_HEADER: signature})

    assert 200 == response.status_code
    assert [CALLER] == [getattr(asked, "call_sid", None) for asked in rig.desk.asked]


async def test_json_body_is_checked_by_its_hash(rig: Rig) -> None:
    """Signed JSON passes the check, and is then refused because it names no call."""
    body = b'{"CallSid": "CA"}'
    target = f"/twiml/call-status?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {
        SIGNATURE_HEADER: RequestValidator(TOKEN).compute_signature(PUBLIC_URL + target, {}),
        "Content-Type": "application/json",
    }

    genuine = await rig.send("POST", target, body, headers)
    forged = await rig.send("POST", target, body + b" ", headers)

    assert (400, "bad_parameter") == (genuine.status_code, error_code(genuine))
    assert (403, "body_hash_wrong") == (forged.status_code, error_code(forged))
    assert [] == rig.desk.asked


@pytest.mark.parametrize("path", sorted((FIXTURES / "invalid").glob("*.form")), ids=lambda path: path.stem)
async def test_form_that_cannot_be_read_is_refused(rig: Rig, path: Path) -> None:
    """Even a signed one: no call, too many fields, bytes that are no text."""
    response = await rig.post("/twiml/answer", body_of(f"invalid/{path.stem}"))

    assert (400, True) == (response.status_code, error_code(response) in {"bad_parameter", "bad_form"})
    assert ([], 1) == (rig.desk.asked, len(rig.refused))


async def test_whisper_without_its_caller_is_refused(rig: Rig) -> None:
    """Nobody hears about a call that is not named."""
    response = await rig.post("/twiml/whisper", body_of("valid/whisper"))

    assert (400, "bad_parameter") == (response.status_code, error_code(response))


async def test_body_that_is_too_large_is_refused(rig: Rig) -> None:
    """Whether its length is announced or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 10_000

    signed = FORM_TYPE | {SIGNATURE_HEADER: "anything"}
    announced = await rig.send("POST", "/twiml/answer", b"x" * 100_000, signed)
    chunked = await rig.send("POST", "/twiml/answer", chunks(), signed)

    assert (413, "too_large") == (announced.status_code, error_code(announced))
    assert (413, "too_large") == (chunked.status_code, error_code(chunked))


async def test_body_that_does_not_come_is_not_waited_for(hurried_rig: Rig) -> None:
    """A sender that stops in the middle gets an answer and loses its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hurried_rig.port)
    head = f"POST /twiml/answer HTTP/1.1\r\nHost: x\r\n{SIGNATURE_HEADER}: anything\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Content-Type: {FORM_TYPE['Content-Type']}\r\n\r\nCallSid=".encode())

    status_line = await reader.readline()

    assert b"408" in status_line
    assert ["too_slow"] == hurried_rig.refused
    writer.close()
    await writer.wait_closed()


async def test_body_of_a_request_that_is_not_signed_is_not_read(rig: Rig) -> None:
    """The head says enough: nothing more is taken from a stranger."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(b"POST /twiml/answer HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")

    status_line = await reader.readline()

    assert b"403" in status_line
    assert ["signature_missing"] == rig.refused
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(rig: Rig, method: str) -> None:
    """Nothing but POST and GET, and OPTIONS is no way round the signature."""
    response = await rig.send(method, "/twiml/answer")

    assert (405, []) == (response.status_code, rig.desk.asked)


@pytest.mark.parametrize("path", ["/twiml/answer", "/twiml/after-stream", "/twiml/transfer-result"])
async def test_caller_hears_the_fallback_when_the_desk_fails(
    rig: Rig, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is logged, not an error 500 in the caller's ear."""
    rig.desk.fault = RuntimeError("out of order")

    response = await rig.post(path, body_of(f"valid/{QUESTIONS[path][0]}"))

    assert (200, FALLBACK) == (response.status_code, response.text)
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["webhook.failed"] == [record.message for record in records]
    assert ["failed"] == rig.failed
    assert (path, CALLER) == (records[0].__dict__["route"], records[0].__dict__["call_sid"])


async def test_callee_is_let_go_when_the_desk_fails(rig: Rig) -> None:
    """The fallback is for the caller, who goes on as after any transfer that was declined."""
    rig.desk.fault = RuntimeError("out of order")

    response = await rig.post(f"/twiml/whisper?call={CALLER}", body_of("valid/whisper"))

    assert (200, documents.hang_up()) == (response.status_code, response.text)


async def test_caller_hears_the_fallback_when_the_desk_takes_too_long(hurried_rig: Rig) -> None:
    """Twilio hangs up on a webhook after 15 s, so the answer leaves well before."""
    hurried_rig.desk.delay_s = 60
    start = hurried_rig.clock.now()

    response = await hurried_rig.post("/twiml/answer", body_of("valid/answer"))

    assert FALLBACK == response.text
    assert hurried_rig.clock.now() - start < 15


@pytest.mark.parametrize("path", sorted([*CALLBACKS, "/twiml/fallback"]))
@pytest.mark.parametrize(("delay_s", "fault"), [(60.0, None), (0.0, RuntimeError("out of order"))])
async def test_callback_is_answered_whatever_the_desk_does(
    hurried_rig: Rig, path: str, delay_s: float, fault: Exception | None
) -> None:
    """Twilio would not repeat it, and the fallback depends on nobody."""
    hurried_rig.desk.delay_s, hurried_rig.desk.fault = delay_s, fault

    response = await hurried_rig.post(path, body_of(f"valid/{ALL[path][0]}"))

    assert (FALLBACK if path == "/twiml/fallback" else "") == response.text
    assert response.is_success


async def test_insecure_service_believes_everybody(serve: Callable[[Quart], Awaitable[int]]) -> None:
    """On one's own machine, and only when it was asked for."""
    rig = Rig(insecure=True)
    rig.port = await serve(rig.app)

    async with rig.http:
        response = await rig.send("POST", "/twiml/answer", urlencode({"CallSid": CALLER}).encode(), FORM_TYPE)

    assert (200, 1) == (response.status_code, len(rig.desk.asked))


@pytest.mark.parametrize(("validator", "insecure"), [(None, False), (Validator((TOKEN,), PUBLIC_URL), True)])
def test_signatures_are_not_switched_off_by_accident(validator: Validator | None, *, insecure: bool) -> None:
    """Leaving the validator out is not enough, and giving one with insecure is a contradiction."""
    clock = Clock()
    with pytest.raises(ValueError, match="insecure"):
        Webhooks(
            RecordingDesk(clock),
            validator=validator,
            fallback=lambda: FALLBACK,
            clock=clock,
            refused=print,
            insecure=insecure,
        )
