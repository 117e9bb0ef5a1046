"""`[lines]`, `[destinations.*]`, `[fallback]`, `[limits]`, `[twiml]`: which calls are taken, and where they may go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bridge.settings.addresses import CallerId, Reachable
from bridge.settings.agent import Frozen


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
    after_failures: Annotated[int, Field(ge=0, le=1000)] = 3
    """Sessions that fail in a row until the model counts as down and callers hear the fallback at once; 0: never."""
    retry_after_s: Annotated[float, Field(ge=1, le=300)] = 15
    """How long until one call tries the model again; twice as long after each failure, up to five minutes."""


Amount = Annotated[float, Field(ge=0, le=1_000_000)]


class Price(Frozen):
    """`[prices.NAME]`: what a million tokens cost, in any currency; the name is a model's, as in `model.name`."""

    text_in: Amount = 0
    """Text that the model reads: instructions, tools, messages, results of functions."""
    text_cached_in: Amount = 0
    """The same, where the server had it cached."""
    audio_in: Amount = 0
    """Sound that the model hears, all of the conversation so far with each response."""
    audio_cached_in: Amount = 0
    """The same, where the server had it cached."""
    text_out: Amount = 0
    """Text that the model writes."""
    audio_out: Amount = 0
    """Speech that the model makes."""


class Limits(Frozen):
    """`[limits]`: bounds on what callers can use up."""

    max_calls: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Calls at the same time."""
    max_call_s: Annotated[int, Field(ge=10, le=86_400)] = 3600
    """Longest call."""
    calls_per_minute_per_caller: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Calls of one number within a minute."""
    warn_before_s: Annotated[float, Field(ge=0, le=3_600)] = 60
    """How long before the end of its time a caller is told that the call must end soon; 0: never, nor where
    `max_call_s` is less than three times as long."""
    max_cost: Annotated[float, Field(ge=0)] = 0
    """Highest cost of a call, in the currency of `[prices]`: then it ends politely; 0: none."""
    token_ttl_s: Annotated[float, Field(ge=5, le=600)] = 60
    """How long the token of a media stream is valid."""
    max_message_bytes: Annotated[int, Field(ge=4_096, le=16_777_216)] = 65_536
    """Longest message of a media stream."""


class Twiml(Frozen):
    """`[twiml]`: documents of your own for callers who do not get the bot, each an XML file; see `docs/twiml.md`."""

    fallback: Path | None = None
    """When the model cannot be used, instead of what `[fallback]` says."""
    closed: Path | None = None
    """Outside the hours of a line; unset: the fallback."""
    full: Path | None = None
    """Over a limit, or while the bridge is shut down; unset: the fallback."""
    blocked: Path | None = None
    """For callers whom a line blocks; unset: the call is refused without being answered."""
