"""G.711: sizes without decoding, silence, and conversions that neither lose nor fold anything."""

from __future__ import annotations

import math
import struct
from base64 import b64decode, b64encode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.g711 import Format, converter, silence, size_of

ALAW_SILENCE = 0xD5
Samples = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def tone(hz: float, rate_hz: int, *, seconds: float = 1.0, amplitude: int = 16_000) -> bytes:
    """16-bit PCM."""
    count = int(rate_hz * seconds)
    wave = (round(amplitude * math.sin(2 * math.pi * hz * n / rate_hz)) for n in range(count))
    return struct.pack(f"<{count}h", *wave)


def convert(sound: bytes, form: Format, *, to_model: bool, chunks: list[int] | None = None) -> bytes:
    """Convert a stream, in pieces of these sizes."""
    conversion = converter(form, to_model=to_model)
    assert conversion is not None
    converted, start = b"", 0
    for size in [*(chunks or []), len(sound)]:
        piece, start = sound[start : start + size], start + size
        converted += b64decode(conversion.convert(b64encode(piece).decode()))
    return converted + b64decode(conversion.flush())


def ulaw_samples(sound: bytes) -> Samples:
    """Mu-law as samples of 14 bits, by the standard's own formula."""
    codes = ~np.frombuffer(sound, dtype=np.uint8)
    magnitude = (((codes & 0x0F).astype(int) * 2 + 33) << (codes >> 4 & 0x07)) - 33
    return np.asarray(np.where(codes & 0x80, -magnitude, magnitude), dtype=np.float64)


def level_db(samples: Samples, full_scale: float) -> float:
    """The level of a sound against a full-scale sine."""
    power = float(np.mean(samples**2)) / (full_scale**2 / 2)
    return 10 * math.log10(max(power, 1e-12))


@given(st.binary(max_size=2000))
def test_size_is_known_without_decoding(sound: bytes) -> None:
    """For every length, padded or not."""
    assert len(sound) == size_of(b64encode(sound).decode())


@pytest.mark.parametrize("text", ["", "=", "==", "g=", "g==", "abc"])
def test_text_that_is_too_short_to_be_base64_has_no_length(text: str) -> None:
    """A peer may send it: a length below nothing would move the call's clocks backwards."""
    assert 0 == size_of(text)


@given(st.integers(0, 3000))
def test_silence_is_as_long_as_asked(duration_ms: int) -> None:
    """And nothing but silence."""
    assert b"\xff" * (8 * duration_ms) == b64decode(silence(duration_ms))


def test_mu_law_is_never_converted() -> None:
    """There is no converter to go through."""
    assert converter("g711_ulaw", to_model=True) is None
    assert converter("g711_ulaw", to_model=False) is None


@pytest.mark.parametrize("form", ["g711_alaw", "pcm16"])
@pytest.mark.parametrize("to_model", [True, False])
def test_payload_that_is_not_base64_is_refused(form: Format, to_model: bool) -> None:  # noqa: FBT001 - a table
    """Whoever calls knows what to do about it."""
    conversion = converter(form, to_model=to_model)
    assert conversion is not None

    with pytest.raises(ValueError, match=r".*"):
        conversion.convert("not base64!")


def test_a_law_there_and_back() -> None:
    """Every mu-law byte comes back as itself or its neighbour: the two laws differ by less than a step."""
    every = bytes(range(256))

    back = convert(convert(every, "g711_alaw", to_model=True), "g711_alaw", to_model=False)

    before, after = ulaw_samples(every), ulaw_samples(back)
    assert bool(np.all(np.abs(before - after) <= np.maximum(4, np.abs(before) / 16)))


def test_silence_stays_silence_in_a_law() -> None:
    """Positive zero there is another byte."""
    assert {ALAW_SILENCE} == set(convert(b"\xff" * 160, "g711_alaw", to_model=True))
    assert {0} == set(ulaw_samples(convert(bytes([ALAW_SILENCE]) * 160, "g711_alaw", to_model=False)) // 8)


@pytest.mark.parametrize("form", ["g711_alaw", "pcm16"])
@pytest.mark.parametrize("to_model", [True, False])
@given(chunks=st.lists(st.integers(0, 700), max_size=20))
def test_pieces_make_no_difference(form: Format, to_model: bool, chunks: list[int]) -> None:  # noqa: FBT001 - a table
    """A stream cut anywhere, within a sample even, is the same stream."""
    pcm = tone(440, 24_000, seconds=0.1)
    sound = pcm if form == "pcm16" and not to_model else bytes(range(256)) * 4

    assert convert(sound, form, to_model=to_model) == convert(sound, form, to_model=to_model, chunks=chunks)


@pytest.mark.parametrize("to_model", [True, False])
def test_length_is_kept(to_model: bool) -> None:  # noqa: FBT001 - a table
    """A second stays a second, to a millisecond."""
    sound = b"\xff" * 8000 if to_model else tone(440, 24_000)

    converted = convert(sound, "pcm16", to_model=to_model)

    assert abs(len(converted) - (48_000 if to_model else 8000)) <= (48 if to_model else 8)


@pytest.mark.parametrize("hz", [4500, 5000, 6000, 7000, 9000, 11_000])
def test_nothing_folds_into_the_phones_band(hz: int) -> None:
    """What a phone cannot carry is gone, not moved: at least 60 dB down."""
    heard = ulaw_samples(convert(tone(hz, 24_000), "pcm16", to_model=False))

    assert level_db(heard[800:-800], 8031) < -60


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_phones_band_passes(hz: int) -> None:
    """Within a decibel, both ways."""
    down = ulaw_samples(convert(tone(hz, 24_000), "pcm16", to_model=False))
    assert abs(level_db(down[800:-800], 8031) - level_db(np.array([16_000 / 32_767 / math.sqrt(2)]), 1)) < 1

    there = convert(convert(tone(hz, 24_000), "pcm16", to_model=False), "pcm16", to_model=True)
    up = np.frombuffer(there, dtype="<i2").astype(float)
    assert abs(level_db(up[2400:-2400], 32_767) - level_db(np.array([16_000 / 32_767 / math.sqrt(2)]), 1)) < 1


def test_new_utterance_begins_anew() -> None:
    """After a flush nothing of what was said before is heard."""
    conversion = converter("pcm16", to_model=False)
    assert conversion is not None
    conversion.convert(b64encode(tone(1000, 24_000, seconds=0.2)[:-1]).decode())
    conversion.flush()

    fresh = b64decode(conversion.convert(b64encode(bytes(9600)).decode())) + b64decode(conversion.flush())

    assert {0.0} == set(ulaw_samples(fresh))
