"""Whom a number of the account asks when it is called, and whom it must ask so that this bridge answers it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Settings
    from twiml.account import Number

State = Literal["here", "elsewhere", "nobody", "application", "trunk", "messages"]
"""Who answers a number: this bridge, another address, nobody, a TwiML application, a SIP trunk; or messages only."""


class Target(NamedTuple):
    """Whom a number must ask, so that this bridge answers it."""

    voice_url: str
    fallback_url: str
    status_callback: str

    @classmethod
    def of(cls, settings: Settings, fallback_url: str = "") -> Target:
        """The bridge of these settings; the fallback may be elsewhere, where it does not fail with the bridge."""
        base = f"{settings.server.public_url.rstrip('/')}/twiml"
        fallback = fallback_url or settings.twilio.fallback_url or f"{base}/fallback"
        return cls(f"{base}/answer", fallback, f"{base}/call-status")


class Change(NamedTuple):
    """One setting of a number: what it is, and what it should be."""

    key: str
    old: str
    new: str


@dataclass(frozen=True)
class Pointing:
    """A number, what must change so that this bridge answers it, and what no change of a URL can bring about."""

    number: Number
    changes: tuple[Change, ...]
    obstacle: str

    @property
    def is_due(self) -> bool:
        """Whether there is something to change that would help."""
        return bool(self.changes) and not self.obstacle


def pointing(number: Number, target: Target) -> Pointing:
    """Compare a number with what it should ask."""
    return Pointing(number, tuple(_changes(number, target)), obstacle(number))


def state(number: Number, target: Target) -> State:
    """Who answers a number."""
    if number.trunk_sid:
        return "trunk"
    if not number.takes_calls:
        return "messages"
    if number.voice_application_sid:
        return "application"
    return "here" if number.voice_url == target.voice_url else "elsewhere" if number.voice_url else "nobody"


def obstacle(number: Number) -> str:
    """Why nobody is asked about calls to a number, whatever its URLs say; empty when nothing is in the way."""
    if number.trunk_sid:
        return (
            f"its calls go to the SIP trunk {number.trunk_sid}, not to its URLs: take it off that in Twilio's console"
        )
    return "" if number.takes_calls else "it takes messages only: no calls come in on it"


def _changes(number: Number, target: Target) -> Iterator[Change]:
    if number.voice_application_sid:
        yield Change("TwiML application", number.voice_application_sid, "none")
    wanted = {
        "voice URL": (number.voice_url, number.voice_method, target.voice_url),
        "fallback URL": (number.fallback_url, number.fallback_method, target.fallback_url),
        "status callback": (number.status_callback, number.status_callback_method, target.status_callback),
    }
    for key, (url, method, should) in wanted.items():
        if (url, method) != (should, "POST"):
            yield Change(key, asked(url, method), should)


def asked(url: str, method: str) -> str:
    """An address as it is shown, with its method where that is not the usual one."""
    return (url if method == "POST" else f"{url} ({method})") if url else "none"
