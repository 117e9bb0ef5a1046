"""What the bridge is told, as frozen values: one model per table of `bridge.toml`, one field per key.

Every default and every bound stands here and nowhere else. How the values are found (file, environment, secret files)
is the matter of `bridge.configuration`, which also refuses combinations that cannot work.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, Field, SecretStr

from bridge.agent_settings import (
    BUILT_IN_TOOLS,
    Agent,
    AudioFormat,
    BargeIn,
    Frozen,
    Json,
    Message,
    ModelUrl,
    NamedFunction,
    NamedMcp,
    NoiseReduction,
    Params,
    Silence,
    Transcription,
    TurnDetection,
)

__all__ = [
    "BUILT_IN_TOOLS",
    "OPENAI_URL",
    "Agent",
    "AudioFormat",
    "BargeIn",
    "Collect",
    "Destination",
    "Dialect",
    "Fallback",
    "Function",
    "Json",
    "Limits",
    "Line",
    "Mcp",
    "Message",
    "Model",
    "NamedFunction",
    "NamedMcp",
    "NoiseReduction",
    "Notice",
    "Params",
    "Provider",
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
    "model_for",
]

Provider = Literal["embedded", "openai", "azure", "compatible"]
Dialect = Literal["ga", "beta"]

E164 = re.compile(r"\+[1-9]\d{6,14}")
OPENAI_URL = "wss://api.openai.com/v1/realtime"


def _address(pattern: str, sentence: str) -> AfterValidator:
    """A check that a non-empty text has the form its `sentence` says."""

    def check(text: str) -> str:
        if text and not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


HttpUrl = Annotated[
    str, _address(r"https?://[^/?#@\s]+(/[^?#\s]*)?", "is not an address of the form https://HOST[/PATH]")
]
MediaUrl = Annotated[str, _address(r"wss://[^/?#@\s]+(/[^?#\s]*)?", "must be of the form wss://HOST[:PORT][/PATH]")]
PhoneNumber = Annotated[str, _address(E164.pattern, "is not a phone number in E.164 form, such as +15551230000")]
CallerId = Annotated[
    str, _address(rf"{E164.pattern}|client:\S+", "is neither a phone number in E.164 form nor client:NAME")
]
AccountSid = Annotated[str, _address(r"AC\S+", "is not an account SID, which begins with AC (a key's SID will not do)")]
Reachable = Annotated[
    str,
    _address(
        rf"{E164.pattern}|sips?:\S+|client:\S+|queue:\S+",
        "is none of +NUMBER in E.164 form, sip:USER@HOST, client:NAME and queue:NAME",
    ),
]
StorageUrl = Annotated[SecretStr, AfterValidator(lambda url: _scheme(url, "sqlite", "postgresql"))]
SharedUrl = Annotated[SecretStr, AfterValidator(lambda url: _scheme(url, "memory", "redis", "rediss"))]


def _scheme(url: SecretStr, *schemes: str) -> SecretStr:
    if not url.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        msg = "must begin with " + " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(msg)
    return url


class Notice(NamedTuple):
    """A remark on a setting that is accepted but does not do all it says: shown at start, refuses nothing."""

    key: str
    """The setting's dotted key."""
    message: str
    """One sentence: what happens instead."""


class Server(Frozen):
    """`[server]`: where the bridge listens and what it is called outside."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port of webhooks, media stream and operator API; 0: any free one."""
    public_url: HttpUrl = ""
    """The bridge as Twilio reaches it: the one truth for signatures, TwiML and callbacks."""
    admin_token: SecretStr = SecretStr("")
    """Bearer token of the operator API and console; without it they are off."""
    drain_s: Annotated[float, Field(ge=0, le=86_400)] = 300
    """How long calls may go on after SIGTERM."""
    media_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """A second port for the media stream: the fast door; 0: off. Worker *i* listens on `media_port + i`."""
    media_url: MediaUrl = ""
    """The media port's public `wss://` address where it differs from `public_url`; may contain `{worker}`."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes, one per core; more than one need `media_port`."""
    instance: Annotated[str, _address(r"[\w.-]{1,64}", "must be letters, digits, dots and dashes")] = ""
    """This bridge's name in the stream's path; empty: made up at start."""


class Twilio(Frozen):
    """`[twilio]`: the carrier."""

    account_sid: AccountSid = ""
    """Account the calls belong to."""
    auth_token: SecretStr = SecretStr("")
    """Checks signatures and authorises REST; without it, webhooks are accepted only if `insecure`."""
    insecure: bool = False
    """No signatures are checked; refused unless `server.host` is loopback."""
    api_url: HttpUrl = "https://api.twilio.com"
    """REST interface: a Twilio region's, or a rehearsal's."""
    control: Literal["rest", "action"] = "rest"
    """How a call leaves its stream: `rest` updates it, `action` closes the stream and answers `<Connect action>`."""


class Model(Frozen):
    """`[model]`: the Realtime endpoint."""

    provider: Provider = "embedded"
    """Who serves the model; `embedded`: this program, offline, for rehearsals."""
    url: ModelUrl = ""
    """WebSocket address; empty: OpenAI's, for `openai`. `azure` and `compatible` need one."""
    api_key: SecretStr = SecretStr("")
    """Key of the endpoint; `embedded` needs none."""
    name: str = "gpt-realtime-2.1"
    """Model, on Azure the deployment."""
    dialect: Dialect = "ga"
    """Shape of events: `beta` only for compatible and old Azure endpoints."""
    organization: str = ""
    """OpenAI organization the call is billed to."""
    project: str = ""
    """OpenAI project the call is billed to."""
    auth_mode: Literal["header", "subprotocol"] = "header"
    """Where the key goes; `subprotocol` for gateways that read it there."""
    extra_query: dict[str, SecretStr] = Field(default_factory=dict)
    """Further query parameters of the address, such as Azure's `api-version`."""
    extra_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Further headers of the handshake."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10
    """How long connecting and configuring may take."""


class Collect(Frozen):
    """`[functions.NAME.collect]`: digits that only the function gets: no model, log, tape or transcript."""

    argument: Annotated[str, _address(r"\w+", "must be letters, digits and underscores")] = "digits"
    """Name under which the function gets them."""
    prompt: str = ""
    """What the caller is told first, word for word."""
    min_digits: Annotated[int, Field(ge=1, le=64)] = 1
    """Fewest digits that count."""
    max_digits: Annotated[int, Field(ge=1, le=64)] = 32
    """Digits after which no more are waited for."""
    terminator: Literal["#", "*", ""] = "#"
    """Key that ends the entry; empty: none."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20
    """How long the next key is waited for."""


class Function(Frozen):
    """`[functions.NAME]`: a function of the operator's own, by HTTP or in Python."""

    name: str = Field(default="", exclude=True)
    description: str = ""
    """What it does, for the model."""
    url: HttpUrl = ""
    """Where its arguments are posted as JSON; this or `python`."""
    python: Annotated[str, _address(r"\w+(\.\w+)*:\w+", "must be of the form package.module:function")] = ""
    """The Python function that is called, `package.module:function`; this or `url`."""
    parameters: Json = Field(default_factory=dict)
    """JSON Schema of its arguments, an object's; of a Python function the type hints give it."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 8
    """How long it may take."""
    filler: str = ""
    """Said when it is slow and the line is quiet."""
    secret: SecretStr = SecretStr("")
    """Signs the request, so that the receiver can trust it."""
    allow_private: bool = False
    """Whether its address may be, or lead to, one of a private network."""
    collect: Collect | None = None
    """Digits the caller is asked for, which only the function sees."""


class Mcp(Frozen):
    """`[mcp.NAME]`: a remote MCP server that the model calls by itself; GA only."""

    name: str = Field(default="", exclude=True)
    server_url: HttpUrl = ""
    """The server's address; this or `connector_id`."""
    connector_id: str = ""
    """A connector of OpenAI's, such as `connector_gmail`; this or `server_url`."""
    description: str = ""
    """What it is for, for the model."""
    authorization: SecretStr = SecretStr("")
    """OAuth token the model's server presents to it."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers the model's server sends it."""
    allowed_tools: tuple[str, ...] = ()
    """Tools that may be used; empty: all."""


class Line(Frozen):
    """An entry of `[lines]`: what happens with calls to a number. An agent's name may stand for the table."""

    agent: str
    """Who answers."""
    hours: str = ""
    """When, such as `Mo-Fr 08:00-18:00 Europe/Berlin`; empty: always."""
    closed: Literal["fallback"] = "fallback"
    """What a caller gets outside the hours."""
    block: tuple[str, ...] = ()
    """Callers who are not answered: numbers, beginnings of numbers with `*`, `anonymous`."""


class Destination(Frozen):
    """`[destinations.NAME]`: a place calls may be transferred to; there are no others."""

    name: str = Field(default="", exclude=True)
    to: Reachable
    """Number in E.164 form, `sip:` URI, `client:NAME` or `queue:NAME`."""
    kind: Literal["cold", "warm", "refer"] = "cold"
    """Handed over; introduced to a human who accepts; or given back to the caller's SIP system (only `sip:`)."""
    description: str = ""
    """When to transfer there, for the model."""
    announce: str = ""
    """Said to the caller before the transfer, word for word."""
    whisper: bool = False
    """The human hears a short summary first."""
    timeout_s: Annotated[int, Field(ge=5, le=600)] = 25
    """How long it may ring."""
    caller_id: CallerId = ""
    """Number shown to the human; empty: the caller's."""
    on_failure: str = "return"
    """Nobody answered: `return` to the bot, `hang_up`, or another destination's name."""


class Fallback(Frozen):
    """`[fallback]`: what the caller hears when the model cannot be used."""

    say: str = "Sorry, our assistant is not available at the moment. Please call again later."
    """What is said."""
    destination: str = ""
    """Where the call goes then; empty: nowhere."""
    hold_clip: Path | None = None
    """Sound heard while a lost model session is replaced, a WAV file; unset: a soft tone."""


class Limits(Frozen):
    """`[limits]`: bounds on what callers can use up."""

    max_calls: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Calls at the same time."""
    max_call_s: Annotated[int, Field(ge=10, le=86_400)] = 3600
    """Longest call."""
    calls_per_minute_per_caller: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Calls of one number within a minute."""
    max_cost: Annotated[float, Field(ge=0)] = 0
    """Highest cost of a call, in the currency of the prices; 0: none."""
    token_ttl_s: Annotated[float, Field(ge=5, le=600)] = 60
    """How long the token of a media stream is valid."""
    max_message_bytes: Annotated[int, Field(ge=4_096, le=16_777_216)] = 65_536
    """Longest message of a media stream."""


class Storage(Frozen):
    """`[storage]`: where call records go."""

    url: StorageUrl = SecretStr("sqlite:///calls.db")
    """`sqlite:///FILE`, or `postgresql://…` where several bridges run."""


class Shared(Frozen):
    """`[shared]`: where bridges keep what they must agree on."""

    url: SharedUrl = SecretStr("memory://")
    """`memory://`, or `redis://…` where several bridges run."""


class Tape(Frozen):
    """`[tape]`: recordings of what went through the call core."""

    record: bool = False
    """Whether calls are recorded."""
    directory: Path = Path("tapes")
    """Where the tapes go."""
    audio: bool = True
    """Whether they hold the sound."""


class Rehearsal(Frozen):
    """`[rehearsal]`: the embedded model."""

    dialogue: Path | None = None
    """What it says, a dialogue file; unset: the one that is shipped."""


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
    storage: Storage = Storage()
    shared: Shared = Shared()
    tape: Tape = Tape()
    rehearsal: Rehearsal = Rehearsal()


def model_for(model: Model, agent: Agent) -> Model:
    """The endpoint an agent uses: `[model]`, over it the agent's own `vendor`, `url`, `api_key` and `params.model`.

    A key is never taken to another host: an agent whose `url` is on one must have an `api_key` (checked at start).
    """
    own = {
        "provider": agent.vendor,
        "url": agent.url,
        "api_key": agent.api_key if agent.api_key.get_secret_value() else None,
        "name": agent.params.model,
    }
    return model.model_copy(update={key: value for key, value in own.items() if value})
