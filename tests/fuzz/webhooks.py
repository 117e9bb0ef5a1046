"""Requests to the webhooks and the operator API, read from bytes: what is sent, and what must hold for the answers.

Requests of one input are told apart by a line of dashes, and are about the same call. Each is a line of which the
first three bytes choose (route, way and kind of content) and the rest is the path's end and the query; a line that is
a signature, a token or the end of a content type; and the body. To `/media` goes no request: the media stream comes,
with its own token or with that of the second line, and the lines of the body are what it says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from string import printable
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_from_bytes
from xml.etree import ElementTree as ET

from quart import Response
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from tests.chaos.virtual import VirtualLoop
from tests.fuzz.house import ADMIN_TOKEN, AUTH_TOKEN, PUBLIC_URL, House
from twiml.signature import SETTINGS_HEADER, SIGNATURE_HEADER

BETWEEN = b"\n----\n"
MAX_REQUESTS = 8
CALL_SID = "CA0123456789abcdef0123456789abcdef"
"""Stands for the call of an input: each input has a call of its own."""
THE_ATTEMPT = b"attempt=1"
"""Stands for the transfer of an input."""
MAX_STREAM_BYTES = 4096
"""Of what a stream says: more is the matter of another target."""
RENEWED_AFTER = 5000
"""Inputs after which virtual time begins anew: half a year on, a float is coarser than the nanosecond that asyncio
adds, and a timer that is just due never is."""
ANSWER_WITHIN_S = 12.0
"""Of virtual time: the desk's own limit, and the carrier's patience less a little."""
DESK_ROUTES = ("answer", "after-stream", "transfer-result", "whisper", "fallback", "call-status", "stream-status",
               "machine-detection", "recording-status")  # fmt: skip
ROUTES = (*(f"/twiml/{name}" for name in DESK_ROUTES), "/api/calls", "/api/calls/{}", "/api/calls/{}/say",
          "/api/calls/{}/transfer", "/api/calls/{}/hang-up", "/api/openapi.json", "/media")  # fmt: skip
RIGHT, GET, MANIFOLD, INSECURE, SHARED_KEY, REPLAYED = (1 << bit for bit in range(6))
"""Ways of a request: signed as the carrier would, or with the operator's token; GET; the body 64 times; at the door
that believes everybody; signed with a shared key; sent twice."""
FORM, FORM_AND_MORE, JSON, ANY = range(4)
"""Kinds of content: a form; with more behind its type; JSON; whatever the second line says."""
_FORM_TYPE = "application/x-www-form-urlencoded"
_SHARED_KEY_SETTINGS = "key=webhooks_sharedkey_0,algorithm=HMAC_SHA256"
_UNAVAILABLE = {"full", "draining", "model_down", "no_records"}
"""Why the operator may be told that something cannot be had now."""
_numbers = count(1)


class Request(NamedTuple):
    """One request, as the bytes have it."""

    route: str
    way: int
    kind: int
    target: bytes
    line: str
    body: bytes

    @classmethod
    def read(cls, data: bytes) -> Request:
        """Any bytes are a request."""
        head, _, rest = data.partition(b"\n")
        line, _, body = rest.partition(b"\n")
        route, way, kind = head[:3].ljust(3, b"0")
        is_manifold = bool(way & MANIFOLD)
        return cls(
            ROUTES[(route - ord("a")) % len(ROUTES)],
            way,
            kind % 4,
            head[3:],
            "".join(chr(byte) for byte in line if chr(byte).isprintable()),
            body * (64 if is_manifold else 1),
        )

    @property
    def is_for_operators(self) -> bool:
        """Whether it goes to the API."""
        return self.route.startswith("/api")

    @property
    def url(self) -> str:
        """Path and query, percent-encoded as far as HTTP asks for it."""
        end, _, query = self.target.partition(b"?")
        path = self.route.format(quote_from_bytes(end, safe="") or "none")
        if not self.is_form and self.is_signed and b"bodySHA256" not in query:
            query += b"&bodySHA256=" + hashlib.sha256(self.body).hexdigest().encode()
        return f"{path}?{quote_from_bytes(query, safe=printable)}" if query else path

    @property
    def is_signed(self) -> bool:
        """Whether the carrier has signed it."""
        return bool(self.way & RIGHT) and not self.is_for_operators

    @property
    def content_type(self) -> str:
        """What it says of its body."""
        return (_FORM_TYPE, f"{_FORM_TYPE}; charset={self.line}", "application/json", self.line)[self.kind]

    @property
    def is_form(self) -> bool:
        """Whether its body is signed field by field."""
        return self.content_type.partition(";")[0].strip().lower() == _FORM_TYPE

    @property
    def headers(self) -> dict[str, str]:
        """All that it sends beside its body."""
        shown = {"Content-Type": self.content_type}
        if self.is_for_operators:
            return shown | {"Authorization": f"Bearer {ADMIN_TOKEN}" if self.way & RIGHT else self.line}
        if self.way & SHARED_KEY:
            shown[SETTINGS_HEADER] = _SHARED_KEY_SETTINGS if self.is_signed else self.line
        return shown | {SIGNATURE_HEADER: self._signature() if self.is_signed else self.line}

    def _signature(self) -> str:
        """As the vendor's own package signs."""
        form: MultiDict[str, str] = MultiDict()
        if self.is_form:
            form = MultiDict(parse_qsl(self.body.decode("latin-1"), keep_blank_values=True))
        algorithm = "HMAC_SHA256" if self.way & SHARED_KEY else None
        return str(RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + self.url, form, algorithm))


def webhooks(data: bytes) -> list[int]:
    """Some requests about one call, and then all the time that it may take; the statuses of the answers."""
    number = next(_numbers)
    if number % RENEWED_AFTER == 0:
        _close()
    _, houses = _houses()
    call_sid = f"CA{number:032x}"
    requests = [Request.read(one) for one in data.replace(CALL_SID.encode(), call_sid.encode()).split(BETWEEN)]
    statuses = []
    for request in requests[:MAX_REQUESTS]:
        house = houses[bool(request.way & INSECURE)]
        house.meet(call_sid)
        statuses += [_ask(house, request, call_sid) for _ in range(2 if request.way & REPLAYED else 1)]
        house.wait()
    for house in houses.values():
        house.leave()
    return statuses


def _ask(house: House, request: Request, call_sid: str) -> int:
    loop, _ = _houses()
    if request.route == "/media":
        return 101 if loop.run_until_complete(_stream(house, request, call_sid)) else 403
    request = request._replace(target=request.target.replace(THE_ATTEMPT, b"attempt=" + house.attempt))
    began = len(house.desk.calls)
    answer = loop.run_until_complete(asyncio.wait_for(_send(house, request), ANSWER_WITHIN_S))
    status, body = answer
    is_believed = bool(request.way & RIGHT) or (bool(request.way & INSECURE) and not request.is_for_operators)
    if not is_believed:
        assert status in (400, 401, 403, 404, 405, 413), status
        assert began == len(house.desk.calls), "whoever is not believed has nothing begun"
    if status >= 400:
        error = json.loads(body)["error"]
        assert error["message"]
        assert status < 500 or error["code"] in _UNAVAILABLE, error
    elif not request.is_for_operators and status != 204:
        assert ET.fromstring(body).tag == "Response"  # noqa: S314 - our own document
        house.offered(body.decode())
    return status


async def _stream(house: House, request: Request, call_sid: str) -> bool:
    messages = request.body[:MAX_STREAM_BYTES].decode(errors="replace").splitlines()
    return house.stream(call_sid, messages, token=None if request.way & RIGHT else request.line)


async def _send(house: House, request: Request) -> tuple[int, bytes]:
    ask = house.client.get if request.way & GET else house.client.post
    answer = await ask(request.url, headers=request.headers, data=request.body)
    assert isinstance(answer, Response)
    return answer.status_code, await answer.get_data(as_text=False)


@cache
def _houses() -> tuple[VirtualLoop, dict[bool, House]]:
    loop = VirtualLoop()
    houses = {insecure: House(loop, insecure=insecure) for insecure in (False, True)}
    logging.disable(logging.CRITICAL)
    return loop, houses


@contextmanager
def closed() -> Iterator[None]:
    """Let go of the houses at the end of the block."""
    yield
    if _houses.cache_info().currsize:
        _close()


def _close() -> None:
    loop, houses = _houses()
    for house in houses.values():
        house.close()
    loop.close()
    _houses.cache_clear()
    logging.disable(logging.NOTSET)
