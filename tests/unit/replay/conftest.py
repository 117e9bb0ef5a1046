"""Calls for the tests of the player and of what reads tapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.call.plan import Plan
from bridge.replay.script import Script
from bridge.settings import Agent

CALL_SID = "CA" + "0" * 32


def make_call(*, has_sound: bool = False, frame_ms: int = 100, **agent: object) -> Script:
    """A call that is up, with the agent's greeting being spoken."""
    settings = Agent.model_validate({"name": "reception", "greeting_message": "Hello.", **agent})
    script = Script(Plan(CALL_SID, settings, "ga"), frame_ms=frame_ms, has_sound=has_sound)
    script.begin()
    script.respond("resp_1", "item_1", "Hello.", speech_ms=800)
    script.wait(1)
    script.session_updated()
    return script


def make_barge_in(*, has_sound: bool = False, frame_ms: int = 100, **agent: object) -> Script:
    """A call in which the caller asks, is answered at length, and cuts the answer after 2 s of 6."""
    script = make_call(has_sound=has_sound, frame_ms=frame_ms, **agent)
    script.turn("item_2", "What do you have?")
    script.wait(0.3)
    script.respond("resp_2", "item_3", "We have apples and pears and plums and more.", speech_ms=6000, by_server=True)
    script.wait(2)
    script.turn("item_4", "Thank you.")
    script.wait(0.2)
    script.respond("resp_3", "item_5", "You are welcome.", speech_ms=800, by_server=True)
    script.wait(1.5)
    script.hang_up()
    return script


@pytest.fixture
def barge_in() -> Callable[..., Script]:
    """Makes a call with a barge-in."""
    return make_barge_in


@pytest.fixture
def call() -> Callable[..., Script]:
    """Makes a call that has just been greeted."""
    return make_call


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[bytes, str], Path]:
    """Writes a tape to a file."""

    def keep(tape: bytes, name: str = "call.tape") -> Path:
        path = tmp_path / name
        path.write_bytes(tape)
        return path

    return keep
