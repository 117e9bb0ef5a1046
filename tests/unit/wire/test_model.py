"""Realtime server events of both dialects: understood, known and of no use, or counted as odd; never an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from bridge.wire import model as wire
from bridge.wire.caller import Malformed, Unknown

FIXTURES = Path(__file__).parents[3] / "fixtures" / "model"
DIALECTS: dict[str, Any] = {"ga": RealtimeServerEvent, "beta": BetaServerEvent}
VALIDATORS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(union) for name, union in DIALECTS.items()}
NOT_IN_THE_PACKAGE = {"transcription_session.created"}
VALID = sorted((FIXTURES / "valid").glob("*/*.json"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["session", "error", "item", "item_id", "response", "response_id", "delta", "transcript", "content_index", "output"]
)


def sample(name: str, dialect: str = "ga") -> Any:  # noqa: ANN401 - any of the events
    """The value of a valid event."""
    return wire.parse((FIXTURES / "valid" / dialect / f"{name}.json").read_text())


def named(path: Path) -> str:
    """The event that a file is about."""
    return path.stem.partition("-")[0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_event_of_the_package_has_a_sample(dialect: str) -> None:
    """A new kind of event in the `openai` package fails this test, and wants to be understood."""
    kinds: set[str] = set()
    for event in get_args(get_args(DIALECTS[dialect])[0]):
        kinds.update(get_args(event.model_fields["type"].annotation))

    assert kinds <= {named(path) for path in (FIXTURES / "valid" / dialect).glob("*.json")}


@pytest.mark.parametrize("path", VALID, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_server_says_something_valid(path: Path) -> None:
    """Each event is understood, or known to be of no use to a call; and the sample is what the package says it is."""
    text = path.read_text()
    if path.parent.name in DIALECTS and named(path) not in NOT_IN_THE_PACKAGE:
        VALIDATORS[path.parent.name].validate_json(text, strict=True)

    event = wire.parse(text)

    assert event == wire.parse(path.read_bytes())
    if path.stem == "unknown-event":
        assert Unknown("weather.changed") == event
    elif isinstance(event, wire.Quiet):
        assert named(path) == event.kind
    else:
        assert not isinstance(event, (Unknown, Malformed))
        assert named(path) == event.__struct_config__.tag


@pytest.mark.parametrize("path", sorted((FIXTURES / "invalid").glob("*.json")), ids=lambda path: path.stem)
def test_server_says_something_invalid(path: Path) -> None:
    """It becomes a value too."""
    assert isinstance(wire.parse(path.read_text()), Malformed)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_both_dialects_say_the_same(dialect: str) -> None:
    """Eight events have other names; their values are used alike."""
    name = "output_audio" if dialect == "ga" else "audio"

    delta = sample(f"response.{name}.delta", dialect)
    words = sample(f"response.{name}_transcript.delta", dialect)
    whole = sample(f"response.{name}_transcript.done", dialect)

    assert isinstance(delta, wire.AudioDelta)
    assert ("resp_1", "item_1", "/////w==", 0) == (delta.response_id, delta.item_id, delta.delta, delta.content_index)
    assert isinstance(words, wire.TranscriptDelta)
    assert "Hel" == words.delta
    assert isinstance(whole, wire.TranscriptDone)
    assert "Hello." == whole.transcript


@pytest.mark.parametrize("dialect", DIALECTS)
def test_response_is_read(dialect: str) -> None:
    """Its status, its items, what it cost, and what we gave it to hand back."""
    response = sample("response.done", dialect).response

    assert ("resp_1", "completed", {"wish": "response-2"}) == (response.id, response.status, response.metadata)
    assert ["message", "function_call"] == [item.type for item in response.output]
    assert ("lookup_order", "call_1") == (response.output[1].name, response.output[1].call_id)
    assert (46, 54) == (response.usage["input_tokens"], response.usage["output_tokens"])
    assert 34 == response.usage["input_token_details"]["audio_tokens"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_response_fails(dialect: str) -> None:
    """Why is told by a code."""
    response = sample("response.done-failed", dialect).response

    assert ("failed", "rate_limit_exceeded") == (response.status, response.status_details.error.code)


def test_server_hands_no_metadata_back() -> None:
    """That is something else than handing back none."""
    created = sample("response.created-bare", "compatible").response
    done = sample("response.done-no-nulls", "compatible").response

    assert created.metadata is not None
    assert not isinstance(created.metadata, dict)
    assert done.metadata is None


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        b"\xff",
        b'{"type":"\xff"}',
        '{"type":"weather","x":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"type":"response.done","response":{"id":5,"output":' + "[" * 100_000,
        '{"type":"session.updated","session":{"a":' + "[" * 100_000 + "]" * 100_000 + "}}",
    ],
    ids=range(6),
)
def test_peer_means_harm(text: str | bytes) -> None:
    """Nothing is raised, whatever is sent."""
    wire.parse(text)


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_peer_says_anything(text: str | bytes) -> None:
    """Nothing is raised, whatever is sent."""
    wire.parse(text)


@given(st.sampled_from(sorted({named(path) for path in VALID})), st.dictionaries(FIELDS, json_values, max_size=6))
def test_peer_says_almost_the_right_thing(kind: str, fields: dict[str, Any]) -> None:
    """Nothing is raised, whatever the fields hold."""
    wire.parse(json.dumps(fields | {"type": kind}))
