"""When somebody speaks and when not."""

from __future__ import annotations

from bridge.rehearsal.hearing import Hearing
from bridge.wire.g711 import SILENCE

LOUD, QUIET = b"\x20" * 160, SILENCE * 160


def listen(hearing: Hearing, pattern: str, *, is_more_coming: bool = False) -> list[tuple[int, str]]:
    """Feed a frame for each letter, `x` a loud one; returns the frames at which something changed."""
    changes = [
        (n, hearing.feed(n * 160, LOUD if letter == "x" else QUIET, is_more_coming=is_more_coming))
        for n, letter in enumerate(pattern)
    ]
    return [(n, change) for n, change in changes if change is not None]


def test_stretch_of_speech_ends_after_half_a_second() -> None:
    """It is told then, with the place where the last sound ended."""
    hearing = Hearing()

    assert [(2, "started"), (28, "stopped")] == listen(hearing, "..xx" + "." * 40)
    assert (320, 640) == (hearing.started, hearing.stopped)


def test_pause_inside_speech_does_not_end_it() -> None:
    """Four tenths of a second are a breath."""
    hearing = Hearing()

    assert [(0, "started")] == listen(hearing, "x" + "." * 20 + "x")
    assert 1 == hearing.stretches


def test_silence_with_more_in_the_buffer_does_not_end_it() -> None:
    """A pause of the bot's is no end of its turn."""
    assert [(0, "started")] == listen(Hearing(), "x" + "." * 60, is_more_coming=True)
