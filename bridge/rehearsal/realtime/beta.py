"""The beta dialect: translates what a client sends, and what it is shown (protocol reference, sections 3 to 6)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from bridge.rehearsal.realtime import beta_schema as schema
from bridge.rehearsal.realtime import events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.rehearsal.realtime.dialect import DialectName
    from bridge.rehearsal.realtime.performance import Response
    from bridge.rehearsal.realtime.settings import Modality, Settings, TurnDetection

_FORMATS = {ours: theirs for theirs, ours in schema.FORMATS.items()}
_RENAMED = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
_NOT_IN_BETA = ("conversation.item.done", "input_audio_buffer.timeout_triggered")
_EVENT: TypeAdapter[schema.UpdateSession | schema.CreateItem | schema.CreateResponse | events.SharedEvent] = (
    TypeAdapter(schema.Event)
)


class BetaDialect:
    """How a beta session speaks."""

    name: DialectName = "beta"
    default_voice = "alloy"
    assistant_parts: Mapping[str, str] = {"text": "text", "audio": "audio"}

    def parse(self, data: object, *, context: Mapping[str, object]) -> events.ClientCommand:
        """Validate one client event.

        Raises:
            pydantic.ValidationError: it is not one; nothing of it may be carried out.
        """
        event = _EVENT.validate_python(data, context=dict(context))
        match event:
            case schema.UpdateSession():
                return events.UpdateSession(event.session.patch())
            case schema.CreateItem():
                return events.CreateItem(event.item, event.previous_item_id)
            case schema.CreateResponse(response=part):
                return events.CreateResponse(
                    patch=part.patch(),
                    in_conversation=part.conversation == "auto",
                    metadata=part.metadata,
                    input=None if part.input is None else tuple(part.input),
                )
            case _:
                return event

    def render(self, event_type: str, fields: dict[str, object]) -> dict[str, object] | None:
        """Return a server event, given by its GA name, as this dialect sends it; None: it has no such event."""
        if event_type in _NOT_IN_BETA:
            return None
        if event_type == "response.function_call_arguments.done":
            fields = {name: value for name, value in fields.items() if name != "name"}
        return {"type": _RENAMED.get(event_type, event_type), **fields}

    def session(self, settings: Settings) -> dict[str, object]:
        """Write a session's settings as `session.created` and `session.updated` show them."""
        detection = settings.turn_detection
        return {
            "model": settings.model,
            "modalities": _modalities(settings.modality),
            "instructions": settings.instructions,
            "voice": settings.voice_name,
            "input_audio_format": _FORMATS[settings.input_format],
            "output_audio_format": _FORMATS[settings.output_format],
            "input_audio_transcription": settings.transcription,
            "input_audio_noise_reduction": settings.noise_reduction,
            "turn_detection": detection and _turn_detection(detection),
            "tools": list(settings.tools),
            "tool_choice": settings.tool_choice,
            "temperature": settings.temperature,
            "max_response_output_tokens": settings.max_output_tokens,
            "speed": settings.speed,
            "tracing": None,
            **settings.echoed,
        }

    def response(self, response: Response) -> dict[str, object]:
        """Write what is particular to this dialect in a response."""
        return {
            "modalities": _modalities(response.settings.modality),
            "voice": response.settings.voice_name,
            "output_audio_format": _FORMATS[response.settings.output_format],
            "temperature": response.settings.temperature,
        }

    def cached_details(self, text_tokens: int, audio_tokens: int) -> dict[str, object]:  # noqa: ARG002 - see GA
        """Write which of the cached input tokens were which: beta does not say."""
        return {}


def _modalities(modality: Modality) -> list[str]:
    return ["text", "audio"] if modality == "audio" else ["text"]


def _turn_detection(detection: TurnDetection) -> dict[str, object]:
    fields = dataclasses.asdict(detection)
    left_out = {"idle_timeout_ms", "eagerness"}
    if detection.type == "semantic_vad":
        left_out = {"idle_timeout_ms", "threshold", "prefix_padding_ms", "silence_duration_ms"}
    return {name: value for name, value in fields.items() if name not in left_out}
