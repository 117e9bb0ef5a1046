"""What is settled before a call begins: who calls, who answers, and by which rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from bridge.settings import Agent, Collect, Destination, Dialect


class CallInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator's functions are told about the call they run for."""

    call_sid: str = ""
    """The carrier's id of the call."""
    from_number: str = ""
    """Who calls: E.164, `client:NAME`, a SIP URI, or a word such as `anonymous`."""
    to_number: str = ""
    """What was dialled."""
    direction: str = "inbound"
    """`inbound`, or `outbound` when the bridge placed the call."""
    agent: str = ""
    """Name of the agent who answers."""
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    """Custom parameters of the call."""
    idempotency_key: str = ""
    """The same whenever the same run is asked for again, so that nothing is done twice; set when a function is run."""

    @property
    def own_number(self) -> str:
        """The bridge's side of the call: what was dialled, or what an outbound call was placed from."""
        return self.from_number if self.direction == "outbound" else self.to_number


EndpointName = Literal["primary", "standby"]
"""`[model]`, or `[model.standby]`."""
OnMachine = Literal["talk", "hang_up", "leave_message"]


class Outgoing(msgspec.Struct, frozen=True):
    """How a call goes that the bridge places."""

    ring_within_s: float
    """How long until somebody has answered, what the carrier may add included."""
    on_machine: OnMachine = "talk"
    """What follows when a machine answers: nothing, the end, or the end after a message."""
    message: str = ""
    """`leave_message`: what is said to the machine, word for word."""


class Colleague(msgspec.Struct, frozen=True):
    """Another agent, whom the conversation may be handed to."""

    agent: Agent
    tools: tuple[dict[str, object], ...] = ()


class Tariff(msgspec.Struct, frozen=True):
    """What a million tokens of a model cost, in the operator's currency."""

    text_in: float = 0
    text_cached_in: float = 0
    audio_in: float = 0
    audio_cached_in: float = 0
    text_out: float = 0
    audio_out: float = 0


class Plan(msgspec.Struct, frozen=True):
    """Everything the call core goes by; fixed for the whole call.

    Args:
        call_sid: the carrier's id of the call.
        agent: who answers; instructions and greeting with their variables filled in.
        dialect: of the model's endpoint.
        tools: definitions of the functions the model is given, in the Realtime API's shape.
        functions: names of the operator's own functions.
        destinations: where the call may be transferred to, by name.
        fillers: what is said when a function is slow, by its name.
        collects: which digits a function asks the caller for, by its name; nobody else sees them.
        colleagues: agents whom the conversation may be handed to, by name.
        claim_within_s: how long the media stream may take to come after the webhook was answered.
        max_call_s: how long the call may last.
        warn_before_s: how long before that the caller is told, where the call may last much longer; 0: never.
        price: of the model; None where it is not known.
        transcription_price: of the model that writes down what the caller says.
        max_cost: what the call may cost; 0: whatever it does.
        info: what the operator's functions are told about the call.
        outgoing: of a call that the bridge places, and that rings first; None when somebody calls.
        standby_dialect: of the second endpoint; None when there is none.
        restore_within_s: how long the call may be without a session, before the caller hears the fallback.
        hold_clip: what the caller hears meanwhile, mu-law as base64 text; empty: nothing.
        is_primary_down: whether the first endpoint is known to be down: the call begins at the second one.
    """

    call_sid: str
    agent: Agent
    dialect: Dialect
    tools: tuple[dict[str, object], ...] = ()
    functions: frozenset[str] = frozenset()
    destinations: Mapping[str, Destination] = {}
    fillers: Mapping[str, str] = {}
    collects: Mapping[str, Collect] = {}
    colleagues: Mapping[str, Colleague] = {}
    claim_within_s: float = 60
    max_call_s: float = 3600
    warn_before_s: float = 60
    price: Tariff | None = None
    transcription_price: Tariff | None = None
    max_cost: float = 0
    info: CallInfo = CallInfo()
    outgoing: Outgoing | None = None
    standby_dialect: Dialect | None = None
    restore_within_s: float = 20
    hold_clip: str = ""
    is_primary_down: bool = False

    @property
    def endpoints(self) -> tuple[EndpointName, ...]:
        """Where a session may be opened, the one to be preferred first."""
        if self.standby_dialect is None:
            return ("primary",)
        return ("standby", "primary") if self.is_primary_down else ("primary", "standby")

    def dialect_of(self, endpoint: EndpointName) -> Dialect:
        """The dialect that is spoken there."""
        return self.standby_dialect if endpoint == "standby" and self.standby_dialect is not None else self.dialect
