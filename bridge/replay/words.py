"""Steps of a call as short lines for people: what came in, what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.replay.inputs import sound_of
from bridge.wire import caller, model
from bridge.wire.g711 import BYTES_PER_MS, size_of
from bridge.wire.tape import action_fields, kind_of

if TYPE_CHECKING:
    from bridge.replay.inputs import Message

LONGEST = 72
DEEPEST = 4
"""How far down what is in a field is told."""
_DULL = frozenset({"do", "type", "event_id", "payload", "bytes"})


def input_words(leg: str, message: Message | None) -> str:
    """An input: the leg it came from, what it is, and the fields that matter."""
    return f"{leg:<7} {_what(message)}".rstrip()


def _what(message: Message | None) -> str:
    sound = sound_of(message)
    if message is None or sound is not None:
        return f"sound {size_of(sound) // BYTES_PER_MS} ms" if sound is not None else ""
    kind = kind_of(type(message))
    match message:
        case model.Failed(error=fault):
            return f"error {fault.code or fault.type or ''}"
        case model.ResponseCreated(response=response):
            return f"{kind} {response.id}"
        case model.ResponseDone(response=response):
            return f"{kind} {response.id} {response.status or ''}"
        case caller.StreamStarted(stream_sid=stream_sid):
            return f"{kind} {stream_sid}"
    return f"{kind} {fields_words({name: getattr(message, name) for name in message.__struct_fields__})}"


def action_words(line: bytes) -> str:
    """An action's line: what was done, and the fields that matter."""
    fields = action_fields(line)
    kind = str(fields.get("do"))
    if kind == "happened":
        more = fields.get("fields")
        return f"{fields.get('event')} {fields_words(more) if isinstance(more, dict) else ''}".rstrip()
    return f"{kind} {fields_words(fields)}".rstrip()


def fields_words(fields: dict[str, object], depth: int = 0) -> str:
    """Fields as `name=value`, shortened, without those that say nothing."""
    told = {name: value for name, value in fields.items() if name not in _DULL and value not in (None, "")}
    return " ".join(f"{name}={_short(value, depth)}" for name, value in told.items())


def _short(value: object, depth: int) -> str:
    if isinstance(value, dict):
        words = fields_words(value, depth + 1) if depth < DEEPEST else "…"
        return f"{{{words}}}" if len(words) <= LONGEST else "{…}"
    if isinstance(value, msgspec.Struct):
        return f"{getattr(value, 'type', '')} {getattr(value, 'id', '')}".strip() or type(value).__name__
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
