"""What one of the operator's functions gave back: a result for the model, and what shall happen to the call then.

An object may say so under `then`, a name that is reserved for it: `{"end_call": {"reason": …}}` or
`{"transfer_call": {"destination": …, "summary": …}}`. Whatever else the object holds is the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Container


class EndCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The call shall end, as if the model had called `end_call`."""

    reason: str = ""


class TransferCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The call shall be handed over, as if the model had called `transfer_call`."""

    destination: str
    """Name of a configured destination."""
    summary: str = ""
    """For the human who takes over."""


class Outcome(msgspec.Struct, frozen=True):
    """An output, taken apart."""

    output: str
    """For the model: JSON text without `then`, and with an `error` when that is wrong."""
    then: EndCall | TransferCall | None = None
    """What to do when the model has its output; None: nothing."""
    flaw: str = ""
    """Why `then` is not done, for the log; empty when nothing is wrong with it."""


class _Then(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    end_call: EndCall | None = None
    transfer_call: TransferCall | None = None


def parse(output: str, destinations: Container[str] = ()) -> Outcome:
    """Take an output of a function apart.

    Args:
        output: JSON text, as the runner of functions returns it.
        destinations: names a call may be transferred to.

    Never raises for what the function said: a `then` that cannot be done is left out, and model and log are told.
    """
    try:
        result = msgspec.json.decode(output)
    except (msgspec.DecodeError, RecursionError):
        return Outcome(output)
    if not isinstance(result, dict) or "then" not in result:
        return Outcome(output)
    wanted = result.pop("then")
    try:
        then = None if wanted is None else _read(wanted, destinations)
    except ValueError as error:
        result["error"] = "the call was to be ended or transferred now, which is not possible: go on without it"
        return Outcome(_text(result), flaw=str(error))
    return Outcome(_text(result), then)


def _read(wanted: object, destinations: Container[str]) -> EndCall | TransferCall:
    """The act; ValueError says what is wrong with it, without repeating what was said."""
    try:
        then = msgspec.convert(wanted, _Then)
    except msgspec.ValidationError:
        raise ValueError("`then` is not of the form that is documented") from None
    acts = [act for act in (then.end_call, then.transfer_call) if act is not None]
    if len(acts) != 1:
        raise ValueError("`then` must hold either `end_call` or `transfer_call`")
    act = acts[0]
    if isinstance(act, TransferCall) and act.destination not in destinations:
        raise ValueError("`then.transfer_call.destination` is no configured destination")
    return act


def _text(result: dict[str, object]) -> str:
    return msgspec.json.encode(result).decode()
