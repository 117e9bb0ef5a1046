"""Client events that are not accepted, and the words in which the server says so.

Codes and sentences are those of the Realtime API where they are known (protocol reference, section 9; the rest from the
wording its users report); `docs/rehearsal-model.md` has the table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

ErrorType = Literal["invalid_request_error", "server_error"]

_URGENCY = {"missing": 1, "union_tag_not_found": 1, "extra_forbidden": 2}
"""Which fault of several is told: a wrong `type`, then what is missing, then what is unknown, then what is wrong."""

_ABSENT = object()

_EXPECTED = {
    "string": "a string",
    "int": "an integer",
    "float": "a decimal",
    "bool": "a boolean",
    "list": "an array",
    "dict": "an object",
    "model_attributes": "an object",
    "model": "an object",
}


class Refusal(Exception):  # noqa: N818 - an answer to the client, not a fault of ours
    """A client event that is not carried out; nothing of it has been applied.

    Args:
        code: the machine's word for it, such as `unknown_parameter`.
        message: the sentence for a human.
        param: the dotted path of the field at fault, such as `session.tools[0].name`.
        error_type: `server_error` where the fault is not the client's.
    """

    def __init__(
        self, code: str, message: str, *, param: str | None = None, error_type: ErrorType = "invalid_request_error"
    ) -> None:
        self.code = code
        self.message = message
        self.param = param
        self.error_type = error_type
        super().__init__(message)

    def payload(self, event_id: str | None) -> dict[str, object]:
        """Return the `error` object of the `error` event; `event_id` is the client's own, if it gave one."""
        return {
            "type": self.error_type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": event_id,
        }


def missing(param: str) -> Refusal:
    """Refuse an event without a field it must have."""
    return Refusal("missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)


def unknown(param: str) -> Refusal:
    """Refuse a field that does not exist there; the whole event is refused with it."""
    return Refusal("unknown_parameter", f"Unknown parameter: '{param}'.", param=param)


def unsupported(value: object, supported: Iterable[str], *, param: str) -> Refusal:
    """Refuse a value that is none of those supported."""
    return Refusal(
        "invalid_value", f"Invalid value: '{value}'. Supported values are: {listed(supported)}.", param=param
    )


def wrong(message: str, *, param: str | None = None) -> Refusal:
    """Refuse a value that is wrong for the reason given."""
    return Refusal("invalid_value", message, param=param)


def not_an_event(message: str) -> Refusal:
    """Refuse a message that is no event at all."""
    return Refusal("invalid_event", message)


def listed(values: Iterable[str]) -> str:
    """Write values as the API does: `'a', 'b', and 'c'`."""
    quoted = [f"'{value}'" for value in values]
    *others, last = quoted
    if len(others) < 2:  # noqa: PLR2004 - two words need no commas
        return " and ".join(quoted)
    return ", ".join(others) + f", and {last}"


def from_validation(error: ValidationError, data: object) -> Refusal:
    """Turn pydantic's finding about the event `data` into the refusal a client would get from the real server."""
    faults = error.errors(include_url=False)
    fault = min(faults, key=_urgency)
    param = _path(fault, data)
    kind = fault["type"]
    if kind == "missing":
        return missing(param)
    if kind == "extra_forbidden":
        return unknown(param)
    context = fault.get("ctx", {})
    if kind == "literal_error":
        return unsupported(fault["input"], _words(context["expected"]), param=param)
    tagged = dotted([param, *_words(context.get("discriminator"))])
    if kind == "union_tag_not_found":
        return missing(tagged)
    if kind == "union_tag_invalid":
        return unsupported(context["tag"], _words(context["expected_tags"]), param=tagged)
    return _measured(fault, param) or _mistyped(fault, param)


def _urgency(fault: ErrorDetails) -> int:
    if fault["type"] == "literal_error" and fault["loc"][-1] == "type":
        return 0
    return _URGENCY.get(fault["type"], 3)


def _words(text: object) -> list[str]:
    """Return the words, and numbers, of a list in one of pydantic's messages: `'a', 'b' or 'c'`."""
    return [quoted or number for quoted, number in re.findall(r"'([^']*)'|(\d+)", str(text))]


def _measured(fault: ErrorDetails, param: str) -> Refusal | None:
    """Refuse a value outside its range, or return None where the fault is another."""
    context, value = fault.get("ctx", {}), fault["input"]
    number = "decimal" if isinstance(context.get("ge", context.get("le")), float) else "integer"
    match fault["type"]:
        case "greater_than_equal":
            code, sides = f"{number}_below_min_value", f"below minimum value. Expected a value >= {context['ge']}"
        case "less_than_equal":
            code, sides = f"{number}_above_max_value", f"above maximum value. Expected a value <= {context['le']}"
        case "string_too_long":
            limit = context["max_length"]
            return Refusal(
                "string_above_max_length",
                f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, "
                f"but got a string with length {len(str(value))} instead.",
                param=param,
            )
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            return wrong(f"Invalid '{param}': expected a string that matches '{pattern}'.", param=param)
        case "too_long" | "dict_too_long":
            limit, got = context["max_length"], context["actual_length"]
            kind = "object" if isinstance(value, dict) else "array"
            return Refusal(
                f"{kind}_above_max_length",
                f"Invalid '{param}': expected at most {limit} entries, not {got}.",
                param=param,
            )
        case "value_error":
            return wrong(str(context["error"]), param=param)
        case _:
            return None
    return Refusal(code, f"Invalid '{param}': {number} {sides}, but got {value} instead.", param=param)


def _mistyped(fault: ErrorDetails, param: str) -> Refusal:
    """Refuse a value of the wrong JSON type."""
    expected = _EXPECTED.get(fault["type"].removesuffix("_type").removesuffix("_parsing"), "another value")
    got = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal", list: "an array"}.get(
        type(fault["input"]), "null" if fault["input"] is None else "an object"
    )
    return Refusal(
        "invalid_type", f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param=param
    )


def _path(fault: ErrorDetails, data: object) -> str:
    """Write pydantic's location as the API does; the branches of unions, which are in it, are no part of the data."""
    return dotted(_steps(fault["loc"], data, keep_last=fault["type"] in {"missing", "extra_forbidden"}))


def _steps(loc: Sequence[int | str], data: object, *, keep_last: bool) -> list[int | str]:
    steps: list[int | str] = []
    for index, step in enumerate(loc):
        is_tag = isinstance(data, dict) and step == data.get("type") and index < len(loc) - 1
        child = _ABSENT if is_tag else _child(data, step)
        if child is not _ABSENT:
            data = child
        elif not (keep_last and index == len(loc) - 1):
            continue
        steps.append(step)
    return steps


def _child(data: object, step: int | str) -> object:
    match data, step:
        case list(), int():
            return data[step]
        case dict(), _:
            return data.get(step, _ABSENT)
        case _:
            return _ABSENT


def dotted(steps: Iterable[int | str]) -> str:
    """Write a path as the API does: `session.tools[2].meta`."""
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path and step else step
    return path
