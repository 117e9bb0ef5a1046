"""Asks the bridge behind an address how a request arrived, and says what an answer that is not the bridge's may mean.

The other side is `bridge.probe`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx

from bridge.doctor.context import unchecked_tls
from bridge.doctor.signatures import signed
from bridge.probe import HEADER, HTTP_PATH, answering, asking
from twiml.signature import SIGNATURE_HEADER

if TYPE_CHECKING:
    from bridge.doctor.context import Context

QUERY = "z=1&a=2&empty=&text=a%2Fb%7ec%20d&text=2"
"""What a proxy that means well brings into another form: order, a repeated name, an empty one, escapes."""
FORM = {"Text": "a+b & c=é", "Empty": "", "From": "+15550100001"}


class NotReachedError(Exception):
    """Nobody, or somebody else, answered: what was seen, and the way out."""

    def __init__(self, message: str, way_out: str) -> None:
        self.way_out = way_out
        super().__init__(message)


@dataclass(frozen=True)
class Arrival:
    """How a request arrived at a bridge that knows the auth token."""

    identity: str
    public_url: str
    target: str
    method: str
    host: str
    scheme: str
    signature: str
    is_same_body: bool
    took_s: float
    encoding: str
    """In which the answer came back."""


def proof_headers(context: Context, url: str, form: dict[str, str] | None = None) -> tuple[str, dict[str, str]]:
    """A new nonce, and the headers of a request that shows who asks and is signed as Twilio signs."""
    nonce = secrets.token_hex(8)
    return nonce, {
        HEADER: asking(context.auth_token, nonce),
        SIGNATURE_HEADER: signed(context.auth_token, url, form),
        "User-Agent": "TwilioProxy/1.1",
    }


def is_proved(context: Context, nonce: str, seen: object) -> bool:
    """Whether an answer came from a bridge that knows the auth token."""
    if not isinstance(seen, dict):
        return False
    expected = answering(context.auth_token, nonce, str(seen.get("identity", "")))
    return hmac.compare_digest(str(seen.get("proof", "")).encode(), expected.encode())


async def ask(context: Context, base: str, http: httpx.AsyncClient) -> Arrival:
    """Send a webhook as Twilio would, to the probe's path under an address.

    Raises:
        NotReachedError: no bridge that knows the auth token answered.
    """
    url = f"{base.rstrip('/')}{HTTP_PATH}?{QUERY}"
    nonce, headers = proof_headers(context, url, FORM)
    body = urlencode(FORM).encode()
    headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
    begun = context.clock.now()
    try:
        answer = await http.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise _unreached(error, base) from error
    took_s = context.clock.now() - begun
    seen = _json(answer.content)
    if not is_proved(context, nonce, seen):
        raise answered(answer.status_code, answer.headers.get("location", ""))
    return Arrival(
        **{key: str(seen.get(key, "")) for key in ("identity", "public_url", "target", "method", "host", "scheme")},
        signature=str(seen.get("signature", "")),
        is_same_body=seen.get("body_sha256") == hashlib.sha256(body).hexdigest(),
        took_s=took_s,
        encoding=answer.headers.get("content-encoding", ""),
    )


def client() -> httpx.AsyncClient:
    """For what is asked of the public address; each request is bounded by its check, and redirects are not followed."""
    return httpx.AsyncClient(verify=unchecked_tls(), timeout=None, trust_env=False)  # noqa: S113 - see the docstring


def answered(status: int, location: str = "") -> NotReachedError:
    """What it means that somebody else answered with an HTTP status."""
    if 300 <= status < 400:  # noqa: PLR2004 - redirections
        where = location.partition("?")[0] or "another address"
        return NotReachedError(
            f"the public address redirects to {where}",
            "set server.public_url to where it leads in the end: a redirected webhook loses its form and its signature",
        )
    meaning = {
        401: ("asks for a password", "take it off for /twiml and /media: Twilio proves itself by its signature"),
        403: ("forbids it", "let /twiml and /media pass the firewall in front: Twilio comes from any address"),
        404: (
            "answers, and no bridge with this auth token is behind it",
            "let it pass /twiml and /media to server.port; and run the bridge with the settings that doctor gets",
        ),
        429: ("limits the rate", "take the limit off for /twiml and /media"),
        502: ("answers, and cannot reach the bridge", "start the bridge, and let the proxy pass on to server.port"),
        503: ("answers, and has no bridge to pass on to", "start the bridge, or see the proxy's health check"),
        504: (
            "answers, and waits for the bridge in vain",
            "see whether the proxy passes on to the right host and port",
        ),
    }
    fault, way_out = meaning.get(
        status, ("answers itself", "let it pass /twiml and /media to server.port, changed in nothing")
    )
    return NotReachedError(f"something at the public address {fault} (HTTP {status})", way_out)


def _unreached(error: httpx.HTTPError, base: str) -> NotReachedError:
    host = httpx.URL(base).host
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return NotReachedError(f"the name {host} leads nowhere", "add it to the DNS, or correct server.public_url")
        if isinstance(cause, ssl.SSLError):
            return NotReachedError(f"no TLS with {host}", "let what serves it speak TLS 1.2 or newer on that port")
        if isinstance(cause, ConnectionRefusedError):
            return NotReachedError(
                f"nobody listens at {host}", "start what should: the proxy, the tunnel, or the bridge itself"
            )
        cause = cause.__cause__ or cause.__context__
    return NotReachedError(
        f"the connection to {host} failed ({type(error).__name__})",
        "see what lies between: a firewall, a proxy's limit",
    )


def _json(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
