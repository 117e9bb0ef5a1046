"""What is left to do for a call whose code has failed: a fault of ours, wherever it is, costs this call and no other.

The caller hears the fallback, whoever waits for the call is let go of, and the log says where it happened. What was on
the line is no part of that: an error's own words may hold what somebody said.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.call.actions import Action
    from bridge.call.machine import Call

_ROOT = Path(__file__).parents[2]
_log = logging.getLogger("bridge")


class OverdueError(BridgeError):
    """A call has passed every limit it has: one of its states has no exit."""


class Over:
    """Stands in for the core of a call that is over: takes everything and does nothing."""

    is_up = is_ringing = is_away = is_secret = False
    transfer_hindrance = "it is over"

    def pass_on(self, *_: object, **__: object) -> None:
        """Nobody is there."""

    receive_caller = receive_model = receive_successor = receive_control = handle_timer = pass_on

    def actions(self) -> list[Action]:
        """Nothing is to be done any more."""
        return []

    def deadline(self) -> None:
        """Nothing is waited for."""


def over() -> Call:
    """The core of a call that is over."""
    return cast("Call", Over())


def place_of(error: BaseException) -> str:
    """Where an error was raised: the innermost line of ours, as `file:line in function`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_ROOT / "bridge")]
    if not ours:
        return "unknown"
    frame = ours[-1]
    return f"{Path(frame.filename).relative_to(_ROOT)}:{frame.lineno} in {frame.name}"


def fault_of(error: BaseException) -> dict[str, object]:
    """What a log may say of a fault of ours: its kind, and where it was raised."""
    return {"error": type(error).__name__, "place": place_of(error)}


def report(call_sid: str, error: BaseException) -> None:
    """Log a fault of ours."""
    _log.error("call.crashed", extra={"call_sid": call_sid} | fault_of(error))


def do_all(call_sid: str, steps: Iterable[Callable[[], object]]) -> None:
    """Take every step, whatever becomes of the others: what has failed once may fail again."""
    for step in steps:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - reported; the next step frees something else
            report(call_sid, error)
