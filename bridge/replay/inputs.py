"""What a tape's inputs are to the core: messages parsed, silence where only the length was kept, controls by name."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

import msgspec

from bridge.call import controls
from bridge.wire import caller, model
from bridge.wire.g711 import SILENCE
from bridge.wire.tape import TapeError, kind_of

if TYPE_CHECKING:
    from bridge.wire.tape import Input

Message = caller.CallerMessage | model.ModelEvent | controls.Control

MAX_SOUND_BYTES = 4 * 1024 * 1024
"""Of one message or action: eight minutes of sound. A damaged length may say anything."""
MAX_FRAME_BYTES = 8192
"""Silence up to this long is kept to be used again."""

_CONTROLS: dict[str, type[controls.Control]] = {kind_of(kind): kind for kind in get_args(controls.Control)}


def message_of(given: Input) -> Message | None:
    """The value that the core gets; None for the timer, and for a control that this version does not know.

    Raises TapeError when it is damaged.
    """
    leg = given.leg
    if leg == "caller":
        heard = caller.parse(given.text)
        if given.size_bytes is not None and type(heard) is caller.CallerAudio:
            return caller.CallerAudio(silence_of(given.size_bytes), heard.timestamp_ms)
        return heard
    if leg in ("model", "successor"):
        event = model.parse(given.text)
        if given.size_bytes is not None and isinstance(event, model.AudioDelta):
            return msgspec.structs.replace(event, delta=silence_of(given.size_bytes))
        return event
    if given.control is None:
        return None
    kind = _CONTROLS.get(str(given.control.get("kind")))
    try:
        return None if kind is None else msgspec.convert(given.control, kind)
    except msgspec.ValidationError as error:
        raise TapeError(f"a control on the tape is damaged, at {given.at} s: {error}") from error


def sound_of(message: Message | None) -> str | None:
    """The sound in a message, as base64 text, where it is a piece of sound."""
    if type(message) is caller.CallerAudio:
        return message.payload
    return message.delta if isinstance(message, model.AudioDelta) else None


def silence_of(size_bytes: int) -> str:
    """So many bytes of silence, as base64 text. Raises TapeError when it is more than a message can hold."""
    if size_bytes > MAX_SOUND_BYTES:
        raise TapeError(f"a length on the tape is damaged: no message has {size_bytes} bytes of sound")
    return _frame(size_bytes) if size_bytes <= MAX_FRAME_BYTES else b64encode(SILENCE * size_bytes).decode()


@lru_cache(maxsize=256)
def _frame(size_bytes: int) -> str:
    """One of the few sizes that come again and again."""
    return b64encode(SILENCE * size_bytes).decode()
