"""Sound on a time axis, and the playout buffer that writes it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.rehearsal.track import BUFFER_S, Playout, Track
from bridge.wire.g711 import SILENCE

SOUND = st.binary(min_size=1, max_size=50).map(lambda sound: sound.replace(SILENCE, b"\x00"))


def test_gap_between_two_pieces_reads_as_silence() -> None:
    """Before, between and behind what was written there is silence."""
    track = Track()
    track.append(2, b"ab")
    track.append(6, b"cd")

    assert b"\xff\xffab\xff\xffcd\xff" == track.read(0, 9)
    assert b"b\xff\xffc" == track.read(3, 7)


def test_sound_that_comes_early_waits_for_what_is_there() -> None:
    """Two pieces never overlap."""
    track = Track()

    assert [0, 3] == [track.append(0, b"abc"), track.append(1, b"de")]
    assert b"abcde" == track.read(0, 5)


def test_mixed_sound_is_heard_with_what_is_there() -> None:
    """Silence adds nothing; two voices add up."""
    track = Track()
    track.append(0, b"\x80\x80")
    track.mix(1, b"\xa0\xa0")

    heard = track.read(0, 3)
    assert (b"\x80", b"\xa0") == (heard[:1], heard[2:])
    assert heard[1:2] not in {b"\x80"[:0], SILENCE}


def test_tones_can_be_left_out() -> None:
    """Reading voices only, a tone is silence."""
    track = Track()
    track.append(0, b"aa", is_voice=False)
    track.append(2, b"bb")

    assert b"\xff\xffbb" == track.read(0, 4, voice_only=True)


@given(st.lists(st.tuples(st.integers(0, 60), SOUND), max_size=8), st.integers(0, 400))
def test_cut_divides_what_was_written(pieces: list[tuple[int, bytes]], at: int) -> None:
    """What is kept and what is dropped are together what was there."""
    track, position = Track(), 0
    for gap, sound in pieces:
        position = track.append(position + gap, sound) + len(sound)
    whole = track.read(0, max(at, track.end))

    dropped = track.cut(at)

    assert whole == track.read(0, at) + dropped
    assert track.end <= at


def test_mark_is_due_when_the_sound_before_it_has_been_played() -> None:
    """With nothing in the buffer it is due at once, and marks keep their order."""
    playout = Playout(Track())
    playout.mark(0, "empty")
    playout.queue(0, b"a" * 100)
    playout.mark(10, "behind a")
    playout.queue(10, b"b" * 50)
    playout.mark(10, "behind b")

    assert ["empty"] == playout.due(0)
    assert 100 == playout.next_due
    assert [] == playout.due(99)
    assert ["behind a", "behind b"] == playout.due(150)
    assert playout.next_due is None


def test_clear_makes_every_mark_due_and_keeps_what_was_heard() -> None:
    """The rest of the sound is returned, not played."""
    ear = Track()
    playout = Playout(ear)
    playout.queue(0, b"a" * 100)
    playout.mark(0, "one")
    playout.mark(0, "two")

    assert b"a" * 60 == playout.clear(40)
    assert ["one", "two"] == playout.due(40)
    assert b"a" * 40 == ear.read(0, ear.end)


def test_buffer_holds_ten_minutes() -> None:
    """What does not fit is dropped, and counted."""
    playout = Playout(Track())

    assert 0 == playout.queue(0, b"a" * (BUFFER_S * 8000))
    assert 400 == playout.queue(800, b"b" * 1200)


@given(st.lists(st.tuples(st.sampled_from(["media", "mark", "clear"]), st.integers(0, 40), SOUND), max_size=20))
def test_every_mark_comes_back_once_and_in_order(steps: list[tuple[str, int, bytes]]) -> None:
    """Whatever the bridge sends, and whenever."""
    playout, now, sent, returned = Playout(Track()), 0, [], []
    for number, (what, later, sound) in enumerate(steps):
        now += later
        if what == "media":
            playout.queue(now, sound)
        elif what == "mark":
            sent.append(str(number))
            playout.mark(now, str(number))
        else:
            playout.clear(now)
        returned += playout.due(now)

    assert sent == returned + playout.due(now + 10_000)
