"""What the embedded server and its mind tell each other: what was said so far, and what to say and do next.

The server keeps a Realtime conversation as items. For its mind it puts them into these values, oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Message:
    """A message item: what was said, or typed, as text."""

    role: Literal["user", "assistant", "system"]
    text: str
    """What the recogniser understood, what the mind said, or what the client wrote; "" where nothing was understood."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of one of the session's functions."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    """The arguments as a JSON object; the wire has them as text."""
    call_id: str = ""
    """Ties a call to its output; given by the server, so it is empty in a reply of the mind."""


@dataclass(frozen=True, slots=True)
class FunctionCallOutput:
    """What a function returned."""

    call_id: str
    output: str
    """The text the client sent; as a rule JSON."""


Heard: TypeAlias = Message | FunctionCall | FunctionCallOutput


@dataclass(frozen=True, slots=True)
class Reply:
    """What the mind does with its turn: speaks, calls functions, or both (the speech comes first)."""

    speech: str | None = None
    calls: tuple[FunctionCall, ...] = ()
