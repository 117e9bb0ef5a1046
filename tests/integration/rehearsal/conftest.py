"""A small real bridge for the simulated carrier: Quart on Hypercorn, with documents and a stream of the test's own."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, Response, request, websocket
from twilio.request_validator import RequestValidator

from bridge.clock import Clock
from bridge.rehearsal.carrier import Callee, Carrier

ACCOUNT = "AC" + "0" * 32
TOKEN = "a-rehearsed-token"
PUBLIC = "https://bridge.test"
Form = dict[str, str]
Document = str | bytes | Callable[[Form], str]


class Stream:
    """The bridge's end of one media stream: what came, and the means to answer."""

    def __init__(self) -> None:
        self.received: list[dict[str, object]] = []
        self.sid = ""

    def of(self, event: str) -> list[dict[str, object]]:
        """The messages of one kind that have come."""
        return [message for message in self.received if message["event"] == event]

    def sound(self) -> bytes:
        """The caller's sound that has come, frames joined without regard to their timestamps."""
        payloads = [message["media"] for message in self.of("media")]
        return b"".join(base64.b64decode(media["payload"]) for media in payloads if isinstance(media, dict))

    async def receive(self) -> dict[str, object]:
        """The next message."""
        message: dict[str, object] = json.loads(await websocket.receive())
        self.received.append(message)
        if message["event"] == "start":
            self.sid = str(message["streamSid"])
        return message

    async def until(self, event: str) -> dict[str, object]:
        """The next message of that kind."""
        while (message := await self.receive())["event"] != event:
            pass
        return message

    async def play(self, sound: bytes) -> None:
        """Send sound."""
        await self.send(event="media", media={"payload": base64.b64encode(sound).decode()})

    async def mark(self, name: str) -> None:
        """Send a mark."""
        await self.send(event="mark", mark={"name": name})

    async def clear(self) -> None:
        """Send a clear."""
        await self.send(event="clear")

    async def send(self, **message: object) -> None:
        """Send any message, for this stream unless it says for which."""
        await websocket.send(json.dumps({"streamSid": self.sid} | message))


class Bridge:
    """Answers webhooks from `documents` (path to TwiML, a function of the form, or sound), and streams by `talk`.

    Attributes:
        requests: path and form of each webhook, in order.
        unsigned: the URLs of requests and handshakes whose signature was wrong; they got 403.
        streams: each media stream there was.
    """

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.content_type = "text/xml"
        self.before_answering: Callable[[], Awaitable[None]] | None = None
        self.requests: list[tuple[str, Form]] = []
        self.unsigned: list[str] = []
        self.streams: list[Stream] = []
        self.talk: Callable[[Stream], Awaitable[object]] = lambda stream: stream.until("stop")
        self.url = ""
        self._validator = RequestValidator(TOKEN)

    def forms(self, path: str) -> list[Form]:
        """The forms posted to a path, in order."""
        return [form for each, form in self.requests if each == path]

    def app(self) -> Quart:
        """The HTTP application."""
        app = Quart("bridge")
        app.add_url_rule("/<path:path>", "webhook", self._webhook, methods=["GET", "POST"])
        app.add_websocket("/media", "media", self._media)
        return app

    async def _webhook(self, path: str) -> Response:
        form = await request.form
        query = f"?{request.query_string.decode()}" if request.query_string else ""
        url = f"{PUBLIC}/{path}{query}"
        if not self._validator.validate(url, form, request.headers.get("X-Twilio-Signature", "")):
            self.unsigned.append(url)
            return Response("", 403)
        self.requests.append((f"/{path}", form.to_dict() | request.args.to_dict()))
        document = self.documents.get(f"/{path}")
        if document is None:
            return Response("", 204 if "status" in path else 404)
        if self.before_answering is not None:
            await self.before_answering()
        if isinstance(document, bytes):
            return Response(document, 200, content_type="audio/wav")
        text = document if isinstance(document, str) else document(form.to_dict())
        return Response(text, 200, content_type=self.content_type)

    async def _media(self) -> None:
        url = f"wss://bridge.test{websocket.path}"
        # The validator's own variants of a wss URL end in port 80; the signature is over the URL as it stands.
        if self._validator.compute_signature(url, {}) != websocket.headers.get("X-Twilio-Signature"):
            self.unsigned.append(url)
            await websocket.close(1008)
            return
        await websocket.accept()
        stream = Stream()
        self.streams.append(stream)
        await self.talk(stream)


@asynccontextmanager
async def serving(app: Quart) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback address; gives its base URL."""
    stop = asyncio.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 0.1
    config.accesslog = config.errorlog = None
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield url
    finally:
        stop.set()
        await server


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    """A bridge that listens."""
    bridge = Bridge()
    async with serving(bridge.app()) as bridge.url:
        yield bridge


@pytest.fixture
async def carrier(bridge: Bridge) -> AsyncIterator[Carrier]:
    """A carrier at ten times real time, connected to the bridge, with somebody at +15557654321."""
    async with Carrier(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        clock=Clock(10),
        to=bridge.url,
        destinations={"+15557654321": Callee()},
    ) as carrier:
        yield carrier
