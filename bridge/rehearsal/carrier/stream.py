"""A bidirectional media stream, as `<Connect><Stream>` opens one: handshake, messages both ways, playout buffer.

Sources: Twilio's pages `docs/voice/twiml/stream`, `docs/voice/media-streams/websocket-messages` and those of the errors
31901 to 31951.
"""

from __future__ import annotations

import asyncio
import binascii
import json
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from bridge.rehearsal.carrier.records import Exchange, iso8601_now, new_sid
from bridge.rehearsal.carrier.webhooks import without_tls
from bridge.rehearsal.track import Playout
from bridge.wire.g711 import BYTES_PER_MS, FRAME_MS, RATE_HZ

if TYPE_CHECKING:
    from bridge.clock import Timer
    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.records import Params
    from bridge.rehearsal.carrier.twiml import Verb

HANDSHAKE_S = 10.0
OUTBOX_FRAMES = 500
"""Frames that may wait for a bridge that does not read: 10 s; then frames are lost."""
MAX_PARAMETER_CHARACTERS = 500
_CLOSE_WAIT_S = 2.0
"""Wall-clock seconds for a bridge that does not read, or does not answer the closing handshake."""
_NORMAL_CLOSE = (1000, 1001, 1005)


class Sound(msgspec.Struct, forbid_unknown_fields=True):
    """Base64 text."""

    payload: str


class Name(msgspec.Struct, forbid_unknown_fields=True):
    """A mark's."""

    name: str


class Media(msgspec.Struct, tag_field="event", tag="media", forbid_unknown_fields=True):
    """Sound to be played after all that was sent before."""

    streamSid: str  # noqa: N815 - Twilio's spelling
    media: Sound


class Mark(msgspec.Struct, tag_field="event", tag="mark", forbid_unknown_fields=True):
    """A name that comes back when all before it was played."""

    streamSid: str  # noqa: N815 - the carrier's spelling
    mark: Name


class Clear(msgspec.Struct, tag_field="event", tag="clear", forbid_unknown_fields=True):
    """Drop what is not played."""

    streamSid: str  # noqa: N815 - the carrier's spelling


_DECODER = msgspec.json.Decoder(Media | Mark | Clear)


class StreamRefusedError(Exception):
    """The stream does not come up; `code` is Twilio's number for the reason."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class MediaStream:
    """One stream of one call.

    Attributes:
        sid: the StreamSid.
        url: as written in the document; the handshake is signed for it.
        marks_returned: the names of the marks sent back, in order.
        clears: for each `clear` when it came (seconds of the clock) and the sound it dropped.
        frames_sent, frames_lost: media messages that left; frames that the line or a full outbox swallowed.
        close_code: how the WebSocket was closed; None while it is open or when it never was.

    Three things go wrong on demand: `drop`, `mute` and `freeze`.
    """

    def __init__(self, call: Call, noun: Verb, url: str) -> None:
        self.sid = new_sid("MZ")
        self.url = url
        self.marks_returned: list[str] = []
        self.clears: list[tuple[float, bytes]] = []
        self.frames_sent = 0
        self.frames_lost = 0
        self.close_code: int | None = None
        self._call = call
        self._carrier = call.carrier
        self._clock = call.carrier.clock
        self._noun = noun
        self._playout = Playout(call.phone.ear)
        self._outbox: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
        self._sequence = 0
        self._first_frame: int | None = None
        self._due_s = 0.0
        self._timer: Timer | None = None
        self._socket: ClientConnection | None = None
        self._is_mute = False
        self._moves = asyncio.Event()
        self._moves.set()

    async def run(self) -> None:
        """Open the stream and carry it until the bridge closes it; cancelled, say `stop` and close it."""
        try:
            socket = await self._open()
        except StreamRefusedError as refused:
            self._call.notice(refused.code, str(refused))
            self._report("stream-error", StreamError=f"{refused.code} {refused}")
            return
        self._socket = socket
        writer = asyncio.create_task(self._write(socket))
        self._begin()
        try:
            await self._read(socket)
            self._note_close(socket)
        finally:
            self._end()
            if not self._moves.is_set():  # nobody is there to say goodbye to
                socket.transport.abort()
                self._moves.set()
            await asyncio.wait([writer], timeout=_CLOSE_WAIT_S)
            writer.cancel()
            await socket.close()
            self.close_code = socket.close_code
            self._report("stream-stopped")

    def frame(self, sound: bytes, index: int) -> None:
        """Send the caller's next 20 ms, as late as the line makes it or not at all."""
        if self._first_frame is None:
            self._first_frame = index
        late_s = self._call.phone.transmission.delay_s()
        if self._is_mute or late_s is None or self._outbox.qsize() >= OUTBOX_FRAMES:
            self.frames_lost += 1
            return
        self.frames_sent += 1
        payload = binascii.b2a_base64(sound, newline=False).decode()
        self._send(
            "media",
            f'"media":{{"track":"inbound","chunk":"{self.frames_sent}",'
            f'"timestamp":"{(index - self._first_frame) * FRAME_MS}","payload":"{payload}"}}',
            late_s,
        )

    def key(self, digit: str) -> None:
        """Send a key."""
        self._call.event("key.pressed", digit)
        self._send("dtmf", f'"dtmf":{{"track":"inbound_track","digit":"{digit}"}}')

    def drop(self) -> None:
        """Break the connection: neither `stop` nor a closing handshake; then Twilio asks `<Connect action>`."""
        self._call.event("stream.dropped")
        if self._socket is not None:
            self._socket.transport.abort()

    def mute(self, *, is_on: bool = True) -> None:
        """Send no sound, or send it again; the time goes on, so that its timestamps have a gap. All else is as ever."""
        self._call.event("stream.muted" if is_on else "stream.unmuted")
        self._is_mute = is_on

    def freeze(self, *, is_on: bool = True) -> None:
        """Send nothing and read nothing, or go on with what has piled up: as a network that swallows everything."""
        self._call.event("stream.frozen" if is_on else "stream.thawed")
        self._is_mute = is_on
        if is_on:
            self._moves.clear()
        else:
            self._moves.set()
        if self._socket is not None:
            transport = self._socket.transport
            transport.pause_reading() if is_on else transport.resume_reading()

    def refusal(self) -> StreamRefusedError | None:
        """Why Twilio would not even try this stream; None where it would."""
        parts = urlsplit(self.url)
        track = self._noun.get("track", "inbound_track")
        if parts.scheme != "wss":
            return StreamRefusedError(31922, f"<Stream url> must begin with wss://, not {self.url!r}")
        if not parts.hostname:
            return StreamRefusedError(31923, f"<Stream url> is malformed: {self.url!r}")
        if track != "inbound_track":
            return StreamRefusedError(31941, f"<Connect><Stream track> can only be inbound_track, not {track!r}")
        if parts.query:
            return StreamRefusedError(31920, "<Stream url> cannot have a query string: use <Parameter>")
        if self._carrier.addresses.find(self.url) is None:
            return StreamRefusedError(31901, f"the host of {self.url!r} is neither the public nor the media host")
        return None

    async def _open(self) -> ClientConnection:
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        exchange = Exchange(self._clock.now(), "carrier", "handshake", "GET", self.url)
        self._carrier.record.append(exchange)
        try:
            async with self._clock.timeout(HANDSHAKE_S):
                socket = await self._connect()
        except InvalidStatus as error:
            exchange.status = error.response.status_code
            raise StreamRefusedError(31920, f"{self.url} answered {exchange.status} to the handshake") from None
        except TimeoutError:
            raise StreamRefusedError(31901, f"{self.url} did not answer within {HANDSHAKE_S:.0f} s") from None
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise StreamRefusedError(31902, f"{self.url} refused the connection: {error}") from error
        exchange.status = 101
        return socket

    async def _connect(self) -> ClientConnection:
        real = self._carrier.addresses.find(self.url)
        assert real is not None  # noqa: S101 - refusal() has seen to it
        parts = urlsplit(self.url)
        has_tls = without_tls(real.scheme) == "https"
        return await connect(
            urlunsplit(("wss" if has_tls else "ws", *parts[1:])),
            host=real.hostname,
            port=real.port or (443 if has_tls else 80),
            additional_headers={
                "X-Twilio-Signature": self._carrier.webhooks.sign(self.url),
                "X-Forwarded-Proto": "https",
            },
            user_agent_header="Twilio.TmeWs/1.0",
            compression=None,
            proxy=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=_CLOSE_WAIT_S,
            max_size=None,
        )

    def _begin(self) -> None:
        call = self._call
        start = {
            "accountSid": self._carrier.account_sid,
            "streamSid": self.sid,
            "callSid": call.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1},
            "customParameters": self._parameters(),
        }
        self._outbox.put_nowait((0.0, '{"event":"connected","protocol":"Call","version":"1.0.0"}'))
        self._send("start", f'"start":{json.dumps(start)}')
        call.streams.append(self)
        call.phone.outlet = self
        call.event("stream.started", self._noun.get("name"))
        self._report("stream-started")

    def _parameters(self) -> dict[str, str]:
        parameters = {}
        for each in self._noun.children:
            name, value = each.get("name"), each.get("value")
            if len(name) + len(value) < MAX_PARAMETER_CHARACTERS:
                parameters[name] = value
            else:
                self._call.notice(
                    12200, f"<Parameter name={name!r}> is left out: name and value have 500 characters or more"
                )
        return parameters

    def _end(self) -> None:
        call = self._call
        if self._timer is not None:
            self._timer.cancel()
        if call.phone.outlet is self:
            call.phone.outlet = None
        call.phone.ear.cut(call.phone.position())
        self._send("stop", f'"stop":{json.dumps({"accountSid": self._carrier.account_sid, "callSid": call.sid})}')
        self._outbox.put_nowait(None)
        call.event("stream.stopped", self._noun.get("name"))

    def _send(self, event: str, body: str, late_s: float = 0.0) -> None:
        """Put a message behind those that wait; one that is late holds back those after it, as TCP does."""
        self._sequence += 1
        self._due_s = max(self._due_s, self._clock.now() + late_s)
        text = f'{{"event":"{event}","sequenceNumber":"{self._sequence}",{body},"streamSid":"{self.sid}"}}'
        self._outbox.put_nowait((self._due_s, text))

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while (message := await self._outbox.get()) is not None:
                due_s, text = message
                if due_s > self._clock.now():
                    await self._clock.sleep_until(due_s)
                await self._moves.wait()
                await socket.send(text)
        except ConnectionClosed:
            return  # the reader sees the same, and says so

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                message = await socket.recv()
                if isinstance(message, bytes):
                    self._call.notice(31950, "the bridge sent a binary frame")
                else:
                    self._receive(message)
        except ConnectionClosed:
            return

    def _receive(self, text: str) -> None:
        try:
            message = _DECODER.decode(text)
        except msgspec.DecodeError as error:
            self._call.notice(31951, f"the bridge sent a message that is not per schema: {error}")
            return
        if message.streamSid != self.sid:
            self._call.notice(31951, f"the bridge sent a message for another stream: {message.streamSid!r}")
            return
        now = self._call.phone.position()
        if isinstance(message, Media):
            self._play(now, message.media.payload)
        elif isinstance(message, Mark):
            self._playout.mark(now, message.mark.name)
        else:
            dropped = self._playout.clear(now)
            self.clears.append((self._clock.now(), dropped))
            self._call.event("playout.cleared", f"{len(dropped) // BYTES_PER_MS} ms dropped")
        self._return_marks()

    def _play(self, now: int, payload: str) -> None:
        try:
            sound = binascii.a2b_base64(payload, strict_mode=True)
        except binascii.Error as error:
            self._call.notice(31951, f"media.payload is not base64: {error}")
            return
        if lost := self._playout.queue(now, sound):
            self._call.notice(31931, f"over 10 minutes of sound are buffered: {lost // BYTES_PER_MS} ms dropped")

    def _return_marks(self) -> None:
        # A timer may fire up to a tenth of a millisecond early: less than one sample.
        for name in self._playout.due(self._call.phone.position() + 1):
            self.marks_returned.append(name)
            self._send("mark", f'"mark":{json.dumps({"name": name})}')
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._playout.next_due is not None:
            self._timer = self._clock.call_at(self._call.phone.time_of(self._playout.next_due), self._return_marks)

    def _note_close(self, socket: ClientConnection) -> None:
        if socket.close_code in _NORMAL_CLOSE:
            self._call.notice(31921, f"the bridge closed the stream ({socket.close_code})", is_routine=True)
        elif socket.close_code is None or socket.close_code == 1006:  # noqa: PLR2004 - no closing handshake: RFC 6455, 7.4.1
            self._call.notice(31903, "the connection of the stream broke")
            self._report("stream-error", StreamError="31903 broken pipe")
        else:
            self._call.notice(
                31921, f"the bridge closed the stream with code {socket.close_code} {socket.close_reason}"
            )

    def _report(self, event: Literal["stream-started", "stream-stopped", "stream-error"], **extra: str) -> None:
        """Make the stream's status callback, if one is wanted."""
        url = self._noun.get("statusCallback")
        if url:
            params: Params = {
                "AccountSid": self._carrier.account_sid,
                "CallSid": self._call.sid,
                "StreamSid": self.sid,
                "StreamName": self._noun.get("name") or self.sid,
                "StreamEvent": event,
                "Timestamp": iso8601_now(),
                **extra,
            }
            method = self._noun.get("statusCallbackMethod", "POST")
            self._carrier.report("stream-status", url, params, method, self._call.sid)
