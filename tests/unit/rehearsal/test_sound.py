"""WAV files in and out, tones."""

from __future__ import annotations

import struct
import wave
from typing import TYPE_CHECKING

import pytest

from bridge.errors import ConfigurationError
from bridge.rehearsal.sound import decode_wav, is_loud, key_tone, mix, read_wav, tone, write_stereo
from bridge.wire.g711 import SILENCE

if TYPE_CHECKING:
    from pathlib import Path


def wav(data: bytes, *, form: int = 7, channels: int = 1, rate_hz: int = 8000, bits: int = 8) -> bytes:
    """The bytes of a WAV file, with a chunk of odd length that nobody needs before the sound."""
    header = struct.pack("<HHIIHH", form, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    chunks = [(b"fmt ", header), (b"LIST", b"odd"), (b"data", data)]
    body = b"".join(struct.pack("<4sI", name, len(chunk)) + chunk + b"\0" * (len(chunk) % 2) for name, chunk in chunks)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body


def test_mu_law_file_passes_unchanged() -> None:
    """Not a byte of a recording made for the telephone is converted."""
    assert bytes(range(256)) == decode_wav(wav(bytes(range(256))), "caller.wav")


def test_pcm_of_any_width_becomes_the_same_mu_law() -> None:
    """16, 24 and 32 bits hold the same sound; 8 bits nearly."""
    samples = [0, 8000, -8000, 32000]
    wide = [
        decode_wav(
            wav(
                b"".join((sample << bits - 16).to_bytes(bits // 8, "little", signed=True) for sample in samples),
                form=1,
                bits=bits,
            ),
            "x",
        )
        for bits in (16, 24, 32)
    ]
    narrow = decode_wav(wav(bytes((sample >> 8) + 128 for sample in samples), form=1, bits=8), "x")

    assert [wide[0]] * 2 == wide[1:]
    assert all(abs(one - other) <= 1 for one, other in zip(wide[0], narrow, strict=True))


def test_file_of_another_rate_is_resampled(tmp_path: Path) -> None:
    """A second at 16 kHz is a second at 8 kHz."""
    path = tmp_path / "caller.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(struct.pack("<16000h", *[9000 if n % 32 < 16 else -9000 for n in range(16000)]))

    sound = read_wav(path)

    assert 8000 == len(sound)
    assert is_loud(sound)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"ID3 no wave", "is not a WAV file"),
        (wav(b"ab", channels=2), "has 2 channels"),
        (wav(b"abcd", form=3, bits=32), "neither PCM nor G.711"),
        (b"RIFF\0\0\0\0WAVE", "without a format"),
    ],
)
def test_unusable_file_is_refused_with_a_way_out(data: bytes, sentence: str) -> None:
    """The error names the file."""
    with pytest.raises(ConfigurationError, match=f"caller.wav.*{sentence}"):
        decode_wav(data, "caller.wav")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(ConfigurationError, match="No such file"):
        read_wav(tmp_path / "nobody.wav")


def test_stereo_file_has_the_caller_on_the_left(tmp_path: Path) -> None:
    """The shorter track ends in silence."""
    path = tmp_path / "call.wav"
    write_stereo(path, b"\x80" * 80, SILENCE * 40)

    with wave.open(str(path)) as file:
        frames = struct.unpack("<160h", file.readframes(80))
        assert (2, 2, 8000) == (file.getnchannels(), file.getsampwidth(), file.getframerate())
    assert {32124} == set(frames[::2])
    assert {0} == set(frames[1::2])


def test_each_key_has_a_sound_of_its_own() -> None:
    """Sixteen keys, sixteen tones, all audible."""
    tones = {key_tone(key) for key in "0123456789*#ABCD"}

    assert 16 == len(tones)
    assert all(is_loud(each) for each in tones)


def test_silence_adds_nothing_to_sound() -> None:
    """Mixing keeps the longer one's length."""
    sound = tone(440, duration_ms=20)

    assert sound + SILENCE * 40 == mix(sound, SILENCE * 200)
