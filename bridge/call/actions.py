"""What a call wants done, as values, in the order in which it must be done.

Commands of `bridge.wire.commands` are actions too: whoever drives the call sends them to the model as they are.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bridge.call.ending import Ending
from bridge.call.plan import EndpointName
from bridge.wire.commands import Command, UpdateSession


class PlayAudio(msgspec.Struct, frozen=True, gc=False):
    """Queue audio for the caller's ear: mu-law as base64 text."""

    payload: str


class SetMark(msgspec.Struct, frozen=True, gc=False):
    """Have the carrier return this name when all audio before it was played."""

    name: str


class ClearPlayout(msgspec.Struct, frozen=True, gc=False):
    """Throw away all audio that was sent and not yet played."""


class ProbeCaller(msgspec.Struct, frozen=True):
    """Ping the stream's socket; `receive_control` gets `PongReceived`, where the door can tell."""


class DropStream(msgspec.Struct, frozen=True):
    """The stream is over, whatever its socket says: close that, and take nothing from it any more."""


class CloseStream(msgspec.Struct, frozen=True):
    """Close the caller's stream; `order` is what the carrier must be told to do with the call then.

    The order is stored by CallSid *before* the socket is closed, because the carrier asks for it at once.
    """

    order: Order


class Order(msgspec.Struct, frozen=True):
    """What the carrier is to do with a call that has no stream."""

    kind: Literal["hang_up", "fallback", "resume", "transfer", "keys"]
    destination: str = ""
    """`transfer`: the name of where to."""
    summary: str = ""
    """`transfer`: what the human is told about the caller."""
    digits: str = ""
    """`keys`: the tones to send before the stream is resumed."""


class LeaveOrder(msgspec.Struct, frozen=True):
    """Keep a new order for a call whose stream is gone already; the carrier is about to ask for it."""

    order: Order


class HangUpCall(msgspec.Struct, frozen=True):
    """Have the carrier end a call that has no stream to close: it rings, or is on an errand."""


class Park(msgspec.Struct, frozen=True):
    """The call is with a human: it takes up no place, and may yet come back."""


class ConnectModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Open a session; `receive_control` gets `ModelConnected`, or `ModelLost` when it cannot be had."""

    endpoint: EndpointName = "primary"
    """Where."""


class CloseModel(msgspec.Struct, frozen=True):
    """Close the session, whatever state it is in."""


class ConnectSuccessor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Open another session beside the one that there is.

    `receive_control` gets `SuccessorConnected`, or `SuccessorLost`; what it says goes to `receive_successor`.
    """

    endpoint: EndpointName = "primary"
    """Where."""


class ConfigureSuccessor(msgspec.Struct, frozen=True):
    """Send the session that was opened beside its first update."""

    update: UpdateSession


class MoveToSuccessor(msgspec.Struct, frozen=True):
    """Close the session that there is, if any; the one beside it takes its place, and gets all commands from now on."""


class CloseSuccessor(msgspec.Struct, frozen=True):
    """Close the session that was opened beside, whatever state it is in."""


class RunFunction(msgspec.Struct, frozen=True):
    """Run one of the operator's functions beside the call; `receive_control` gets a `FunctionResult`, once."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    agent: str = ""
    """Who speaks to the caller now."""
    secrets: dict[str, str] = {}
    """Further arguments, keyed in by the caller: for the function alone; never shown, logged or recorded."""


class PauseRecording(msgspec.Struct, frozen=True):
    """The caller is about to key in a secret: the carrier's recording, if there is one, must not have it."""


class ResumeRecording(msgspec.Struct, frozen=True):
    """The secret is keyed in."""


class Said(msgspec.Struct, frozen=True):
    """A line of the transcript is final: for records and whoever watches, never for a log."""

    role: str
    """`caller` or `bot`."""
    words: str
    """Of the bot's, those that were heard."""
    at: float
    """When the line began, in call seconds."""
    heard_ms: int | None = None
    """Of the bot's lines: how much was heard."""
    is_cut: bool = False


class Happened(msgspec.Struct, frozen=True):
    """A fact of the call's life, for logs, metrics and timelines; never numbers, words or secrets of people."""

    event: str
    fields: dict[str, Any]


class Ended(msgspec.Struct, frozen=True):
    """The last action of every call, once: let go of everything that was held for it."""

    ending: Ending


Action = (
    PlayAudio
    | SetMark
    | ClearPlayout
    | ProbeCaller
    | DropStream
    | CloseStream
    | LeaveOrder
    | HangUpCall
    | Park
    | ConnectModel
    | CloseModel
    | ConnectSuccessor
    | ConfigureSuccessor
    | MoveToSuccessor
    | CloseSuccessor
    | RunFunction
    | PauseRecording
    | ResumeRecording
    | Said
    | Happened
    | Ended
    | Command
)


class Outbox:
    """Where the parts of a call put their actions; gives out ids too, from a counter, so that a replay has the same."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self._serial = 0

    def do(self, action: Action) -> None:
        """Add an action behind those that are there."""
        self.actions.append(action)

    def happened(self, event: str, **fields: object) -> None:
        """Add a fact."""
        self.actions.append(Happened(event, fields))

    def new_id(self, what: str) -> str:
        """An id that no other event of this call has; `what` tells what it was for when an error names it."""
        self._serial += 1
        return f"{what}-{self._serial}"

    def take(self) -> list[Action]:
        """All actions since the last time, in order."""
        taken, self.actions = self.actions, []
        return taken
