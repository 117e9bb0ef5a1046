"""Twilio Media Streams messages: JSON text in, the call's own values out, and back. No decisions are made here.

The values are the call's words, not Twilio's, so that another carrier's leg can produce the same ones. Audio stays the
base64 text that arrived. What cannot be understood becomes a value too (`Malformed`, `Unknown`): counting it is the
call's business.

Source: Twilio docs, `docs/voice/media-streams/websocket-messages`. Numbers may arrive as JSON strings or as numbers.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_NAME = 64
MAX_TIMESTAMP_MS = 7 * 24 * 3600 * 1000
"""A stream lasts as long as its call, a day at most; a clock beyond a week is none."""
TimestampMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIMESTAMP_MS)]
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What reading a text can raise, whatever is in it."""


class StreamStarted(msgspec.Struct, frozen=True):
    """The carrier's media stream is up: the first thing said about it. Audio may be played from now on."""

    stream_sid: str
    call_sid: str
    parameters: dict[str, str]
    """What our TwiML gave the stream to carry back: the single-use token first of all."""
    encoding: str
    sample_rate_hz: int
    channels: int


class CallerAudio(msgspec.Struct, frozen=True, gc=False, tag_field="track", tag="inbound"):
    """A piece of what the caller says, usually 20 ms. It is read as it stands in the message, without a copy."""

    payload: str
    """Mu-law, 8 kHz, one channel, as base64 text."""
    timestamp_ms: TimestampMs = msgspec.field(name="timestamp")
    """When the piece began, on the stream's own clock."""


class Digit(msgspec.Struct, frozen=True):
    """The caller pressed a key: `0`-`9`, `*`, `#` or `A`-`D`."""

    digit: str


class MarkReached(msgspec.Struct, frozen=True, gc=False):
    """Everything sent before this mark was played, or was thrown away by a clear."""

    name: str


class CallerLeft(msgspec.Struct, frozen=True):
    """The stream is over. `clean` says whether the carrier said so, or the socket just went away."""

    clean: bool = True


class Greeted(msgspec.Struct, frozen=True):
    """The carrier's `connected` message; says nothing that a call needs."""

    version: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """A well-formed message of an unknown kind."""

    kind: str


class Malformed(msgspec.Struct, frozen=True):
    """A message that is not of the documented shape. `reason` never holds data of the call."""

    reason: str


CallerMessage = StreamStarted | CallerAudio | Digit | MarkReached | CallerLeft | Greeted | Unknown | Malformed


class _MediaMessage(msgspec.Struct, tag_field="event", tag="media", gc=False):
    media: CallerAudio


class _MarkMessage(msgspec.Struct, tag_field="event", tag="mark", gc=False):
    mark: MarkReached


class _Dtmf(msgspec.Struct):
    digit: str


class _DtmfMessage(msgspec.Struct, tag_field="event", tag="dtmf"):
    dtmf: _Dtmf


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int = 1


class _Start(msgspec.Struct, rename="camel"):
    stream_sid: str
    call_sid: str
    media_format: _MediaFormat
    custom_parameters: dict[str, str] | None = None


class _StartMessage(msgspec.Struct, tag_field="event", tag="start"):
    start: _Start


class _StopMessage(msgspec.Struct, tag_field="event", tag="stop"):
    lost: bool = False
    """Ours: see `LOST`."""


class _ConnectedMessage(msgspec.Struct, tag_field="event", tag="connected"):
    version: str = ""


class _AnyMessage(msgspec.Struct):
    event: str


class _AnyTrack(msgspec.Struct):
    track: str


class _AnyMedia(msgspec.Struct):
    media: _AnyTrack


class _OtherSpelling(msgspec.Struct, tag_field="track", tag="inbound_track"):
    payload: str
    timestamp: TimestampMs


class _OtherSpellingMessage(msgspec.Struct):
    """The caller's track under the name that it has in TwiML, where a compatible carrier may take it from."""

    media: _OtherSpelling


_decode = msgspec.json.Decoder(
    _MediaMessage | _MarkMessage | _DtmfMessage | _StartMessage | _StopMessage | _ConnectedMessage,
    strict=False,  # takes a number from a string: 0.4 us less for each frame than a union and int()
).decode
_decode_media = msgspec.json.Decoder(_AnyMedia).decode
_decode_other_spelling = msgspec.json.Decoder(_OtherSpellingMessage, strict=False).decode
_decode_any = msgspec.json.Decoder(_AnyMessage).decode
_KNOWN = frozenset({"media", "mark", "dtmf", "start", "stop", "connected"})
LOST = '{"event":"stop","lost":true}'
"""What the edge says for a carrier whose socket went away without a `stop`: a tape holds it like any other message."""
_KEYS = frozenset("0123456789*#ABCD")
_quote = msgspec.json.Encoder().encode


def parse(text: str | bytes) -> CallerMessage:
    """Read one text message of the media stream. Never raises: what is wrong with it is in the value.

    Only the caller's own track is audio of the call: an `outbound` piece comes back as `Unknown`.
    """
    try:
        message = _decode(text)
    except msgspec.ValidationError:
        return _explain(text)
    except UNREADABLE:
        return Malformed("not JSON")
    if type(message) is _MediaMessage:
        return message.media
    if type(message) is _MarkMessage:
        return message.mark
    return _parse_rare(message)


def _parse_rare(message: _DtmfMessage | _StartMessage | _StopMessage | _ConnectedMessage | object) -> CallerMessage:
    match message:
        case _StartMessage(start=start):
            form, parameters = start.media_format, start.custom_parameters or {}
            return StreamStarted(
                start.stream_sid, start.call_sid, parameters, form.encoding, form.sample_rate, form.channels
            )
        case _DtmfMessage(dtmf=dtmf):
            return Digit(dtmf.digit) if dtmf.digit in _KEYS else Malformed("dtmf.digit is not a key")
        case _StopMessage(lost=lost):
            return CallerLeft(clean=not lost)
        case _ConnectedMessage(version=version):
            return Greeted(version)
        case _:
            return Malformed("not a message")


def _explain(text: str | bytes) -> CallerAudio | Unknown | Malformed:
    try:
        kind = _decode_any(text).event
    except UNREADABLE:
        return Malformed("no event")
    if kind == "media":
        return _explain_media(text)
    return Malformed(f"{kind} without its fields") if kind in _KNOWN else Unknown(kind[:MAX_NAME])


def _explain_media(text: str | bytes) -> CallerAudio | Unknown | Malformed:
    try:
        media = _decode_other_spelling(text).media
    except msgspec.DecodeError:
        return (
            Unknown("media of another track") if _is_of_another_track(text) else Malformed("media without its fields")
        )
    return CallerAudio(media.payload, media.timestamp)


def _is_of_another_track(text: str | bytes) -> bool:
    try:
        return not _decode_media(text).media.track.startswith("inbound")
    except msgspec.DecodeError:
        return False


class Stream:
    """Writes what goes to one stream; the texts before and after the audio are prepared once.

    Twilio takes just these three messages, as text frames, and refuses any field that it does not know (warning 31951).
    """

    __slots__ = ("_clear", "_mark", "_media")

    def __init__(self, stream_sid: str) -> None:
        sid = _quote(stream_sid).decode()
        self._media = f'{{"event":"media","streamSid":{sid},"media":{{"payload":'
        self._mark = f'{{"event":"mark","streamSid":{sid},"mark":{{"name":'
        self._clear = f'{{"event":"clear","streamSid":{sid}}}'

    def media(self, payload: str) -> str:
        """Audio to be played after all that was sent before: mu-law as base64 text."""
        return f"{self._media}{_quote(payload).decode()}}}}}"

    def mark(self, name: str) -> str:
        """A name that comes back when all audio sent before it was played, or was cleared."""
        return f"{self._mark}{_quote(name).decode()}}}}}"

    def clear(self) -> str:
        """Drop whatever was sent and is not yet played; all marks outstanding come back at once."""
        return self._clear
