"""The bridge's own ear: who takes the floor, who does not, and what is only an echo."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.call.echo import FarEnd
from bridge.call.voice import PAUSE_MS, CallerEar
from bridge.rehearsal.sound import add, to_linear, to_ulaw, tone
from bridge.wire.g711 import BYTES_PER_MS, FRAME_BYTES, SILENCE
from tests.human_turns import BOT_LOUDER_DB, VARIATIONS, Clip, clips, echo, later, listen, louder, noise, outcome

DOCS = Path(__file__).parents[3] / "docs" / "barge-in.md"
TAKES = [clip for clip in clips() if clip.is_take]
BACKCHANNELS = [clip for clip in clips() if not clip.is_take]
VOICE = tone(140, 280, 420, duration_ms=500)
QUIET = SILENCE * (1000 * BYTES_PER_MS)


def name(clip: Clip) -> str:
    """What a clip is called in a test's id."""
    return clip.id


def rows(title: str) -> list[list[str]]:
    """The rows of the table under that heading of the docs, cell by cell."""
    section = DOCS.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# People


@pytest.mark.parametrize("clip", TAKES, ids=name)
def test_caller_who_takes_the_floor_cuts_the_bot(clip: Clip) -> None:
    """Real people who made another stop are confirmed, after they began and within three seconds."""
    cut_at_ms = listen(clip.caller, clip.bot).cut_at_ms

    assert cut_at_ms is not None
    assert 0 < cut_at_ms - clip.onset_ms < 3000


@pytest.mark.parametrize("clip", BACKCHANNELS, ids=name)
def test_caller_who_only_listens_aloud_does_not_cut_the_bot(clip: Clip) -> None:
    """Real people's "mm-hm", "okay" and "yeah yeah I can imagine" are no turns."""
    assert listen(clip.caller, clip.bot).cut_at_ms is None


def test_docs_state_what_the_ear_says_to_each_clip() -> None:
    """The table in the docs is the code's own."""
    expected = []
    for clip in clips():
        verdict = listen(clip.caller, clip.bot)
        heard = f"{verdict.cut_at_ms - clip.onset_ms} ms" if verdict.cut_at_ms else "no"
        expected.append([clip.id, "floor" if clip.is_take else "backchannel", heard, f"{verdict.voiced_ms} ms"])

    assert expected == [[row[0], row[1], row[3], row[4]] for row in rows("The clips")]


@pytest.mark.parametrize("variation", VARIATIONS)
def test_docs_state_what_a_line_changes(variation: str) -> None:
    """The table of variations in the docs is the code's own."""
    result = outcome(VARIATIONS[variation])
    after_ms = f"{result.after_ms[0]} to {result.after_ms[-1]} ms" if result.after_ms else "-"

    assert [variation, f"{result.takes} of 4", f"{result.false_cuts} of 7", after_ms] in rows(
        "The clips on worse lines"
    )


# What an attempt is


def test_caller_in_sounds_too_short_and_too_far_apart_does_not_cut_the_bot() -> None:
    """Any number of them: a pause of a second ends an attempt."""
    assert listen((VOICE + QUIET + SILENCE * FRAME_BYTES * 4) * 5).cut_at_ms is None


def test_caller_who_pauses_for_less_than_a_second_goes_on_where_he_was() -> None:
    """A pause to breathe loses nothing."""
    verdict = listen(QUIET + VOICE + QUIET[: 800 * BYTES_PER_MS] + VOICE)

    assert verdict.cut_at_ms is not None
    assert 1000 + 500 + 800 + 200 <= verdict.cut_at_ms <= 1000 + 500 + 800 + 260


def test_whisper_before_the_caller_speaks_is_taken_out_again() -> None:
    """What turns out to be much weaker than the caller was somebody else."""
    verdict = listen(QUIET + louder(VOICE, -20) + VOICE + QUIET)

    assert verdict.cut_at_ms is None


def test_speech_before_the_model_notices_counts_when_it_does() -> None:
    """The model's speech-start comes late; then the ear decides at once."""
    ear = CallerEar(confirm_ms=700)
    ear.hear(QUIET + VOICE + VOICE, 0)
    before = ear.confirmed
    ear.opened(2000)

    assert (False, True, 2000) == (before, ear.confirmed, ear.confirmed_at_ms)


def test_speech_that_the_model_does_not_take_for_speech_is_not_confirmed() -> None:
    """The model opens the question; while it is closed, the ear answers nothing."""
    ear = CallerEar(confirm_ms=700)
    ear.opened(0)
    ear.closed(100)
    ear.hear(QUIET + VOICE + VOICE, 0)

    assert ear.voiced_ms > 700
    assert not ear.confirmed


def test_caller_still_speaking_when_the_bot_begins_anew_begins_at_zero() -> None:
    """After a cut, what the caller goes on saying does not cut the next answer at once."""
    ear = CallerEar(confirm_ms=700)
    ear.opened(0)
    ear.play(SILENCE * 40_000, 0)
    ear.hear(QUIET + VOICE + VOICE, 0)
    ear.cleared(2000)
    was_confirmed = ear.confirmed
    ear.play(SILENCE * 40_000, 2300)
    ear.hear(VOICE, 2000)

    assert was_confirmed
    assert not ear.confirmed
    assert 160 <= ear.voiced_ms <= 240


def test_ear_that_heard_nothing_for_long_begins_at_zero() -> None:
    """It is given sound only while the bot is heard; what was before is over."""
    ear = CallerEar(confirm_ms=700)
    ear.opened(0)
    ear.hear(QUIET + VOICE, 0)
    ear.hear(VOICE, 1500 + PAUSE_MS + 40)

    assert not ear.confirmed
    assert ear.voiced_ms <= 500


# What is no voice


@pytest.mark.parametrize("magnitude", [100, 1000, 8000])
def test_hiss_does_not_cut_the_bot(magnitude: int) -> None:
    """However loud, and however suddenly it comes."""
    samples = noise(24_000)
    hiss = to_ulaw(samples) if magnitude == 1000 else louder(to_ulaw(samples), 20 if magnitude > 1000 else -20)

    assert 0 == listen(QUIET + hiss).voiced_ms


def test_hum_that_is_there_from_the_beginning_does_not_cut_the_bot() -> None:
    """A steady sound is the line's own, voice-like or not."""
    assert listen(tone(120, 240, 360, duration_ms=6000)).cut_at_ms is None


def test_coughs_and_clicks_do_not_cut_the_bot() -> None:
    """Bursts that repeat nothing are no voice."""
    burst = to_ulaw(noise(1600))
    click = b"\x80" * 8

    assert listen(QUIET + (burst + QUIET[:1600]) * 5 + (click + QUIET[:800]) * 20).voiced_ms <= 40


@given(st.integers(0, 2**32), st.integers(0, 7))
@settings(max_examples=25)
def test_noise_of_any_bytes_is_never_confirmed(seed: int, fainter_by: int) -> None:
    """From full scale, in steps of 6 dB, to silence."""
    dice = random.Random(seed)  # noqa: S311 - the same each time
    faint = fainter_by << 4
    hiss = bytes(dice.randrange(2) << 7 | min(0x7F, dice.randrange(0x80) + faint) for _ in range(16_000))

    assert listen(QUIET + hiss).cut_at_ms is None


# Pieces and limits


@given(st.lists(st.integers(1, 700), min_size=1, max_size=6))
@settings(max_examples=20)
def test_pieces_of_any_size_give_the_same_verdict(sizes: list[int]) -> None:
    """How the carrier cuts the sound into messages does not matter."""
    clip = TAKES[-1]
    sound = clip.caller[: 5000 * BYTES_PER_MS]
    whole = listen(sound, clip.bot)
    pieces = listen(sound, clip.bot, pieces=tuple(size * BYTES_PER_MS for size in sizes))

    assert whole.cut_at_ms == pieces.cut_at_ms


@given(st.integers(20, 3000), st.integers(20, 3000), st.sampled_from(clips()))
@settings(max_examples=20)
def test_who_needs_less_is_confirmed_no_later(one_ms: int, other_ms: int, clip: Clip) -> None:
    """A smaller `confirm_ms` never waits longer."""
    less_ms, more_ms = sorted((one_ms, other_ms))
    late = listen(clip.caller, confirm_ms=more_ms).cut_at_ms
    soon = listen(clip.caller, confirm_ms=less_ms).cut_at_ms

    assert late is None or (soon is not None and soon <= late)


# Echo


def test_docs_state_what_echoes_do() -> None:
    """No echo of the grid cuts the bot, and the docs say how many there were."""
    bots = [louder(clips()[number].bot, BOT_LOUDER_DB) for number in (0, 3, 6)]
    echoes = [
        (bot, to_ulaw(echo(bot, delay_ms, weaker_db, in_room=in_room)))
        for bot in bots
        for delay_ms in (20, 150, 600)
        for weaker_db in (6, 15, 40)
        for in_room in (False, True)
    ]
    cuts = sum(listen(back, bot).cut_at_ms is not None for bot, back in echoes)
    stated = re.search(r"(\d+) of (\d+) echoes cut the bot", DOCS.read_text(encoding="utf-8"))

    assert stated is not None
    assert (str(cuts), str(len(echoes))) == stated.groups()
    assert 0 == cuts


@given(st.sampled_from(clips()), st.integers(20, 600), st.integers(6, 40))
@settings(max_examples=25)
def test_echo_of_any_delay_and_strength_is_never_confirmed(clip: Clip, delay_ms: int, weaker_db: int) -> None:
    """The bot's own voice, band-limited and hissing, does not cut it."""
    bot = louder(clip.bot, BOT_LOUDER_DB)[: 5000 * BYTES_PER_MS]

    assert listen(to_ulaw(echo(bot, delay_ms, weaker_db)), bot).cut_at_ms is None


def test_echo_is_confirmed_by_an_ear_that_does_not_know_what_was_played() -> None:
    """It is the reference that tells an echo from a caller: without it these tests would show nothing."""
    bot = louder(clips()[0].bot, BOT_LOUDER_DB)

    assert listen(to_ulaw(echo(bot, 150, 10))).cut_at_ms is not None


@pytest.mark.parametrize("clip", TAKES, ids=name)
@pytest.mark.parametrize(("delay_ms", "weaker_db"), [(60, 12), (300, 12), (300, 20)])
def test_talker_over_an_echo_cuts_the_bot(clip: Clip, delay_ms: int, weaker_db: int) -> None:
    """Somebody who really speaks is heard through the echo, if somewhat later."""
    bot = louder(clip.bot, BOT_LOUDER_DB)
    voice = to_linear(louder(clip.caller, BOT_LOUDER_DB))
    cut_at_ms = listen(to_ulaw(add(voice, echo(bot, delay_ms, weaker_db))), bot).cut_at_ms

    assert cut_at_ms is not None
    assert 0 < cut_at_ms - clip.onset_ms < 5000


def test_far_end_remembers_two_minutes_of_what_is_still_to_be_played() -> None:
    """What is sent is bounded by nobody; what is remembered of it is."""
    far = FarEnd()
    for minute in range(4):
        far.play(b"\x80" * (60_000 * BYTES_PER_MS), 60_000 * minute)

    assert [b"\x80" * FRAME_BYTES] * 3 == [far.frame(at_ms) for at_ms in (0, 60_000, 179_980)]
    assert far.frame(180_000) is None


def test_echo_is_recognised_though_the_playing_began_later_than_said() -> None:
    """The bridge knows only roughly when its sound is heard."""
    bot = louder(clips()[0].bot, BOT_LOUDER_DB)
    ear = CallerEar(confirm_ms=700)
    ear.opened(0)
    for at in range(0, len(bot), 3000):  # as it comes from the model: in pieces, each estimate a bit off
        ear.play(bot[at : at + 3000], at // BYTES_PER_MS + (37 * at) % 90)
    back = later(to_ulaw(echo(bot, 100, 10)), 130)
    for at in range(0, len(back), FRAME_BYTES):
        ear.hear(back[at : at + FRAME_BYTES], at // BYTES_PER_MS)

    assert not ear.confirmed
