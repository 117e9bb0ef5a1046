"""A call that moves to another session before the first one ends: on tape, and what is made of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.call.actions import ConfigureSuccessor, MoveToSuccessor
from bridge.call.controls import ModelConnected, SuccessorConnected
from bridge.call.plan import Plan
from bridge.replay.commands import replay_one
from bridge.replay.cutting import cut
from bridge.replay.moments import moments
from bridge.replay.redaction import redact
from bridge.replay.script import Script
from bridge.replay.timeline import show
from bridge.settings import Agent
from bridge.wire.commands import UpdateSession
from bridge.wire.tape import Tape

CALL_SID = "CA" + "0" * 32
UNIX_S = 1_000_000
Keep = Callable[[bytes, str], Path]


@pytest.fixture
def tape() -> bytes:
    """A caller is answered before and after the move, of a session that lasts 20 s."""
    agent = Agent.model_validate(
        {"name": "reception", "instructions": "You know Mr Miller.", "silence": {"prompt_after_s": 600}}
    )
    script = Script(Plan(CALL_SID, agent, "ga"))
    script.stream_started()
    script.control(ModelConnected(UNIX_S))
    script.model("session.updated", session=script.last(UpdateSession).session | {"expires_at": UNIX_S + 20})
    script.turn("item_1", "Are you open?")
    script.wait(0.2)
    script.respond("resp_1", "item_2", "We are.", speech_ms=800, by_server=True)
    script.wait(15)
    script.control(SuccessorConnected(UNIX_S + 16))
    script.successor("session.created", session={})
    script.successor("session.updated", session=script.last(ConfigureSuccessor).update.session)
    script.wait(1)
    script.turn("item_1", "Thank you.")
    script.wait(0.2)
    script.respond("resp_1", "item_2", "You are welcome.", speech_ms=800, by_server=True)
    script.wait(1)
    script.hang_up()
    assert script.all(MoveToSuccessor)
    return script.tape()


def read(tape: bytes) -> Tape:
    """To be iterated once."""
    return Tape(tape.splitlines(keepends=True))


def test_move_replays_without_a_difference(tape: bytes, kept: Keep) -> None:
    """The same moments, the same sound to the same session."""
    outcome = replay_one(kept(tape, "call.tape"))

    assert [] == outcome.differences
    assert outcome.is_whole


def test_move_is_lost_when_the_tape_lacks_what_the_other_session_said(tape: bytes, kept: Keep) -> None:
    """The replay goes by those lines: without them the call would have stayed where it was."""
    lines = [line for line in tape.splitlines(keepends=True) if b'"successor":' not in line]

    assert replay_one(kept(b"".join(lines), "call.tape")).differences


def test_redacted_tape_still_moves_and_tells_nothing(tape: bytes, kept: Keep) -> None:
    """The second configuration holds the same words as the first."""
    redacted = b"".join(redact(read(tape)))

    assert [b"Miller" in text for text in (tape, redacted)] == [True, False]
    assert [] == replay_one(kept(redacted, "redacted.tape")).differences


def test_cut_tape_still_moves(tape: bytes, kept: Keep) -> None:
    """From the second in which the next session is opened."""
    assert [] == replay_one(kept(b"".join(cut(read(tape), from_s=14)), "cut.tape")).differences


def test_timeline_shows_the_move(tape: bytes) -> None:
    """For people who look for what happened at the limit."""
    shown = show(read(tape).header, moments(read(tape)))

    assert "connect successor" in shown
    assert "* session.replaced cause=limit" in shown
