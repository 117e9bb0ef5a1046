"""A tape runs through the real core again, as it was or under other settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.call.actions import Ended, RunFunction, Said
from bridge.call.controls import FunctionResult
from bridge.call.ending import Ending
from bridge.call.machine import Call
from bridge.call.playout import Playout
from bridge.replay.commands import replay, replay_one
from bridge.replay.comparison import compare
from bridge.replay.plans import plan_of
from bridge.replay.player import play, play_freely
from bridge.replay.report import report
from bridge.replay.script import Script
from bridge.settings import Agent, Settings
from bridge.wire.caller import CallerAudio
from bridge.wire.commands import AppendAudio
from bridge.wire.tape import Tape, TapeError

MakeCall = Callable[..., Script]
Keep = Callable[..., Path]


def read(tape: bytes) -> Tape:
    """A tape in memory."""
    return Tape(tape.splitlines(keepends=True))


def messages_only(tape: bytes, **header: object) -> bytes:
    """The tape as a program would have written it that knows nothing of this bridge."""
    lines = [json.dumps({"tape": 1, **header})]
    for line in tape.splitlines()[1:]:
        entry = json.loads(line)
        if "caller" in entry or "model" in entry:
            lines.append(json.dumps(entry))
    return "\n".join(lines).encode() + b"\n"


def test_call_replays_without_a_difference(barge_in: MakeCall, kept: Keep) -> None:
    """What the core does is what it did, to the last action."""
    script = barge_in()
    outcome = replay_one(kept(script.tape()))

    assert outcome.is_same
    assert ("caller_hung_up", "caller_hung_up") == (outcome.recorded_ending, outcome.replayed_ending)
    assert len(script.done) == outcome.actions


def test_same_tape_gives_the_same_report_twice(barge_in: MakeCall, kept: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to chance, also when there are differences."""
    path = kept(barge_in().tape())
    monkeypatch.setattr(Playout, "heard_ms", lambda *_: 1)

    assert replay([path]) == replay([path])
    assert 1 == replay([path]).exit_code


def test_difference_is_shown_with_what_led_to_it(
    barge_in: MakeCall, kept: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reads what came, what was done then, and what is done now."""
    path = kept(barge_in().tape())
    monkeypatch.setattr(Playout, "reach", lambda *_: False)
    text = replay([path]).text

    assert "speech_started" in text
    assert "- " in text
    assert "+ " in text


def test_sound_that_is_not_passed_on_as_it_came_is_a_difference(
    barge_in: MakeCall, kept: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of 20 ms go the short way that they go in a call: a fault there shows as well."""
    path = kept(barge_in(has_sound=True, frame_ms=20).tape())
    pass_on = Call.pass_on

    def wrong(self: Call, audio: CallerAudio, now: float) -> AppendAudio | None:
        return pass_on(self, audio, now) and AppendAudio("AAAA")

    assert replay_one(path).is_same
    monkeypatch.setattr(Call, "pass_on", wrong)

    assert {"changed"} == {difference.kind for difference in replay_one(path).differences}


def test_action_that_comes_later_is_one_difference_not_two(call: MakeCall, kept: Keep) -> None:
    """A time limit that is kept later is seen as the same action at another time."""
    script = call(silence={"prompt_after_s": 5, "prompts": 0})
    script.wait(8)
    script.hang_up()
    tape = script.tape().replace(b'"prompt_after_s":5.0', b'"prompt_after_s":6.0')
    outcome = replay_one(kept(tape))

    assert {"moved"} == {difference.kind for difference in outcome.differences}
    assert all(0.9 < difference.moved_s < 1.6 for difference in outcome.differences)


def test_times_within_the_tolerance_are_the_same(call: MakeCall) -> None:
    """A wake-up that comes a little late is no difference."""
    script = call(silence={"prompt_after_s": 5, "prompts": 0})
    script.wait(8)
    script.hang_up()
    tape = script.tape().replace(b'"prompt_after_s":5.0', b'"prompt_after_s":5.01')
    recording = read(tape)

    assert compare(recording, play(recording, plan_of(recording.header)), tolerance_s=0.4).is_same


def test_tape_that_lost_lines_is_compared_up_to_there(barge_in: MakeCall, kept: Keep) -> None:
    """Behind a hole nothing can be expected to be the same."""
    lines = barge_in().tape().splitlines(keepends=True)
    hole = next(number for number, line in enumerate(lines) if number > 60 and line.startswith(b'{"at"'))
    lines[hole : hole + 10] = [b'{"lost":10}\n']
    outcome = replay_one(kept(b"".join(lines)))

    assert outcome.is_same
    assert 10 == outcome.lost
    assert "lost 10 lines" in report("x", outcome)


def test_tape_of_a_newer_program_is_read(barge_in: MakeCall, kept: Keep) -> None:
    """Fields and lines that are not known are passed over, in the plan too."""
    lines = barge_in().tape().splitlines(keepends=True)
    lines[0] = (
        lines[0].replace(b'"plan":{', b'"mood":"fine","plan":{"speed":2,').replace(b'"agent":{', b'"agent":{"new":[1],')
    )
    lines.insert(5, b'{"weather":"rain"}\n')
    inputs = [number for number, line in enumerate(lines) if line.startswith(b'{"at":')]
    lines.insert(inputs[9], b'{"at":0.0,"control":{"kind":"not_invented_yet","how":1}}\n')

    assert replay_one(kept(b"".join(lines))).is_same


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no tape"),
        (b"RIFF....WAVE", "no tape"),
        (b'{"at":1}\n', "no tape"),
        (b'{"tape":2}\n', "newer voicebridge"),
        (b'{"tape":1,"scope":"core","plan":{"max_call_s":"soon"}}\n', "damaged"),
        (b'{"tape":1,"scope":"core","plan":{"agent":{"voice":7}}}\n', "damaged"),
        (
            b'{"tape":1,"scope":"core","plan":{"agent":{"messages":[{"role":"user","content":"a","mood":1}]}}}\n',
            "damaged",
        ),
    ],
)
def test_file_that_is_no_tape_is_refused_with_the_way_out(text: bytes, message: str, kept: Keep) -> None:
    """One sentence, exit code 2."""
    answer = replay([kept(text)])

    assert 2 == answer.exit_code
    assert message in answer.text
    assert "\n" not in answer.text


def test_damage_in_the_middle_is_told(barge_in: MakeCall) -> None:
    """Only the last line may be torn."""
    lines = barge_in().tape().splitlines(keepends=True)
    lines[40] = lines[40][:10] + b"\n"

    with pytest.raises(TapeError, match="line 41"):
        list(read(b"".join(lines)))


def test_tape_of_messages_only_is_driven_by_the_cores_own_deadlines(barge_in: MakeCall) -> None:
    """Connection, marks and wake-ups are not on it: they are made up, and the bot is heard and cut as it was."""
    script = barge_in()
    recording = read(messages_only(script.tape(), plan=json.loads(script.tape().splitlines()[0])["plan"]))
    actions = [action for played in play_freely(recording, plan_of(recording.header)) for action in played.actions]
    said = [line.words for line in actions if isinstance(line, Said) and line.role == "bot"]

    assert [line.words for line in script.all(Said) if line.role == "bot"] == said
    assert Ended(Ending.CALLER_HUNG_UP) == actions[-1]


def test_function_of_a_tape_of_messages_only_answers_when_the_server_confirms_it() -> None:
    """The other program's own answer is on the tape, in the item that the server confirms."""
    call = {
        "id": "i",
        "type": "function_call",
        "status": "completed",
        "call_id": "c",
        "name": "look_up",
        "arguments": "{}",
    }
    output = {"id": "o", "type": "function_call_output", "call_id": "c", "output": '{"state":"lost"}'}
    media = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    formats = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}}
    lines: list[dict[str, object]] = [
        {"tape": 1, "plan": {"functions": ["look_up"]}},
        {
            "at": 1.0,
            "caller": {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1", "mediaFormat": media}},
        },
        {"at": 1.1, "model": {"type": "session.updated", "session": {"type": "realtime", "audio": formats}}},
        {"at": 2.0, "model": {"type": "response.created", "response": {"id": "r"}}},
        {"at": 2.1, "model": {"type": "response.output_item.done", "response_id": "r", "item": call}},
        {"at": 2.2, "model": {"type": "response.done", "response": {"id": "r", "status": "completed"}}},
        {"at": 2.5, "model": {"type": "conversation.item.added", "item": output}},
    ]
    recording = read("\n".join(map(json.dumps, lines)).encode())
    moments = list(play_freely(recording, plan_of(recording.header)))

    assert 1 == sum(isinstance(action, RunFunction) for moment in moments for action in moment.actions)
    assert FunctionResult("c", '{"state":"lost"}') in [moment.message for moment in moments]


def test_tape_of_messages_only_has_nothing_to_be_compared_with(barge_in: MakeCall, kept: Keep) -> None:
    """The sentence names what can be done with it."""
    answer = replay([kept(messages_only(barge_in().tape()))])

    assert 2 == answer.exit_code
    assert "tape show" in answer.text


def test_other_settings_show_what_would_have_changed(barge_in: MakeCall, kept: Keep) -> None:
    """With barge-in off the answer goes on; with the same settings nothing changes."""
    path = kept(barge_in().tape())
    agent = Agent(name="reception", greeting_message="Hello.")
    off = Agent.model_validate({"name": "reception", "greeting_message": "Hello.", "barge_in": {"mode": "off"}})
    same = replay([path], under=Settings(agents={"reception": agent}))
    other = replay([path], under=Settings(agents={"reception": off}))

    assert "nothing changes" in same.text
    assert "clear_playout" in other.text
    assert "no tape can tell" in other.text
    assert (0, 0) == (same.exit_code, other.exit_code)


def test_folder_stands_for_its_tapes(barge_in: MakeCall, kept: Keep) -> None:
    """Every file that ends in .tape is replayed, and the worst result is the exit code."""
    good = kept(barge_in().tape(), "a.tape")
    kept(b"nonsense", "b.tape")
    answer = replay([good.parent])

    assert 2 == answer.exit_code
    assert 2 == len(answer.text.splitlines())
    assert 2 == len(json.loads(replay([good.parent], as_json=True).text))


def test_no_tape_at_all_is_an_error(tmp_path: Path) -> None:
    """An empty folder is most likely the wrong one."""
    assert 2 == replay([tmp_path]).exit_code
