"""Scenario files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.errors import ConfigurationError
from bridge.rehearsal.line import Line
from bridge.rehearsal.scenario import Step, load
from bridge.rehearsal.sound import write_stereo

if TYPE_CHECKING:
    from pathlib import Path

MU_LAW_WAV = (
    b"RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x07\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00"
    b"data\x08\x00\x00\x00abcdefgh"
)


def write(folder: Path, text: str) -> Path:
    """A scenario beside an utterance `slt/hours.wav` with its words, and a recording `own.wav`."""
    (folder / "slt").mkdir()
    (folder / "slt" / "hours.wav").write_bytes(MU_LAW_WAV)
    (folder / "own.wav").write_bytes(MU_LAW_WAV)
    (folder / "utterances.toml").write_text('[utterances.hours]\ntext = "When do you open?"\n', encoding="utf-8")
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_scenario_is_read_with_its_sounds(tmp_path: Path) -> None:
    """Utterances by name, with their words; recordings by file."""
    path = write(
        tmp_path,
        """
        title = "Hours"
        from = "+15550001111"
        voice = "slt"
        [line]
        echo_db = 25
        [[step]]
        say = "hours"
        after = "greeting"
        [[step]]
        say = "own.wav"
        during = 1.5
        [[step]]
        hang_up = true
        after = 3
        [expect]
        heard = ["eight o.clock"]
        """,
    )

    scenario = load(path)

    assert ("Hours", "+15550001111", "+15551230000") == (scenario.title, scenario.from_, scenario.to)
    assert {"hours": b"abcdefgh", "own.wav": b"abcdefgh"} == scenario.sounds
    assert {"hours": "When do you open?"} == scenario.words
    assert (Step(say="hours", after="greeting"), Step(say="own.wav", during=1.5)) == scenario.steps[:2]
    assert Line(echo_db=25) == scenario.line
    assert ("eight o.clock",) == scenario.expect.heard


def test_recording_alone_is_a_scenario(tmp_path: Path) -> None:
    """It is played from the start; then the caller waits for the bot and hangs up."""
    write(tmp_path, "")

    scenario = load(tmp_path / "own.wav")

    assert ["start", 5.0] == [step.after for step in scenario.steps]
    assert {"own.wav": b"abcdefgh"} == scenario.sounds


@pytest.mark.parametrize(
    ("text", "key", "sentence"),
    [
        ("", "step", "Field required"),
        ("steps = []", "step", "Field required"),
        ('[[step]]\nsay = "hours"\npress = "1"', "step.0", "exactly one of say, press, pause_s, stream and hang_up"),
        ('[[step]]\nsay = "hours"\nafter = "start"\nduring = 1', "step.0", "not both"),
        ('[[step]]\npress = "12x"', "step.0", "press holds keys"),
        ('[[step]]\npress = "1"\nafter = "later"', "step.0.after", "should be"),
        ('[[step]]\npress = "1"\n[line]\nbounce = 1', "line.bounce", "has no such property"),
        ('[[step]]\npress = "1"\n[line]\nloss = 3', "line", "share between 0 and 1"),
        ('[[step]]\npress = "1"\n[expect]\nheard = ["("]', "expect", "no pattern"),
        ("step = [", "", "is not TOML"),
        ('[[step]]\nsay = "nobody"', "", "No such file"),
    ],
)
def test_mistake_is_told_with_file_and_key(tmp_path: Path, text: str, key: str, sentence: str) -> None:
    """One sentence that says where it is."""
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        load(write(tmp_path, text))

    assert key == refused.value.key
    assert refused.value.source.startswith(str(tmp_path))


def test_stereo_recording_is_refused(tmp_path: Path) -> None:
    """A caller has one mouth."""
    path = tmp_path / "call.wav"
    write_stereo(path, b"", b"abc")

    with pytest.raises(ConfigurationError, match="2 channels"):
        load(path)
