"""A bridge that passes sound on and does nothing else, by picows: what the doors are compared with in the same session.

No webhook, signature, token, ledger, deadline, metric or ending: of a call it has only what every bridge must do for
each message. It listens on `PORT` and connects each stream to `REALTIME_URL`.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

TEXT = WSMsgType.TEXT
FORMAT = {"format": {"type": "audio/pcmu"}}
UPDATE = {"type": "session.update", "session": {"type": "realtime", "audio": {"input": FORMAT, "output": FORMAT}}}


class Media(msgspec.Struct, gc=False):
    """The part of a frame that is passed on."""

    payload: str


class FromCaller(msgspec.Struct, gc=False):
    """A message of the media stream."""

    event: str
    stream_sid: str = msgspec.field(name="streamSid", default="")
    media: Media | None = None


class FromModel(msgspec.Struct, gc=False):
    """An event of the session."""

    type: str
    delta: str = ""


@dataclass
class Pair:
    """The two sockets of a call."""

    caller: WSTransport
    stream_sid: str = ""
    model: WSTransport | None = None
    opening: list[asyncio.Task[None]] = field(default_factory=list)


class CallerLeg(WSListener):
    """The media stream."""

    pair: Pair

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Have the session opened."""
        self.pair = Pair(transport)
        self._read = msgspec.json.Decoder(FromCaller).decode
        self.pair.opening.append(asyncio.get_running_loop().create_task(open_session(self.pair)))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass sound on."""
        if frame.msg_type != TEXT:
            transport.disconnect()
            return
        message = self._read(frame.get_payload_as_bytes())
        if message.media is not None:
            if self.pair.model is not None:
                text = f'{{"type":"input_audio_buffer.append","audio":"{message.media.payload}"}}'
                self.pair.model.send(TEXT, text)
        elif message.event == "start":
            self.pair.stream_sid = message.stream_sid

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows's signature
        """The call is over."""
        if self.pair.model is not None:
            self.pair.model.disconnect()


class ModelLeg(WSListener):
    """The session."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self._pair = pair
        self._read = msgspec.json.Decoder(FromModel).decode

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Ask for mu-law."""
        transport.send(TEXT, json.dumps(UPDATE))
        self._pair.model = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass sound on, with a mark; or have it cleared."""
        if frame.msg_type != TEXT:
            transport.disconnect()
            return
        event = self._read(frame.get_payload_as_bytes())
        caller, stream = self._pair.caller, f'"streamSid":"{self._pair.stream_sid}"'
        if event.type == "response.output_audio.delta":
            caller.send(TEXT, f'{{"event":"media",{stream},"media":{{"payload":"{event.delta}"}}}}')
            caller.send(TEXT, f'{{"event":"mark",{stream},"mark":{{"name":"m"}}}}')
        elif event.type == "input_audio_buffer.speech_started":
            caller.send(TEXT, f'{{"event":"clear",{stream}}}')

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows's signature
        """The call is over."""
        self._pair.caller.disconnect()


async def open_session(pair: Pair) -> None:
    """Connect a call to the model."""
    await ws_connect(lambda: ModelLeg(pair), os.environ["REALTIME_URL"])


async def main() -> None:
    """Serve until it is ended."""
    server = await ws_create_server(lambda _: CallerLeg(), "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
