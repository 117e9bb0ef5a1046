"""G.711 on a phone line: 8,000 samples a second, one byte each. Arithmetic on base64 text, silence, and conversion.

The mu-law path never converts. Only an endpoint that cannot speak mu-law gets a `Converter`, one for each direction
and stream.

Source: ITU-T G.711; the Realtime API's `audio/pcm` is 16-bit little-endian, 24 kHz, one channel.
"""

from __future__ import annotations

import warnings
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

with warnings.catch_warnings():
    # the standard library's own, until 3.12, says that it will go; from 3.13 audioop-lts is it
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

from bridge.errors import BridgeError

if TYPE_CHECKING:
    import numpy as np

RATE_HZ = 8000
BYTES_PER_MS = 8
FRAME_MS = 20
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
SILENCE = b"\xff"
"""Positive zero in mu-law."""
PCM_RATE_HZ = 24000
Format = Literal["g711_ulaw", "g711_alaw", "pcm16"]


def size_of(payload: str) -> int:
    """How many bytes a base64 text stands for, without decoding it; 0 where it is none because it is too short."""
    if len(payload) < 4:  # noqa: PLR2004 - characters for three bytes, or for fewer and padding
        return 0
    return len(payload) // 4 * 3 - (payload[-1:] == "=") - (payload[-2:] == "==")


@lru_cache(maxsize=64)
def silence(duration_ms: int) -> str:
    """Mu-law silence of that length as base64 text."""
    return b64encode(SILENCE * (duration_ms * BYTES_PER_MS)).decode()


class Converter(Protocol):
    """Turns the audio of one stream, piece by piece, base64 text to base64 text; keeps state between pieces."""

    def convert(self, payload: str) -> str:
        """Convert the next piece. May hold back a few milliseconds. Raises ValueError when the text is not base64."""

    def flush(self) -> str:
        """What is still held back; the next piece begins anew."""


class AlawConverter:
    """Mu-law to A-law or back: byte for byte, nothing held back."""

    def __init__(self, *, to_model: bool) -> None:
        self._to_model = to_model

    def convert(self, payload: str) -> str:
        """Convert the next piece."""
        sound = b64decode(payload, validate=True)
        if self._to_model:
            return b64encode(audioop.lin2alaw(audioop.ulaw2lin(sound, 2), 2)).decode()
        return b64encode(audioop.lin2ulaw(audioop.alaw2lin(sound, 2), 2)).decode()

    def flush(self) -> str:
        """Nothing is ever held back."""
        return ""


class Pcm16Converter:
    """Mu-law at 8 kHz to PCM at 24 kHz or back, band-limited: nothing above 4 kHz folds into the phone's band."""

    def __init__(self, *, to_model: bool) -> None:
        try:
            import numpy as np  # noqa: PLC0415 - the extra `pcm16` is needed only where a model has no G.711
            import soxr  # noqa: PLC0415 - the same
        except ImportError as error:
            message = "pcm16 needs two more packages: pip install 'voicebridge[pcm16]'"
            raise BridgeError(message) from error
        rates = (RATE_HZ, PCM_RATE_HZ) if to_model else (PCM_RATE_HZ, RATE_HZ)
        self._to_model = to_model
        self._np = np
        self._stream = soxr.ResampleStream(*rates, 1, dtype="float32", quality="MQ")  # as integers it would be dithered
        self._odd = b""

    def convert(self, payload: str) -> str:
        """Convert the next piece; an odd byte waits for its other half."""
        sound = b64decode(payload, validate=True)
        if self._to_model:
            return self._resample(audioop.ulaw2lin(sound, 2), last=False)
        sound = self._odd + sound
        even = len(sound) & ~1
        self._odd = sound[even:]
        return self._resample(sound[:even], last=False)

    def flush(self) -> str:
        """Give out the tail of the filter; a new utterance starts from silence."""
        tail = self._resample(b"", last=True)
        self._stream.clear()
        self._odd = b""
        return tail

    def _resample(self, pcm: bytes, *, last: bool) -> str:
        samples: np.ndarray = self._stream.resample_chunk(self._np.frombuffer(pcm, dtype="<i2").astype("f4"), last=last)
        out = samples.round().clip(-32768, 32767).astype("<i2").tobytes()
        return b64encode(out if self._to_model else audioop.lin2ulaw(out, 2)).decode()


def converter(form: Format, *, to_model: bool) -> Converter | None:
    """The conversion between mu-law and an endpoint's format; None where there is nothing to convert.

    Raises BridgeError when a package that the conversion needs is not installed.
    """
    if form == "g711_ulaw":
        return None
    return AlawConverter(to_model=to_model) if form == "g711_alaw" else Pcm16Converter(to_model=to_model)
