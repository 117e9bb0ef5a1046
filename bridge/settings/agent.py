"""What one agent is: the keys under `[agents.NAME]`, named as in the Realtime session and in Agora's `mllm` block.

These models hold the *canonical* form. `bridge.configuration.vocabulary` brings other spellings of the same thing into
it (the GA session's nested `audio`, the beta session's `modalities`, …); `bridge.wire.session` makes a dialect's form.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

AudioFormat = Literal["g711_ulaw", "g711_alaw", "pcm16"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh"]
Json = dict[str, object]

BUILT_IN_TOOLS = ("transfer_call", "end_call", "send_digits")


class Frozen(BaseModel):
    """A table of the configuration: cannot be changed, knows every key it may hold, never shows what was put in."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True, use_attribute_docstrings=True
    )


_URL_PARAMETERS = {"model", "deployment", "api-version", "intent"}


def _model_url(url: str) -> str:
    if url and not re.fullmatch(r"wss?://[^/?#@\s]+(/[^?#\s]*)?(\?[^#\s]*)?", url):
        msg = "is not a WebSocket address: wss://HOST/PATH, without a user, a password or a fragment"
        raise ValueError(msg)
    if not {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)} <= _URL_PARAMETERS:
        msg = "has parameters that may be secrets: move them to model.extra_query, which nobody sees"
        raise ValueError(msg)
    return url


ModelUrl = Annotated[str, AfterValidator(_model_url)]


class Message(Frozen):
    """One item of an agent's short-term memory: told to the model before the call's first word."""

    role: Literal["system", "user", "assistant"]
    """Who said it."""
    content: str
    """What was said. Content written as a list of text parts is joined."""


class Transcription(Frozen):
    """`[agents.NAME.input_audio_transcription]`: the caller's words as text, billed separately."""

    model: str = ""
    """Transcription model, on Azure its deployment; empty: `gpt-transcribe`, in the beta dialect `whisper-1`."""
    language: str = ""
    """Language spoken, ISO 639-1; empty: found out."""
    prompt: str = ""
    """Keywords (`whisper-1`) or free text (the others) that help recognition."""
    languages: tuple[str, ...] = ()
    """Languages that may be spoken, ISO 639-1; only `gpt-transcribe` and `gpt-live-transcribe`."""
    keywords: tuple[str, ...] = ()
    """Words to expect; only `gpt-transcribe` and `gpt-live-transcribe`."""
    delay: Effort | None = None
    """How long to wait for a better transcript; only `gpt-realtime-whisper`."""


class TurnDetection(Frozen):
    """`[agents.NAME.turn_detection]`: how the model hears that the caller's turn begins and ends."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    """By loudness (`server_vad`) or by meaning (`semantic_vad`); never `none`: nobody commits a turn on a phone."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How loud speech must be; `server_vad` only."""
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5_000)] = 300
    """Sound kept from before speech was noticed; `server_vad` only."""
    silence_duration_ms: Annotated[int, Field(ge=0, le=10_000)] = 500
    """Silence that ends a turn; `server_vad` only."""
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    """How soon a pause counts as an end; `semantic_vad` only."""

    @property
    def padding_ms(self) -> int:
        """How far before the first sound of speech the model says that it began."""
        return self.prefix_padding_ms if self.type == "server_vad" else 0

    @property
    def silence_ms(self) -> int:
        """How far behind the last sound of speech the model says that it ended, as far as that is known."""
        return self.silence_duration_ms if self.type == "server_vad" else 0


class BargeIn(Frozen):
    """`[agents.NAME.barge_in]`: whether a caller who speaks cuts the bot."""

    mode: Literal["instant", "confirmed", "off"] = "instant"
    """At the first sound of speech; once it has lasted `confirm_ms`; or never."""
    confirm_ms: Annotated[int, Field(ge=20, le=5_000)] = 700
    """`confirmed`: voiced milliseconds that make a sound a turn, by the bridge's own voice activity."""


class Silence(Frozen):
    """`[agents.NAME.silence]`: what happens when nobody speaks."""

    prompt_after_s: Annotated[float, Field(ge=1, le=600)] = 10
    """Quiet seconds before the bot asks whether the caller is still there."""
    prompts: Annotated[int, Field(ge=0, le=10)] = 2
    """How often it asks; then a polite end, ending `no_input`."""


class Keys(Frozen):
    """`[agents.NAME.keys]`: keys that the caller presses reach the model as text, an entry at a time."""

    pause_s: Annotated[float, Field(ge=0.1, le=60)] = 2
    """A pause that ends an entry."""
    terminator: Literal["#", "*", ""] = "#"
    """A key that ends it at once; empty: none."""


class NoiseReduction(Frozen):
    """Noise reduction before voice activity detection and the model."""

    type: Literal["near_field", "far_field"]
    """`near_field`: a handset or headset; `far_field`: a speakerphone or a room."""
    strength: Annotated[float, Field(ge=0)] | None = None
    """How much; GA only."""


class Reasoning(Frozen):
    """Reasoning of the models that do (`gpt-realtime-2` and later)."""

    effort: Effort
    """How much thought goes into an answer; `low` suits the phone."""


class TokenLimits(Frozen):
    """Token limits of a truncation."""

    post_instructions: Annotated[int, Field(ge=1)]
    """Tokens the conversation may take after the instructions."""


class RetentionRatio(Frozen):
    """What is kept of a conversation that has outgrown the context."""

    type: Literal["retention_ratio"]
    """The kind of truncation."""
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    """Share of the conversation that is kept."""
    token_limits: TokenLimits | None = None
    """A lower limit than the model's own."""


class Tracing(Frozen):
    """Tracing in OpenAI's dashboard."""

    workflow_name: str = ""
    """Name of the workflow."""
    group_id: str = ""
    """Group of traces this one belongs to."""
    metadata: Json = Field(default_factory=dict)
    """Whatever else the trace should carry."""


class Prompt(Frozen):
    """A reusable prompt stored with OpenAI (which ends them on 2026-11-30)."""

    id: str
    """The prompt's id."""
    version: str = ""
    """Its version; empty: the current one."""
    variables: dict[str, str] = Field(default_factory=dict)
    """What to put in for its variables."""


class NamedFunction(Frozen):
    """A tool choice that forces one function."""

    type: Literal["function"] = "function"
    """Kind of tool."""
    name: str
    """The function's name."""


class NamedMcp(Frozen):
    """A tool choice that forces one MCP server, or one tool of it."""

    type: Literal["mcp"]
    """Kind of tool."""
    server_label: str
    """The server's name under `[mcp]`."""
    name: str = ""
    """The tool's name on that server."""


class Params(Frozen):
    """`[agents.NAME.params]`: further fields of the Realtime session.

    Every other field of a session may be written here too, in beta or GA spelling; the agent's own key wins over it.
    """

    model: str = ""
    """Model (on Azure: deployment) of this agent, instead of `model.name`."""
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None
    """How fast the bot speaks, as a multiple."""
    input_audio_noise_reduction: NoiseReduction | None = None
    """Noise reduction on the caller's sound; a table with `type` (`near_field`, `far_field`) and `strength`."""
    reasoning: Reasoning | None = None
    """A table with `effort`; models that reason, GA only."""
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None
    """What happens when the conversation outgrows the context; GA only."""
    tracing: Literal["auto"] | Tracing | None = None
    """Traces in OpenAI's dashboard: `auto` or a table with `workflow_name`, `group_id`, `metadata`."""
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] = ()
    """Further output of the server; GA only."""
    parallel_tool_calls: bool | None = None
    """Whether several functions may be called at once; models that reason, GA only."""
    prompt: Prompt | None = None
    """A reusable prompt: a table with `id`, `version`, `variables`; GA only."""


class Agent(Frozen):
    """`[agents.NAME]`: who answers, with what voice, and how it converses."""

    name: str = Field(default="", exclude=True)
    instructions: str = ""
    """What the model is told to be and to do; `{from}`, `{to}` and what `before_call` returned are filled in."""
    voice: str = ""
    """Voice of the model, or the id of a custom one (`voice_…`); empty: the model's own choice."""
    greeting_message: str = ""
    """Spoken first, word for word, filled in like `instructions`; empty: the caller speaks first."""
    greeting_protected: bool = True
    """The greeting is not cut by the caller."""
    hand_over_to: tuple[str, ...] = ()
    """Other agents, whom this one may hand the conversation to."""
    before_call: str = ""
    """A function of `[functions]` that is asked about the caller before the agent speaks."""
    messages: tuple[Message, ...] = ()
    """Short-term memory: items with `role` and `content` that the model is told before the call."""
    max_history: Annotated[int, Field(ge=0, le=1_000)] = 32
    """Messages kept for a restored session."""
    input_modalities: tuple[Literal["audio", "text"], ...] = ("audio",)
    """What the model may be given; on a phone always audio."""
    output_modalities: tuple[Literal["audio", "text"], ...] = ("text", "audio")
    """What the model answers with; must contain `audio`, whose transcript always comes with it."""
    input_audio_format: AudioFormat = "g711_ulaw"
    """The caller's sound as the model gets it; `pcm16` and `g711_alaw` are for endpoints without mu-law."""
    output_audio_format: AudioFormat = "g711_ulaw"
    """The model's sound as it comes; mu-law is passed through, the others are converted."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Sampling temperature, 0.6 to 1.2; beta only."""
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] = "inf"
    """Longest response, in tokens; `inf`: no limit but the model's."""
    tool_choice: Literal["auto", "none", "required"] | NamedFunction | NamedMcp = "auto"
    """Whether the model calls functions; a table with `type` and `name` forces one."""
    tools: tuple[str, ...] = BUILT_IN_TOOLS
    """What the model may do: built-in functions and names from `[functions]` and `[mcp]`."""
    vendor: Literal["", "openai", "azure"] = ""
    """Agora's `vendor`: the provider of this agent, instead of `model.provider`."""
    style: Literal["openai"] = "openai"
    """Agora's `style`: the request style; there is one."""
    url: ModelUrl = ""
    """Agora's `url`: the endpoint of this agent, instead of `model.url`; on another host it needs its own `api_key`."""
    api_key: SecretStr = SecretStr("")
    """Agora's `api_key`: the key of this agent, instead of `model.api_key`."""
    params: Params = Params()
    """Further session fields, merged under the ones above."""
    input_audio_transcription: Transcription | None = Transcription()
    """The caller's words as text; `false` turns it off."""
    turn_detection: TurnDetection = TurnDetection()
    """How turns are found; overrides `params.turn_detection`."""
    barge_in: BargeIn = BargeIn()
    """Whether a caller who speaks cuts the bot."""
    silence: Silence = Silence()
    """What happens when nobody speaks."""
    keys: Keys = Keys()
    """How keys are collected."""
