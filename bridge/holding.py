"""What the caller hears while a lost session is replaced: the operator's clip, or a soft tone, as mu-law."""

from __future__ import annotations

import math
from array import array
from base64 import b64encode
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError
from bridge.rehearsal.sound import read_wav, to_ulaw
from bridge.wire.g711 import RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_S = 60
"""Of a clip: all of it is queued at the carrier at once."""
_KEY = "fallback.hold_clip"
_NOTES = ((440.0, 0.25), (349.23, 0.35))
"""Hz and seconds: two falling notes."""
_LEVEL = 0.08
"""Of full scale: a good deal softer than a voice."""


def hold_clip(path: Path | None) -> str:
    """The clip as base64 text; reads a file, so not on the event loop.

    Raises ConfigurationError when the file cannot be read, is no sound, or too much of it.
    """
    return b64encode(_tone() if path is None else _clip(path)).decode()


def _clip(path: Path) -> bytes:
    try:
        sound = read_wav(path)
    except ConfigurationError as error:
        raise ConfigurationError(error.message, key=_KEY, source=str(path)) from error
    if not sound or len(sound) > LONGEST_S * RATE_HZ:
        message = f"must last from a moment to {LONGEST_S} seconds: cut it"
        raise ConfigurationError(message, key=_KEY, source=str(path))
    return sound


def _tone() -> bytes:
    """Two soft notes, each of which swells and fades."""
    samples: list[int] = []
    for hz, seconds in _NOTES:
        length = round(seconds * RATE_HZ)
        for at in range(length):
            swell = math.sin(math.pi * at / length) ** 2
            samples.append(round(32767 * _LEVEL * swell * math.sin(2 * math.pi * hz * at / RATE_HZ)))
    return to_ulaw(array("h", samples).tobytes())
