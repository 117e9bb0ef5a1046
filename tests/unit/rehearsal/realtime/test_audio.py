"""Formats of the wire against the mu-law of the phone line."""

from __future__ import annotations

import math
import struct
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rehearsal.realtime import audio
from bridge.rehearsal.realtime.refusal import Refusal
from bridge.rehearsal.realtime.scripted import TONE
from bridge.rehearsal.realtime.settings import AudioFormat


@pytest.mark.parametrize("audio_format", get_args(AudioFormat))
def test_utterance_lasts_as_long_in_every_format(audio_format: AudioFormat) -> None:
    """A second of mu-law is a second in each format."""
    assert 1000 * audio.WIRE_BYTES_PER_MS[audio_format] == len(audio.encode(TONE * 1000, audio_format))


def test_empty_utterance_stays_empty() -> None:
    """Nothing to say is nothing on the wire."""
    assert [b""] * 3 == [audio.encode(b"", audio_format) for audio_format in get_args(AudioFormat)]


def test_alaw_survives_the_round_trip() -> None:
    """A-law out and in again is the same tone, within a step of quantisation."""
    heard = audio.LineDecoder("pcma").decode(audio.encode(TONE * 100, "pcma"))

    assert len(TONE * 100) == len(heard)
    assert all(abs(sent - got) <= 1 for sent, got in zip(TONE * 100, heard, strict=True) if sent not in (0xFF, 0x7F))


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_pcm_is_the_same_in_whatever_pieces_it_comes(sizes: list[int]) -> None:
    """Chunks of any size, odd ones too, give the bytes that one chunk gives."""
    wire = audio.encode(TONE * 40, "pcm")
    whole = audio.LineDecoder("pcm").decode(wire)
    decoder, pieces, at = audio.LineDecoder("pcm"), b"", 0
    for size in [*sizes, len(wire)]:
        pieces += decoder.decode(wire[at : at + size])
        at += size

    assert whole == pieces


def test_pcm_above_the_phone_band_is_filtered_out() -> None:
    """A tone of 6 kHz does not come back as one of 2 kHz."""
    samples = (round(20000 * math.sin(2 * math.pi * 6000 * n / 24000)) for n in range(24000))
    wire = b"".join(struct.pack("<h", sample) for sample in samples)
    heard = audio.LineDecoder("pcm").decode(wire)[800:-800]

    assert all(byte & 0x7F > 0x70 for byte in heard)


@pytest.mark.parametrize("text", ["!!", "abc", "äöü", "YQ==YQ=="])
def test_text_that_is_not_base64_is_refused(text: str) -> None:
    """Broken base64 is `invalid_value` of the field."""
    with pytest.raises(Refusal) as refused:
        audio.decode_base64(text, param="audio")

    assert ("invalid_value", "audio") == (refused.value.code, refused.value.param)
