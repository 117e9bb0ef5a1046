"""The format of tapes: whatever goes in comes out again, and nothing odd on the way makes it unreadable."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bridge.call.actions import CloseStream, ConnectModel, Happened, Order, PlayAudio
from bridge.call.controls import ModelLost
from bridge.wire import tape
from bridge.wire.commands import AppendAudio, TruncateItem

HEADER = b'{"tape":1,"scope":"core"}\n'


@given(text=st.one_of(st.text(), st.binary()), at=st.floats(0, 1e9))
def test_any_message_is_one_line_and_comes_back(text: str | bytes, at: float) -> None:
    """Also what is not JSON, not UTF-8, or has line ends in it."""
    line = tape.message_line("caller", at, text)
    (_, step) = tape.Tape([HEADER, line])
    given = step.input

    assert 1 == line.count(b"\n")
    assert given is not None
    assert (at, "caller") == (given.at, given.leg)


@given(
    value=st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_message_comes_back_as_it_was(value: object) -> None:
    """Byte by byte, however it was written."""
    text = json.dumps(value)
    (_, step) = tape.Tape([HEADER, tape.message_line("model", 1.5, text)])

    assert step.input is not None
    assert not isinstance(step.input.text, str)
    assert text.encode() == bytes(step.input.text)


@given(tail=st.binary(max_size=200))
def test_no_last_line_can_make_a_tape_unreadable(tail: bytes) -> None:
    """A crash may leave anything there."""
    line = b"".join(tail.splitlines())
    steps = list(tape.Tape([HEADER, tape.timer_line(1.0), line]))

    assert 2 <= len(steps) <= 3


def test_action_is_its_kind_and_its_fields() -> None:
    """In the words of the call core; audio that is passed through is not written twice."""
    assert b'{"do":"connect_model"}\n' == tape.action_line(ConnectModel())
    assert b'{"do":"play_audio","payload":"="}\n' == tape.action_line(PlayAudio("AAAA"), passed="AAAA")
    assert b'{"do":"append_audio","payload":"AAAA"}\n' == tape.action_line(AppendAudio("AAAA"), passed="BBBB")
    assert b'{"do":"append_audio","bytes":3}\n' == tape.action_line(AppendAudio("AAAA"), has_sound=False)
    assert {"do": "happened", "event": "x", "fields": {"n": 1}} == tape.action_fields(
        tape.action_line(Happened("x", {"n": 1}))
    )
    truncate = tape.action_fields(tape.action_line(TruncateItem("i", 0, 20, "truncate-1")))
    assert ("truncate_item", 20) == (truncate["do"], truncate["audio_end_ms"])
    assert "resume" in tape.action_line(CloseStream(Order("resume"))).decode()


def test_control_is_its_kind_and_its_fields() -> None:
    """In snake case, like actions."""
    (_, step) = tape.Tape([HEADER, tape.control_line(2.0, ModelLost("closed", "1006"))])

    assert step.input is not None
    assert {"kind": "model_lost", "reason": "closed", "code": "1006"} == step.input.control


def test_lines_written_by_others_may_be_spaced_and_ordered_as_they_like() -> None:
    """It is JSON, nothing more."""
    lines = [
        b'{ "settings": {}, "tape" : 1 }\n',
        b'{ "do" : "connect_model" }\n',
        b"\n",
        b'{ "caller" : {"event":"stop"} , "at" : 3 }\r\n',
        b'  {"do":"happened", "event":"x", "fields":{}}\n',
    ]
    first, second = tape.Tape(lines)

    assert ["connect_model"] == [tape.action_fields(line)["do"] for line in first.actions]
    assert (3.0, ["happened"]) == (
        second.input and second.input.at,
        [tape.action_fields(line)["do"] for line in second.actions],
    )


@given(audio=st.text(min_size=1).filter(lambda text: text != tape.SAME))
def test_any_sound_is_one_line_and_comes_back(audio: str) -> None:
    """A peer's sound need be no base64: quotes and line ends in it end neither the text nor the line."""
    line = tape.action_line(AppendAudio(audio))

    assert 1 == line.count(b"\n")
    assert {"do": "append_audio", "payload": audio} == tape.action_fields(line)
