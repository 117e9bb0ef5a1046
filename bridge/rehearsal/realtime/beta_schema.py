"""The shapes of the beta dialect's client events (protocol reference, sections 3 to 5)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from bridge.rehearsal.realtime import events
from bridge.rehearsal.realtime.settings import Patch, TurnDetection

FORMATS = {"pcm16": "pcm", "g711_ulaw": "pcmu", "g711_alaw": "pcma"}
Format = Literal["pcm16", "g711_ulaw", "g711_alaw"]
Voice = Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"]


class Transcription(events.Strict):
    """`input_audio_transcription`."""

    model: str
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(events.Strict):
    """`input_audio_noise_reduction`."""

    type: Literal["near_field", "far_field"]


class FunctionName(events.Strict):
    """The name in the wrapper."""

    name: events.FunctionName


class ChosenFunctionWrapped(events.Strict):
    """The function a response must call, as the beta documentation writes it."""

    type: Literal["function"]
    function: FunctionName


class Tracing(events.Strict):
    """`tracing`."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, object] | None = None


class Common(events.Strict):
    """What a session and a response may both set."""

    modalities: list[Literal["text", "audio"]] | None = None
    instructions: str | None = None
    voice: Voice | None = None
    output_audio_format: Format | None = None
    tools: list[events.FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | events.ChosenFunction | ChosenFunctionWrapped | None = None
    temperature: Annotated[float, Field(ge=0.6, le=1.2)] | None = None
    max_response_output_tokens: events.MaxTokens | None = None

    @field_validator("modalities")
    @classmethod
    def _a_known_combination(cls, modalities: list[str] | None) -> list[str] | None:
        if modalities is not None and sorted(modalities) not in (["audio", "text"], ["text"]):
            msg = f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and ['audio', 'text']."
            raise ValueError(msg)
        return modalities

    def patch(self) -> Patch:
        """Return the fields that were given, in words of no dialect; null leaves a field as it is."""
        patch: Patch = {
            name: value
            for name, value in (
                ("instructions", self.instructions),
                ("voice", self.voice),
                ("temperature", self.temperature),
                ("max_output_tokens", self.max_response_output_tokens),
            )
            if value is not None
        }
        if self.modalities is not None:
            patch["modality"] = "audio" if "audio" in self.modalities else "text"
        if self.output_audio_format is not None:
            patch["output_format"] = FORMATS[self.output_audio_format]
        if self.tools is not None:
            patch["tools"] = tuple(tool.model_dump() for tool in self.tools)
        if self.tool_choice is not None:
            patch["tool_choice"] = _tool_choice(self.tool_choice)
        return patch


class SessionPart(Common):
    """`session` of `session.update`."""

    model: str | None = None
    input_audio_format: Format | None = None
    input_audio_transcription: Transcription | None = None
    input_audio_noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[events.ServerVad | events.SemanticVad, Field(discriminator="type")] | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None
    tracing: Literal["auto"] | Tracing | None = None

    def patch(self) -> Patch:
        """Return the fields that were given; null clears transcription, noise reduction and turn detection."""
        patch = super().patch()
        for name, value in (("model", self.model), ("speed", self.speed)):
            if value is not None:
                patch[name] = value
        if self.input_audio_format is not None:
            patch["input_format"] = FORMATS[self.input_audio_format]
        for name in ("transcription", "noise_reduction"):
            if f"input_audio_{name}" in self.model_fields_set:
                part = getattr(self, f"input_audio_{name}")
                patch[name] = part and part.model_dump(exclude_none=True)
        if "turn_detection" in self.model_fields_set:
            detection = self.turn_detection
            patch["turn_detection"] = detection and TurnDetection(**detection.model_dump())
        if echoed := self.model_dump(include={"tracing"}, exclude_unset=True):
            patch["echoed"] = echoed
        return patch


class UpdateSession(events.ClientEvent):
    """`session.update`."""

    type: Literal["session.update"]
    session: SessionPart


class AssistantText(events.AssistantText):
    """What the model wrote or said before."""

    type: Literal["text"]


class AssistantMessage(events.AssistantMessage):
    """A message of the model."""

    content: list[AssistantText]  # type: ignore[assignment]  # narrower on purpose: the items are never written to


Message: TypeAlias = Annotated[
    events.SystemMessage | events.UserMessage | AssistantMessage, Field(discriminator="role")
]
Item: TypeAlias = Annotated[
    Message | events.FunctionCallItem | events.FunctionCallOutputItem, Field(discriminator="type")
]
InputItem: TypeAlias = Annotated[
    Message | events.FunctionCallItem | events.FunctionCallOutputItem | events.ItemReference,
    Field(discriminator="type"),
]


class CreateItem(events.ClientEvent):
    """`conversation.item.create`."""

    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: str | None = None


class ResponsePart(Common):
    """`response` of `response.create`."""

    conversation: Literal["auto", "none"] = "auto"
    input: list[InputItem] | None = None
    metadata: events.Metadata | None = None


class CreateResponse(events.ClientEvent):
    """`response.create`."""

    type: Literal["response.create"]
    response: ResponsePart = Field(default_factory=ResponsePart)


Event: TypeAlias = Annotated[
    UpdateSession | CreateItem | CreateResponse | events.SharedEvent, Field(discriminator="type")
]


def _tool_choice(choice: str | events.ChosenFunction | ChosenFunctionWrapped) -> object:
    if isinstance(choice, ChosenFunctionWrapped):
        return {"type": "function", "name": choice.function.name}
    return choice if isinstance(choice, str) else choice.model_dump()
