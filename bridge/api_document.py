"""The operator API as an OpenAPI document: made from the types that the routes read and write, so that it is true."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from bridge import __version__
from bridge.api_query import MOST, STATES, TIME, USUAL
from bridge.api_requests import SayRequest, TransferRequest
from bridge.call.ending import Ending
from bridge.outbound import CallRequest
from bridge.past import CallDetails, Page

if TYPE_CHECKING:
    from bridge.settings import Json

_REF = "#/components/schemas/{name}"
_JSON = "application/json"


class Placed(msgspec.Struct, frozen=True):
    """A call that rings, or waits to."""

    call_sid: str


class Flaw(msgspec.Struct, frozen=True):
    """What went wrong."""

    code: str
    """For machines."""
    message: str
    """For people: one sentence, with the way out."""


class Error(msgspec.Struct, frozen=True):
    """The answer to a request that is not done."""

    error: Flaw


_ERRORS = {
    400: "The request is wrong; the message names the key.",
    401: "The token is missing or wrong.",
    403: "There is no `server.admin_token`: the API is off.",
    404: "There is no such call, or its record is gone.",
    405: "The address knows other methods; `Allow` names them.",
    408: "The body did not arrive in time.",
    409: "The call has ended, or is not in a state for that.",
    413: "The body is too long.",
    415: "The body is not said to be JSON.",
    429: "Too many requests, or wrong tokens, came from this address; `Retry-After` says how many seconds to wait.",
    500: "A fault of the bridge's own.",
    502: "The carrier refused.",
    503: "Not now, or not by this bridge.",
}
_ALWAYS = (401, 403, 405, 429, 500)
_BODY = (400, 408, 413, 415)
_CALL_SID: Json = {
    "name": "call_sid",
    "in": "path",
    "required": True,
    "description": "Twilio's name of the call.",
    "schema": {"type": "string", "pattern": "^CA[0-9a-fA-F]{32}$"},
}


def document() -> Json:
    """The whole document, OpenAPI 3.1."""
    _, components = msgspec.json.schema_components([Page, CallDetails, Placed, Error], ref_template=_REF)
    for request in (CallRequest, SayRequest, TransferRequest):
        components[request.__name__] = request.model_json_schema(ref_template=_REF.replace("name", "model"))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "voicebridge operator API",
            "version": __version__,
            "description": "Live and past calls, a hand on those that live, and calls that the bridge places.",
        },
        "security": [{"admin_token": []}],
        "paths": {
            "/api/calls": {"get": _list_calls(), "post": _place_call()},
            "/api/calls/{call_sid}": {"get": _show_call(), "parameters": [_CALL_SID]},
            "/api/calls/{call_sid}/hang-up": {"post": _hang_up(), "parameters": [_CALL_SID]},
            "/api/calls/{call_sid}/say": {"post": _say(), "parameters": [_CALL_SID]},
            "/api/calls/{call_sid}/transfer": {"post": _transfer(), "parameters": [_CALL_SID]},
            "/api/openapi.json": {"get": _openapi()},
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"admin_token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _list_calls() -> Json:
    time: Json = {"type": "string", "format": "date-time", "pattern": f"^{TIME}$"}
    endings = [ending.value for ending in Ending]
    parameters = [
        _query("since", "Calls that began then or later.", time),
        _query("until", "Calls that began before.", time),
        _query("state", "Calls that stand so.", {"type": "string", "enum": list(STATES)}),
        _query("ending", "Calls that ended so.", {"type": "string", "enum": endings}),
        _query("limit", "How many at once.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}),
        _query("cursor", "The `next` of the page before.", {"type": "string"}),
    ]
    done = _content("Page", "Calls, the latest first.")
    return _operation("listCalls", "Live and past calls, a page at a time.", {200: done}, 400) | {
        "parameters": parameters
    }


def _show_call() -> Json:
    done = _content("CallDetails", "All that is known of the call.")
    return _operation("showCall", "One call, with its transcript as heard.", {200: done}, 404, 503)


def _place_call() -> Json:
    location = {"Location": {"description": "Where the call is told of.", "schema": {"type": "string"}}}
    done = _content("Placed", "The carrier has taken the order.") | {"headers": location}
    return _operation("placeCall", "Have the bridge call somebody.", {201: done}, *_BODY, 502, 503, body="CallRequest")


def _hang_up() -> Json:
    return _operation("hangUp", "End a call, whatever it is doing.", _told(), 404, 409, 503)


def _say() -> Json:
    what = "Have something said, word for word, when it is the bot's turn."
    return _operation("say", what, _told(), *_BODY, 404, 409, 503, body="SayRequest")


def _transfer() -> Json:
    what = "Have the caller handed over: announced and done as if the model had asked for it."
    return _operation("transfer", what, _told(), *_BODY, 404, 409, 503, body="TransferRequest")


def _openapi() -> Json:
    done: Json = {"description": "This document.", "content": {_JSON: {"schema": {"type": "object"}}}}
    return _operation("openapi", "This document.", {200: done})


def _told() -> dict[int, Json]:
    return {204: {"description": "The call knows of it."}}


def _operation(name: str, what: str, done: dict[int, Json], *errors: int, body: str = "") -> Json:
    answers = done | {status: _content("Error", _ERRORS[status]) for status in sorted({*_ALWAYS, *errors})}
    answers[HTTPStatus.TOO_MANY_REQUESTS] = answers[429] | {
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    }
    operation: Json = {
        "operationId": name,
        "summary": what,
        "responses": {str(int(status)): answer for status, answer in answers.items()},
    }
    if body:
        schema = {"schema": {"$ref": _REF.format(name=body)}}
        operation["requestBody"] = {"required": True, "content": {_JSON: schema}}
    return operation


def _content(schema: str, what: str) -> Json:
    return {"description": what, "content": {_JSON: {"schema": {"$ref": _REF.format(name=schema)}}}}


def _query(name: str, what: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "description": what, "schema": schema}
