"""The tape of a call: JSON lines. What went into the call core with its time, and what came out, in order.

```
{"tape":1,"by":"voicebridge 0.1.0","at":8.25,"scope":"core","sound":"full","plan":{…},"settings":{…}}
{"do":"connect_model"}
{"at":8.31,"control":{"kind":"model_connected"}}
{"do":"update_session","type":"session.update","session":{…},"event_id":"session-1"}
{"at":8.9,"caller":{"event":"media","media":{"timestamp":"20","payload":"/v7+…"}}}
{"do":"append_audio","payload":"="}
{"lost":12}
{"end":"caller_hung_up"}
```

Lines of a kind or with a field that is not known are passed over, a last line that a crash tore apart is ignored. The
whole format, for programs that write it, is in `docs/tape-format.md`.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from pydantic import BaseModel

from bridge.errors import BridgeError
from bridge.wire.caller import UNREADABLE
from bridge.wire.g711 import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION = 1
SAME = "="
"""Stands for the audio of the input above, which is passed through far more often than not."""

Scope = Literal["core", "wire"]
Sound = Literal["full", "lengths", "stand-in"]
Speaker = Literal["caller", "model", "successor"]
"""Who sends messages; `successor`: the session that is opened beside the present one, until it is the present one."""
Leg = Literal[Speaker, "control", "timer"]


class TapeError(BridgeError):
    """A file is no tape, or one that this version cannot read."""


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line. Only `tape` must be there."""

    tape: int = msgspec.field()
    """Version of the format. A reader takes its own and older ones."""
    by: str = ""
    """The program that wrote it."""
    at: float = 0.0
    """When the call began, on the clock of the inputs, in seconds."""
    scope: Scope = "wire"
    """`core`: every input of the call core and every action; `wire`: messages of the two legs only."""
    sound: Sound = "full"
    """Whether audio is on the tape, or only its lengths, or tones in its place."""
    is_cut: bool = False
    """The tape ends before the call does, or its beginning is reduced."""
    is_redacted: bool = False
    """Words, numbers and voice are replaced; the core's own words must be so too, before they are compared."""
    plan: dict[str, object] = msgspec.field(default_factory=dict)
    """What the call went by (`bridge.call.plan.Plan`), without secrets."""
    settings: dict[str, object] = msgspec.field(default_factory=dict)
    """The configuration, without secrets; for people, no replay reads it."""


class Input(msgspec.Struct, frozen=True, gc=False):
    """One thing that came in."""

    at: float
    leg: Leg
    text: str | bytes | msgspec.Raw = b""
    """A message as it came, but for secrets."""
    control: dict[str, object] | None = None
    """A control: its `kind` in snake case, and its fields."""
    size_bytes: int | None = None
    """The length of the audio that the message held when it is not on the tape."""


class Step(msgspec.Struct, gc=False):
    """An input, and what the core did about it. `input` is None for what it did when it was made.

    `actions` are lines of the tape: see `action_fields`. `lost` counts lines that are missing just before the step
    ends.
    """

    input: Input | None
    actions: list[bytes]
    lost: int = 0


_NO_MESSAGE = msgspec.Raw(b"")


class _InputLine(msgspec.Struct, gc=False):
    at: float
    caller: msgspec.Raw = _NO_MESSAGE
    model: msgspec.Raw = _NO_MESSAGE
    successor: msgspec.Raw = _NO_MESSAGE
    caller_text: str | None = None
    model_text: str | None = None
    successor_text: str | None = None
    control: dict[str, object] | None = None
    timer: bool = False
    bytes: int | None = None


class _OtherLine(msgspec.Struct):
    do: str = ""
    lost: int = 0
    at: float | None = None


_encode_text = msgspec.json.Encoder(enc_hook=str).encode
_decode_input = msgspec.json.Decoder(_InputLine).decode
_decode_other = msgspec.json.Decoder(_OtherLine).decode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_fields = msgspec.json.Decoder(dict[str, object]).decode
_is_json = msgspec.json.Decoder(msgspec.Raw).decode


def _encode(value: object) -> bytes:
    """JSON, also of a text that no UTF-8 can hold: JSON may escape half a surrogate pair, and a model may say so."""
    try:
        return _encode_text(value)
    except UnicodeEncodeError:
        return _encode_text(_whole(msgspec.to_builtins(value, enc_hook=str)))


def _whole(value: object) -> object:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_whole(key): _whole(own) for key, own in value.items()}
        case list() | tuple():
            return [_whole(each) for each in value]
        case _:
            return value


# --- writing ------------------------------------------------------------------------------------------------------


def header_line(header: Header) -> bytes:
    """The first line of a tape."""
    return _encode(header) + b"\n"


def plain(plan: msgspec.Struct) -> dict[str, object]:
    """A plan as JSON for a header; secrets of the settings in it are stars."""
    fields: dict[str, object] = msgspec.to_builtins(plan, enc_hook=_plain_settings)
    return {name: _in_order(getattr(plan, name), value) for name, value in fields.items()}


def _in_order(field: object, value: object) -> object:
    """A set has no order, so it is given one; a table has the operator's, in which its names are told to the model."""
    return sorted(value) if isinstance(field, AbstractSet) and isinstance(value, list) else value


def _plain_settings(value: object) -> object:
    """Settings models, with the names that they leave out of their own JSON."""
    if not isinstance(value, BaseModel):
        return str(value)
    name = {"name": value.name} if hasattr(value, "name") else {}
    return value.model_dump(mode="json") | name


def message_line(leg: Speaker, at: float, text: str | bytes, size_bytes: int | None = None) -> bytes:
    """A message of a leg. One that is not JSON on one line is kept as text, so that any message can be on a tape.

    Args:
        leg: whose message it is.
        at: when it came.
        text: the message.
        size_bytes: the length of the audio that was left out of it.
    """
    raw = _one_line(text)
    size = b"" if size_bytes is None else b',"bytes":%d' % size_bytes
    if raw is not None:
        return b'{"at":%s,"%s":%s%s}\n' % (_encode(at), leg.encode(), raw, size)
    words = text if isinstance(text, str) else bytes(text).decode(errors="replace")
    safe = words.encode("utf-8", "replace").decode()
    return b'{"at":%s,"%s_text":%s%s}\n' % (_encode(at), leg.encode(), _encode(safe), size)


def passed_on_lines(at: float, text: bytes) -> bytes:
    """A media frame, and that its sound was passed on to the model as it came.

    Args:
        at: when it came.
        text: the message: JSON that was read, on one line, in ASCII.
    """
    return b'{"at":%a,"caller":%b}\n%b' % (at, text, _PASSED["append_audio"])


def _one_line(text: str | bytes) -> bytes | None:
    """The message as it may stand in a line; None when it is not JSON, not UTF-8, or on several lines."""
    try:
        if isinstance(text, str):
            raw = text.encode()
        else:
            raw = bytes(text)
            raw.decode()
        _is_json(raw)
    except UNREADABLE:
        return None
    return None if b"\n" in raw or b"\r" in raw else raw


def control_line(at: float, control: msgspec.Struct) -> bytes:
    """A control."""
    return control_fields_line(at, {"kind": kind_of(type(control))} | _decode_fields(_encode(control)))


def control_fields_line(at: float, fields: dict[str, object]) -> bytes:
    """A control, given as its `kind` and its fields."""
    return b'{"at":%s,"control":%s}\n' % (_encode(at), _encode(fields))


def timer_line(at: float) -> bytes:
    """The timer woke the call."""
    return b'{"at":%s,"timer":true}\n' % _encode(at)


def action_line(action: msgspec.Struct, *, passed: str | None = None, has_sound: bool = True) -> bytes:
    """An action.

    Args:
        action: the action; `payload` and `audio` fields hold base64 audio.
        passed: the audio of the input above, base64 text.
        has_sound: whether other audio is written, or only its length.
    """
    kind = kind_of(type(action))
    audio = getattr(action, _AUDIO[kind]) if kind in _AUDIO else None
    if audio is None:
        fields = _encode(action)
        return b'{"do":"%s"%s%s\n' % (kind.encode(), b"," if len(fields) > 2 else b"", fields[1:])  # noqa: PLR2004 - {}
    if audio and audio == passed:
        return _PASSED[kind]
    if has_sound:
        return b'{"do":"%s","payload":%s}\n' % (kind.encode(), _encode(audio))  # a peer's text: it may be no base64
    return b'{"do":"%s","bytes":%d}\n' % (kind.encode(), size_of(audio))


_AUDIO = {"append_audio": "audio", "play_audio": "payload"}
_PASSED = {kind: b'{"do":"%s","payload":"%s"}\n' % (kind.encode(), SAME.encode()) for kind in _AUDIO}


def lost_line(lines: int) -> bytes:
    """So many lines are missing here."""
    return b'{"lost":%d}\n' % lines


def end_line(ending: str) -> bytes:
    """The call is over, and nothing is missing after this line."""
    return b'{"end":%s}\n' % _encode(ending)


@cache
def kind_of(kind: type[msgspec.Struct]) -> str:
    """The name of an action or a control on tapes: its class's, in snake case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


# --- reading ------------------------------------------------------------------------------------------------------


class Recording(Protocol):
    """What can be played: a tape, or what is made of one while it is read."""

    header: Header

    def __iter__(self) -> Iterator[Step]:
        """Its steps, in order; once."""


class Tape:
    """A tape that is being read, a step at a time; iterate over it once.

    Args:
        lines: the file's lines, as bytes.

    Raises TapeError when the first line is not a header that this version understands, and, while iterating, for a
    damaged line that is not the last one. Afterwards `is_whole` tells whether the tape had its last line,
    `passed_over` how many lines were of an unknown kind.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self.header = _header(next(self._lines, b""))
        self.is_whole = False
        self.passed_over = 0

    def __iter__(self) -> Iterator[Step]:
        step = Step(None, [])
        torn = 0
        for number, line in enumerate(self._lines, 2):
            if torn:
                raise TapeError(f"line {torn} of the tape is damaged: cut the tape before it")
            if line.startswith(b'{"do":'):
                if line.endswith(b"}\n"):
                    step.actions.append(line)
                else:
                    torn = number
                continue
            try:
                new_input = _read_input(line)
                if new_input is None:
                    self._read_other(line, step)
                    continue
            except UNREADABLE:
                torn = number if line.strip() else 0
                continue
            yield step
            step = Step(new_input, [])
        yield step

    def _read_other(self, line: bytes, step: Step) -> None:
        other = _decode_other(line)
        if other.do:
            step.actions.append(line)
        elif other.lost:
            step.lost += other.lost
        elif b'"end"' in line:
            self.is_whole = True
        else:
            self.passed_over += 1


def _header(line: bytes) -> Header:
    try:
        header = _decode_header(line)
    except UNREADABLE as error:
        raise TapeError(
            'this is no tape: its first line is not a header with the version, such as {"tape":1}'
        ) from error
    if not 1 <= header.tape <= VERSION:
        raise TapeError(
            f"this tape has version {header.tape} of the format, known is {VERSION}: use a newer voicebridge"
        )
    return header


def _read_input(line: bytes) -> Input | None:
    try:
        read = _decode_input(line)
    except msgspec.ValidationError:
        return None
    size = read.bytes
    text = read.caller or read.caller_text
    if text is not None:
        return Input(read.at, "caller", text, None, size)
    text = read.model or read.model_text
    if text is not None:
        return Input(read.at, "model", text, None, size)
    text = read.successor or read.successor_text
    if text is not None:
        return Input(read.at, "successor", text)
    if read.control is not None:
        return Input(read.at, "control", b"", read.control)
    return Input(read.at, "timer") if read.timer else None


def action_fields(line: bytes) -> dict[str, object]:
    """An action's line as its fields: `do`, its kind, and the others under their names.

    Raises TapeError when it is damaged.
    """
    try:
        return _decode_fields(line)
    except UNREADABLE as error:
        raise TapeError(f"an action on the tape is damaged: {error}") from error
