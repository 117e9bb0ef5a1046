"""The states of the two legs, and the moves that are allowed, as tables.

The joint rules, between the legs and what is being said, are `bridge.call.life.Life.settle`: the call is up when both
legs are; an announcement that is heard lets the act behind it happen; a caller who is gone ends the call; a session
that is gone is replaced, or the fallback is spoken.
"""

from __future__ import annotations

from enum import Enum

from bridge.errors import LocalProtocolError


class CallerLeg(Enum):
    """The carrier's media stream."""

    RINGING = "ringing"
    """Whoever the bridge calls has not answered; a call that comes in is past that when it begins."""
    AWAITED = "awaited"
    """The webhook is being answered, or was; the stream has not come."""
    UP = "up"
    CLOSING = "closing"
    """We close it, and have left an order about what happens to the call."""
    DETACHED = "detached"
    """The call has no stream and may come back with a new one: keys are sent, a destination rings, or it was lost."""
    GONE = "gone"


class ModelLeg(Enum):
    """The Realtime session."""

    CONNECTING = "connecting"
    CONFIGURING = "configuring"
    """`session.update` is sent; the server's formats are not yet known to be ours."""
    READY = "ready"
    WAITING = "waiting"
    """The session is lost; another one is opened in a moment."""
    GONE = "gone"
    """There is none, and none is being opened."""


_CALLER_MOVES = {
    CallerLeg.RINGING: {CallerLeg.AWAITED, CallerLeg.GONE},
    CallerLeg.AWAITED: {CallerLeg.UP, CallerLeg.GONE},
    CallerLeg.UP: {CallerLeg.CLOSING, CallerLeg.DETACHED, CallerLeg.GONE},
    CallerLeg.CLOSING: {CallerLeg.DETACHED, CallerLeg.GONE},
    CallerLeg.DETACHED: {CallerLeg.UP, CallerLeg.GONE},
    CallerLeg.GONE: set[CallerLeg](),
}
_MODEL_MOVES = {
    ModelLeg.CONNECTING: {ModelLeg.CONFIGURING, ModelLeg.WAITING, ModelLeg.GONE},
    ModelLeg.CONFIGURING: {ModelLeg.READY, ModelLeg.WAITING, ModelLeg.GONE},
    ModelLeg.READY: {ModelLeg.WAITING, ModelLeg.GONE},
    ModelLeg.WAITING: {ModelLeg.CONNECTING, ModelLeg.GONE},
    ModelLeg.GONE: {ModelLeg.CONNECTING, ModelLeg.WAITING},
}


def move_caller(leg: CallerLeg, to: CallerLeg) -> CallerLeg:
    """The leg's next state. Raises LocalProtocolError for a move that is not in the table."""
    if to not in _CALLER_MOVES[leg]:
        message = f"the caller leg cannot go from {leg.value} to {to.value}"
        raise LocalProtocolError(message)
    return to


def move_model(leg: ModelLeg, to: ModelLeg) -> ModelLeg:
    """The leg's next state. Raises LocalProtocolError for a move that is not in the table."""
    if to not in _MODEL_MOVES[leg]:
        message = f"the model leg cannot go from {leg.value} to {to.value}"
        raise LocalProtocolError(message)
    return to
