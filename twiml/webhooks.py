"""The routes that Twilio calls, as a Quart blueprint.

Each request is read within bounds, its signature is checked, its call is named; only then the desk is asked. A caller
who waits for an answer always gets one: where the desk fails or takes too long, the fallback, which depends on nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import parse_qsl

from quart import Blueprint, Response, jsonify, request
from werkzeug.datastructures import MultiDict

from twiml.documents import hang_up
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
from twiml.signature import SETTINGS_HEADER, SIGNATURE_HEADER, Reason, raw_target
from twiml.transfers import TransferResult, Whisper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twiml.ports import Clock, Desk
    from twiml.signature import Validator

DESK_LIMIT_S = 10.0
"""Twilio waits 15 s for an answer, connecting included (error 11205)."""

_READ_LIMIT_S = 3.0
_NOTICE_LIMIT_S = 2.0
_BODY_MAX_BYTES = 64 * 1024
_FIELDS_MAX = 400
_TOO_LARGE = f"A webhook has at most {_BODY_MAX_BYTES} bytes."
_NOT_SIGNED = "The request is not signed with the account's auth token for server.public_url; check both."
_FORM = "application/x-www-form-urlencoded"

_log = logging.getLogger(__name__)


class _AboutCall(Protocol):
    @property
    def call_sid(self) -> str: ...


_Received = TypeVar("_Received", bound=_AboutCall)


class _RefusedError(Exception):
    """A request that gets an error for an answer and reaches nobody."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


class Webhooks:
    """All `/twiml/*` routes; register `blueprint()` with the application.

    Args:
        desk: who decides.
        validator: checks signatures. None only with `insecure`, on a service that nobody but this machine can reach.
        fallback: gives the document for a caller whom the desk cannot answer, ready as it is.
        clock: bounds the desk.
        refused: told the reason of every request that was turned away, to be counted.
        insecure: believe every request but a web page's.
        failed: told of every request that the desk could not answer, to be counted.
        believed: told of every request that is believed, while it is being answered.

    Raises:
        ValueError: there is no validator and `insecure` does not say so, or both are given.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        validator: Validator | None,
        fallback: Callable[[], str],
        clock: Clock,
        refused: Callable[[str], None],
        failed: Callable[[], object] = lambda: None,
        insecure: bool = False,
        believed: Callable[[], object] = lambda: None,
    ) -> None:
        if (validator is None) is not insecure:
            raise ValueError("Webhooks need either a validator of signatures or insecure=True.")
        self._desk = desk
        self._validator = validator
        self._fallback = fallback
        self._clock = clock
        self._refused = refused
        self._failed = failed
        self._believed = believed

    def blueprint(self) -> Blueprint:
        """The routes, under `/twiml`; each takes POST and, for a number that is configured so, GET."""
        desk = self._desk
        views = {
            "answer": self._question(IncomingCall.parse, desk.answer, self._fallback),
            "after-stream": self._question(StreamEnded.parse, desk.after_stream, self._fallback),
            "transfer-result": self._question(TransferResult.parse, desk.transfer_result, self._fallback),
            # The callee is not the one to console: hanging up declines, and the caller goes on elsewhere.
            "whisper": self._question(Whisper.parse, desk.whisper, hang_up),
            "fallback": self._notice(FallbackNotice.parse, desk.fallback, lambda: _document(self._fallback())),
            "call-status": self._notice(CallStatus.parse, desk.call_status, _nothing),
            "stream-status": self._notice(StreamStatus.parse, desk.stream_status, _nothing),
            "recording-status": self._notice(RecordingStatus.parse, desk.recording_status, _nothing),
            "machine-detection": self._notice(MachineDetection.parse, desk.machine_detection, _nothing),
        }
        routes = Blueprint("twiml", __name__, url_prefix="/twiml")
        for name, view in views.items():
            # Quart would answer OPTIONS by itself, signature or not.
            routes.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"], provide_automatic_options=False)
        routes.register_error_handler(_RefusedError, self._refuse)
        return routes

    def _question(
        self,
        parse: Callable[[Parameters], _Received],
        ask: Callable[[_Received], Awaitable[str]],
        otherwise: Callable[[], str],
    ) -> Callable[[], Awaitable[Response]]:
        """A route where somebody waits for a document, and gets `otherwise` where the desk has none."""

        async def view() -> Response:
            received = await self._receive(parse)
            try:
                async with self._clock.timeout(DESK_LIMIT_S):
                    return _document(await ask(received))
            except Exception:  # noqa: BLE001 - whatever it was, the caller must hear something
                self._failed()
                _log.exception("webhook.failed", extra={"route": request.path, "call_sid": received.call_sid})
                return _document(otherwise())

        return view

    def _notice(
        self,
        parse: Callable[[Parameters], _Received],
        tell: Callable[[_Received], Awaitable[None]],
        answer: Callable[[], Response],
    ) -> Callable[[], Awaitable[Response]]:
        """A route whose answer does not depend on what the desk makes of it."""

        async def view() -> Response:
            received = await self._receive(parse)
            try:
                async with self._clock.timeout(_NOTICE_LIMIT_S):
                    await tell(received)
            except Exception:  # noqa: BLE001 - Twilio does not repeat a callback: an error would tell nobody
                self._failed()
                _log.exception("webhook.failed", extra={"route": request.path, "call_sid": received.call_sid})
            return answer()

        return view

    async def _receive(self, parse: Callable[[Parameters], _Received]) -> _Received:
        self._glance()
        body = await self._read()
        form = _parse_form(body) if request.mimetype == _FORM else MultiDict[str, str]()
        self._check(form if request.mimetype == _FORM else body)
        self._believed()
        try:
            return parse(Parameters(form if request.method == "POST" else request.args, request.args))
        except BadParameterError as error:
            raise _RefusedError(400, "bad_parameter", str(error)) from None

    def _glance(self) -> None:
        """Turn away by its head alone what cannot be Twilio's, before anything is read."""
        if self._validator is None:
            if "Origin" in request.headers:  # a page in a browser of this machine; Twilio is none
                raise _RefusedError(403, "origin", "Without signatures, no request of a web page is believed.")
        elif not request.headers.get(SIGNATURE_HEADER):
            raise _RefusedError(403, Reason.SIGNATURE_MISSING, _NOT_SIGNED)
        if (request.content_length or 0) > _BODY_MAX_BYTES:
            raise _RefusedError(413, "too_large", _TOO_LARGE)

    async def _read(self) -> bytes:
        body = bytearray()
        try:
            async with self._clock.timeout(_READ_LIMIT_S):
                async for chunk in request.body:
                    body += chunk
                    if len(body) > _BODY_MAX_BYTES:
                        raise _RefusedError(413, "too_large", _TOO_LARGE)
        except TimeoutError:
            raise _RefusedError(408, "too_slow", "The body did not arrive in time.") from None
        return bytes(body)

    def _check(self, content: MultiDict[str, str] | bytes) -> None:
        if self._validator is None:
            return
        verdict = self._validator.check_webhook(
            raw_target(request.scope["raw_path"], request.scope["query_string"]),
            content,
            signature=request.headers.get(SIGNATURE_HEADER, ""),
            settings=request.headers.get(SETTINGS_HEADER, ""),
        )
        if not verdict:
            raise _RefusedError(403, verdict.reason, _NOT_SIGNED)

    async def _refuse(self, error: _RefusedError) -> Response:
        self._refused(error.code)
        response = jsonify({"error": {"code": error.code, "message": error.message}})
        response.status_code = error.status
        return response


def _parse_form(body: bytes) -> MultiDict[str, str]:
    """The form's values, empty and repeated ones included, since they are signed too."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:  # UnicodeDecodeError is one
        raise _RefusedError(
            400, "bad_form", f"A webhook's form is percent-encoded and has at most {_FIELDS_MAX} fields."
        ) from None
    return MultiDict(pairs)


def _document(text: str) -> Response:
    # A token in a document is good for one stream only, so nobody may keep the document.
    return Response(text, content_type="text/xml; charset=utf-8", headers={"Cache-Control": "no-store"})


def _nothing() -> Response:
    response = Response(b"", status=204)
    del response.headers["Content-Type"]
    return response
