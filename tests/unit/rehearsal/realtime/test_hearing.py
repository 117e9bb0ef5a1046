"""The input audio buffer: bounded, and cut into turns where the caller spoke."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from bridge.rehearsal.realtime.hearing import Hearing, TurnStarted, TurnStopped
from bridge.rehearsal.realtime.scripted import TONE
from bridge.rehearsal.realtime.settings import TurnDetection

DETECTION = TurnDetection(silence_duration_ms=300)


def silence(duration_ms: int) -> bytes:
    """Return mu-law silence."""
    return b"\xff" * 8 * duration_ms


def listening(detection: TurnDetection | None = DETECTION, *, max_buffered_ms: int = 600_000) -> Hearing:
    """Return a buffer of mu-law."""
    return Hearing("pcmu", detection, max_buffered_ms=max_buffered_ms)


@given(st.lists(st.integers(1, 4000), max_size=20))
def test_turns_are_the_same_in_whatever_pieces_the_audio_comes(sizes: list[int]) -> None:
    """Two turns with a pause between are found as such, however the audio is cut."""
    sound = silence(1000) + TONE * 600 + silence(800) + TONE * 600 + silence(800)
    hearing, turns, at = listening(), [], 0
    for size in [*sizes, len(sound)]:
        turns += hearing.append(sound[at : at + size])
        at += size

    assert listening().append(sound) == turns
    assert [TurnStarted, TurnStopped] * 2 == [type(turn) for turn in turns]


def test_turn_holds_the_audio_between_its_times() -> None:
    """The audio of a turn is that from its start to its stop."""
    sound = silence(1000) + TONE * 600 + silence(500)
    started, stopped = listening().append(sound)

    assert isinstance(stopped, TurnStopped)
    assert sound[started.at_ms * 8 : stopped.at_ms * 8] == stopped.line_audio


def test_times_count_from_the_start_of_all_audio_after_new_settings() -> None:
    """New settings begin a new search for turns, not a new time."""
    hearing = listening()
    hearing.append(silence(2000))
    hearing.configure("pcmu", dataclasses.replace(DETECTION, threshold=0.6))
    started, *_ = hearing.append(silence(500) + TONE * 600)

    assert 2000 <= started.at_ms <= 2500


def test_endless_speech_is_bounded() -> None:
    """A caller who never pauses fills no memory: all but the last second and the newest piece is forgotten."""
    hearing = listening(max_buffered_ms=1000)
    for _ in range(10):
        hearing.append(TONE * 450 + silence(50))  # a steady tone would become the line's own noise
    *_, stopped = hearing.append(silence(400))

    assert isinstance(stopped, TurnStopped)
    assert len(stopped.line_audio) <= (1000 + 400) * 8


def test_client_may_commit_in_the_middle_of_a_turn() -> None:
    """A commit takes what there is; the turn then ends with what came after."""
    hearing = listening()
    hearing.append(TONE * 600)
    taken = hearing.commit()
    *_, stopped = hearing.append(TONE * 100 + silence(400))

    assert TONE * 600 == taken
    assert isinstance(stopped, TurnStopped)
    assert stopped.line_audio.startswith(TONE * 100)
