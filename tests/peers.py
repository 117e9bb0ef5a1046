"""The two peers of a bridge, bare: they say and do just what a test tells them to, and keep what they are told."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from typing import Any, Self

import httpx
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support import ACCOUNT, CALLER, LINE, PUBLIC, TOKEN

Event = dict[str, Any]
WITHIN_S = 15.0
"""The longest wait for anything, as long as Twilio's for a webhook: on a busy machine all of it comes late."""
CLOSE_WITHIN_S = 1.0
"""Then a socket is dropped whose other end does not say goodbye."""
FRAME_BYTES = 160


class Inbox:
    """Messages in the order in which they came."""

    def __init__(self, kind: str) -> None:
        self.messages: list[Event] = []
        self._kind = kind
        self._came = asyncio.Event()

    def put(self, message: Event) -> None:
        """A message has come."""
        self.messages.append(message)
        self._came.set()

    def of(self, kind: str) -> list[Event]:
        """The messages of a kind."""
        return [message for message in self.messages if message[self._kind] == kind]

    def kinds(self) -> list[str]:
        """The kinds of all messages, in order."""
        return [message[self._kind] for message in self.messages]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the messages holds."""
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self._came.clear()
                await self._came.wait()

    async def first(self, kind: str) -> Event:
        """The first message of a kind; waits for it."""
        await self.until(lambda: bool(self.of(kind)))
        return self.of(kind)[0]


class Session(Inbox):
    """One session of a `Model`; `closed` is set when its socket is."""

    def __init__(self, socket: ServerConnection) -> None:
        super().__init__("type")
        self.closed = asyncio.Event()
        self._socket = socket

    async def say(self, kind: str, **fields: object) -> None:
        """Send an event."""
        await self._socket.send(json.dumps({"type": kind, "event_id": "event_1", **fields}))

    async def send(self, message: str | bytes) -> None:
        """Send anything."""
        await self._socket.send(message)

    async def speak(self, item_id: str, sound: bytes, *, delta_bytes: int = 1600) -> None:
        """Say a piece of an item of the response `resp_1`."""
        for start in range(0, len(sound), delta_bytes):
            delta = base64.b64encode(sound[start : start + delta_bytes]).decode()
            ids = {"response_id": "resp_1", "item_id": item_id, "output_index": 0, "content_index": 0}
            await self.say("response.output_audio.delta", **ids, delta=delta)

    def stop_reading(self) -> None:
        """Take nothing more from the socket; what comes fills the buffers on the way."""
        self._socket.transport.pause_reading()

    def heard(self) -> bytes:
        """All the sound that came."""
        return b"".join(base64.b64decode(message["audio"]) for message in self.of("input_audio_buffer.append"))

    async def close(self, code: int) -> None:
        """Close the socket."""
        await self._socket.close(code)

    async def run(self) -> None:
        """Keep what comes, until the socket is closed."""
        try:
            async for message in self._socket:
                self.put(json.loads(message))
        except ConnectionClosed:
            pass  # however it was closed
        finally:
            self.closed.set()


class Model:
    """A Realtime server that confirms sessions and is silent otherwise; an async context manager.

    Args:
        status: answers every handshake with this HTTP status instead.
        confirms: whether `session.updated` comes back as asked; if not, with PCM.
    """

    def __init__(self, *, status: int = 101, confirms: bool = True) -> None:
        self.sessions: list[Session] = []
        self.handshakes = 0
        self.headers: list[dict[str, str]] = []
        self._status = status
        self._confirms = confirms
        self._server: Server
        self._opened = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/realtime"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._answer, compression=None, close_timeout=CLOSE_WITHIN_S
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def session(self, number: int = 0) -> Session:
        """The session of that number, once it was configured."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.sessions) <= number:
                self._opened.clear()
                await self._opened.wait()
        session = self.sessions[number]
        await session.first("session.update")
        return session

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        self.headers.append(dict(request.headers.raw_items()))
        return None if self._status == 101 else connection.respond(self._status, "no")

    async def _serve(self, socket: ServerConnection) -> None:
        session = Session(socket)
        self.sessions.append(session)
        self._opened.set()
        confirming = asyncio.create_task(self._confirm(session))
        try:
            await session.say("session.created", session={"type": "realtime"})
            await session.run()
        finally:
            confirming.cancel()

    async def _confirm(self, session: Session) -> None:
        asked = (await session.first("session.update"))["session"]
        if not self._confirms:
            asked = asked | {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}}
        await session.say("session.updated", session=asked)


class Stream(Inbox):
    """The carrier's end of a media stream."""

    def __init__(self, socket: ClientConnection, stream_sid: str) -> None:
        super().__init__("event")
        self.socket = socket
        self.stream_sid = stream_sid
        self.frames = 0
        self._reading = asyncio.create_task(self._read())

    async def start(self, call_sid: str, token: str) -> None:
        """Say `connected` and `start`."""
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {
            "accountSid": ACCOUNT,
            "streamSid": self.stream_sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": form,
            "customParameters": {"token": token},
        }
        await self.send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self.stream_sid})

    async def send(self, message: Event | str | bytes) -> None:
        """Send anything; a dict as JSON."""
        await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def speak(self, sound: bytes) -> None:
        """Send sound in frames of 20 ms, all at once."""
        for start in range(0, len(sound), FRAME_BYTES):
            payload = base64.b64encode(sound[start : start + FRAME_BYTES]).decode()
            media = {"track": "inbound", "chunk": "1", "timestamp": str(self.frames * 20), "payload": payload}
            self.frames += 1
            await self.send({"event": "media", "sequenceNumber": "2", "media": media, "streamSid": self.stream_sid})

    async def reach(self, mark: str) -> None:
        """Return a mark."""
        await self.send({"event": "mark", "sequenceNumber": "3", "mark": {"name": mark}, "streamSid": self.stream_sid})

    def heard(self) -> bytes:
        """All the sound that came, as if nothing had been cleared."""
        return b"".join(base64.b64decode(message["media"]["payload"]) for message in self.of("media"))

    async def closed(self) -> int:
        """Wait until the bridge has closed the socket; its close code, 1006 without a closing handshake."""
        async with asyncio.timeout(WITHIN_S):
            await self.socket.wait_closed()
        return self.socket.close_code or 1006

    async def hang_up(self) -> None:
        """Say `stop`, and close."""
        await self.send({"event": "stop", "sequenceNumber": "9", "stop": {}, "streamSid": self.stream_sid})
        await self.socket.close()

    def stop_reading(self) -> None:
        """Take nothing more; what comes fills the buffers on the way."""
        self._reading.cancel()

    async def leave(self) -> None:
        """Put everything away."""
        await self.socket.close()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                self.put(json.loads(message))
        except ConnectionClosed:
            pass  # `closed` tells how


class Twilio:
    """The carrier, request by request; an async context manager. Signs with the account's token, or another.

    Args:
        bridge_url: where webhooks go.
        media_url: where media streams really go, whatever the document says.
    """

    def __init__(self, bridge_url: str, media_url: str) -> None:
        self._bridge_url = bridge_url
        self._media_url = media_url
        self._http = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(WITHIN_S, pool=None))
        self._streams: list[Stream] = []
        self.rings = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stream in self._streams:
            await stream.leave()
        await self._http.aclose()

    async def post(self, path: str, auth_token: str = TOKEN, origin: str = "", **form: str) -> httpx.Response:
        """Make a webhook request, signed for the public URL; with an `origin`, as a browser does for a page."""
        signature = RequestValidator(auth_token).compute_signature(f"{PUBLIC}{path}", form)
        headers = {"X-Twilio-Signature": str(signature)} | ({"Origin": origin} if origin else {})
        return await self._http.post(f"{self._bridge_url}{path}", data=form, headers=headers)

    async def get(self, path: str) -> httpx.Response:
        """Ask something that needs no signature."""
        return await self._http.get(f"{self._bridge_url}{path}")

    async def ring(self, call_sid: str, from_: str = "") -> tuple[str, str]:
        """Announce a call; the stream's URL and token."""
        self.rings += 1
        from_ = from_ or f"{CALLER[:-4]}{self.rings:04}"  # one caller may not call too often
        form = {"CallSid": call_sid, "AccountSid": ACCOUNT, "From": from_, "To": LINE, "CallStatus": "ringing"}
        answer = (await self.post("/twiml/answer", **form, Direction="inbound", ApiVersion="2010-04-01")).text
        url, token = re.search(r'url="([^"]+)"', answer), re.search(r'name="token" value="([^"]+)"', answer)
        assert url, answer
        assert token, answer
        return url[1], token[1]

    async def connect(self, url: str, call_sid: str, *, auth_token: str = TOKEN) -> Stream:
        """Open the socket of a media stream. Raises `websockets.exceptions.InvalidStatus` when that is refused."""
        path = "/" + url.split("/", 3)[3]
        signature = str(RequestValidator(auth_token).compute_signature(url, {}))
        socket = await connect(
            self._media_url + path,
            additional_headers={"X-Twilio-Signature": signature} if auth_token else {},
            compression=None,
            proxy=None,
            close_timeout=CLOSE_WITHIN_S,
        )
        self._streams.append(Stream(socket, "MZ" + call_sid[2:]))
        return self._streams[-1]

    async def call(self, call_sid: str) -> Stream:
        """A call whose stream has begun."""
        url, token = await self.ring(call_sid)
        stream = await self.connect(url, call_sid)
        await stream.start(call_sid, token)
        return stream
