"""What reaches a call from neither leg: the model's socket, the operator, the carrier's signalling, functions."""

from __future__ import annotations

import msgspec


class ModelConnected(msgspec.Struct, frozen=True):
    """The session's socket is open; nothing is configured yet."""

    unix_s: float = 0
    """The wall clock's time, in which the server says how long the session lasts; 0: not known."""


class ModelLost(msgspec.Struct, frozen=True):
    """The session cannot be had, or is gone: `reason` is from a closed list, `code` the server's or the socket's."""

    reason: str
    code: str = ""


class SuccessorConnected(msgspec.Struct, frozen=True):
    """The socket of the session that is opened beside the present one is open."""

    unix_s: float = 0
    """The wall clock's time; 0: not known."""


class SuccessorLost(msgspec.Struct, frozen=True):
    """The session beside the present one cannot be had, or is gone; see `ModelLost`."""

    reason: str
    code: str = ""


class HangUp(msgspec.Struct, frozen=True):
    """The operator wants the call to end now."""


class Say(msgspec.Struct, frozen=True):
    """The operator wants something said to the caller, word for word."""

    words: str


class Transfer(msgspec.Struct, frozen=True):
    """The operator wants the caller handed over, as if the model had asked for it."""

    destination: str
    """Name of a configured destination."""
    summary: str = ""
    """For the human who takes over."""


class Answered(msgspec.Struct, frozen=True):
    """Whoever the bridge called has picked up; the media stream is being opened."""


class MachineDetected(msgspec.Struct, frozen=True):
    """The carrier has made up its mind about who picked up."""

    answered_by: str
    """`human`, `machine` (it is speaking), `machine_listening` (its greeting is over), `fax` or `unknown`."""


class CalleeAnswered(msgspec.Struct, frozen=True):
    """A human has picked up and is being told who calls; they may still decline."""


class HandedOver(msgspec.Struct, frozen=True):
    """Caller and human are connected: the bridge is out of it, unless the transfer fails after all."""


class TransferOver(msgspec.Struct, frozen=True):
    """A transfer has succeeded and the human has hung up, or it has failed: `outcome` says how."""

    outcome: str
    """`connected`, `declined`, `busy`, `no_answer`, `failed` or `canceled`."""


class PongReceived(msgspec.Struct, frozen=True):
    """The socket of the caller's stream has answered a ping."""


class StreamOver(msgspec.Struct, frozen=True):
    """The carrier asks what to do with the call: its stream is over, though the socket may not have noticed."""


class CallOver(msgspec.Struct, frozen=True):
    """The carrier's signalling says that the call has ended; the stream may not have noticed."""

    status: str


class Moved(msgspec.Struct, frozen=True):
    """Another bridge goes on with the call: its stream has come there, before anybody has spoken."""


class Shutdown(msgspec.Struct, frozen=True):
    """The bridge can wait no longer for this call."""


class FunctionResult(msgspec.Struct, frozen=True):
    """What one of the operator's functions gave back: JSON text, also when it failed."""

    call_id: str
    output: str


Control = (
    ModelConnected
    | ModelLost
    | SuccessorConnected
    | SuccessorLost
    | HangUp
    | Say
    | Transfer
    | Answered
    | MachineDetected
    | CalleeAnswered
    | HandedOver
    | TransferOver
    | PongReceived
    | StreamOver
    | CallOver
    | Moved
    | Shutdown
    | FunctionResult
)
