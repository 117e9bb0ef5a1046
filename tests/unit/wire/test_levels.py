"""Loudness, voice and outline of mu-law bytes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rehearsal.sound import to_linear, to_ulaw, tone
from bridge.wire.g711 import SILENCE
from bridge.wire.levels import FULL_SCALE, is_voiced, magnitude, outline
from tests.human_turns import clips, later, louder, noise


def test_magnitude_of_silence_is_zero() -> None:
    """Both zeros of mu-law are silence."""
    assert 0 == magnitude(SILENCE * 160)
    assert 0 == magnitude(b"\x7f" * 160)


@given(st.binary(min_size=1, max_size=400))
def test_magnitude_is_the_mean_of_the_samples_without_their_signs(ulaw: bytes) -> None:
    """The two tables together lose nothing: 14 bits, a quarter of the 16-bit sample."""
    linear = to_linear(ulaw)
    samples = [int.from_bytes(linear[at : at + 2], "little", signed=True) for at in range(0, len(linear), 2)]

    assert math.isclose(sum(map(abs, samples)) / 4 / len(ulaw), magnitude(ulaw))
    assert magnitude(ulaw) < FULL_SCALE


@pytest.mark.parametrize("hz", [80, 120, 200, 300])
def test_tone_at_the_pitch_of_a_voice_is_voiced(hz: int) -> None:
    """What repeats itself 60 to 400 times a second is a voice's."""
    assert is_voiced(tone(hz, 2 * hz, 3 * hz, duration_ms=40))


def test_hiss_is_not_voiced() -> None:
    """No 40 ms of noise repeat themselves."""
    hiss = to_ulaw(noise(40_000))

    assert 0 == sum(is_voiced(hiss[at : at + 320]) for at in range(0, len(hiss), 320))


def test_outline_of_a_copy_agrees_at_its_delay_only() -> None:
    """A weaker copy that comes later is recognised by its shape, and by how much later it comes."""
    voice = louder(clips()[0].bot[:16_000], 12)
    copy = later(louder(voice, -15), 50)
    near, far = outline(copy[8000:]), outline(voice, dithered=True)
    mask = (1 << 4000) - 1

    def agreeing(delay_ms: int) -> int:
        return 4000 - (far >> 4 * delay_ms & mask ^ near).bit_count()

    others = [agreeing(delay_ms) for delay_ms in range(0, 500, 7) if abs(delay_ms - 50) > 3]

    assert agreeing(50) > 2800
    assert max(others) < 2200


def test_outlines_of_silence_agree_by_chance_only() -> None:
    """Silence is no copy of silence."""
    silence = SILENCE * 1600

    assert abs((outline(silence) ^ outline(silence, dithered=True)).bit_count() - 400) <= 1


def test_outlines_of_different_sounds_agree_by_chance_only() -> None:
    """Half of the bits."""
    dice = random.Random(1)  # noqa: S311 - the same each time
    one, other = dice.randbytes(16_000), dice.randbytes(16_000)

    assert abs((outline(one) ^ outline(other, dithered=True)).bit_count() - 4000) < 200
