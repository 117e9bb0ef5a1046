"""The operator API: live and past calls, a hand on the live ones, and new ones. Off without `server.admin_token`.

`docs/operator-api.md` is what an operator reads.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from quart import Blueprint, Response, request

from bridge import api_query
from bridge.api_document import document
from bridge.api_limits import Tally
from bridge.api_requests import SayRequest, TransferRequest
from bridge.call.controls import HangUp, Say, Transfer
from bridge.edge import bodies
from bridge.outbound import CallRequest, NotPlacedError
from bridge.past import Page
from bridge.records.unavailable import RecordsUnavailableError

if TYPE_CHECKING:
    from werkzeug.exceptions import HTTPException

    from bridge.desk import FrontDesk
    from bridge.edge.driver import Driver
    from bridge.past import Calls

MAX_BODY_BYTES = 64 * 1024
READ_WITHIN_S = 5.0
MAX_REQUESTS, MAX_FAILURES = 600, 20
"""Requests with the token, and without it, of one address within `WITHIN_S`; further ones until then are refused.

Whoever has the token is not kept out by others at the same address, such as that of a proxy, who have not.
"""
WITHIN_S = 60.0
_STATUS = {
    "no_credentials": HTTPStatus.SERVICE_UNAVAILABLE,
    "full": HTTPStatus.SERVICE_UNAVAILABLE,
    "draining": HTTPStatus.SERVICE_UNAVAILABLE,
    "model_down": HTTPStatus.SERVICE_UNAVAILABLE,
    "carrier_refused": HTTPStatus.BAD_GATEWAY,
}
"""For a call that is not placed; otherwise it is the request that is wrong."""
_encode = msgspec.json.Encoder().encode
Body = TypeVar("Body", bound=BaseModel)


class ApiError(Exception):
    """A request that gets an error for an answer: HTTP status, a code for machines, a sentence with the way out."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        super().__init__(message)


class OperatorApi:
    """The routes under `/api`; register `blueprint()` with the application.

    Args:
        desk: has the live calls, and places new ones.
        calls: knows what is told about calls.
        admin_token: what each request must show; empty: the API is off.
    """

    def __init__(self, desk: FrontDesk, calls: Calls, admin_token: str) -> None:
        self._desk = desk
        self._calls = calls
        self._token = admin_token.encode()
        self._requests = Tally(MAX_REQUESTS, WITHIN_S)
        self._wrong = Tally(MAX_FAILURES, WITHIN_S)

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("api", __name__, url_prefix="/api")
        routes.before_request(self._check)
        routes.register_error_handler(ApiError, _refuse)
        routes.register_error_handler(RecordsUnavailableError, _unavailable)
        for method, path, view in (
            ("GET", "/calls", self.list_calls),
            ("POST", "/calls", self.place_call),
            ("GET", "/calls/<call_sid>", self.show_call),
            ("POST", "/calls/<call_sid>/hang-up", self.hang_up),
            ("POST", "/calls/<call_sid>/say", self.say),
            ("POST", "/calls/<call_sid>/transfer", self.transfer),
            ("GET", "/openapi.json", self.describe),
        ):
            # Quart would answer OPTIONS by itself.
            routes.add_url_rule(path, view.__name__, view, methods=[method], provide_automatic_options=False)
        return routes

    async def list_calls(self) -> Response:
        """Live and past calls, a page at a time, the latest first."""
        try:
            wanted, limit = api_query.parse(request.args)
        except ValueError as error:
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad_request", str(error)) from None
        found = await self._calls.page(wanted, limit)
        after = api_query.cursor_of(found.calls[-1]) if found.has_more else None
        return _json(Page(calls=found.calls, next=after, is_complete=found.is_complete))

    async def show_call(self, call_sid: str) -> Response:
        """One call, with its transcript as heard."""
        found = await self._calls.find(call_sid)
        if found is None:
            raise _unknown()
        return _json(found)

    async def describe(self) -> Response:
        """This API, as an OpenAPI document."""
        return _json(document())

    async def place_call(self) -> Response:
        """Have the bridge call somebody; answers when the carrier has taken the order."""
        order = await self._body(CallRequest)
        try:
            call_sid = await self._desk.outbound.place(order)
        except NotPlacedError as error:
            raise ApiError(_STATUS.get(error.code, HTTPStatus.BAD_REQUEST), error.code, str(error)) from error
        return _json({"call_sid": call_sid}, HTTPStatus.CREATED, {"Location": f"/api/calls/{call_sid}"})

    async def hang_up(self, call_sid: str) -> Response:
        """End a call, whatever it is doing."""
        (await self._live(call_sid)).control(HangUp())
        return _done()

    async def say(self, call_sid: str) -> Response:
        """Have something said, word for word."""
        wanted = await self._body(SayRequest)
        (await self._live(call_sid, talking=True)).control(Say(wanted.words))
        return _done()

    async def transfer(self, call_sid: str) -> Response:
        """Have the caller handed over: announced and done as if the model had asked for it."""
        wanted = await self._body(TransferRequest)
        driver = await self._live(call_sid, talking=True)
        places = driver.plan.destinations
        if wanted.destination not in places:
            names = ", ".join(places) or "none is configured"
            raise ApiError(HTTPStatus.BAD_REQUEST, "unknown_destination", f"destination must be one of: {names}.")
        if hindrance := driver.call.transfer_hindrance:
            message = f"The call cannot be handed over: {hindrance}."
            raise ApiError(HTTPStatus.CONFLICT, "not_transferable", message)
        driver.control(Transfer(wanted.destination, wanted.summary))
        return _done()

    async def _live(self, call_sid: str, *, talking: bool = False) -> Driver:
        """The call, if it lives; `talking`: only if caller and model can hear each other."""
        place = self._desk.calls.find(call_sid)
        if place is None:
            found = await self._calls.find(call_sid)
            if found is None:
                raise _unknown()
            if found.state in ("ringing", "live"):
                message = f"The call is with another bridge: ask {found.instance}."
                raise ApiError(HTTPStatus.CONFLICT, "elsewhere", message)
            raise ApiError(HTTPStatus.CONFLICT, "call_over", "The call has ended.")
        if talking and not place.held.call.is_up:
            message = "The caller and the model do not hear each other: the call rings, begins, or is handed over."
            raise ApiError(HTTPStatus.CONFLICT, "not_talking", message)
        return place.held

    async def _check(self) -> None:
        if not self._token:
            raise ApiError(HTTPStatus.FORBIDDEN, "off", "The operator API is off: set server.admin_token.")
        address, now = request.remote_addr or "", self._desk.clock.now()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self._token):
            if wait_s := self._requests.wait_s(address, now):
                raise _too_many("too_many_requests", "Too many requests came from this address", wait_s)
            self._requests.add(address, now)
            return
        if wait_s := self._wrong.wait_s(address, now):
            raise _too_many("too_many_failures", "Too many wrong tokens came from this address", wait_s)
        self._wrong.add(address, now)
        self._desk.refused("admin_token")
        raise ApiError(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "Send the header Authorization: Bearer and server.admin_token.",
            {"WWW-Authenticate": "Bearer"},
        )

    async def _body(self, kind: type[Body]) -> Body:
        """The request's JSON, checked."""
        if request.mimetype != "application/json":
            message = "Send the body with Content-Type: application/json."
            raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", message)
        try:
            return kind.model_validate_json(await self.read())
        except ValidationError as error:
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad_request", _flaw(error)) from None

    async def read(self) -> bytes:
        """The body of the request. Raises ApiError when it is too large or too slow."""
        clock = self._desk.clock
        try:
            return await bodies.read(request.body, clock, max_bytes=MAX_BODY_BYTES, within_s=READ_WITHIN_S)
        except bodies.TooLargeError:
            message = f"A request has at most {MAX_BODY_BYTES} bytes."
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message) from None
        except TimeoutError:
            raise ApiError(HTTPStatus.REQUEST_TIMEOUT, "too_slow", "The body did not arrive in time.") from None


async def http_error(error: HTTPException) -> Response:
    """The answer to a request that is none of ours: unknown route, wrong method, a fault."""
    name = (error.name or "error").lower().replace(" ", "_")
    allowed = {key: value for key, value in error.get_headers() if key == "Allow"}
    return _error(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, name, error.description or "", allowed)


async def _unavailable(error: RecordsUnavailableError) -> Response:
    return _error(HTTPStatus.SERVICE_UNAVAILABLE, "no_records", f"{str(error).capitalize()}: try again.")


async def _refuse(error: ApiError) -> Response:
    return _error(error.status, error.code, error.message, error.headers)


def _flaw(error: ValidationError) -> str:
    """The first thing that is wrong, without what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _too_many(code: str, what: str, wait_s: int) -> ApiError:
    message = f"{what}: wait {wait_s} seconds."
    return ApiError(HTTPStatus.TOO_MANY_REQUESTS, code, message, {"Retry-After": str(wait_s)})


def _unknown() -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "unknown_call", "There is no such call, or its record is gone.")


def _json(value: object, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    headers = {"Cache-Control": "no-store"} | (headers or {})
    return Response(_encode(value), status=status, content_type="application/json", headers=headers)


def _done() -> Response:
    return Response(b"", status=HTTPStatus.NO_CONTENT)


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json({"error": {"code": code, "message": message}}, status, headers)
