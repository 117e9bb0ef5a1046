"""The caller's line: what it does to the sound and to the packets."""

from __future__ import annotations

import pytest

from bridge.rehearsal.line import Line, Transmission
from bridge.rehearsal.sound import is_loud, tone
from bridge.wire.g711 import SILENCE

QUIET = SILENCE * 160


def level(sound: bytes) -> int:
    """How many samples are not quite silence: a crude measure that needs no arithmetic."""
    return sum(byte & 0x7F < 0x50 for byte in sound)


def test_line_by_default_changes_not_a_byte() -> None:
    """The mu-law path is byte-exact."""
    sound = bytes(range(160))

    assert sound == Transmission(Line()).pass_on(sound, sound)


def test_ear_comes_back_into_the_mouth_later_and_weaker() -> None:
    """A speakerphone: the bot's own voice, 40 ms later, 20 dB weaker."""
    line = Transmission(Line(echo_db=20, echo_delay_ms=40))
    voice = tone(500, duration_ms=20, level=0.5)

    frames = [line.pass_on(QUIET, ear) for ear in (voice, QUIET, QUIET, QUIET)]

    assert [False, False, True, False] == [is_loud(frame) for frame in frames]
    assert frames[2] != voice


@pytest.mark.parametrize(("hz", "passes"), [(100, False), (1000, True), (3900, False)])
def test_band_limited_line_passes_speech(hz: int, passes: bool) -> None:  # noqa: FBT001 - a row of the table
    """Hum and hiss are weakened, what lies between is not."""
    line = Transmission(Line(band_limited=True))
    sound = tone(hz, duration_ms=200, level=0.5)

    passed = b"".join(line.pass_on(sound[at : at + 160], QUIET) for at in range(0, len(sound), 160))

    assert passes == (level(passed[800:]) > 0.8 * level(sound[800:]))


def test_noise_is_as_loud_as_asked_and_the_same_for_the_same_seed() -> None:
    """Two lines of one seed are one line; another seed is another."""
    one, same, other = (Transmission(Line(noise_snr_db=5, seed=seed)).pass_on(QUIET, QUIET) for seed in (1, 1, 2))

    assert one == same
    assert one != other
    assert is_loud(one)
    assert not is_loud(Transmission(Line(noise_snr_db=40)).pass_on(QUIET, QUIET))


def test_jitter_and_loss_follow_from_the_seed() -> None:
    """The share of lost frames and the longest delay are those asked for."""
    line = Line(jitter_ms=80, loss=0.1, seed=3)
    one, same = (
        [transmission.delay_s() for _ in range(2000)] for transmission in (Transmission(line), Transmission(line))
    )

    arrived = [late_s for late_s in one if late_s is not None]
    assert one == same
    assert 0.07 < 1 - len(arrived) / len(one) < 0.13
    assert 0.07 < max(arrived) <= 0.08


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"jitter_ms": -1}, {"echo_delay_ms": -20}])
def test_impossible_line_is_refused(wrong: dict[str, float]) -> None:
    """With a sentence that names the property."""
    with pytest.raises(ValueError, match="line's"):
        Line(**wrong)  # type: ignore[arg-type]  # that is the point
