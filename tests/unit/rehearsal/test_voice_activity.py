"""Voice activity on the embedded model's side: turns found in phone audio."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rehearsal.sound import mix, read_wav, tone
from bridge.rehearsal.voice_activity import SpeechEvent, SpeechStarted, SpeechStopped, VoiceActivity
from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, SILENCE

CALLS = Path(__file__).parents[3] / "fixtures" / "calls"


def silence(duration_ms: int) -> bytes:
    """A line on which nothing is heard."""
    return SILENCE * (duration_ms * BYTES_PER_MS)


def noise(duration_ms: int, *, mask: int, seed: int = 1) -> bytes:
    """Noise, the louder the more bits of a mu-law sample `mask` lets through."""
    bits = random.Random(seed)  # noqa: S311 - the same noise each time
    return bytes(
        0xFF - bits.getrandbits(7) % mask | bits.getrandbits(1) << 7 for _ in range(duration_ms * BYTES_PER_MS)
    )


def speech(duration_ms: int, *, level: float = 0.2) -> bytes:
    """Something as loud as speech."""
    return tone(300, 800, duration_ms=duration_ms, level=level)


def test_speech_between_silences_is_one_turn_with_padding_and_silence() -> None:
    """A turn begins its padding before the first loud frame and ends when the silence is complete."""
    activity = VoiceActivity(prefix_padding_ms=300, silence_duration_ms=500)

    found = activity.feed(silence(1000) + speech(800) + silence(1000))

    assert [SpeechStarted(700), SpeechStopped(2300)] == found
    assert 2800 == activity.now_ms


def test_padding_never_reaches_into_the_turn_before() -> None:
    """A caller who goes on at once begins where the turn before ended."""
    activity = VoiceActivity(prefix_padding_ms=1000, silence_duration_ms=200)

    found = activity.feed(speech(400) + silence(300) + speech(400) + silence(300))

    assert [SpeechStarted(0), SpeechStopped(600), SpeechStarted(600), SpeechStopped(1300)] == found


def test_pause_shorter_than_the_silence_does_not_end_a_turn() -> None:
    """480 ms of silence are a pause where 500 ms end a turn."""
    found = VoiceActivity(silence_duration_ms=500).feed(silence(500) + speech(400) + silence(480) + speech(400))

    assert [SpeechStarted(200)] == found


@pytest.mark.parametrize("silence_duration_ms", [100, 200, 500, 1000])
def test_silence_duration_decides_when_a_turn_ends(silence_duration_ms: int) -> None:
    """The turn ends exactly so long after the last loud frame."""
    activity = VoiceActivity(silence_duration_ms=silence_duration_ms)

    found = activity.feed(silence(500) + speech(400) + silence(1500))

    assert SpeechStopped(900 + silence_duration_ms) == found[-1]


def test_click_is_not_speech() -> None:
    """A loud frame or two begin no turn."""
    assert [] == VoiceActivity().feed(silence(1000) + speech(40, level=0.9) + silence(1000))


def test_steady_noise_is_not_speech_and_speech_over_it_is() -> None:
    """A noisy line is learned from its first frames; who speaks well above the noise is heard."""
    hiss = noise(4000, mask=32)
    activity = VoiceActivity()

    assert [] == activity.feed(hiss[: 2000 * BYTES_PER_MS])
    found = activity.feed(mix(hiss[2000 * BYTES_PER_MS :], speech(600)))

    assert [SpeechStarted, SpeechStopped] == [type(event) for event in found]
    assert 1700 == found[0].at_ms


def test_noise_that_begins_during_a_call_is_learned() -> None:
    """It may be taken for speech at first, and is not any more some seconds later."""
    activity = VoiceActivity()
    activity.feed(silence(2000) + noise(12_000, mask=40))

    assert [] == activity.feed(noise(3000, mask=40, seed=2))


def test_higher_threshold_hears_less() -> None:
    """What stands out little from the noise is speech at a low threshold only."""
    sound = (
        noise(1000, mask=48) + mix(noise(800, mask=48, seed=2), speech(800, level=0.05)) + noise(800, mask=48, seed=3)
    )

    assert [] != VoiceActivity(threshold=0.1).feed(sound)
    assert [] == VoiceActivity(threshold=1.0).feed(sound)


def test_caller_who_speaks_in_the_first_frame_is_heard() -> None:
    """The floor is not learned from somebody's voice."""
    assert [SpeechStarted(0)] == VoiceActivity().feed(speech(400))


def test_almost_silent_sound_is_never_speech() -> None:
    """A voice at -60 dBFS, heard through a wall, is not meant for the phone."""
    assert [] == VoiceActivity(threshold=0).feed(silence(1000) + speech(1000, level=0.001) + silence(1000))


@pytest.mark.parametrize("voice", ["slt", "rms", "awb", "kal16"])
def test_recorded_caller_is_one_turn(voice: str) -> None:
    """Each utterance is found, once, within 60 ms of its beginning."""
    for path in sorted((CALLS / voice).glob("*.wav")):
        found = VoiceActivity().feed(silence(1000) + read_wav(path) + silence(1000))

        assert [SpeechStarted, SpeechStopped] == [type(event) for event in found], path.name
        assert math.isclose(740, found[0].at_ms, abs_tol=60), path.name


SOUND = silence(330) + speech(300) + silence(410) + noise(300, mask=64) + speech(250) + silence(700)


def whole() -> list[SpeechEvent]:
    """What is found when all of it is fed at once."""
    return VoiceActivity(silence_duration_ms=200).feed(SOUND)


@given(st.lists(st.integers(min_value=0, max_value=5 * FRAME_BYTES), max_size=60))
def test_size_of_the_pieces_makes_no_difference(sizes: list[int]) -> None:
    """The same sound in any pieces gives the same turns at the same times."""
    activity = VoiceActivity(silence_duration_ms=200)
    found, at = [], 0
    for size in [*sizes, len(SOUND)]:
        found += activity.feed(SOUND[at : at + size])
        at += size

    assert whole() == found
    assert len(SOUND) // BYTES_PER_MS == activity.now_ms


@given(st.binary(max_size=4000))
def test_any_bytes_are_survived_and_turns_alternate(sound: bytes) -> None:
    """Started and stopped take turns, in time, whatever comes over the line."""
    found = VoiceActivity(silence_duration_ms=40, prefix_padding_ms=100).feed(sound)

    assert [SpeechStarted, SpeechStopped] * (len(found) // 2) + [SpeechStarted] * (len(found) % 2) == list(
        map(type, found)
    )
    assert sorted(event.at_ms for event in found) == [event.at_ms for event in found]
