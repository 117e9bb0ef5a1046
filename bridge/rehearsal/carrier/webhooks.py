"""Requests from the carrier to the bridge: signed for the public URL, sent to where the bridge really is.

Stands for Twilio's HTTP client and for the TLS proxy in front of the bridge. Sources: Twilio's pages on
security and on the errors 11200, 11205, 11217, 11750 and 12300.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

import httpx
from twilio.request_validator import RequestValidator

from bridge.rehearsal.carrier.records import Exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.clock import Clock
    from bridge.rehearsal.carrier.records import Params

TIMEOUT_S = 15.0
MAX_TWIML_BYTES = 64 * 1024
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_WITHOUT_TLS = {"wss": "https", "ws": "http"}


class WebhookError(Exception):
    """A request that brought nothing usable; `code` is Twilio's number for the failure."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer below status 400."""

    content_type: str
    body: bytes


class Addresses:
    """Which public host is really where: by name and port, and for streams by what is said of `wss:` first."""

    def __init__(self) -> None:
        self._real: dict[tuple[str, str, int], SplitResult] = {}

    def route(self, public: str, real: str) -> None:
        """Send what is meant for the host of `public` to the host of `real` (`http://host:port` or `https://…`).

        With `wss://` it is media streams alone, as a proxy does that has a port for them behind the same name.
        """
        self._real[_origin(urlsplit(public))] = urlsplit(real)

    def find(self, url: str) -> SplitResult | None:
        """The real host for a public URL; None where it is nobody's."""
        kind, name, port = _origin(urlsplit(url))
        return self._real.get((kind, name, port)) or self._real.get(("https", name, port))


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    kind = "wss" if parts.scheme in _WITHOUT_TLS else "https"
    return (kind, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


class Webhooks:
    """Makes the carrier's requests and writes each down in `record`. Close it after use."""

    def __init__(self, *, auth_token: str, clock: Clock, record: list[Exchange], addresses: Addresses) -> None:
        self._validator = RequestValidator(auth_token)
        self._clock = clock
        self._record = record
        self._addresses = addresses
        self._client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 - the limit is in seconds of the clock

    async def aclose(self) -> None:
        """Close the connections that are kept open."""
        await self._client.aclose()

    def sign(self, url: str, params: Mapping[str, object] | None = None) -> str:
        """The value of X-Twilio-Signature for a request to that public URL."""
        return str(self._validator.compute_signature(url, _Fields(params or {})))

    async def request(self, kind: str, url: str, params: Params, method: str = "POST") -> Answer:
        """Make one request and wait for its answer. Raises WebhookError."""
        if method == "GET" and params:
            url = _with_query(url, params)
        exchange = Exchange(self._clock.now(), "carrier", kind, method, url, params)
        self._record.append(exchange)
        try:
            return await self._send(exchange)
        except WebhookError as error:
            exchange.answer = exchange.answer or str(error)
            raise

    async def _send(self, exchange: Exchange) -> Answer:
        request = self._build(exchange)
        try:
            async with self._clock.timeout(TIMEOUT_S):
                response = await self._client.send(request)
        except TimeoutError:
            raise WebhookError(11205, f"no answer within {TIMEOUT_S:.0f} s from {exchange.url}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WebhookError(11200, f"{exchange.url} could not be reached: {error!r}") from error
        exchange.status, exchange.answer = response.status_code, response.text
        if response.is_error:
            raise WebhookError(11217, f"{exchange.url} answered {response.status_code}")
        if not response.is_success:
            raise WebhookError(11200, f"{exchange.url} answered {response.status_code}; give the final address instead")
        return Answer(response.headers.get("content-type", "").partition(";")[0].strip().lower(), response.content)

    def _build(self, exchange: Exchange) -> httpx.Request:
        parts = urlsplit(exchange.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise WebhookError(11100, f"{exchange.url!r} is no absolute URL of a website")
        real = self._addresses.find(exchange.url)
        if real is None:
            raise WebhookError(11210, f"the host of {exchange.url} is not known here")
        is_form = exchange.method != "GET"
        headers = {
            "Host": parts.netloc,
            "X-Forwarded-Proto": parts.scheme,
            "X-Twilio-Signature": self.sign(exchange.url, exchange.params if is_form else None),
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        if is_form:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        target = urlunsplit((real.scheme, real.netloc, parts.path or "/", parts.query, ""))
        body = urlencode(exchange.params, doseq=True).encode() if is_form else None
        return self._client.build_request(exchange.method, target, headers=headers, content=body)


class _Fields(dict[str, object]):
    """A form as the validator reads one: several values under one name."""

    def getlist(self, name: str) -> list[object]:
        value = self[name]
        return value if isinstance(value, list) else [value]


def _with_query(url: str, params: Params) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(params, doseq=True)) if part)
    return urlunsplit(parts._replace(query=query))


def without_tls(scheme: str) -> str:
    """The HTTP scheme that a WebSocket scheme upgrades from."""
    return _WITHOUT_TLS.get(scheme, scheme)
