"""Whether a request came from Twilio: signatures of webhooks and of the media stream's handshake. Pure.

Twilio signs the URL it was told to request, not the one a server behind a proxy sees. So the URL is built from the
configured public address and the raw target of the request; no header of the request has a say in it.

Sources: Twilio `docs/usage/security`; `twilio.request_validator` 9.13.0, whose signing is used, while its comparison
(which raises for some bodies, knows no `wss` port and breaks IPv6 addresses) is not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import (
    SIGNATURE_HEADER,
    RequestValidator,
    get_signature_algorithm,
)
from twilio.request_validator import SIGNATURE_SETTINGS_HEADER as SETTINGS_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SETTINGS_HEADER", "SIGNATURE_HEADER", "Reason", "Validator", "Verdict", "raw_target"]

_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_MEDIA_SCHEMES = {"https": ("wss",), "wss": ("wss",), "http": ("wss", "ws"), "ws": ("ws",)}
"""How a stream's address may begin; it is always written as wss, also where a rehearsal's webhooks come over http."""


class Reason(StrEnum):
    """Why a request was believed or refused: a closed list, to be counted."""

    VALID = "valid"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_WRONG = "signature_wrong"
    ALGORITHM_UNKNOWN = "signature_algorithm_unknown"
    BODY_HASH_MISSING = "body_hash_missing"
    BODY_HASH_WRONG = "body_hash_wrong"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found; true only when the request is Twilio's."""

    reason: Reason

    def __bool__(self) -> bool:
        return self.reason is Reason.VALID


def raw_target(raw_path: bytes, query_string: bytes) -> str:
    """Return the request's path and query exactly as they came: percent-encoding, slashes and order untouched.

    Args:
        raw_path: `raw_path` of the ASGI scope, without the query.
        query_string: `query_string` of the ASGI scope.
    """
    target = raw_path + b"?" + query_string if query_string else raw_path
    return target.decode("latin-1")


class Validator:
    """Checks webhooks and media handshakes against the account's auth tokens; never raises for a bad request.

    Args:
        auth_tokens: the primary token and, while tokens are rotated, the secondary; any of them is accepted. An API
            key's secret does not sign anything.
        public_url: where Twilio reaches this service, `https://host[:port][/base]`. A proxy that serves it under a base
            path takes that path off before it passes the request on.
        media_url: the same for the media stream, `wss://…`, where it differs.

    Raises:
        ValueError: there is no token, or a URL is not one that Twilio could be given.
    """

    def __init__(self, auth_tokens: Sequence[str], public_url: str, media_url: str = "") -> None:
        if isinstance(auth_tokens, str) or not auth_tokens or not all(auth_tokens):
            raise ValueError("Signatures need a sequence of auth tokens, none of them empty.")
        self._signers = [RequestValidator(token) for token in auth_tokens]
        self._webhook_bases = _spellings(public_url, ("https", "http"))
        scheme, _, rest = (media_url or public_url).partition("://")
        schemes = _MEDIA_SCHEMES.get(scheme, (scheme,))
        self._media_bases = tuple(base for one in schemes for base in _spellings(f"{one}://{rest}", ("wss", "ws")))

    def renew(self, auth_tokens: Sequence[str]) -> None:
        """Accept these tokens from now on, for instance a new one and, for what is under way, the one before."""
        self._signers = [RequestValidator(token) for token in auth_tokens if token]

    def check_webhook(
        self, target: str, content: Mapping[str, str] | bytes, *, signature: str, settings: str = ""
    ) -> Verdict:
        """Check an HTTP request.

        Args:
            target: `raw_target` of the request.
            content: the form's values (a `MultiDict` keeps repeated ones, which are signed too), or the body's bytes
                when it is no form; `b""` for a request without a body.
            signature: the header `X-Twilio-Signature`; empty when it is missing.
            settings: the header `X-Twilio-Webhooks-Signature-Settings`, which names the algorithm of a shared key.
        """
        if not isinstance(content, bytes):
            return self._compare(self._webhook_bases, target, content, signature, settings)
        fault = _body_fault(target, content)
        return Verdict(fault) if fault else self._compare(self._webhook_bases, target, {}, signature, settings)

    def check_handshake(self, target: str, *, signature: str, settings: str = "") -> Verdict:
        """Check the upgrade request of a media stream: signed over the `wss` URL that stood in `<Stream url>`.

        After this call you must answer a false verdict with 403 before the socket is accepted.
        """
        return self._compare(self._media_bases, target, {}, signature, settings)

    def _compare(
        self, bases: Sequence[str], target: str, form: Mapping[str, str], signature: str, settings: str
    ) -> Verdict:
        if not signature:
            return Verdict(Reason.SIGNATURE_MISSING)
        algorithm = get_signature_algorithm(settings)
        given = signature.encode("utf-8", "replace")
        expected = (s.compute_signature(base + target, form, algorithm) for s in self._signers for base in bases)
        try:  # as far as the first that matches: which spelling was signed is no secret
            is_right = any(hmac.compare_digest(one.encode(), given) for one in expected)
        except UnicodeEncodeError:  # a lone surrogate: nothing that was sent as UTF-8
            return Verdict(Reason.MALFORMED)
        except ValueError:
            return Verdict(Reason.ALGORITHM_UNKNOWN)
        return Verdict(Reason.VALID if is_right else Reason.SIGNATURE_WRONG)


def _body_fault(target: str, body: bytes) -> Reason | None:
    """A body that is no form is signed through its SHA-256, which Twilio adds to the URL as `bodySHA256`."""
    stated = parse_qs(target.partition("?")[2]).get("bodySHA256")
    if stated is None:
        return Reason.BODY_HASH_MISSING if body else None
    actual = hashlib.sha256(body).hexdigest()
    same = hmac.compare_digest(actual.encode(), stated[0].encode("utf-8", "replace"))
    return None if same else Reason.BODY_HASH_WRONG


def _spellings(url: str, schemes: tuple[str, ...]) -> tuple[str, str]:
    """A base URL without and with its port: senders write the default port, or leave out any, as they please."""
    parts = urlsplit(url)
    authority = re.fullmatch(r"(?P<host>\[[^\]@]+\]|[^:@\[\]]+)(?::(?P<port>\d{1,5}))?", parts.netloc)
    if parts.scheme not in schemes or not authority or parts.query or parts.fragment:
        raise ValueError(f"The address that Twilio is given must read {schemes[0]}://host[:port][/path], not {url!r}.")
    host, port = authority["host"], authority["port"] or _DEFAULT_PORTS[parts.scheme]
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{host}{path}", f"{parts.scheme}://{host}:{port}{path}"
