"""What the simulated carrier writes down: requests, faults, events; and how it spells names and dates."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

Params = dict[str, str | list[str]]
"""Form or query parameters; a list where a name occurs several times."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        at_s: when it was sent or came, in seconds of the clock.
        made_by: `carrier` for webhooks and handshakes, `bridge` for the REST interface.
        kind: what it is for: `voice`, `action`, `redirect`, `fallback`, `whisper`, `wait`, `sound`, `handshake`,
            `rest`, `status`, `stream-status`, `conference-status`, `recording-status` or `machine-detection`.
        method, url: as sent; the URL is the public one.
        params: the form's fields, or those added to the query of a GET.
        status: the HTTP status answered; None while there is none, or when the request failed.
        answer: the body answered, or why it failed.
    """

    at_s: float
    made_by: Literal["carrier", "bridge"]
    kind: str
    method: str
    url: str
    params: Params = field(default_factory=dict)
    status: int | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What Twilio would write into the account's error log.

    Attributes:
        code: Twilio's number of the error or warning.
        text: what happened.
        call_sid: in which call; empty where it is in none.
        at_s: when, in seconds of the clock.
        is_routine: logged by Twilio though nothing is wrong, such as 31921 for a stream closed in order.
    """

    code: int
    text: str
    call_sid: str
    at_s: float
    is_routine: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A moment of a call, for its timeline: `kind` is subject and past participle, `at_s` seconds of the clock."""

    at_s: float
    call_sid: str
    kind: str
    text: str = ""


def new_sid(prefix: str) -> str:
    """A name as Twilio gives them: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def rfc2822_now() -> str:
    """The date and time as call callbacks and REST resources carry it."""
    return format_datetime(datetime.now(UTC))


def iso8601_now() -> str:
    """The date and time as stream callbacks carry it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
