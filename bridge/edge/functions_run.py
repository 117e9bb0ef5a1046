"""What the runner and the kinds of functions share: a run that is asked for, and the ways in which it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.call.plan import CallInfo
    from bridge.settings import Function, Json

MAX_ARGUMENTS_BYTES = 8_192
"""Longest arguments of a run, as JSON: minutes of speech, and validated before the next frame is due."""
MAX_RESULT_BYTES = 65_536
"""Longest result, as JSON."""
FLAWS_TOLD = 3
"""What the model is told at most about wrong arguments."""
_LONGEST_FLAW = 200

Reason = Literal[
    "unknown",
    "busy",
    "invalid_arguments",
    "timed_out",
    "unreachable",
    "refused_address",
    "redirected",
    "status",
    "too_large",
    "not_json",
    "raised",
]


@dataclass(frozen=True, slots=True, repr=False)
class Invocation:
    """One run of a function. Has no `repr`: what it holds is no business of a log."""

    call: CallInfo
    """With its `idempotency_key`."""
    arguments: Mapping[str, object]
    """The model's; not validated yet."""
    secrets: Mapping[str, object]
    """What only the function may see; goes over the arguments."""


class Runnable(Protocol):
    """A function that can be run."""

    schema: Json
    """JSON Schema of the arguments the model gives."""

    async def run(self, invocation: Invocation) -> str:
        """The result as JSON text of at most `MAX_RESULT_BYTES`; raises FunctionFailedError. May be cancelled."""


class FunctionFailedError(BridgeError):
    """A function has no result.

    Args:
        reason: for logs and metrics.
        message: one sentence, for the model.
        detail: for the log: a class, a status; never a number, a word or a secret of the call's.
    """

    def __init__(self, reason: Reason, message: str, *, detail: str = "") -> None:
        self.reason: Reason = reason
        self.message = message
        self.detail = detail
        super().__init__(message)

    @property
    def output(self) -> str:
        """What the model is told, as JSON text."""
        return msgspec.json.encode({"error": self.message}).decode()


def invalid_arguments(flaws: Iterable[tuple[Iterable[object], str]]) -> FunctionFailedError:
    """The model's arguments do not fit: `flaws` are where and what, in the words of whoever validated them."""
    told = [": ".join((*_dotted(path), what))[:_LONGEST_FLAW] for path, what in flaws]
    return FunctionFailedError("invalid_arguments", f"the arguments are wrong: {'; '.join(told)}")


def _dotted(path: Iterable[object]) -> tuple[str, ...]:
    """The place as one text; none for the arguments as a whole."""
    return tuple(filter(None, (".".join(map(str, path)),)))


def too_large() -> FunctionFailedError:
    """There is a result, and it is more than a model should read."""
    return FunctionFailedError("too_large", f"the function's result is longer than {MAX_RESULT_BYTES} bytes")


def not_json(detail: str) -> FunctionFailedError:
    """There is a result that cannot be told to a model."""
    return FunctionFailedError("not_json", "the function's result is not JSON", detail=detail)


def without_secret(schema: Json, function: Function) -> Json:
    """A schema of arguments as the model may see it: without the one that is collected from the caller."""
    if function.collect is None:
        return schema
    secret = function.collect.argument
    seen = dict(schema)
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, dict):
        seen["properties"] = {name: value for name, value in properties.items() if name != secret}
    if isinstance(required, list):
        seen["required"] = [name for name in required if name != secret]
    return seen
