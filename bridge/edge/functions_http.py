"""A function of the operator's at an address: its arguments are posted as JSON, and what comes back is the result."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpcore
import httpx
import msgspec
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from bridge.call.tools import NO_ARGUMENTS
from bridge.edge.functions_network import is_private_host
from bridge.edge.functions_run import (
    FLAWS_TOLD,
    MAX_RESULT_BYTES,
    FunctionFailedError,
    Invocation,
    invalid_arguments,
    not_json,
    too_large,
    without_secret,
)
from bridge.edge.functions_signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.call.plan import CallInfo
    from bridge.settings import Function, Json

MAX_REDIRECTS = 3
_KEEPS_THE_BODY = (307, 308)  # the others turn a POST into a GET (RFC 9110, section 15.4)
_NO_CONTENT = 204


class HttpFunction:
    """See the module.

    Args:
        function: its settings.
        pool: makes the connections; one that refuses private addresses unless the function allows them.
        now: seconds since 1970, for the signature.

    Raises:
        ConfigurationError: the address is a private one, or the schema refers to what is not in it.
    """

    def __init__(self, function: Function, pool: httpcore.AsyncConnectionPool, now: Callable[[], float]) -> None:
        self._name = function.name
        self._url = httpx.URL(function.url)
        self._secret = function.secret.get_secret_value()
        self._pool = pool
        self._now = now
        self.schema = without_secret(function.parameters or NO_ARGUMENTS, function)
        self._validator = Draft202012Validator(self.schema, registry=Registry())  # without one it would go and fetch
        if not function.allow_private and is_private_host(self._url.host):
            message = "is in a private network: set allow_private = true if the function is to be reached there"
            raise ConfigurationError(message, key=f"functions.{function.name}.url")
        for reference in _references(self.schema):
            _check_reference(reference, self.schema, key=f"functions.{function.name}.parameters")

    async def run(self, invocation: Invocation) -> str:
        """Post the arguments, and follow redirects that keep them."""
        flaws = list(islice(self._validator.iter_errors(dict(invocation.arguments)), FLAWS_TOLD))
        if flaws:
            raise invalid_arguments((flaw.absolute_path, flaw.message) for flaw in flaws)
        body = msgspec.json.encode(
            {
                "function": self._name,
                "arguments": {**invocation.arguments, **invocation.secrets},
                "call": _call(invocation.call),
            }
        )
        headers = self._headers(invocation.call.idempotency_key, body)
        try:
            return await self._post(body, headers)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            detail = type(error).__name__
            raise FunctionFailedError("unreachable", "the function could not be reached", detail=detail) from None

    async def _post(self, body: bytes, headers: dict[str, str]) -> str:
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            everything = headers | {"Host": url.netloc.decode()}
            async with self._pool.stream("POST", target, headers=list(everything.items()), content=body) as response:
                if response.status not in _KEEPS_THE_BODY:
                    return await _result(response)
                url = _redirected(url, response)
        raise _bad_redirect(f"more than {MAX_REDIRECTS}")

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # what comes is as long as it says
            "User-Agent": "voicebridge",
            "Idempotency-Key": quote(key, safe=":"),  # the model's server makes a part of it
            TIMESTAMP_HEADER: timestamp,
        }
        if self._secret:
            headers[SIGNATURE_HEADER] = sign(self._secret, timestamp, body)
        return headers


async def _result(response: httpcore.Response) -> str:
    """The result in a response, as JSON text without spaces."""
    if not httpx.codes.is_success(response.status):
        message = f"the function answered with HTTP status {response.status}"
        raise FunctionFailedError("status", message, detail=str(response.status))
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > MAX_RESULT_BYTES:
            raise too_large()
    if response.status == _NO_CONTENT:
        return "null"
    try:
        msgspec.json.decode(body)  # `format` below does not check everything
        return msgspec.json.format(bytes(body), indent=-1).decode()
    except (ValueError, RecursionError) as error:
        raise not_json(type(error).__name__) from None


def _redirected(url: httpx.URL, response: httpcore.Response) -> httpx.URL:
    """Where a redirect leads."""
    location = next((value for name, value in response.headers if name.lower() == b"location"), b"")
    try:
        target = url.join(location.decode("latin-1"))
    except httpx.InvalidURL:
        raise _bad_redirect("an address that is none") from None
    if not location or target.scheme not in ("http", "https") or not target.host:
        raise _bad_redirect("an address that is none")
    if url.scheme == "https" and target.scheme != "https":
        raise _bad_redirect("from https to http")
    return target


def _bad_redirect(what: str) -> FunctionFailedError:
    return FunctionFailedError("redirected", "the function's address redirects where nobody may follow", detail=what)


def _call(call: CallInfo) -> Json:
    """What the receiver is told about the call."""
    return {
        "sid": call.call_sid,
        "from": call.from_number,
        "to": call.to_number,
        "direction": call.direction,
        "agent": call.agent,
        "parameters": call.parameters,
    }


def _references(schema: object) -> Iterator[str]:
    """Every `$ref` in a schema."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _check_reference(reference: str, schema: Json, *, key: str) -> None:
    resource = DRAFT202012.create_resource(schema)
    try:
        Registry().resolver_with_root(resource).lookup(reference)
    except Unresolvable:
        message = f"refers to {reference!r}, which is not in it: write it under $defs"
        raise ConfigurationError(message, key=key) from None
