"""The GA dialect: translates what a client sends, and what it is shown (protocol reference, sections 3 to 6)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from bridge.rehearsal.realtime import events
from bridge.rehearsal.realtime import ga_schema as schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.rehearsal.realtime.dialect import DialectName
    from bridge.rehearsal.realtime.performance import Response
    from bridge.rehearsal.realtime.settings import Settings, TurnDetection

_FORMATS = {"pcmu": {"type": "audio/pcmu"}, "pcma": {"type": "audio/pcma"}, "pcm": {"type": "audio/pcm", "rate": 24000}}
_NOT_IN_GA = ("conversation.created", "conversation.item.created")
_EVENT: TypeAdapter[schema.UpdateSession | schema.CreateItem | schema.CreateResponse | events.SharedEvent] = (
    TypeAdapter(schema.Event)
)


class GaDialect:
    """How a GA session speaks."""

    name: DialectName = "ga"
    default_voice = "marin"
    assistant_parts: Mapping[str, str] = {"text": "output_text", "audio": "output_audio"}

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
                    patch={**part.common_patch(), **schema.output_patch(part.audio.output)},
                    in_conversation=part.conversation == "auto",
                    metadata=part.metadata,
                    input=None if part.input is None else tuple(part.input),
                )
            case _:
                return event

    def render(self, event_type: str, fields: dict[str, object]) -> dict[str, object] | None:
        """Return a server event, given by its GA name, as this dialect sends it; None: it has no such event."""
        return None if event_type in _NOT_IN_GA else {"type": event_type, **fields}

    def session(self, settings: Settings) -> dict[str, object]:
        """Write a session's settings as `session.created` and `session.updated` show them."""
        detection = settings.turn_detection
        return {
            "type": "realtime",
            "model": settings.model,
            "output_modalities": [settings.modality],
            "instructions": settings.instructions,
            "tools": list(settings.tools),
            "tool_choice": settings.tool_choice,
            "max_output_tokens": settings.max_output_tokens,
            "tracing": None,
            "truncation": "auto",
            "include": None,
            "audio": {
                "input": {
                    "format": _FORMATS[settings.input_format],
                    "transcription": settings.transcription,
                    "noise_reduction": settings.noise_reduction,
                    "turn_detection": detection and _turn_detection(detection),
                },
                "output": {
                    "format": _FORMATS[settings.output_format],
                    "voice": settings.voice,
                    "speed": settings.speed,
                },
            },
            **settings.echoed,
        }

    def response(self, response: Response) -> dict[str, object]:
        """Write what is particular to this dialect in a response."""
        return {
            "output_modalities": [response.settings.modality],
            "audio": {
                "output": {
                    "format": _FORMATS[response.settings.output_format],
                    "voice": response.settings.voice_name,
                }
            },
        }

    def cached_details(self, text_tokens: int, audio_tokens: int) -> dict[str, object]:
        """Write which of the cached input tokens were which."""
        return {
            "image_tokens": 0,
            "cached_tokens_details": {"text_tokens": text_tokens, "audio_tokens": audio_tokens, "image_tokens": 0},
        }


def _turn_detection(detection: TurnDetection) -> dict[str, object]:
    fields = dataclasses.asdict(detection)
    if detection.type == "semantic_vad":
        return {name: fields[name] for name in ("type", "eagerness", "create_response", "interrupt_response")}
    del fields["eagerness"]
    return fields
