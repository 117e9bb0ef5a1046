"""Calls are recorded beside them: without secrets, without waiting, and readable after a crash."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.actions import Action, Ended, PauseRecording, PlayAudio, ResumeRecording, RunFunction, SetMark
from bridge.call.controls import FunctionResult, ModelConnected, ModelLost
from bridge.call.ending import Ending
from bridge.call.plan import Plan
from bridge.edge import recorder as recording
from bridge.edge.recorder import Recorder, Tapes
from bridge.replay.plans import plan_of
from bridge.settings import Agent, Destination, Settings
from bridge.wire.commands import AppendAudio
from bridge.wire.scrubbing import Scrubber, secrets_of
from bridge.wire.tape import Step, Tape

KEY = "sk-proj-0123456789abcdefABCDEF"
FRAME = '{"event":"media","streamSid":"MZ1","media":{"track":"inbound","timestamp":"20","payload":"%s"}}' % ("/" * 216)
ROOT = Path(__file__).parents[3]
RECORDS_FOR_EVER = """
import itertools, sys, time
from pathlib import Path
from bridge.call.plan import Plan
from bridge.edge.recorder import Tapes
from bridge.settings import Agent, Settings
folder = Path(sys.argv[1])
settings = Settings.model_validate({"tape": {"record": True, "directory": folder}})
recorder = Tapes(settings, failed=print).open(Plan("CA1", Agent(name="reception"), "ga"), 0.0)
for number in itertools.count():
    recorder.timer(float(number))
    time.sleep(0.001)
    if number % 100 == 0 and any(b"timer" in tape.read_bytes() for tape in folder.iterdir()):
        print("recorded", flush=True)
"""
ENDED = Ended(Ending.CALLER_HUNG_UP)


def plan(**agent: object) -> Plan:
    """A plan; only its agent matters here."""
    return Plan("CA" + "0" * 32, Agent.model_validate({"name": "reception", **agent}), "ga")


def settings(directory: Path, **more: object) -> Settings:
    """Settings that record."""
    return Settings.model_validate(
        {"tape": {"record": True, "directory": directory}, "model": {"api_key": KEY}, **more}
    )


def taken(*, has_sound: bool = True) -> Recorder:
    """A recorder without a file."""
    return Recorder(has_sound=has_sound, scrubber=Scrubber())


def steps(recorder: Recorder) -> list[Step]:
    """What is on the tape after its header."""
    return list(Tape([b'{"tape":1,"scope":"core"}\n', *b"".join(recorder.take()).splitlines(keepends=True)]))


def unwritten(error: OSError) -> None:
    """No tape may fail in these tests."""
    raise AssertionError(error)


def test_recorded_call_is_a_tape_with_its_plan(tmp_path: Path) -> None:
    """One line for the header, one for each input and each action, in order, and the end."""
    tapes = Tapes(settings(tmp_path), failed=unwritten)
    recorder = tapes.open(plan(greeting_message="Hello."), 7.5)
    recorder.control(8.0, ModelConnected())
    recorder.caller(8.02, FRAME)
    recorder.actions([AppendAudio("/" * 216), SetMark("0.1")])
    recorder.timer(9.0)
    recorder.actions([ENDED])
    tapes.close()

    (path,) = tmp_path.glob("*.tape")
    lines = path.read_bytes().splitlines(keepends=True)
    tape = Tape(lines)

    assert [None, "control", "caller", "timer"] == [step.input and step.input.leg for step in tape]
    assert tape.is_whole
    assert plan(greeting_message="Hello.") == plan_of(tape.header)
    assert 7.5 == tape.header.at
    assert b'{"do":"append_audio","payload":"="}\n' == lines[3]
    assert 0o600 == path.stat().st_mode & 0o777


def test_call_that_came_back_gets_a_tape_of_its_own(tmp_path: Path) -> None:
    """Two tapes of one CallSid in the same second do not overwrite each other."""
    tapes = Tapes(settings(tmp_path), failed=unwritten)
    for _ in range(2):
        tapes.open(plan(), 0.0).actions([ENDED])
    tapes.close()

    assert 2 == len(list(tmp_path.glob("*.tape")))


def test_secret_is_nowhere_on_the_tape(tmp_path: Path) -> None:
    """Keys of the settings by their value, what peers say by its shape or its name; all as long as they were."""
    tapes = Tapes(settings(tmp_path, twilio={"auth_token": 'odd"token\\é'}), failed=unwritten)
    recorder = tapes.open(plan(), 0.0)
    recorder.caller(0.0, json.dumps({"event": "start", "start": {"customParameters": {"token": "stream-token-1"}}}))
    recorder.model(
        0.1, json.dumps({"type": "session.created", "session": {"client_secret": {"value": "ek_68af296e8e408"}}})
    )
    recorder.model(0.2, json.dumps({"type": "error", "error": {"message": f'{KEY} and odd"token\\é'}}))
    recorder.model(0.3, '{"type":"x","headers":{"Authorization":"Bearer abcdefgh12345678"}}')
    recorder.control(0.4, FunctionResult("call_1", json.dumps({"password": "open sesame"})))
    recorder.actions([RunFunction("call_1", "f", {"api_key": "another-secret"}), ENDED])
    tapes.close()
    text = next(tmp_path.glob("*.tape")).read_text(encoding="utf-8")

    secrets = (KEY, "stream-token-1", "ek_68af296e8e408", "odd", "abcdefgh12345678", "open sesame", "another-secret")
    assert [] == [secret for secret in secrets if secret in text]
    assert f'"token":"{"*" * len("stream-token-1")}"' in text.replace(" ", "")


@given(secret=st.text(min_size=4, max_size=40))
def test_scrubbed_text_is_as_long_and_without_the_secret(secret: str) -> None:
    """However the secret is escaped."""
    text = json.dumps({"say": f"<{secret}>", "plain": "x"})
    scrubbed = Scrubber([secret]).scrub_values(text)

    assert len(text) == len(scrubbed)
    assert json.dumps(secret)[1:-1] not in scrubbed or set(secret) <= {"*"}


def test_every_secret_of_the_settings_is_known() -> None:
    """At any depth, so that a new one cannot be forgotten."""
    made = Settings.model_validate(
        {"model": {"api_key": KEY, "extra_headers": {"x-own": "own-secret"}}, "server": {"admin_token": "admin-secret"}}
    )

    assert {KEY, "own-secret", "admin-secret"} <= set(secrets_of(made))


def test_secret_keys_are_zeros_on_the_tape() -> None:
    """Neither the presses, nor their sound, nor the function they are for gives them away; their number stays."""
    recorder = taken()
    recorder.caller(0.0, '{"event":"dtmf","dtmf":{"digit":"7"}}')
    recorder.actions([PauseRecording()])
    for digit in "4711#":
        recorder.caller(1.0, f'{{"event":"dtmf","dtmf":{{"digit":"{digit}"}}}}')
    recorder.caller(1.5, FRAME.replace("////", "QUJD"))
    recorder.actions([ResumeRecording(), RunFunction("call_1", "pay", {"order": 3}, secrets={"card": "4711"})])
    recorder.control(2.0, FunctionResult("call_1", '{"used":"4711#"}'))
    recorder.caller(2.5, '{"event":"dtmf","dtmf":{"digit":"5"}}')
    text = b"".join(recorder.take()).decode()
    keys = re.findall('"digit":"(.)"', text)

    assert "4711" not in text
    assert "QUJD" not in text
    assert ["7", "0", "0", "0", "0", "#", "5"] == keys
    assert '"secrets":{"card":"0000"}' in text


def test_tape_without_sound_keeps_lengths_and_times() -> None:
    """Payloads are left out, and how long they were is kept, whichever way they went."""
    recorder = taken(has_sound=False)
    recorder.caller(0.0, FRAME)
    recorder.actions([AppendAudio("AAAA"), AppendAudio("/" * 216)])
    delta = '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"////"}'
    recorder.model(0.1, delta)
    recorder.actions([PlayAudio("////")])
    first, second = [step for step in steps(recorder) if step.input is not None]

    assert (162, 3) == (first.input and first.input.size_bytes, second.input and second.input.size_bytes)
    assert [b'{"do":"append_audio","bytes":3}\n', b'{"do":"append_audio","payload":"="}\n'] == first.actions
    assert second.input is not None
    assert not isinstance(second.input.text, str)
    assert b"////" not in bytes(second.input.text)


@pytest.mark.parametrize("has_sound", [True, False])
@pytest.mark.parametrize(
    "frame",
    [FRAME, FRAME.encode(), FRAME.replace(",", ",\n"), FRAME.replace("MZ1", "MZé"), FRAME.replace("MZ1", KEY)],
    ids=["text", "bytes", "several lines", "not ASCII", "a secret"],
)
def test_frame_that_is_passed_on_is_recorded_like_any_other(frame: str | bytes, *, has_sound: bool) -> None:
    """Most of a call goes a shorter way to the tape, and nothing on it tells which."""
    short, long = (Recorder(has_sound=has_sound, scrubber=Scrubber([KEY])) for _ in range(2))
    sound = AppendAudio("/" * 216)
    short.passed_on(0.02, frame, sound)
    long.caller(0.02, frame)
    long.actions([sound])

    assert b"".join(long.take()) == b"".join(short.take())


def test_message_of_any_kind_can_be_recorded() -> None:
    """What is not JSON, or not on one line, is on the tape like anything else."""
    recorder = taken()
    for text in ("{", b"\xff\xfe", "", '{"event":\n"stop"}', "nonsense \u2028 \ud800"):
        recorder.caller(0.0, text)

    assert 5 == len([step for step in steps(recorder) if step.input is not None])


def test_half_a_surrogate_pair_can_be_recorded() -> None:
    """JSON lets a model say such a thing in the arguments of a function; the writer must not fall over it."""
    recorder = taken()
    recorder.actions([RunFunction("call_1", "f", {"x": ["\ud800"], "y": "é"})])

    assert b'{"x":["?"],"y":"\xc3\xa9"}' in b"".join(recorder.take())


def test_full_queue_loses_lines_and_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that stands still costs a part of the tape, never the call."""
    monkeypatch.setattr(recording, "MAX_WAITING", 10)
    recorder = taken()
    for number in range(15):
        recorder.timer(float(number))
    first = steps(recorder)
    recorder.timer(99.0)
    second = steps(recorder)

    assert (10, 5) == (len(first) - 1, recorder.lost)
    assert [5, 0] == [step.lost for step in second]


def test_loss_is_told_when_the_call_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody counts it: a tape with holes is found when it is needed, which is too late to mend the disk."""
    monkeypatch.setattr(recording, "MAX_WAITING", 10)
    monkeypatch.setattr(recording, "WRITE_EVERY_S", 60)
    lost: list[int] = []
    tapes = Tapes(settings(tmp_path), failed=print, lost=lost.append)
    recorder = tapes.open(plan(), 0.0)
    for number in range(15):
        recorder.timer(float(number))
    recorder.take()
    recorder.actions([ENDED])
    tapes.close()

    assert [5] == lost


def test_tape_that_cannot_be_written_is_reported_and_given_up(tmp_path: Path) -> None:
    """The call goes on; nothing piles up."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    errors: list[OSError] = []
    tapes = Tapes(settings(tmp_path / "file"), failed=errors.append)
    recorder = tapes.open(plan(), 0.0)
    recorder.timer(1.0)
    tapes.close()
    recorder.timer(2.0)

    assert 1 == len(errors)
    assert recorder.is_over


def test_crash_costs_only_the_last_lines(tmp_path: Path) -> None:
    """A tape whose last line is torn apart is read up to there, and known not to be whole."""
    tapes = Tapes(settings(tmp_path), failed=unwritten)
    recorder = tapes.open(plan(), 0.0)
    recorder.control(1.0, ModelLost("closed", "1006"))
    recorder.actions([SetMark("0.1"), SetMark("0.2")])
    tapes.close()
    whole = next(tmp_path.glob("*.tape")).read_bytes()

    for size in range(whole.index(b"\n") + 1, len(whole)):
        tape = Tape(whole[:size].splitlines(keepends=True))
        read = list(tape)

        assert len(read) <= 2
        assert not tape.is_whole


def test_tape_of_a_process_that_was_killed_is_read_up_to_the_last_quarter_of_a_second(tmp_path: Path) -> None:
    """SIGKILL leaves nobody the time to close anything."""
    command = [sys.executable, "-c", RECORDS_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    tape = Tape(next(tmp_path.glob("*.tape")).read_bytes().splitlines(keepends=True))

    times = [step.input.at for step in tape if step.input is not None]
    assert [float(number) for number in range(len(times))] == times
    assert times
    assert not tape.is_whole


def test_nothing_is_recorded_after_the_end() -> None:
    """What comes after the call is over is not part of it."""
    recorder = taken()
    actions: list[Action] = [ENDED]
    recorder.actions(actions)
    recorder.timer(5.0)

    assert [None] == [step.input for step in steps(recorder)]


def test_destinations_keep_their_order_on_the_tape(tmp_path: Path) -> None:
    """The model is told their names in the operator's order, so a replay must know it; functions have none."""
    there = {name: Destination(name=name, to="+15557654321") for name in ("sales", "accounts", "desk")}
    written = msgspec.structs.replace(plan(), destinations=there, functions=frozenset({"b", "a"}))
    tapes = Tapes(settings(tmp_path), failed=print)
    tapes.open(written, 0.0).actions([ENDED])
    tapes.close()
    (file,) = tmp_path.iterdir()
    with file.open("rb") as lines:
        header = Tape(lines).header

    assert ["sales", "accounts", "desk"] == list(plan_of(header).destinations)
    assert ["a", "b"] == header.plan["functions"]
