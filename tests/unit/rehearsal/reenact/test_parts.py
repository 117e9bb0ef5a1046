"""What caller and model have to play, read from a tape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.rehearsal.reenact.parts import Event, Lost, Parts, Sent, parts_of
from bridge.wire.tape import Tape, TapeError

TAPES = Path(__file__).parents[4] / "fixtures" / "tapes"
MEDIA = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
START = {"at": 1.0, "caller": {"event": "start", "start": {"streamSid": "M", "callSid": "C", "mediaFormat": MEDIA}}}
CORE = {"tape": 1, "scope": "core"}


def read(name: str) -> Parts:
    """The parts of a tape of the fixtures."""
    return parts_of(Tape((TAPES / f"{name}.tape").read_bytes().splitlines(keepends=True)))


def made(*lines: Mapping[str, object]) -> Parts:
    """The parts of a tape of these lines."""
    return parts_of(Tape([json.dumps(line).encode() + b"\n" for line in lines]))


def test_caller_plays_each_stream_by_its_own_clock() -> None:
    """Sound and hang-up; the bridge leaves the first stream, so that nobody hangs up there."""
    parts = read("transfer")

    assert [None, 4.3] == [
        s.leaves_after_s if s.leaves_after_s is None else round(s.leaves_after_s, 3) for s in parts.streams
    ]
    assert [0, 0] == [stream.sound[0][0] for stream in parts.streams]
    assert [("sales", "busy")] == [(errand.destination, errand.outcome) for errand in parts.errands]


def test_caller_presses_keys_at_their_times() -> None:
    """Seconds since the stream came up."""
    key = {"at": 3.5, "caller": {"event": "dtmf", "dtmf": {"digit": "7"}}}

    assert [(2.5, "7")] == made(CORE, START, key).streams[0].keys


def test_model_says_what_it_said_with_as_much_sound_heard() -> None:
    """Commands and events in their order, and the length of sound instead of the sound."""
    (session,) = read("barge-in").sessions
    kinds = [act.kind if isinstance(act, Sent) else type(act) for act in session.acts[:4]]
    started = next(act for act in session.acts if isinstance(act, Event) and "speech_started" in act.text)

    assert ["session.update", Event, Event, Event] == kinds
    assert started.is_of_sound
    assert 0.5 * 8000 == started.heard_bytes


def test_functions_answer_as_late_as_they_did() -> None:
    """By the id of their call."""
    asked = {"do": "run_function", "call_id": "call_1", "name": "f", "arguments": {}}
    answered = {"at": 4.0, "control": {"kind": "function_result", "call_id": "call_1", "output": "{}"}}

    assert {"call_1": (3.0, "{}")} == made(CORE, START, asked, answered).results


def test_session_that_broke_off_breaks_off_again() -> None:
    """With its code; one that never came up is refused, after as long as that took."""
    connect = {"do": "connect_model"}
    parts = made(
        CORE,
        START,
        connect,
        {"at": 1.5, "control": {"kind": "model_connected"}},
        {"at": 2.0, "control": {"kind": "model_lost", "reason": "closed", "code": "1011"}},
        connect,
        {"at": 5.0, "control": {"kind": "model_lost", "reason": "unreachable", "code": ""}},
    )
    first, second = parts.sessions

    assert (0.5, [Lost(2.0, "1011")]) == (first.opening_s, first.acts)
    assert (True, 3.0) == (second.is_refused, second.opening_s)


def test_tape_of_messages_only_has_its_update_implied() -> None:
    """Another program's tape does not hold what was sent to the model: only the answer to it."""
    updated = {"at": 1.2, "model": {"type": "session.updated", "session": {"type": "realtime"}}}
    (session,) = made({"tape": 1}, START, updated).sessions

    assert [Sent(1.2, {"type": "session.update"}), Event] == [
        act if isinstance(act, Sent) else type(act) for act in session.acts
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([CORE | {"plan": {"outgoing": {"ring_within_s": 30}}}, START], "placed"),
        ([CORE], "no media stream"),
    ],
)
def test_call_that_cannot_be_played_is_refused(lines: list[Mapping[str, object]], message: str) -> None:
    """One sentence."""
    with pytest.raises(TapeError, match=message):
        made(*lines)


def test_session_that_was_opened_beside_another_takes_over_where_it_did() -> None:
    """What was said to and by each is its own, however the two overlap."""
    update = {"type": "session.update", "session": {}, "event_id": "session-2"}
    parts = made(
        CORE,
        START,
        {"do": "connect_model"},
        {"at": 1.5, "control": {"kind": "model_connected"}},
        {"do": "connect_successor"},
        {"at": 2.0, "control": {"kind": "successor_connected"}},
        {"do": "configure_successor", "update": update},
        {"at": 2.1, "model": {"type": "response.created", "response": {"id": "old"}}},
        {"at": 2.2, "successor": {"type": "session.updated", "session": {}}},
        {"do": "move_to_successor"},
        {"do": "append_audio", "bytes": 160},
        {"at": 3.0, "model": {"type": "response.created", "response": {"id": "new"}}},
        {"do": "connect_successor"},
        {"at": 4.0, "control": {"kind": "successor_lost", "reason": "unreachable", "code": ""}},
    )
    old, new, refused = parts.sessions

    assert [2.1] == [act.at for act in old.acts]
    assert ["session.update", Event, Event] == [act.kind if isinstance(act, Sent) else type(act) for act in new.acts]
    assert (0.5, 160) == (new.opening_s, new.heard_bytes)
    assert (1.0, True) == (refused.opening_s, refused.is_refused)
