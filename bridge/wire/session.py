"""What is said about the session and in it: agent settings to JSON objects, in the dialect of the endpoint.

The server refuses an update as a whole for one field it does not know, and then runs on its defaults: PCM at 24 kHz and
no tools. So nothing is written here that a dialect has no place for (`fitted` says what was left out), and no sound may
be sent before `session.updated` has passed `bridge.wire.echo.verify`.

Source: `openai.types.realtime` (GA) and `openai.types.beta.realtime` (beta) of the `openai` package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from bridge.settings import NamedFunction, NamedMcp, Notice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.settings import Agent, AudioFormat, Dialect, Json, Model, TurnDetection

GA_FORMATS: dict[AudioFormat, Json] = {
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
}
"""Session formats by their short names; G.711 has no `rate`."""

TRANSCRIPTION_MODEL = {"ga": "gpt-transcribe", "beta": "whisper-1"}
"""Transcription model where the agent names none."""

_COLDEST, _HOTTEST = 0.6, 1.2
_SERVER_VAD = ("threshold", "prefix_padding_ms", "silence_duration_ms")
_SEMANTIC_VAD = ("eagerness",)
_GA_ONLY_PARAMS = ("reasoning", "truncation", "include", "parallel_tool_calls", "prompt")
_GUIDED_TRANSCRIPTION = ("gpt-transcribe", "gpt-live-transcribe")


@dataclass(frozen=True)
class TurnControl:
    """Who acts on the caller's speech: True: the server does at once by itself; False: the bridge decides."""

    create_response: bool
    """A turn that ends gets a response."""
    interrupt_response: bool
    """Speech that begins cancels the response."""


def session_fields(
    agent: Agent, *, dialect: Dialect, tools: Sequence[Json], turn_control: TurnControl
) -> dict[str, object]:
    """The `session` of the first `session.update`.

    Args:
        agent: its `instructions` filled in already (`bridge.template.fill`).
        dialect: the endpoint's.
        tools: function tools `{type, name, description, parameters}` and MCP tools (left out in beta).
        turn_control: `False, False` while a protected greeting is spoken or when the bridge decides on turns itself.

    Send it, keep the caller's sound until `session.updated` has come, and verify that.
    """
    agent, _ = fitted(agent, dialect)
    if dialect == "ga":
        return _ga_session(agent, tools, turn_control)
    return _beta_session(agent, [tool for tool in tools if tool.get("type") != "mcp"], turn_control)


def agent_fields(
    agent: Agent, *, dialect: Dialect, tools: Sequence[Json], turn_control: TurnControl, with_voice: bool
) -> dict[str, object]:
    """The `session` of an update that makes the session another agent; without the formats, which stay.

    `with_voice` only as long as nothing was spoken: after that the server refuses the whole update.
    """
    fields = session_fields(agent, dialect=dialect, tools=tools, turn_control=turn_control)
    fields |= {"instructions": agent.instructions, "tools": list(tools)}  # also where the new agent has none
    if dialect == "beta":
        locked = {"input_audio_format", "output_audio_format", *(() if with_voice else ("voice",))}
        return {key: value for key, value in fields.items() if key not in locked}
    voice = {"voice": agent.voice} if with_voice and agent.voice else {}
    hearing = {"turn_detection": _turn_detection(agent.turn_detection, turn_control)}
    return fields | {"audio": {"input": hearing} | ({"output": voice} if voice else {})}


def turn_fields(agent: Agent, *, dialect: Dialect, turn_control: TurnControl) -> dict[str, object]:
    """The `session` of a later update that changes turn control only; never the voice, which is locked by then."""
    detection = _turn_detection(agent.turn_detection, turn_control)
    if dialect == "ga":
        return {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    return {"turn_detection": detection}


def response_fields(
    dialect: Dialect,
    *,
    instructions: str | None = None,
    tool_choice: str | NamedFunction | None = None,
    metadata: Mapping[str, str] | None = None,
    output_modalities: Sequence[str] | None = None,
) -> dict[str, object]:
    """The `response` of a `response.create`: what holds for this response alone; what is not given is the session's.

    Args:
        dialect: the endpoint's.
        instructions: replace the session's.
        tool_choice: `none` for speech that must not call anything.
        metadata: comes back with the response; at most 16 pairs, keys up to 64 and values up to 512 characters.
        output_modalities: with `audio` among them the response is spoken, without it is text.
    """
    fields: dict[str, object] = {}
    if instructions is not None:
        fields["instructions"] = instructions
    if tool_choice is not None:
        fields["tool_choice"] = _tool_choice(tool_choice, dialect)
    if metadata:
        fields["metadata"] = dict(metadata)
    if output_modalities is not None:
        key = "output_modalities" if dialect == "ga" else "modalities"
        fields[key] = _modalities(output_modalities, dialect)
    return fields


def message_item(role: str, text: str, dialect: Dialect) -> dict[str, object]:
    """A message of the `system`, the `user` or the `assistant` for `conversation.item.create`."""
    kind = "input_text" if role != "assistant" else "output_text" if dialect == "ga" else "text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def function_call_item(call_id: str, name: str, arguments: str) -> dict[str, object]:
    """A function call that the model made in another session; its output may be created behind it."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def function_output_item(call_id: str, output: str) -> dict[str, object]:
    """What a function returned (`output` is text: encode JSON first); ask for a response once all outputs are in."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def fitted(agent: Agent, dialect: Dialect) -> tuple[Agent, list[Notice]]:
    """The agent without what the dialect has no place for, and a notice for each setting that was left out."""
    notices: list[Notice] = []
    agent = _fit_ga(agent, notices) if dialect == "ga" else _fit_beta(agent, notices)
    return _fit_transcription(agent, dialect, notices), notices


def check(agent: Agent, model: Model) -> list[Notice]:
    """What an operator should know about this agent on this endpoint; keys are relative to the agent."""
    _, notices = fitted(agent, model.dialect)
    detection = agent.turn_detection
    unused = _SEMANTIC_VAD if detection.type == "server_vad" else _SERVER_VAD
    for key in sorted(detection.model_fields_set & set(unused)):
        notices.append(Notice(f"turn_detection.{key}", f"is not used by {detection.type} and left out"))
    if model.dialect == "beta" and agent.temperature is not None and not _COLDEST <= agent.temperature <= _HOTTEST:
        notices.append(Notice("temperature", "is outside 0.6 to 1.2, which is all the original beta server takes"))
    transcription = agent.input_audio_transcription
    if model.provider == "azure" and transcription is not None and not transcription.model:
        message = (
            f"names no deployment: {TRANSCRIPTION_MODEL[model.dialect]!r} is assumed; set it, or turn it off: false"
        )
        notices.append(Notice("input_audio_transcription.model", message))
    if model.dialect == "ga" and agent.params.prompt is not None and model.provider == "openai":
        notices.append(Notice("params.prompt", "ends on 2026-11-30 with OpenAI; write instructions instead"))
    return notices


# --- agent to session ---------------------------------------------------------------------------------------------


def _ga_session(agent: Agent, tools: Sequence[Json], turn_control: TurnControl) -> dict[str, object]:
    params = agent.params
    voice = {"id": agent.voice} if agent.voice.startswith("voice_") else agent.voice
    hearing: Json = {
        "format": GA_FORMATS[agent.input_audio_format],
        "transcription": _plain(agent.input_audio_transcription),
        "noise_reduction": _plain(params.input_audio_noise_reduction),
        "turn_detection": _turn_detection(agent.turn_detection, turn_control),
    }
    speaking: Json = {"format": GA_FORMATS[agent.output_audio_format], "voice": voice, "speed": params.speed}
    session: Json = {
        "type": "realtime",
        "instructions": agent.instructions,
        "output_modalities": _modalities(agent.output_modalities, "ga"),
        "audio": {"input": _present(hearing), "output": _present(speaking)},
        "tools": list(tools),
        "tool_choice": _tool_choice(agent.tool_choice, "ga"),
        "max_output_tokens": agent.max_output_tokens,
        "tracing": _plain(params.tracing),
    }
    return _present(session | {key: _plain(getattr(params, key)) for key in _GA_ONLY_PARAMS})


def _beta_session(agent: Agent, tools: Sequence[Json], turn_control: TurnControl) -> dict[str, object]:
    return _present(
        {
            "instructions": agent.instructions,
            "modalities": _modalities(agent.output_modalities, "beta"),
            "voice": agent.voice,
            "speed": agent.params.speed,
            "input_audio_format": agent.input_audio_format,
            "output_audio_format": agent.output_audio_format,
            "input_audio_transcription": _plain(agent.input_audio_transcription),
            "input_audio_noise_reduction": _plain(agent.params.input_audio_noise_reduction),
            "turn_detection": _turn_detection(agent.turn_detection, turn_control),
            "tools": list(tools),
            "tool_choice": _tool_choice(agent.tool_choice, "beta"),
            "temperature": agent.temperature,
            "max_response_output_tokens": agent.max_output_tokens,
            "tracing": _plain(agent.params.tracing),
        }
    )


def _turn_detection(detection: TurnDetection, control: TurnControl) -> dict[str, object]:
    """Never null, and never with `idle_timeout_ms`: the bridge notices by itself that nobody speaks."""
    keys = _SERVER_VAD if detection.type == "server_vad" else _SEMANTIC_VAD
    return {
        "type": detection.type,
        **{key: getattr(detection, key) for key in keys},
        "create_response": control.create_response,
        "interrupt_response": control.interrupt_response,
    }


def _modalities(wanted: Sequence[str], dialect: Dialect) -> list[str]:
    """GA takes one, and audio brings its transcript; beta takes text with or without audio."""
    if "audio" not in wanted:
        return ["text"]
    return ["audio"] if dialect == "ga" else ["text", "audio"]


def _tool_choice(choice: str | NamedFunction | NamedMcp, dialect: Dialect) -> object:
    if isinstance(choice, NamedFunction) and dialect == "beta":
        return {"type": "function", "function": {"name": choice.name}}
    return _plain(choice)


def _plain(value: object) -> object:
    """A setting as JSON, without what was left empty."""
    if isinstance(value, BaseModel):
        return _present({key: _plain(field) for key, field in value})
    return list(value) if isinstance(value, tuple) else value


def _present(fields: dict[str, object]) -> dict[str, object]:
    """The fields that say something; an empty list of tools says that there are none, as does leaving it out."""
    return {key: value for key, value in fields.items() if value is not None and value not in ("", [], {})}


# --- what a dialect has no place for ------------------------------------------------------------------------------


def _fit_ga(agent: Agent, notices: list[Notice]) -> Agent:
    if agent.temperature is None:
        return agent
    notices.append(Notice("temperature", "has no place in the GA dialect and is left out"))
    return agent.model_copy(update={"temperature": None})


def _fit_beta(agent: Agent, notices: list[Notice]) -> Agent:
    unfit = "has no place in the beta dialect and is left out"
    own: dict[str, object] = {}
    params: dict[str, object] = {key: None for key in _GA_ONLY_PARAMS if getattr(agent.params, key) not in (None, ())}
    notices.extend(Notice(f"params.{key}", unfit) for key in params)
    noise = agent.params.input_audio_noise_reduction
    if noise is not None and noise.strength is not None:
        notices.append(Notice("params.input_audio_noise_reduction.strength", unfit))
        params["input_audio_noise_reduction"] = noise.model_copy(update={"strength": None})
    if isinstance(agent.tool_choice, NamedMcp):
        notices.append(Notice("tool_choice", "names an MCP server, which the beta dialect does not know: auto is used"))
        own["tool_choice"] = "auto"
    if agent.voice.startswith("voice_"):
        notices.append(Notice("voice", "is a custom voice, which the beta dialect does not know: the model chooses"))
        own["voice"] = ""
    return agent.model_copy(update=own | {"params": agent.params.model_copy(update=params)})


def _fit_transcription(agent: Agent, dialect: Dialect, notices: list[Notice]) -> Agent:
    """Fill in the model and leave out what it, or the dialect, does not take."""
    transcription = agent.input_audio_transcription
    if transcription is None:
        return agent
    model = transcription.model or TRANSCRIPTION_MODEL[dialect]
    empty: dict[str, object] = {"prompt": "", "languages": (), "keywords": (), "delay": None}
    unfit = [key for key in empty if getattr(transcription, key) and not _takes(model, key, dialect)]
    for key in unfit:
        message = f"is not taken by {model!r} in the {dialect} dialect and is left out"
        notices.append(Notice(f"input_audio_transcription.{key}", message))
    update: Json = {"model": model} | {key: empty[key] for key in unfit}
    return agent.model_copy(update={"input_audio_transcription": transcription.model_copy(update=update)})


def _takes(model: str, key: str, dialect: Dialect) -> bool:
    """Whether a transcription model takes an option; of `Transcription`, and an Azure deployment may have any name."""
    if key == "prompt":
        return model != "gpt-realtime-whisper"
    if dialect == "beta":
        return False
    return model == "gpt-realtime-whisper" if key == "delay" else model in _GUIDED_TRANSCRIPTION
