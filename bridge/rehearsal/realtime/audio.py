"""Between the formats of the wire and the mu-law of the phone line, in which this server hears and speaks."""

from __future__ import annotations

import base64
import binascii
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from bridge.rehearsal.realtime import refusal
from bridge.wire.g711 import BYTES_PER_MS

with (
    warnings.catch_warnings()
):  # the standard library's own, until 3.12, says that it will go; from 3.13 audioop-lts is it
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

if TYPE_CHECKING:
    from bridge.rehearsal.realtime.settings import AudioFormat

WIRE_BYTES_PER_MS: Final[dict[AudioFormat, int]] = {"pcmu": 8, "pcma": 8, "pcm": 48}
_LINE_HZ, _PCM_HZ, _SAMPLE_BYTES = 8_000, 24_000, 2


def duration_ms(line_audio: bytes | bytearray) -> int:
    """Return how long a piece of mu-law lasts, in whole milliseconds."""
    return len(line_audio) // BYTES_PER_MS


def decode_base64(text: str, *, param: str) -> bytes:
    """Return the bytes of a base64 text.

    Raises:
        Refusal: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"Invalid '{param}'. Expected base64-encoded audio bytes but got an invalid value."
        raise refusal.wrong(message, param=param) from error


class LineDecoder:
    """Turns a stream of wire audio into mu-law; keeps its state between chunks of any size."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.audio_format: Final = audio_format
        self._half_sample = b""
        self._resampler = soxr.ResampleStream(_PCM_HZ, _LINE_HZ, 1, dtype="int16", quality="MQ")

    def decode(self, chunk: bytes) -> bytes:
        """Return the mu-law of the next chunk; PCM comes some 12 ms late, which is the anti-alias filter's length."""
        match self.audio_format:
            case "pcmu":
                return chunk
            case "pcma":
                return audioop.lin2ulaw(audioop.alaw2lin(chunk, _SAMPLE_BYTES), _SAMPLE_BYTES)
            case "pcm":
                return self._resampled(chunk)

    def _resampled(self, chunk: bytes) -> bytes:
        chunk = self._half_sample + chunk
        whole = len(chunk) - len(chunk) % _SAMPLE_BYTES
        self._half_sample = chunk[whole:]
        samples = self._resampler.resample_chunk(np.frombuffer(chunk[:whole], dtype="<i2"))
        return audioop.lin2ulaw(samples.astype("<i2").tobytes(), _SAMPLE_BYTES)


def encode(line_audio: bytes, audio_format: AudioFormat) -> bytes:
    """Return a whole utterance of mu-law in a format of the wire; its length in milliseconds stays the same."""
    if audio_format == "pcmu":
        return line_audio
    linear = audioop.ulaw2lin(line_audio, _SAMPLE_BYTES)
    if audio_format == "pcma":
        return audioop.lin2alaw(linear, _SAMPLE_BYTES)
    samples = np.frombuffer(linear, dtype="<i2")
    return soxr.resample(samples, _LINE_HZ, _PCM_HZ, quality="HQ").astype("<i2").tobytes() if len(samples) else b""
