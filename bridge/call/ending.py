"""How calls end: a closed list. Every call gets exactly one."""

from __future__ import annotations

from enum import Enum


class Ending(Enum):
    """The verdict on a call that reached the bridge. Logs, metrics, records and tapes use these names."""

    CALLER_HUNG_UP = "caller_hung_up"
    """The caller, or whoever was called, put the phone down."""
    BOT_HUNG_UP = "bot_hung_up"
    """The model ended the call, and its goodbye was heard."""
    TRANSFERRED = "transferred"
    """The caller was handed over to a human, a queue or another system."""
    TRANSFER_FAILED = "transfer_failed"
    """Nobody took the caller, and the destination says to hang up then."""
    OPERATOR_HUNG_UP = "operator_hung_up"
    """Somebody ended it through the operator API."""
    NO_INPUT = "no_input"
    """Nobody spoke, was asked, and still nobody spoke."""
    TIME_LIMIT = "time_limit"
    """`limits.max_call_s` was reached."""
    COST_LIMIT = "cost_limit"
    """`limits.max_cost` was reached."""
    MODEL_FAILED = "model_failed"
    """The model could not be used any more; the caller heard the fallback."""
    CALLER_LOST = "caller_lost"
    """The media stream went away or fell silent without a word from the carrier, and no other took its place."""
    NOT_CLAIMED = "not_claimed"
    """The webhook was answered, but the media stream never came, or could not be opened."""
    MOVED = "moved"
    """Another bridge has gone on with the call, because its media stream came there; it has its own ending there."""
    DRAINED = "drained"
    """The bridge was shut down and the call could not go on."""
    NOT_REACHED = "not_reached"
    """Whoever the bridge called did not answer; the reason says why: `busy`, `no_answer`, `failed` or `canceled`."""
    MACHINE = "machine"
    """A machine answered the bridge's call, which was to end then."""
    FAX = "fax"
    """A fax answered the bridge's call."""
    MESSAGE_LEFT = "message_left"
    """A machine answered the bridge's call, and the message was left on it."""
