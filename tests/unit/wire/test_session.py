"""What is asked of the session: every accepted agent gives a session that the API's own types accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.realtime import session_update_event as beta_types
from openai.types.beta.realtime.response_create_event import Response as BetaResponse
from openai.types.realtime import (
    ConversationItem,
    RealtimeResponseCreateParams,
    RealtimeSessionCreateRequest,
)
from pydantic import BaseModel, TypeAdapter

from bridge.configuration.vocabulary import canonical
from bridge.settings import Agent, Dialect, Json, Model, NamedFunction
from bridge.wire.session import (
    TurnControl,
    check,
    fitted,
    function_output_item,
    message_item,
    response_fields,
    session_fields,
    turn_fields,
)

SERVER_ACTS = TurnControl(create_response=True, interrupt_response=True)
BRIDGE_ACTS = TurnControl(create_response=False, interrupt_response=False)

TOOL: Json = {"type": "function", "name": "end_call", "description": "Ends.", "parameters": {"type": "object"}}
SERVER: Json = {"type": "mcp", "server_label": "shop", "server_url": "https://mcp.example.com"}


ADAPTERS: dict[object, TypeAdapter[object]] = {
    kind: TypeAdapter(kind)  # type: ignore[arg-type]  # a union among them
    for kind in (
        RealtimeSessionCreateRequest,
        RealtimeResponseCreateParams,
        ConversationItem,
        beta_types.Session,
        BetaResponse,
    )
}


def unknown_fields(value: object, path: str = "") -> list[str]:
    """The fields that the API's types have no name for."""
    if isinstance(value, BaseModel):
        found = [f"{path}.{key}" for key in value.model_extra or {}]
        return found + [one for key, part in value for one in unknown_fields(part, f"{path}.{key}")]
    if isinstance(value, list):
        return [one for part in value for one in unknown_fields(part, path)]
    return []


def assert_accepted(kind: object, fields: Json) -> None:
    """The API's type takes the object strictly, and knows all of it."""
    assert [] == unknown_fields(ADAPTERS[kind].validate_python(fields, strict=True))


words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)
formats = st.sampled_from(["g711_ulaw", "g711_alaw", "pcm16"])
formats_ga = st.sampled_from([{"type": "audio/pcmu"}, {"type": "audio/pcma"}, {"type": "audio/pcm", "rate": 24_000}])
unit = st.floats(0, 1)
transcriptions = st.one_of(
    st.just(False),  # noqa: FBT003, the value that turns it off
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from(["whisper-1", "gpt-transcribe", "gpt-realtime-whisper", "gpt-4o-transcribe"]),
            "language": st.just("en"),
            "prompt": words,
            "languages": st.just(["en", "de"]),
            "keywords": st.lists(words, max_size=3),
            "delay": st.sampled_from(["minimal", "low", "medium", "high", "xhigh"]),
        },
    ),
)
noise = st.one_of(
    st.just(False),  # noqa: FBT003, the value that turns it off
    st.fixed_dictionaries({"type": st.sampled_from(["near_field", "far_field"])}, optional={"strength": unit}),
)
detections = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("server_vad")},
        optional={
            "threshold": unit,
            "prefix_padding_ms": st.integers(0, 5_000),
            "silence_duration_ms": st.integers(0, 10_000),
            "create_response": st.booleans(),
            "idle_timeout_ms": st.integers(5_000, 30_000),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("semantic_vad")},
        optional={"eagerness": st.sampled_from(["low", "medium", "high", "auto"]), "interrupt_response": st.booleans()},
    ),
)
voices = st.one_of(words, st.just({"id": "voice_1"}))
choices = st.sampled_from(
    [
        "auto",
        "none",
        "required",
        {"type": "function", "name": "end_call"},
        {"type": "function", "function": {"name": "end_call"}},
        {"type": "mcp", "server_label": "shop"},
    ]
)
flat: dict[str, st.SearchStrategy[Any]] = {
    "instructions": words,
    "voice": voices,
    "modalities": st.sampled_from([["audio"], ["text", "audio"]]),
    "input_audio_format": formats,
    "output_audio_format": formats,
    "input_audio_transcription": transcriptions,
    "input_audio_noise_reduction": noise,
    "turn_detection": detections,
    "temperature": st.floats(0.6, 1.2),
    "max_response_output_tokens": st.one_of(st.integers(1, 4096), st.just("inf")),
    "tool_choice": choices,
    "speed": st.floats(0.25, 1.5),
    "tracing": st.sampled_from(["auto", {"workflow_name": "shop", "metadata": {"a": 1}}]),
}
nested: dict[str, st.SearchStrategy[Any]] = {
    "type": st.just("realtime"),
    "model": st.just("gpt-realtime-2.1"),
    "instructions": words,
    "output_modalities": st.just(["audio"]),
    "audio": st.fixed_dictionaries(
        {},
        optional={
            "input": st.fixed_dictionaries(
                {},
                optional={
                    "format": formats_ga,
                    "transcription": transcriptions,
                    "noise_reduction": noise,
                    "turn_detection": detections,
                },
            ),
            "output": st.fixed_dictionaries(
                {}, optional={"format": formats_ga, "voice": voices, "speed": st.floats(0.25, 1.5)}
            ),
        },
    ),
    "max_output_tokens": st.integers(1, 4096),
    "tool_choice": choices,
    "reasoning": st.fixed_dictionaries({"effort": st.sampled_from(["minimal", "low", "medium", "high", "xhigh"])}),
    "truncation": st.sampled_from(
        [
            "auto",
            "disabled",
            {"type": "retention_ratio", "retention_ratio": 0.5},
            {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 900}},
        ]
    ),
    "include": st.just(["item.input_audio_transcription.logprobs"]),
    "parallel_tool_calls": st.booleans(),
    "prompt": st.fixed_dictionaries(
        {"id": words}, optional={"version": words, "variables": st.dictionaries(words, words, max_size=2)}
    ),
}
sessions = st.one_of(st.fixed_dictionaries({}, optional=flat), st.fixed_dictionaries({}, optional=nested))
tables = st.builds(lambda own, params: own | {"params": params}, sessions, sessions)
controls = st.builds(TurnControl, create_response=st.booleans(), interrupt_response=st.booleans())


def agent_of(table: Json) -> Agent:
    """The agent that a pasted table makes."""
    made = canonical(table)
    assert [] == made.problems
    return Agent.model_validate_json(json.dumps(made.table), strict=True)


@given(table=tables, control=controls)
def test_bridge_asks_a_ga_server_for_any_accepted_session(table: Json, control: TurnControl) -> None:
    """Whatever is accepted from a configuration is a session that the GA types know in full."""
    session = session_fields(agent_of(table), dialect="ga", tools=[TOOL, SERVER], turn_control=control)

    assert_accepted(RealtimeSessionCreateRequest, session)
    assert "idle_timeout_ms" not in json.dumps(session)


@given(table=tables, control=controls)
def test_bridge_asks_a_beta_server_for_any_accepted_session(table: Json, control: TurnControl) -> None:
    """Whatever is accepted from a configuration is a session that the beta types know in full."""
    session = session_fields(agent_of(table), dialect="beta", tools=[TOOL, SERVER], turn_control=control)

    if isinstance(session["tool_choice"], dict):  # the type says text; the API's reference shows an object too
        assert {"type": "function", "function": {"name": "end_call"}} == session["tool_choice"]
        session["tool_choice"] = "auto"
    assert_accepted(beta_types.Session, session)


@given(table=tables, control=controls)
def test_bridge_changes_turn_control_of_any_accepted_session(table: Json, control: TurnControl) -> None:
    """A later update touches turn detection alone, and has it in full."""
    agent = agent_of(table)
    ga = turn_fields(agent, dialect="ga", turn_control=control)
    beta = turn_fields(agent, dialect="beta", turn_control=control)

    assert_accepted(RealtimeSessionCreateRequest, ga)
    assert_accepted(beta_types.Session, beta)
    assert {"type": "realtime", "audio": {"input": beta}} == ga


@given(table=tables)
def test_fitting_an_agent_twice_says_nothing_new(table: Json) -> None:
    """What was left out once is gone: a second look finds nothing more to leave out."""
    for dialect in ("ga", "beta"):
        fit, _ = fitted(agent_of(table), dialect)
        assert (fit, []) == fitted(fit, dialect)


def test_bridge_asks_for_the_default_session() -> None:
    """An agent without any settings: mu-law both ways, detection set in full, nothing left to the server's mood."""
    assert {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": False,
                    "interrupt_response": False,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}},
        },
        "tools": [TOOL],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
    } == session_fields(Agent(), dialect="ga", tools=[TOOL], turn_control=BRIDGE_ACTS)


def test_bridge_asks_a_beta_server_without_mcp_tools() -> None:
    """An MCP server is left out where the dialect does not know it."""
    session = session_fields(Agent(), dialect="beta", tools=[TOOL, SERVER], turn_control=SERVER_ACTS)

    assert [TOOL] == session["tools"]


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (
            "ga",
            {
                "instructions": "Say it.",
                "tool_choice": {"type": "function", "name": "f"},
                "metadata": {"wish": "1"},
                "output_modalities": ["audio"],
            },
        ),
        (
            "beta",
            {
                "instructions": "Say it.",
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "metadata": {"wish": "1"},
                "modalities": ["text", "audio"],
            },
        ),
    ],
)
def test_bridge_asks_for_a_response(dialect: Dialect, expected: Json) -> None:
    """The overrides of one response are in the dialect's form."""
    fields = response_fields(
        dialect,
        instructions="Say it.",
        tool_choice=NamedFunction(name="f"),
        metadata={"wish": "1"},
        output_modalities=["text", "audio"],
    )

    assert expected == fields


def test_bridge_asks_for_a_response_of_the_types() -> None:
    """The API's types know every field of a response that is asked for."""
    kinds: dict[Dialect, object] = {"ga": RealtimeResponseCreateParams, "beta": BetaResponse}
    for dialect, kind in kinds.items():
        for modalities in (["audio"], ["text"]):
            fields = response_fields(
                dialect, instructions="Hi.", tool_choice="none", metadata={"a": "b"}, output_modalities=modalities
            )
            assert_accepted(kind, fields)
    assert {} == response_fields("ga")


@pytest.mark.parametrize(
    ("role", "dialect", "kind"),
    [
        ("system", "ga", "input_text"),
        ("user", "ga", "input_text"),
        ("assistant", "ga", "output_text"),
        ("system", "beta", "input_text"),
        ("user", "beta", "input_text"),
        ("assistant", "beta", "text"),
    ],
)
def test_bridge_adds_a_message(role: str, dialect: Dialect, kind: str) -> None:
    """What the assistant said has another content type in each dialect."""
    item = message_item(role, "Hello.", dialect)

    assert {"type": "message", "role": role, "content": [{"type": kind, "text": "Hello."}]} == item
    if dialect == "ga":
        assert_accepted(ConversationItem, item)


def test_bridge_answers_a_function_call() -> None:
    """The output of a function is an item with the call's id."""
    item = function_output_item("call_1", '{"ok":true}')

    assert {"type": "function_call_output", "call_id": "call_1", "output": '{"ok":true}'} == item
    assert_accepted(ConversationItem, item)


def test_operator_learns_of_azures_deployments_and_stored_prompts() -> None:
    """What the endpoint makes of a setting is said at start."""
    azure = Model(provider="azure", url="wss://x.openai.azure.com", name="d")
    assert ["input_audio_transcription.model"] == [notice.key for notice in check(Agent(), azure)]

    stored = agent_of({"prompt": {"id": "pmpt_1"}})
    assert ["params.prompt"] == [notice.key for notice in check(stored, Model(provider="openai"))]
