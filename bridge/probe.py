"""Tells `voicebridge doctor` how a request of its own arrived here: `/twiml/probe` and `/media/probe`.

What lies between Twilio and a bridge may change a request, keep it, or answer it itself; from outside one sees only
that it failed. Here the bridge says what it got. It says so to nobody but who knows the account's auth token: a request
shows an HMAC of its nonce, and so does the answer, so that nobody else can stand in for the bridge either. To everybody
else there is nothing at these addresses.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from quart import Blueprint, Response, abort, request, websocket
from werkzeug.datastructures import MultiDict

from bridge.edge import bodies
from bridge.edge.window import window_of
from twiml.signature import SETTINGS_HEADER, SIGNATURE_HEADER, raw_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.datastructures import Headers

    from bridge.clock import Clock
    from twiml.signature import Validator, Verdict

HEADER = "X-Voicebridge-Probe"
HTTP_PATH, SOCKET_PATH = "/twiml/probe", "/media/probe"
ECHO = "echo "
"""What a message begins with that is sent back; any other is only read."""
HELD_MAX_S = 300.0
"""How long a socket may be held open."""
AT_ONCE_MAX = 8
_BODY_MAX_BYTES = 64 * 1024
_READ_LIMIT_S = 3.0
_FORM = "application/x-www-form-urlencoded"


def asking(auth_token: str, nonce: str) -> str:
    """The header's value with which the doctor asks."""
    return f"{nonce}.{_mac(auth_token, f'probe:{nonce}')}"


def answering(auth_token: str, nonce: str, identity: str) -> str:
    """What the answer of a bridge with this token must show."""
    return _mac(auth_token, f"bridge:{nonce}:{identity}")


class Probe:
    """The two routes; register `blueprint()` with the application.

    Args:
        auth_token: gives the account's as it is now; not empty.
        public_url: where this bridge says it is.
        validator: checks signatures as for a call.
        clock: bounds how long a socket is held.
    """

    def __init__(self, auth_token: Callable[[], str], public_url: str, validator: Validator, clock: Clock) -> None:
        self.identity = secrets.token_hex(8)
        """Of this process, which tells it from others behind the same address."""
        self._auth_token = auth_token
        self._public_url = public_url
        self._validator = validator
        self._clock = clock
        self._held = 0

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("probe", __name__)
        routes.add_url_rule(HTTP_PATH, "http", self._answer, methods=["GET", "POST"], provide_automatic_options=False)
        # A proxy that takes the Upgrade header off makes of a handshake this:
        routes.add_url_rule(SOCKET_PATH, "not-upgraded", self._not_upgraded, provide_automatic_options=False)
        routes.add_websocket(SOCKET_PATH, "socket", self._serve)
        return routes

    async def _answer(self) -> Response:
        nonce = self._nonce(request.headers)
        body = await self._body()
        form = MultiDict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        verdict = self._validator.check_webhook(
            _target(request.scope),
            form if request.mimetype == _FORM else body,
            signature=request.headers.get(SIGNATURE_HEADER, ""),
            settings=request.headers.get(SETTINGS_HEADER, ""),
        )
        seen = self._seen(nonce, request.scope, request.headers, verdict)
        return _json(seen | {"method": request.method, "body_sha256": hashlib.sha256(body).hexdigest()})

    async def _not_upgraded(self) -> Response:
        nonce = self._nonce(request.headers)
        response = _json({"identity": self.identity, "proof": answering(self._auth_token(), nonce, self.identity)})
        response.status_code = 426
        return response

    async def _serve(self) -> None:
        nonce = self._nonce(websocket.headers)
        if self._held >= AT_ONCE_MAX:
            abort(503)
        verdict = self._validator.check_handshake(
            _target(websocket.scope),
            signature=websocket.headers.get(SIGNATURE_HEADER, ""),
            settings=websocket.headers.get(SETTINGS_HEADER, ""),
        )
        self._held += 1
        try:
            await websocket.accept()
            await websocket.send(json.dumps(self._seen(nonce, websocket.scope, websocket.headers, verdict)))
            await self._hold()
        finally:
            self._held -= 1

    async def _hold(self) -> None:
        """Say nothing unless asked to, so that what lies between sees a bot that listens."""
        window = window_of(websocket.scope)
        try:
            async with self._clock.timeout(HELD_MAX_S):
                while True:
                    message = await websocket.receive()
                    window.took()
                    if isinstance(message, str) and message.startswith(ECHO):
                        await websocket.send(message)
        except TimeoutError:
            await websocket.close(1000)

    def _nonce(self, headers: Headers) -> str:
        """The nonce of whoever knows the token; for everybody else there is nothing here."""
        nonce, _, proof = headers.get(HEADER, "").partition(".")
        expected = _mac(self._auth_token(), f"probe:{nonce}")
        if not nonce or not hmac.compare_digest(proof.encode("utf-8", "replace"), expected.encode()):
            abort(404)
        return nonce

    async def _body(self) -> bytes:
        try:
            return await bodies.read(request.body, self._clock, max_bytes=_BODY_MAX_BYTES, within_s=_READ_LIMIT_S)
        except bodies.TooLargeError:
            abort(413)
        except TimeoutError:
            abort(408)

    def _seen(
        self, nonce: str, scope: Mapping[str, object], headers: Headers, verdict: Verdict
    ) -> dict[str, str | list[str]]:
        return {
            "identity": self.identity,
            "proof": answering(self._auth_token(), nonce, self.identity),
            "public_url": self._public_url,
            "target": _target(scope),
            "host": headers.get("Host", ""),
            "scheme": headers.get("X-Forwarded-Proto", ""),
            "signature": verdict.reason.value,
        }


def _target(scope: Mapping[str, object]) -> str:
    path, query = scope["raw_path"], scope["query_string"]
    assert isinstance(path, bytes)  # noqa: S101 - of the ASGI scope
    assert isinstance(query, bytes)  # noqa: S101 - of the ASGI scope
    return raw_target(path, query)


def _json(body: Mapping[str, object]) -> Response:
    return Response(json.dumps(body), content_type="application/json", headers={"Cache-Control": "no-store"})


def _mac(auth_token: str, text: str) -> str:
    return hmac.new(auth_token.encode(), text.encode(), hashlib.sha256).hexdigest()
