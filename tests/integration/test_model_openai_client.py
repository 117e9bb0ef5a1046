"""The embedded server against an independent client: the `openai` package, every event validated by its types."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
from openai import AsyncOpenAI
from openai.types.beta.realtime.realtime_server_event import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeServerEvent

from bridge.clock import Clock
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel
from bridge.rehearsal.realtime.scripted import TONE, ScriptedMind, ScriptedSpeech

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openai.resources.beta.realtime.realtime import AsyncRealtimeConnection as BetaConnection
    from openai.resources.realtime.realtime import AsyncRealtimeConnection

GA: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RealtimeServerEvent)
BETA: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(BetaServerEvent)
NOT_IN_THE_TYPES = {"session.id", "session.object", "session.expires_at"}
"""What the documented sample session shows and the package's types leave out."""

FRAMES = [TONE * 20] * 30 + [b"\xff" * 160] * 40
SPEECH = Reply("Hello there my dear caller, how are you today?")
CALLS = Reply("One moment.", (FunctionCall("look_up", {"number": 7}), FunctionCall("send_digits", {"digits": "1"})))
LONG = Reply("word " * 100)


def server(replies: Iterable[Reply], **options: Any) -> EmbeddedModel:  # noqa: ANN401 - passed on
    """Return a server whose mind says these one after the other."""
    mind = ScriptedMind(replies)
    return EmbeddedModel(
        speech=ScriptedSpeech(["good morning"] * 9),
        dialogue=Dialogue.default(),
        mind=lambda _dialogue: mind,
        clock=Clock(20),
        api_key="sk-local",
        **options,
    )


def client(model: EmbeddedModel) -> AsyncOpenAI:
    """Return a client of the package; only `websocket_base_url` leaves the scheme alone."""
    return AsyncOpenAI(api_key="sk-local", websocket_base_url=model.url.removesuffix("/realtime"))


class Conformance:
    """Receives as the client does, and validates each event strictly."""

    def __init__(self, connection: AsyncRealtimeConnection | BetaConnection, events: pydantic.TypeAdapter[Any]) -> None:
        self.connection = connection
        self.events = events
        self.seen: list[str] = []

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of a type; every event on the way must be one of the package's, field by field."""
        async with asyncio.timeout(10):
            while True:
                event: dict[str, Any] = json.loads(await self.connection.recv_bytes())
                parsed = self.events.validate_python(event)
                assert event["type"] == parsed.type
                assert not unknown_fields(parsed) - NOT_IN_THE_TYPES
                self.seen.append(event["type"])
                if event["type"] == event_type:
                    return event

    async def speak(self) -> None:
        """Append a turn of the caller, mu-law."""
        for frame in FRAMES:
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())


def unknown_fields(parsed: object, path: str = "") -> set[str]:
    """Return the fields of an event that its type does not know, at any depth."""
    if isinstance(parsed, list):
        return {found for entry in parsed for found in unknown_fields(entry, path)}
    if not isinstance(parsed, pydantic.BaseModel):
        return set()
    found = {f"{path}{name}" for name in parsed.model_extra or {}}
    for name in type(parsed).model_fields:
        found |= unknown_fields(getattr(parsed, name), f"{path}{name}.")
    return found


async def test_ga_client_holds_a_whole_conversation() -> None:
    """Configure, speak, be answered, get calls, return outputs, interrupt, truncate, retrieve, delete: all conforms."""
    async with (
        server([SPEECH, CALLS, LONG]) as model,
        client(model).realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        talk = Conformance(connection, GA)
        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Be brief.",
                "tools": [{"type": "function", "name": "look_up", "description": "", "parameters": {}}],
                "audio": {
                    "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "gpt-transcribe"}},
                    "output": {"format": {"type": "audio/pcmu"}, "voice": "cedar"},
                },
            }
        )
        updated = (await talk.until("session.updated"))["session"]
        assert ({"type": "audio/pcmu"}, "cedar") == (
            updated["audio"]["input"]["format"],
            updated["audio"]["output"]["voice"],
        )

        await talk.speak()
        answered = (await talk.until("response.done"))["response"]
        assert "completed" == answered["status"]
        assert "conversation.item.input_audio_transcription.completed" in talk.seen

        await connection.response.create(response={"metadata": {"why": "test"}})
        called = (await talk.until("response.done"))["response"]
        for item in called["output"][1:]:
            await connection.conversation.item.create(
                item={"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
            )
            await talk.until("conversation.item.done")

        await connection.response.create()
        await talk.until("response.output_audio.delta")
        await talk.speak()
        await talk.until("input_audio_buffer.speech_started")
        cut = (await talk.until("response.done"))["response"]
        assert ("cancelled", "turn_detected") == (cut["status"], cut["status_details"]["reason"])

        cut_id = cut["output"][0]["id"]
        await connection.conversation.item.truncate(item_id=cut_id, content_index=0, audio_end_ms=100)
        await talk.until("conversation.item.truncated")
        await connection.conversation.item.retrieve(item_id=cut_id)
        retrieved = (await talk.until("conversation.item.retrieved"))["item"]
        assert 100 * 8 == len(base64.b64decode(retrieved["content"][0]["audio"]))
        await connection.conversation.item.delete(item_id=cut_id)
        await talk.until("conversation.item.deleted")

        await connection.input_audio_buffer.clear()
        await talk.until("input_audio_buffer.cleared")
        await connection.response.cancel(response_id="resp_never")
        assert "response_cancel_not_active" == (await talk.until("error"))["error"]["code"]


async def test_ga_client_works_with_text_and_out_of_band() -> None:
    """Text modality, own input and `conversation: none` conform as well."""
    async with (
        server([Reply("Plain words"), Reply("Aside")]) as model,
        client(model).realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        talk = Conformance(connection, GA)
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        )
        await connection.response.create(response={"output_modalities": ["text"]})
        spoken = (await talk.until("response.done"))["response"]
        assert "Plain words" == spoken["output"][0]["content"][0]["text"]

        await connection.response.create(
            response={"conversation": "none", "output_modalities": ["text"], "input": [], "instructions": "Sum up."}
        )
        assert (await talk.until("response.done"))["response"]["conversation_id"] is None


async def test_ga_client_is_prompted_in_silence() -> None:
    """The idle timeout's events conform."""
    async with (
        server([Reply("Hello"), Reply("Are you there?")]) as model,
        client(model).realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        talk = Conformance(connection, GA)
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}},
            }
        )
        await connection.response.create()
        await talk.until("input_audio_buffer.timeout_triggered")
        await talk.until("response.done")


async def test_beta_client_holds_a_whole_conversation() -> None:
    """The package's beta client, with its header, gets the beta dialect, and every event is one of beta's."""
    async with (
        server([SPEECH, CALLS, LONG], dialects="both") as model,
        client(model).beta.realtime.connect(model="gpt-4o-realtime-preview") as connection,
    ):
        talk = Conformance(connection, BETA)
        await connection.session.update(
            session={
                "input_audio_format": "g711_ulaw",
                "output_audio_format": "g711_ulaw",
                "voice": "verse",
                "temperature": 0.7,
                "input_audio_transcription": {"model": "whisper-1"},
            }
        )
        assert "g711_ulaw" == (await talk.until("session.updated"))["session"]["input_audio_format"]

        await talk.speak()
        await talk.until("response.audio.delta")
        await talk.until("response.done")
        await connection.response.create()
        called = (await talk.until("response.done"))["response"]
        assert ["message", "function_call", "function_call"] == [item["type"] for item in called["output"]]

        await connection.response.create()
        await talk.until("response.audio.delta")
        await connection.response.cancel()
        cut = (await talk.until("response.done"))["response"]
        cut_id = cut["output"][0]["id"]
        await connection.conversation.item.truncate(item_id=cut_id, content_index=0, audio_end_ms=100)
        await talk.until("conversation.item.truncated")
        await connection.conversation.item.retrieve(item_id=cut_id)
        await talk.until("conversation.item.retrieved")
        assert not {"conversation.item.added", "conversation.item.done"} & set(talk.seen)


@pytest.mark.parametrize("pace", [4.0, float("inf")])
async def test_many_clients_get_each_their_own(pace: float) -> None:
    """Ten clients at once: each is told only of its own session."""
    async with server([SPEECH] * 10, pace=pace) as model:

        async def talk_to_it() -> str:
            async with client(model).realtime.connect(model="gpt-realtime-2.1") as connection:
                talk = Conformance(connection, GA)
                session_id: str = (await talk.until("session.created"))["session"]["id"]
                await connection.response.create()
                await talk.until("response.done")
                return session_id

        session_ids = await asyncio.gather(*(talk_to_it() for _ in range(10)))
        assert sorted(session_ids) == sorted(session.id for session in model.sessions)
