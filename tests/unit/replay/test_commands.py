"""What the tape commands make of a tape: a cut, a sound, a timeline."""

from __future__ import annotations

import io
import json
import wave
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.call.plan import Plan
from bridge.replay.commands import cut, replay_one, show, wav
from bridge.replay.moments import moments
from bridge.replay.script import Script
from bridge.replay.sound import stereo
from bridge.settings import Agent
from bridge.wire.tape import Tape

MakeCall = Callable[..., Script]
Keep = Callable[..., Path]
LOUD = b"\x9f" * 20 + b"\x1f" * 20
FRAME_MS = 100


def tone(size: int) -> bytes:
    """So many bytes of a loud tone."""
    return (LOUD * (size // len(LOUD) + 1))[:size]


def heard_ms(pcm: array[int], channel: int) -> list[int]:
    """The blocks of 20 ms in which a channel is not silent, by their beginning."""
    block = 2 * 160
    return [at // block * 20 for at in range(0, len(pcm), block) if any(pcm[at + channel : at + block : 2])]


def tracks(script: Script) -> array[int]:
    """The stereo sound of a call."""
    lines = script.tape().splitlines(keepends=True)
    with wave.open(io.BytesIO(stereo(moments(Tape(lines))))) as sound:
        assert (2, 2, 8000) == (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
        return array("h", sound.readframes(sound.getnframes()))


class Loud(Script):
    """A call whose bot can be heard."""

    def delta(self, response_id: str, item_id: str, size_bytes: int, *, content_index: int = 0) -> None:
        """A loud piece of speech."""
        self.sound(response_id, item_id, tone(size_bytes), content_index=content_index)


@pytest.fixture
def loud() -> Loud:
    """A call that is up."""
    agent = Agent.model_validate({"name": "reception", "silence": {"prompt_after_s": 600}})
    script = Loud(Plan("CA" + "0" * 32, agent, "ga"), has_sound=True, frame_ms=FRAME_MS)
    script.begin()
    return script


def test_caller_is_left_at_the_time_of_the_stream(loud: Loud) -> None:
    """Frames lie where their timestamps say; a lost one is silence."""
    loud.hear(tone(800))
    loud.stream_ms += 200
    loud.hear(tone(800))
    loud.hang_up()

    assert [0, 20, 40, 60, 80, 300, 320, 340, 360, 380] == heard_ms(tracks(loud), 0)


def test_bot_is_right_when_it_was_heard_and_not_when_it_was_sent(loud: Loud) -> None:
    """Two seconds of speech come at once and are heard one after the other."""
    loud.wait(0.5)
    loud.turn("item_1", "hello", speech_s=0.5)
    loud.respond("resp_1", "item_2", "Hello.", speech_ms=2000, by_server=True)
    loud.wait(3)
    loud.hang_up()
    heard = heard_ms(tracks(loud), 1)

    assert list(range(heard[0], heard[0] + 2000, 20)) == heard
    assert 1000 <= heard[0] <= 1000 + FRAME_MS


def test_what_a_clear_threw_away_is_not_in_the_sound(loud: Loud) -> None:
    """The caller cut the answer after one second: the rest was never heard."""
    loud.turn("item_1", "hello", speech_s=0.5)
    loud.respond("resp_1", "item_2", "A long story.", speech_ms=5000, by_server=True)
    loud.wait(1)
    loud.turn("item_3", "stop", speech_s=0.5)
    loud.wait(1)
    loud.hang_up()

    assert 1000 - 2 * FRAME_MS <= 20 * len(heard_ms(tracks(loud), 1)) <= 1000


def test_wav_of_a_tape_without_sound_is_refused(barge_in: MakeCall, kept: Keep, tmp_path: Path) -> None:
    """The sentence says which setting makes the next one better."""
    answer = wav(kept(barge_in().tape()), tmp_path / "call.wav")

    assert 2 == answer.exit_code
    assert "tape.audio" in answer.text


def test_wav_is_written(barge_in: MakeCall, kept: Keep, tmp_path: Path) -> None:
    """As a file that any player opens."""
    answer = wav(kept(barge_in(has_sound=True).tape()), tmp_path / "call.wav")

    assert 0 == answer.exit_code
    assert b"RIFF" == (tmp_path / "call.wav").read_bytes()[:4]


def test_cut_keeps_the_seconds_that_matter_and_replays(barge_in: MakeCall, kept: Keep, tmp_path: Path) -> None:
    """The window is as it was; what was before is there without its sound."""
    script = barge_in(has_sound=True)
    source, target = kept(script.tape()), tmp_path / "cut.tape"
    answer = cut(source, target, from_s=4.0, until_s=5.0)
    whole, part = source.read_bytes().splitlines(), target.read_bytes().splitlines()
    window = [line for line in whole if 4.0 <= json.loads(line).get("at", -1) <= 5.0]

    assert 0 == answer.exit_code, answer.text
    assert replay_one(target).is_same
    assert set(window) <= set(part)
    assert target.stat().st_size < source.stat().st_size / 3


def test_cut_of_an_hour_is_small(call: MakeCall, kept: Keep, tmp_path: Path) -> None:
    """Of a long quiet time before, only a frame every few seconds is left."""
    script = call(silence={"prompt_after_s": 600})
    script.wait(300)
    script.turn("item_2", "hello")
    script.hang_up()
    source, target = kept(script.tape()), tmp_path / "cut.tape"

    assert 0 == cut(source, target, from_s=300).exit_code
    assert 6000 < len(source.read_bytes().splitlines())
    assert len(target.read_bytes().splitlines()) < 600


def test_seconds_in_the_wrong_order_are_refused(kept: Keep) -> None:
    """Nothing is written."""
    path = kept(b"")

    assert 2 == cut(path, path.with_name("cut.tape"), from_s=3, until_s=2).exit_code
    assert not path.with_name("cut.tape").exists()


def test_timeline_tells_the_call(barge_in: MakeCall, kept: Keep) -> None:
    """Turns, marks, the cut and the four times of each turn are there, in order."""
    answer = show(kept(barge_in().tape()))
    told = [
        "stream_started",
        "was heard: Hello.",
        "begins to speak",
        "has stopped speaking",
        "said: What do you have?",
        "response resp_2 completed, 6000 ms of speech",
        "clear: what is not yet heard is thrown away",
        "truncate item item_id=item_3 content_index=0 audio_end_ms=2",
        "was heard: We have apples, cut after 2",
        "ended ending=caller_hung_up",
        "caller stopped   first delta   first frame out   first frame heard",
    ]
    places = [answer.text.find(words) for words in told]

    assert 0 == answer.exit_code
    assert -1 not in places, answer.text
    assert sorted(places) == places
    assert "came back" in answer.text
    assert "860 ms" in answer.text.splitlines()[-2]


def test_timeline_of_messages_only_is_what_this_bridge_would_do(barge_in: MakeCall, kept: Keep) -> None:
    """There are no actions on such a tape."""
    lines = barge_in().tape().splitlines(keepends=True)
    header = json.loads(lines[0]) | {"scope": "wire"}
    messages = [line for line in lines if b'"caller":' in line[:40] or b'"model":' in line[:40]]
    answer = show(kept(json.dumps(header).encode() + b"\n" + b"".join(messages)))

    assert "clear: what is not yet heard is thrown away" in answer.text


def test_timeline_of_a_file_that_is_none_is_one_sentence(kept: Keep, tmp_path: Path) -> None:
    """Missing or of another kind."""
    assert 2 == show(tmp_path / "missing.tape").exit_code
    assert 2 == show(kept(b"hello")).exit_code
