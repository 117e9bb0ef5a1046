"""The sound of a rehearsed phone call, in mu-law: WAV files in and out, the network's tones, loudness.

Mu-law sound is bytes here: 8,000 a second, one channel.
"""

from __future__ import annotations

import math
import struct
import warnings
import wave
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError
from bridge.wire.g711 import BYTES_PER_MS, RATE_HZ, SILENCE

# The standard library's own, until 3.12, says that it will go; from 3.13 on it is audioop-lts.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE
_LOUD = 250
"""Root mean square of 16-bit samples above which a person hears something: -42 dBFS."""
_ROWS_HZ = (697, 770, 852, 941)
_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
KEYS = frozenset("".join(_KEYS))
"""The keys of a telephone, the four letters of its fourth column too."""


def is_loud(sound: bytes) -> bool:
    """Whether a person would notice this piece of sound."""
    return sound.count(SILENCE) != len(sound) and audioop.rms(to_linear(sound), 2) > _LOUD


def to_linear(sound: bytes) -> bytes:
    """Mu-law as 16-bit samples of this machine's byte order."""
    return audioop.ulaw2lin(sound, 2)


def to_ulaw(linear: bytes) -> bytes:
    """16-bit samples as mu-law."""
    return audioop.lin2ulaw(linear, 2)


def add(one: bytes, other: bytes) -> bytes:
    """The sum of two equally long pieces of 16-bit samples, cut off at full scale."""
    return audioop.add(one, other, 2)


def weaken(linear: bytes, decibels: float) -> bytes:
    """16-bit samples, that much weaker."""
    return audioop.mul(linear, 2, 10 ** (-decibels / 20))


def mix(one: bytes, other: bytes) -> bytes:
    """Both mu-law sounds at once; the shorter one goes on as silence."""
    length = max(len(one), len(other))
    return to_ulaw(add(to_linear(one.ljust(length, SILENCE)), to_linear(other.ljust(length, SILENCE))))


@lru_cache(maxsize=64)
def tone(*hz: float, duration_ms: int, level: float = 0.1) -> bytes:
    """Sines of these frequencies, together at most `level` of full scale."""
    peak = 32767 * level / len(hz)
    steps = [2 * math.pi * each / RATE_HZ for each in hz]
    samples = (int(peak * sum(math.sin(step * n) for step in steps)) for n in range(duration_ms * BYTES_PER_MS))
    return to_ulaw(array("h", samples).tobytes())


def key_tone(key: str, duration_ms: int = 100) -> bytes:
    """The two tones of a key. Source: ITU-T Q.23."""
    row = next(n for n, keys in enumerate(_KEYS) if key in keys)
    return tone(_ROWS_HZ[row], _COLUMNS_HZ[_KEYS[row].index(key)], duration_ms=duration_ms)


def read_wav(path: Path) -> bytes:
    """Read a mono WAV file as mu-law: mu-law, A-law or PCM, any rate.

    Raises ConfigurationError when there is no such file or it is something else.
    """
    try:
        return decode_wav(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", source=str(path)) from error


def decode_wav(data: bytes, source: str) -> bytes:
    """Turn the bytes of a mono WAV file into mu-law; `source` is what an error calls it.

    Mu-law at 8 kHz passes unchanged. Other rates need the package soxr. Raises ConfigurationError.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ConfigurationError("is not a WAV file; convert it: sox IN -r 8000 -c 1 -e mu-law OUT.wav", source=source)
    chunks = dict(_chunks(data))
    header = chunks.get(b"fmt ", b"")
    if len(header) < 16 or b"data" not in chunks:  # noqa: PLR2004 - the size of the shortest format chunk there is
        raise ConfigurationError("is a WAV file without a format or without sound", source=source)
    form, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", header)
    if form == _EXTENSIBLE and len(header) >= 26:  # noqa: PLR2004 - the real format follows at byte 24
        (form,) = struct.unpack_from("<H", header, 24)
    if channels != 1:
        raise ConfigurationError(f"has {channels} channels and a caller has one mouth: give a mono file", source=source)
    if form == _ULAW and rate_hz == RATE_HZ:
        return chunks[b"data"]
    return to_ulaw(_resample(_linear(chunks[b"data"], form, bits, source), rate_hz, source))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _linear(data: bytes, form: int, bits: int, source: str) -> bytes:
    width = bits // 8
    if form == _ULAW:
        return to_linear(data)
    if form == _ALAW:
        return audioop.alaw2lin(data, 2)
    if form != _PCM or width not in {1, 2, 3, 4}:
        raise ConfigurationError("is neither PCM nor G.711; convert it: sox IN -e signed -b 16 OUT.wav", source=source)
    data = data[: len(data) // width * width]
    signed = audioop.bias(data, 1, -128) if width == 1 else data  # 8-bit WAV is the unsigned one
    return audioop.lin2lin(signed, width, 2)


def _resample(pcm: bytes, rate_hz: int, source: str) -> bytes:
    if rate_hz == RATE_HZ:
        return pcm
    try:
        import numpy as np  # noqa: PLC0415 - needed only for files of another rate
        import soxr  # noqa: PLC0415 - the same
    except ImportError as error:
        message = f"has {rate_hz} Hz and the phone 8000: convert it, or pip install 'voicebridge[embedded]'"
        raise ConfigurationError(message, source=source) from error
    samples = soxr.resample(np.frombuffer(pcm, dtype="<i2"), rate_hz, RATE_HZ, quality="HQ")
    return bytes(samples.astype("<i2").tobytes())


def write_stereo(path: Path, left: bytes, right: bytes) -> None:
    """Write two mu-law tracks that begin together as a stereo WAV file: 8 kHz, 16-bit PCM, which any player opens."""
    length = max(len(left), len(right))
    linear = [to_linear(track.ljust(length, SILENCE)) for track in (left, right)]
    stereo = audioop.add(audioop.tostereo(linear[0], 2, 1, 0), audioop.tostereo(linear[1], 2, 0, 1), 2)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(stereo)
