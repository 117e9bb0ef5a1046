"""What a session is set to, in words of no dialect; the dialects translate to and from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

AudioFormat = Literal["pcmu", "pcma", "pcm"]
"""Mu-law and A-law at 8 kHz (8 bytes per ms), or 16-bit little-endian PCM at 24 kHz (48 bytes per ms)."""
Modality = Literal["audio", "text"]
"""What a response is: speech with its transcript, or text alone."""
Tool: TypeAlias = dict[str, object]
"""A function as the session has it (`type`, `name`, `description`, `parameters`: a JSON schema), or an MCP server."""
ToolChoice: TypeAlias = str | dict[str, object]
"""`auto`, `none`, `required`, or a function or server that must be called: `type` and `name` or `server_label`."""
Patch: TypeAlias = dict[str, object]
"""Fields of `Settings` by name, with the values a client asks for."""

DEFAULT_INSTRUCTIONS = "You are a helpful voice assistant. Answer briefly and in the language of the caller."

SEMANTIC_SILENCE_MS = {"low": 1600, "medium": 800, "auto": 800, "high": 400}
"""The pause that ends a turn by `semantic_vad`: here is no model of meaning, so eagerness becomes patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetection:
    """When a turn of the caller begins and ends, and what follows from it (protocol reference, section 4)."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    """The documented default is 500; the documented example session shows 200, which is what clients meet."""
    idle_timeout_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    @property
    def ending_silence_ms(self) -> int:
        """The silence after which a turn has ended."""
        if self.type == "semantic_vad":
            return SEMANTIC_SILENCE_MS[self.eagerness]
        return self.silence_duration_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A session's settings; each response starts from them and may override some."""

    model: str
    instructions: str = DEFAULT_INSTRUCTIONS
    modality: Modality = "audio"
    input_format: AudioFormat = "pcm"
    output_format: AudioFormat = "pcm"
    voice: str | dict[str, str] = "marin"
    speed: float = 1.0
    transcription: Mapping[str, object] | None = None
    noise_reduction: Mapping[str, object] | None = None
    turn_detection: TurnDetection | None = field(default_factory=TurnDetection)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: int | Literal["inf"] = "inf"
    temperature: float = 0.8
    """Beta only; has no effect here."""
    echoed: Mapping[str, object] = field(default_factory=dict)
    """Fields this server keeps and shows but does not act on, such as `truncation` and `tracing`."""

    def patched(self, patch: Patch) -> Settings:
        """Return these settings with some of them changed; `echoed` ones are merged, the others replaced."""
        changes = dict(patch)
        if isinstance(echoed := changes.get("echoed"), dict):
            changes["echoed"] = {**self.echoed, **echoed}
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # names and types: `Patch` of the dialects

    @property
    def functions(self) -> tuple[Tool, ...]:
        """The tools that can be called here: those that are no servers."""
        return tuple(tool for tool in self.tools if tool["type"] == "function")

    @property
    def voice_name(self) -> str:
        """The voice's name, or the id of a custom one."""
        return self.voice if isinstance(self.voice, str) else self.voice["id"]
