"""The shapes of the GA dialect's client events (protocol reference, sections 3 to 5)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, ValidationInfo, field_validator, model_validator

from bridge.rehearsal.realtime import events, refusal
from bridge.rehearsal.realtime.settings import Patch, TurnDetection

VOICES = Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]
CONNECTORS = Literal[
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
]
_KEYWORD_MODELS = ("gpt-transcribe", "gpt-live-transcribe")
_TRANSCRIBERS = (
    *_KEYWORD_MODELS,
    "gpt-realtime-whisper",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "whisper-1",
)
_WITHOUT_REASONING = ("gpt-realtime-1", "gpt-realtime-mini", "gpt-realtime-2025", "gpt-4o-")
_ECHOED = ("include", "tracing", "truncation", "reasoning", "parallel_tool_calls")


class Pcm(events.Strict):
    """16-bit PCM; the only rate is 24 kHz."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class Pcmu(events.Strict):
    """Mu-law; it has no `rate` field."""

    type: Literal["audio/pcmu"]


class Pcma(events.Strict):
    """A-law; it has no `rate` field."""

    type: Literal["audio/pcma"]


Format: TypeAlias = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


class CustomVoice(events.Strict):
    """A voice of the operator's own."""

    id: str


class Transcription(events.Strict):
    """`audio.input.transcription`."""

    model: str
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None

    @field_validator("model")
    @classmethod
    def _known(cls, model: str, info: ValidationInfo) -> str:
        if model not in _TRANSCRIBERS and not (info.context or {}).get("deployments"):
            msg = f"Invalid value: '{model}'. Supported values are: {refusal.listed(_TRANSCRIBERS)}."
            raise ValueError(msg)
        return model

    @model_validator(mode="after")
    def _fields_suit_the_model(self, info: ValidationInfo) -> Transcription:
        if (info.context or {}).get("deployments"):
            return self
        unsuited = {
            "languages": self.model not in _KEYWORD_MODELS,
            "keywords": self.model not in _KEYWORD_MODELS,
            "delay": self.model != "gpt-realtime-whisper",
            "prompt": self.model == "gpt-realtime-whisper",
        }
        for name, is_unsuited in unsuited.items():
            if is_unsuited and getattr(self, name) is not None:
                msg = f"The field '{name}' is not supported by the transcription model '{self.model}'."
                raise ValueError(msg)
        return self


class NoiseReduction(events.Strict):
    """`audio.input.noise_reduction`."""

    type: Literal["near_field", "far_field"]
    strength: float = 1.0


class ServerVad(events.ServerVad):
    """`server_vad` of GA, which alone has an idle timeout."""

    idle_timeout_ms: Annotated[StrictInt, Field(ge=5000, le=30000)] | None = None


class AudioInput(events.Strict):
    """`session.audio.input`."""

    format: Format | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[ServerVad | events.SemanticVad, Field(discriminator="type")] | None = None


class ResponseAudioOutput(events.Strict):
    """`response.audio.output`."""

    format: Format | None = None
    voice: VOICES | CustomVoice | None = None


class SessionAudioOutput(ResponseAudioOutput):
    """`session.audio.output`."""

    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class SessionAudio(events.Strict):
    """`session.audio`."""

    input: AudioInput = Field(default_factory=AudioInput)
    output: SessionAudioOutput = Field(default_factory=SessionAudioOutput)


class ResponseAudio(events.Strict):
    """`response.audio`."""

    output: ResponseAudioOutput = Field(default_factory=ResponseAudioOutput)


class Reasoning(events.Strict):
    """`reasoning`, of the 2.x models."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class Tracing(events.Strict):
    """`tracing`."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, object] | None = None


class TokenLimits(events.Strict):
    """`truncation.token_limits`."""

    post_instructions: Annotated[StrictInt, Field(ge=0)] | None = None


class RetentionRatio(events.Strict):
    """`truncation` by a ratio."""

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    token_limits: TokenLimits | None = None


class ToolFilter(events.Strict):
    """Some of a server's tools, by name or by what they do."""

    tool_names: list[str] | None = None
    read_only: StrictBool | None = None


class Approval(events.Strict):
    """Which of a server's tools must be approved, and which need not be."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None


class McpTool(events.Strict):
    """A remote MCP server (`RealtimeToolsConfigUnion.Mcp` of the `openai` package); nothing here ever calls it."""

    type: Literal["mcp"]
    server_label: str
    server_url: str | None = None
    connector_id: CONNECTORS | None = None
    tunnel_id: str | None = None
    server_description: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | ToolFilter | None = None
    allowed_callers: list[Literal["direct", "programmatic"]] | None = None
    require_approval: Literal["always", "never"] | Approval | None = None
    defer_loading: StrictBool | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> McpTool:
        if self.server_url is None and self.connector_id is None and self.tunnel_id is None:
            msg = "One of 'server_url', 'connector_id', or 'tunnel_id' must be provided."
            raise ValueError(msg)
        return self


class ChosenServer(events.Strict):
    """The server a response must call, or the tool of it."""

    type: Literal["mcp"]
    server_label: str
    name: str | None = None


Tool: TypeAlias = Annotated[events.FunctionTool | McpTool, Field(discriminator="type")]
Chosen: TypeAlias = Annotated[events.ChosenFunction | ChosenServer, Field(discriminator="type")]


class Common(events.Strict):
    """What a session and a response may both set."""

    instructions: str | None = None
    output_modalities: list[Literal["text", "audio"]] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | Chosen | None = None
    max_output_tokens: events.MaxTokens | None = None
    reasoning: Reasoning | None = None
    parallel_tool_calls: StrictBool | None = None

    @field_validator("output_modalities")
    @classmethod
    def _one_modality(cls, modalities: list[str] | None) -> list[str] | None:
        if modalities is not None and modalities not in (["audio"], ["text"]):
            msg = f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and ['audio']."
            raise ValueError(msg)
        return modalities

    @field_validator("reasoning", "parallel_tool_calls")
    @classmethod
    def _only_reasoning_models(cls, value: object, info: ValidationInfo) -> object:
        model = str((info.context or {}).get("model", ""))
        if value is not None and model.startswith(_WITHOUT_REASONING):
            msg = f"The field '{info.field_name}' is not supported by the model '{model}'."
            raise ValueError(msg)
        return value

    def common_patch(self) -> Patch:
        """Return the fields that were given, in words of no dialect; null leaves a field as it is."""
        patch: Patch = {}
        if self.instructions is not None:
            patch["instructions"] = self.instructions
        if self.output_modalities is not None:
            patch["modality"] = self.output_modalities[0]
        if self.tools is not None:
            patch["tools"] = tuple(shown(tool) for tool in self.tools)
        if self.tool_choice is not None:
            patch["tool_choice"] = (
                self.tool_choice
                if isinstance(self.tool_choice, str)
                else self.tool_choice.model_dump(exclude_none=True)
            )
        if self.max_output_tokens is not None:
            patch["max_output_tokens"] = self.max_output_tokens
        return patch


class SessionPart(Common):
    """`session` of `session.update`."""

    type: Literal["realtime"]
    model: str | None = None
    audio: SessionAudio = Field(default_factory=SessionAudio)
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None

    def patch(self) -> Patch:
        """Return the fields that were given; null clears transcription, noise reduction and turn detection."""
        patch = {**self.common_patch(), **output_patch(self.audio.output)}
        if self.model is not None:
            patch["model"] = self.model
        if "speed" in self.audio.output.model_fields_set:
            patch["speed"] = self.audio.output.speed
        given = self.audio.input
        if given.format is not None:
            patch["input_format"] = given.format.type.removeprefix("audio/")
        for name in ("transcription", "noise_reduction"):
            if name in given.model_fields_set:
                part = getattr(given, name)
                patch[name] = part and part.model_dump(exclude_none=True)
        if "turn_detection" in given.model_fields_set:
            detection = given.turn_detection
            patch["turn_detection"] = detection and TurnDetection(**detection.model_dump())
        if echoed := self.model_dump(include=set(_ECHOED), exclude_unset=True):
            patch["echoed"] = echoed
        return patch


class UpdateSession(events.ClientEvent):
    """`session.update`."""

    type: Literal["session.update"]
    session: SessionPart


class AssistantText(events.AssistantText):
    """What the model wrote or said before."""

    type: Literal["output_text"]


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
    audio: ResponseAudio = Field(default_factory=ResponseAudio)


class CreateResponse(events.ClientEvent):
    """`response.create`."""

    type: Literal["response.create"]
    response: ResponsePart = Field(default_factory=ResponsePart)


Event: TypeAlias = Annotated[
    UpdateSession | CreateItem | CreateResponse | events.SharedEvent, Field(discriminator="type")
]


def shown(tool: events.FunctionTool | McpTool) -> dict[str, object]:
    """Return a tool as the session keeps and shows it: what opens a server is for the real one only."""
    return tool.model_dump(exclude={"authorization", "headers"}, exclude_none=True)


def output_patch(output: ResponseAudioOutput) -> Patch:
    """Return the output's format and voice, if given, in words of no dialect."""
    patch: Patch = {}
    if output.format is not None:
        patch["output_format"] = output.format.type.removeprefix("audio/")
    if output.voice is not None:
        patch["voice"] = output.voice if isinstance(output.voice, str) else output.voice.model_dump()
    return patch
