"""What the bridge is told, as frozen values: one model per table of `bridge.toml`, one field per key.

Every default and every bound stands here and nowhere else. How the values are found (file, environment, secret files)
is the matter of `bridge.configuration`, which also refuses combinations that cannot work.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeVar

from pydantic import AfterValidator, Field

from bridge.settings.addresses import E164
from bridge.settings.agent import (
    BUILT_IN_TOOLS,
    Agent,
    AudioFormat,
    BargeIn,
    Frozen,
    Json,
    Keys,
    Message,
    NamedFunction,
    NamedMcp,
    NoiseReduction,
    Params,
    Silence,
    Transcription,
    TurnDetection,
)
from bridge.settings.calls import Destination, Fallback, Limits, Line, Price, Twiml
from bridge.settings.functions import Collect, Function, Mcp
from bridge.settings.model import OPENAI_URL, Dialect, Endpoint, Model, Provider, model_for
from bridge.settings.operations import ModelFault, Recording, Records, Rehearsal, Shared, Storage, Tape
from bridge.settings.server import Server, Twilio
from bridge.settings.watching import Log, Otel

__all__ = [
    "BUILT_IN_TOOLS",
    "E164",
    "OPENAI_URL",
    "Agent",
    "AudioFormat",
    "BargeIn",
    "Collect",
    "Destination",
    "Dialect",
    "Endpoint",
    "Fallback",
    "Function",
    "Json",
    "Keys",
    "Limits",
    "Line",
    "Log",
    "Mcp",
    "Message",
    "Model",
    "ModelFault",
    "NamedFunction",
    "NamedMcp",
    "NoiseReduction",
    "Notice",
    "Otel",
    "Params",
    "Price",
    "Provider",
    "Recording",
    "Records",
    "Rehearsal",
    "Server",
    "Settings",
    "Shared",
    "Silence",
    "Storage",
    "Tape",
    "Transcription",
    "TurnDetection",
    "Twilio",
    "Twiml",
    "model_for",
]


class Notice(NamedTuple):
    """A remark on a setting that is accepted but does not do all it says: shown at start, refuses nothing."""

    key: str
    """The setting's dotted key."""
    message: str
    """One sentence: what happens instead."""


Named = TypeVar("Named", Agent, Function, Mcp, Destination)


def _named(table: dict[str, Named]) -> dict[str, Named]:
    """Let every entry know the key it stands under."""
    return {key: entry.model_copy(update={"name": key}) for key, entry in table.items()}


def _demo_agents() -> dict[str, Agent]:
    return {
        "reception": Agent(
            name="reception",
            instructions="You answer the phone. Be friendly and brief, and ask when something is not clear.",
            greeting_message="Hello, how can I help you?",
        )
    }


class Settings(Frozen):
    """The whole configuration. `Settings()` answers rehearsed calls with the embedded model."""

    server: Server = Server()
    twilio: Twilio = Twilio()
    model: Model = Model()
    agents: Annotated[dict[str, Agent], AfterValidator(_named)] = Field(default_factory=_demo_agents)
    functions: Annotated[dict[str, Function], AfterValidator(_named)] = Field(default_factory=dict)
    mcp: Annotated[dict[str, Mcp], AfterValidator(_named)] = Field(default_factory=dict)
    lines: dict[str, Line] = Field(default_factory=lambda: {"default": Line(agent="reception")})
    destinations: Annotated[dict[str, Destination], AfterValidator(_named)] = Field(default_factory=dict)
    fallback: Fallback = Fallback()
    limits: Limits = Limits()
    prices: dict[str, Price] = Field(default_factory=dict)
    twiml: Twiml = Twiml()
    storage: Storage = Storage()
    records: Records = Records()
    recording: Recording = Recording()
    shared: Shared = Shared()
    tape: Tape = Tape()
    log: Log = Log()
    otel: Otel = Otel()
    rehearsal: Rehearsal = Rehearsal()
