"""What the embedded server does not accept, and in which words: the table of `docs/rehearsal-model.md`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bridge.rehearsal.conversation import Reply
from bridge.rehearsal.realtime.performance import Pacing
from bridge.rehearsal.realtime.scripted import ScriptedSession
from bridge.rehearsal.realtime.session import Limits

PCMU = {"type": "audio/pcmu"}


def update(**session: object) -> dict[str, Any]:
    """Return a GA update."""
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def beta_update(**session: object) -> dict[str, Any]:
    """Return a beta update."""
    return {"type": "session.update", "session": session}


def audio_in(**fields: object) -> dict[str, Any]:
    """Return a GA update of the audio input."""
    return update(audio={"input": fields})


def audio_out(**fields: object) -> dict[str, Any]:
    """Return a GA update of the audio output."""
    return update(audio={"output": fields})


def respond(**response: object) -> dict[str, Any]:
    """Return a response.create."""
    return {"type": "response.create", "response": response}


def create(**item: object) -> dict[str, Any]:
    """Return an item to create."""
    return {"type": "conversation.item.create", "item": item}


def mcp(**fields: object) -> dict[str, Any]:
    """Return a GA update with one MCP server; None leaves a field of it out."""
    tool = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example.com/mcp"} | fields
    return update(tools=[{name: value for name, value in tool.items() if value is not None}])


def vad(**fields: object) -> dict[str, Any]:
    """Return a GA update of `server_vad`."""
    return audio_in(turn_detection={"type": "server_vad", **fields})


GA_SHAPES: list[tuple[str, dict[str, Any], str, str | None]] = [
    # what is wrong, the event, error.code, error.param
    ("no session type", {"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
    (
        "no session type, and a beta field",
        {"type": "session.update", "session": {"voice": "alloy"}},
        "missing_required_parameter",
        "session.type",
    ),
    ("no session", {"type": "session.update"}, "missing_required_parameter", "session"),
    ("a session of another kind", update(type="transcription"), "invalid_value", "session.type"),
    ("beta's voice", update(voice="alloy"), "unknown_parameter", "session.voice"),
    ("temperature", update(temperature=0.8), "unknown_parameter", "session.temperature"),
    ("beta's turn detection", update(turn_detection=None), "unknown_parameter", "session.turn_detection"),
    ("beta's format", update(input_audio_format="g711_ulaw"), "unknown_parameter", "session.input_audio_format"),
    ("beta's modalities", update(modalities=["audio"]), "unknown_parameter", "session.modalities"),
    (
        "beta's token cap",
        update(max_response_output_tokens=5),
        "unknown_parameter",
        "session.max_response_output_tokens",
    ),
    ("an unknown field far down", vad(patience=3), "unknown_parameter", "session.audio.input.turn_detection.patience"),
    ("a stored prompt", update(prompt={"id": "pmpt_1"}), "unknown_parameter", "session.prompt"),
    ("both modalities", update(output_modalities=["text", "audio"]), "invalid_value", "session.output_modalities"),
    ("no modality", update(output_modalities=[]), "invalid_value", "session.output_modalities"),
    ("a modality unknown", update(output_modalities=["video"]), "invalid_value", "session.output_modalities[0]"),
    (
        "mu-law with a rate",
        audio_in(format={"type": "audio/pcmu", "rate": 8000}),
        "unknown_parameter",
        "session.audio.input.format.rate",
    ),
    (
        "A-law with a rate",
        audio_out(format={"type": "audio/pcma", "rate": 8000}),
        "unknown_parameter",
        "session.audio.output.format.rate",
    ),
    (
        "PCM at 16 kHz",
        audio_in(format={"type": "audio/pcm", "rate": 16000}),
        "invalid_value",
        "session.audio.input.format.rate",
    ),
    (
        "a format unknown",
        audio_in(format={"type": "g711_ulaw"}),
        "invalid_value",
        "session.audio.input.format.type",
    ),
    (
        "a format without a type",
        audio_in(format={"rate": 24000}),
        "missing_required_parameter",
        "session.audio.input.format.type",
    ),
    ("a format as a word", audio_in(format="g711_ulaw"), "invalid_type", "session.audio.input.format"),
    ("a voice unknown", audio_out(voice="siri"), "invalid_value", "session.audio.output.voice"),
    ("too fast", audio_out(speed=2), "decimal_above_max_value", "session.audio.output.speed"),
    (
        "a threshold above one",
        vad(threshold=1.5),
        "decimal_above_max_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        "an idle timeout too short",
        vad(idle_timeout_ms=1000),
        "integer_below_min_value",
        "session.audio.input.turn_detection.idle_timeout_ms",
    ),
    (
        "an idle timeout too long",
        vad(idle_timeout_ms=60000),
        "integer_above_max_value",
        "session.audio.input.turn_detection.idle_timeout_ms",
    ),
    (
        "an idle timeout of semantic_vad",
        audio_in(turn_detection={"type": "semantic_vad", "idle_timeout_ms": 6000}),
        "unknown_parameter",
        "session.audio.input.turn_detection.idle_timeout_ms",
    ),
    (
        "turn detection of another kind",
        audio_in(turn_detection={"type": "none"}),
        "invalid_value",
        "session.audio.input.turn_detection.type",
    ),
    (
        "turn detection without a kind",
        audio_in(turn_detection={"create_response": False}),
        "missing_required_parameter",
        "session.audio.input.turn_detection.type",
    ),
    (
        "a transcriber unknown",
        audio_in(transcription={"model": "whisper-9"}),
        "invalid_value",
        "session.audio.input.transcription.model",
    ),
    (
        "keywords for whisper",
        audio_in(transcription={"model": "whisper-1", "keywords": ["tyre"]}),
        "invalid_value",
        "session.audio.input.transcription",
    ),
    ("instructions that are no text", update(instructions=7), "invalid_type", "session.instructions"),
    ("no tokens", update(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
    ("too many tokens", update(max_output_tokens=5000), "integer_above_max_value", "session.max_output_tokens"),
    ("another model", update(model="gpt-realtime-2"), "invalid_value", "session.model"),
    (
        "a tool in a wrapper",
        update(tools=[{"type": "function", "function": {"name": "f"}}]),
        "missing_required_parameter",
        "session.tools[0].name",
    ),
    (
        "a tool with a field of its own",
        update(tools=[{"type": "function", "name": "a"}, {"type": "function", "name": "f", "meta": 1}]),
        "unknown_parameter",
        "session.tools[1].meta",
    ),
    (
        "a tool with spaces in its name",
        update(tools=[{"type": "function", "name": "look up"}]),
        "invalid_value",
        "session.tools[0].name",
    ),
    (
        "a tool of a kind unknown",
        update(tools=[{"type": "web_search"}]),
        "invalid_value",
        "session.tools[0].type",
    ),
    ("a server without a label", mcp(server_label=None), "missing_required_parameter", "session.tools[0].server_label"),
    ("a server that is nowhere", mcp(server_url=None), "invalid_value", "session.tools[0]"),
    ("a server with a field of its own", mcp(tenant="shop"), "unknown_parameter", "session.tools[0].tenant"),
    ("a connector unknown", mcp(connector_id="connector_x"), "invalid_value", "session.tools[0].connector_id"),
    ("headers that are no text", mcp(headers={"X": 1}), "invalid_type", "session.tools[0].headers.X"),
    (
        "a chosen server without a label",
        update(tool_choice={"type": "mcp"}),
        "missing_required_parameter",
        "session.tool_choice.server_label",
    ),
    (
        "a chosen function in a wrapper",
        update(tool_choice={"type": "function", "function": {"name": "f"}}),
        "missing_required_parameter",
        "session.tool_choice.name",
    ),
    ("a tool choice unknown", update(tool_choice="maybe"), "invalid_value", "session.tool_choice"),
    ("an event unknown", {"type": "session.upgrade"}, "invalid_value", "type"),
    ("a type that is no text", {"type": 5}, "invalid_value", "type"),
    ("a beta event", {"type": "transcription_session.update", "session": {}}, "invalid_value", "type"),
    ("an event id that is no text", {"type": "input_audio_buffer.clear", "event_id": 5}, "invalid_type", "event_id"),
    ("no audio in an append", {"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
    ("audio that is not base64", {"type": "input_audio_buffer.append", "audio": "!!"}, "invalid_value", "audio"),
    (
        "an append of more than 15 MiB",
        {"type": "input_audio_buffer.append", "audio": "A" * (15 * 1024 * 1024 + 4)},
        "string_above_max_length",
        "audio",
    ),
    ("a commit of nothing", {"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
    ("a cancel of nothing", {"type": "response.cancel"}, "response_cancel_not_active", None),
    (
        "a cancel of another response",
        {"type": "response.cancel", "response_id": "resp_1"},
        "response_cancel_not_active",
        None,
    ),
    ("the output buffer of WebRTC", {"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
    (
        "a truncate of nothing",
        {"type": "conversation.item.truncate", "item_id": "item_9", "content_index": 0, "audio_end_ms": 0},
        "item_truncate_invalid_item_id",
        None,
    ),
    (
        "a truncate at a negative time",
        {"type": "conversation.item.truncate", "item_id": "item_9", "content_index": 0, "audio_end_ms": -1},
        "integer_below_min_value",
        "audio_end_ms",
    ),
    (
        "a truncate at a broken time",
        {"type": "conversation.item.truncate", "item_id": "item_9", "content_index": 0, "audio_end_ms": 1.5},
        "invalid_type",
        "audio_end_ms",
    ),
    (
        "a truncate without an index",
        {"type": "conversation.item.truncate", "item_id": "item_9", "audio_end_ms": 0},
        "missing_required_parameter",
        "content_index",
    ),
    ("a delete of nothing", {"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id", None),
    (
        "a retrieve of nothing",
        {"type": "conversation.item.retrieve", "item_id": "x"},
        "item_retrieve_invalid_item_id",
        None,
    ),
    (
        "an output for no call",
        create(type="function_call_output", call_id="call_9", output="{}"),
        "invalid_tool_call_id",
        None,
    ),
    (
        "an output that is no text",
        create(type="function_call_output", call_id="call_9", output={"a": 1}),
        "invalid_type",
        "item.output",
    ),
    (
        "an assistant's audio",
        create(type="message", role="assistant", content=[{"type": "output_audio", "audio": ""}]),
        "invalid_value",
        "item.content[0].type",
    ),
    (
        "beta's assistant text",
        create(type="message", role="assistant", content=[{"type": "text", "text": "Hi"}]),
        "invalid_value",
        "item.content[0].type",
    ),
    (
        "a user's output_text",
        create(type="message", role="user", content=[{"type": "output_text", "text": "Hi"}]),
        "invalid_value",
        "item.content[0].type",
    ),
    ("a role unknown", create(type="message", role="tool", content=[]), "invalid_value", "item.role"),
    ("an item unknown", create(type="note"), "invalid_value", "item.type"),
    (
        "an item's id too long",
        create(id="i" * 33, type="message", role="user", content=[{"type": "input_text", "text": "Hi"}]),
        "string_above_max_length",
        "item.id",
    ),
    (
        "an item after nothing",
        {
            **create(type="message", role="user", content=[{"type": "input_text", "text": "Hi"}]),
            "previous_item_id": "item_9",
        },
        "item_create_invalid_previous_item_id",
        None,
    ),
    ("a response in beta's words", respond(modalities=["text"]), "unknown_parameter", "response.modalities"),
    ("a response with temperature", respond(temperature=0.8), "unknown_parameter", "response.temperature"),
    (
        "a response with both",
        respond(output_modalities=["audio", "text"]),
        "invalid_value",
        "response.output_modalities",
    ),
    ("a conversation unknown", respond(conversation="conv_1"), "invalid_value", "response.conversation"),
    (
        "too much metadata",
        respond(metadata={f"k{index}": "v" for index in range(17)}),
        "object_above_max_length",
        "response.metadata",
    ),
    ("metadata too long", respond(metadata={"k": "v" * 513}), "string_above_max_length", "response.metadata.k"),
    ("metadata that is no text", respond(metadata={"k": 1}), "invalid_type", "response.metadata.k"),
    (
        "a reference to nothing",
        respond(input=[{"type": "item_reference", "id": "item_9"}]),
        "invalid_value",
        "response.input[0].id",
    ),
]

BETA_SHAPES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("GA's type", beta_update(type="realtime"), "unknown_parameter", "session.type"),
    ("GA's audio", beta_update(audio={}), "unknown_parameter", "session.audio"),
    ("GA's modalities", beta_update(output_modalities=["audio"]), "unknown_parameter", "session.output_modalities"),
    ("GA's token cap", beta_update(max_output_tokens=5), "unknown_parameter", "session.max_output_tokens"),
    ("audio alone", beta_update(modalities=["audio"]), "invalid_value", "session.modalities"),
    ("too cold", beta_update(temperature=0.5), "decimal_below_min_value", "session.temperature"),
    ("too hot", beta_update(temperature=1.3), "decimal_above_max_value", "session.temperature"),
    ("GA's format", beta_update(input_audio_format="audio/pcmu"), "invalid_value", "session.input_audio_format"),
    ("GA's voice", beta_update(voice="marin"), "invalid_value", "session.voice"),
    (
        "GA's idle timeout",
        beta_update(turn_detection={"type": "server_vad", "idle_timeout_ms": 6000}),
        "unknown_parameter",
        "session.turn_detection.idle_timeout_ms",
    ),
    (
        "GA's assistant text",
        create(type="message", role="assistant", content=[{"type": "output_text", "text": "Hi"}]),
        "invalid_value",
        "item.content[0].type",
    ),
    (
        "a response in GA's words",
        respond(output_modalities=["text"]),
        "unknown_parameter",
        "response.output_modalities",
    ),
]


@pytest.mark.parametrize(("event", "code", "param"), [pytest.param(*row[1:], id=row[0]) for row in GA_SHAPES])
async def test_ga_session_refuses(event: dict[str, Any], code: str, param: str | None) -> None:
    """A GA session answers a wrong event with the documented code and the path of the field, and goes on."""
    async with ScriptedSession() as rehearsed:
        rehearsed.send(**_typed(event))

        error = (await rehearsed.until("error"))["error"]
        assert ("invalid_request_error", code, param) == (error["type"], error["code"], error["param"])
        assert error["message"]
        assert ["session.created", "error"] == rehearsed.sink.types()


@pytest.mark.parametrize(("event", "code", "param"), [pytest.param(*row[1:], id=row[0]) for row in BETA_SHAPES])
async def test_beta_session_refuses(event: dict[str, Any], code: str, param: str | None) -> None:
    """A beta session refuses what only GA knows, and what is out of beta's range."""
    async with ScriptedSession(dialect="beta", model="gpt-4o-realtime-preview") as rehearsed:
        rehearsed.send(**_typed(event))

        error = (await rehearsed.until("error"))["error"]
        assert (code, param) == (error["code"], error["param"])


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        pytest.param("{", "not valid JSON", id="broken JSON"),
        pytest.param("[" * 100_000, "not valid JSON", id="JSON too deep"),
        pytest.param("[]", "JSON object", id="no object"),
        pytest.param("{}", "The 'type' field is missing.", id="no type"),
        pytest.param(b"{}", "Binary messages are not supported", id="a binary message"),
    ],
)
async def test_session_refuses_what_is_no_event(message: str | bytes, sentence: str) -> None:
    """A message that is no event is an `invalid_event`, and the session goes on."""
    async with ScriptedSession() as rehearsed:
        rehearsed.session.receive(message)

        error = (await rehearsed.until("error"))["error"]
        assert "invalid_event" == error["code"]
        assert sentence in error["message"]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (update(voice="alloy"), "Unknown parameter: 'session.voice'."),
        ({"type": "session.update", "session": {}}, "Missing required parameter: 'session.type'."),
        (update(tool_choice="maybe"), "Invalid value: 'maybe'. Supported values are: 'auto', 'none', and 'required'."),
        (
            update(output_modalities=["audio", "text"]),
            "Invalid modalities: ['audio', 'text']. Supported combinations are: ['text'] and ['audio'].",
        ),
        ({"type": "response.cancel"}, "Cancellation failed: no active response found"),
        (
            {"type": "input_audio_buffer.commit"},
            (
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                "but buffer only has 0.00ms of audio."
            ),
        ),
        (
            create(type="function_call_output", call_id="call_9", output="{}"),
            "Tool call ID 'call_9' not found in conversation.",
        ),
        (
            {"type": "conversation.item.delete", "item_id": "item_9"},
            "Error deleting item: the item with id 'item_9' does not exist.",
        ),
        (
            update(instructions=7),
            "Invalid type for 'session.instructions': expected a string, but got an integer instead.",
        ),
    ],
)
async def test_session_words_a_refusal_as_the_real_server_does(event: dict[str, Any], message: str) -> None:
    """Clients that match by sentence find the real server's."""
    async with ScriptedSession() as rehearsed:
        rehearsed.send(**_typed(event))

        assert message == (await rehearsed.until("error"))["error"]["message"]


async def test_session_names_the_event_it_refuses() -> None:
    """The client's `event_id` comes back in the error."""
    async with ScriptedSession() as rehearsed:
        rehearsed.send("response.cancel", event_id="evt_mine")

        assert "evt_mine" == (await rehearsed.until("error"))["error"]["event_id"]


async def test_session_refuses_an_update_as_a_whole() -> None:
    """One wrong field, and nothing of the update is applied: the session stays on PCM."""
    async with ScriptedSession() as rehearsed:
        rehearsed.send("session.update", **_fields(update(audio={"input": {"format": PCMU}}, temperature=0.8)))
        rehearsed.send("session.update", session={"type": "realtime"})

        session = (await rehearsed.until("session.updated"))["session"]
        assert {"type": "audio/pcm", "rate": 24000} == session["audio"]["input"]["format"]


async def test_session_refuses_a_second_response() -> None:
    """One response at a time: the refusal names the one that runs."""
    async with ScriptedSession(replies=[Reply("One two three")]) as rehearsed:
        rehearsed.send("response.create")
        rehearsed.send("response.create")

        running = (await rehearsed.until("response.created"))["response"]["id"]
        error = (await rehearsed.until("error"))["error"]
        assert "conversation_already_has_active_response" == error["code"]
        assert f"Conversation already has an active response in progress: {running}." in error["message"]


async def test_session_refuses_another_voice_once_it_has_spoken() -> None:
    """After the first audio a voice is refused with the whole update, and for one response too."""
    async with ScriptedSession(replies=[Reply("Hello")], pacing=Pacing(pace=float("inf"))) as rehearsed:
        rehearsed.send("response.create")
        await rehearsed.until("response.done")
        rehearsed.send("session.update", **_fields(update(audio={"output": {"voice": "cedar"}}, instructions="Hi")))
        first = (await rehearsed.until("error"))["error"]
        rehearsed.send("response.create", response={"audio": {"output": {"voice": "cedar"}}})
        second = (await rehearsed.until("error"))["error"]

        assert ["cannot_update_voice"] * 2 == [first["code"], second["code"]]
        assert "Cannot update a conversation's voice if assistant audio is present." == first["message"]
        assert "Hi" != rehearsed.session.settings.instructions


async def test_session_refuses_to_truncate_beyond_the_audio_there_is() -> None:
    """`audio_end_ms` is at most the item's audio, also after an earlier truncation."""
    async with ScriptedSession(replies=[Reply("Hello there")], pacing=Pacing(pace=float("inf"))) as rehearsed:
        rehearsed.send("response.create")
        item_id = (await rehearsed.until("response.output_item.added"))["item"]["id"]
        await rehearsed.until("response.done")

        messages = []
        for audio_end_ms in (601, 600, 200, 300):
            where = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
            rehearsed.send("conversation.item.truncate", **where)
            last = rehearsed.sink.events[-1]
            messages.append(last["error"]["message"] if last["type"] == "error" else last["type"])

        assert [
            "Audio content of 600ms is already shorter than 601ms",
            "conversation.item.truncated",
            "conversation.item.truncated",
            "Audio content of 200ms is already shorter than 300ms",
        ] == messages


@pytest.mark.parametrize("content_index", [0, 1])
async def test_session_refuses_to_truncate_what_the_model_did_not_say(content_index: int) -> None:
    """Only the model's own audio can be truncated: no message of the user, no content part that is not there."""
    async with ScriptedSession() as rehearsed:
        content = [{"type": "input_text", "text": "Hello"}]
        rehearsed.send(**_typed(create(id="item_1", type="message", role="user", content=content)))
        where = {"item_id": "item_1", "content_index": content_index, "audio_end_ms": 0}
        rehearsed.send("conversation.item.truncate", **where)

        error = (await rehearsed.until("error"))["error"]
        assert "Only model output audio messages can be truncated" == error["message"]


async def test_session_refuses_an_item_id_that_is_taken() -> None:
    """Every id occurs once in a conversation."""
    async with ScriptedSession() as rehearsed:
        message = create(id="item_1", type="message", role="user", content=[{"type": "input_text", "text": "Hello"}])
        rehearsed.send(**_typed(message))
        rehearsed.send(**_typed(message))

        assert "item.id" == (await rehearsed.until("error"))["error"]["param"]


@pytest.mark.parametrize("field", [{"reasoning": {"effort": "low"}}, {"parallel_tool_calls": True}])
async def test_session_of_an_older_model_refuses_what_only_reasoning_models_have(field: dict[str, Any]) -> None:
    """`reasoning` and `parallel_tool_calls` exist only on 2.x models."""
    async with ScriptedSession(model="gpt-realtime-1.5") as older, ScriptedSession() as newer:
        for rehearsed in (older, newer):
            rehearsed.send(**_typed(update(**field)))

        assert f"session.{next(iter(field))}" == (await older.until("error"))["error"]["param"]
        assert field.items() <= (await newer.until("session.updated"))["session"].items()


async def test_session_refuses_more_audio_than_it_buffers() -> None:
    """Without turn detection the client must commit or clear; until then the buffer is bounded."""
    async with ScriptedSession(limits=Limits(max_buffered_ms=200)) as rehearsed:
        rehearsed.send(**_typed(audio_in(format=PCMU, turn_detection=None)))
        for _ in range(11):
            rehearsed.send("input_audio_buffer.append", audio=base64.b64encode(b"\xff" * 160).decode())

        assert "input_audio_buffer_full" == (await rehearsed.until("error"))["error"]["code"]
        rehearsed.send("input_audio_buffer.commit")
        assert json.dumps(rehearsed.sink.types()).count("input_audio_buffer.committed") == 1


def _typed(event: dict[str, Any]) -> dict[str, Any]:
    return {"event_type": event["type"], **_fields(event)}


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "type"}
