"""The session that came back, against the one that was asked for."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bridge.settings import Agent, AudioFormat, Dialect, Json
from bridge.wire.echo import Mismatch, verify
from bridge.wire.session import TurnControl, session_fields

TOOLS: list[Json] = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("a", "b")]


def asked(dialect: Dialect, input_audio_format: AudioFormat = "g711_ulaw") -> Json:
    """A session as it is asked for."""
    agent = Agent(instructions="Be kind.", voice="marin", input_audio_format=input_audio_format)
    control = TurnControl(create_response=True, interrupt_response=True)
    return session_fields(agent, dialect=dialect, tools=TOOLS, turn_control=control)


def changed(session: Json, path: str, value: object) -> Json:
    """A copy of a session with another value at a path; None: without it."""
    result = copy.deepcopy(session)
    *tables, key = path.split(".")
    place: Any = result
    for table in tables:
        place = place[table]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return result


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_server_echoes_what_was_asked(dialect: Dialect) -> None:
    """The session as it was asked for is no mismatch, whatever the server adds to it."""
    session = asked(dialect)

    assert () == verify(session, session | {"id": "sess_1", "expires_at": 1}, dialect=dialect)


@pytest.mark.parametrize(
    ("dialect", "path", "got", "shown"),
    [
        ("ga", "audio.input.format", {"type": "audio/pcm", "rate": 24_000}, "audio/pcm 24000"),
        ("ga", "audio.output.format", {"type": "audio/pcma"}, "audio/pcma"),
        ("ga", "audio.output.format", None, "nothing"),
        ("ga", "audio.input.format", {"type": "audio/pcmu", "rate": 16_000}, "audio/pcmu 16000"),
        ("ga", "audio.input.format", "g711_ulaw", "g711_ulaw"),
        ("beta", "input_audio_format", "pcm16", "pcm16"),
        ("beta", "output_audio_format", None, "nothing"),
    ],
)
def test_server_echoes_another_format(dialect: Dialect, path: str, got: object, shown: str) -> None:
    """A format that was not confirmed is fatal: the sound would be noise."""
    session = asked(dialect)

    (mismatch,) = verify(session, changed(session, path, got), dialect=dialect)

    assert (path, shown, True) == (mismatch.path, mismatch.got, mismatch.fatal)


def test_server_says_the_rate_that_goes_without_saying() -> None:
    """Mu-law has one rate, said or not."""
    session = asked("ga")

    assert () == verify(
        session, changed(session, "audio.input.format", {"type": "audio/pcmu", "rate": 8_000}), dialect="ga"
    )


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_server_leaves_out_the_format_it_starts_with(dialect: Dialect) -> None:
    """PCM at 24 kHz needs no confirmation: a session begins with it."""
    session = asked(dialect, input_audio_format="pcm16")
    path = "audio.input.format" if dialect == "ga" else "input_audio_format"

    assert () == verify(session, changed(session, path, None), dialect=dialect)


def test_server_echoes_nothing() -> None:
    """An empty session confirms no format."""
    assert ["audio.input.format", "audio.output.format"] == [
        mismatch.path for mismatch in verify(asked("ga"), {}, dialect="ga") if mismatch.fatal
    ]


@pytest.mark.parametrize(
    ("path", "got", "expected"),
    [
        ("audio.output.voice", "alloy", ("marin", "alloy")),
        ("instructions", "Be rude!", ("8 characters", "8 characters")),
        ("tools", [TOOLS[0]], ("a, b", "a")),
        ("audio.input.turn_detection.silence_duration_ms", 200, ("500", "200")),
        ("audio.input.turn_detection", "off", ("server_vad", "off")),
        ("max_output_tokens", 4096, ("inf", "4096")),
    ],
)
def test_server_changes_a_setting(path: str, got: object, expected: tuple[str, str]) -> None:
    """Another difference is reported, is not fatal, and shows nobody's words."""
    session = asked("ga")

    (mismatch,) = verify(session, changed(session, path, got), dialect="ga")

    assert Mismatch(path, *expected, fatal=False) == mismatch


@pytest.mark.parametrize(
    ("path", "got"),
    [
        ("audio.output.voice", None),
        ("audio.input.turn_detection", None),
        ("tools", list(reversed(TOOLS))),
        ("audio.input.turn_detection.threshold", 0.5000000001),
    ],
)
def test_server_echoes_less_or_less_exactly(path: str, got: object) -> None:
    """Fields left out, another order of tools and single precision are no differences."""
    session = asked("ga")

    assert () == verify(session, changed(session, path, got), dialect="ga")
