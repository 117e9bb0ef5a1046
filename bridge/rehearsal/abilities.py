"""What a session's functions let the embedded model do, as topics: no dialogue file needs to mention them.

`transfer_call`, `end_call` and `send_digits` are the bridge's own (interface, section 4). Any other function is asked
for by the words of its name and description; the parameters it requires become slots, and what is missing is asked
for.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.rehearsal.dialogue import Topic
from bridge.rehearsal.domain import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.rehearsal.dialogue import Slot

Tool: TypeAlias = "Mapping[str, object]"
"""A function as the session has it: `name`, `description` and `parameters`, a JSON schema."""

_TRANSFER_PHRASES: Final = (
    "{} please",
    "put me through to {}",
    "please put me through to {}",
    "connect me to {}",
    "transfer me to {}",
    "I want to talk to {}",
    "I would like to speak to {}",
    "can I speak to {}",
)
_GOODBYE: Final = Topic(
    phrases=(
        "goodbye",
        "bye",
        "bye bye",
        "okay bye",
        "that is all thank you",
        "that is all thank you goodbye",
        "thank you goodbye",
        "please hang up",
    ),
    reply=("Thank you for calling. Goodbye.",),
    before="Thank you for calling. Goodbye.",
    function="end_call",
    arguments={"reason": "The caller said goodbye."},
    result="What else can I do for you?",
    failed="All right. What else can I do for you?",
)
_KEYS_PHRASES: Final = ("press {digits}", "please press {digits}", "send the digits {digits}")
_NUMBER_WORDS: Final = frozenset({"number", "id", "code", "pin", "digits", "phone", "zip", "postcode"})


def name_of(tool: Tool) -> str:
    """Return a function's name."""
    return str(tool.get("name", ""))


def topics(tools: Iterable[Tool], *, known: Iterable[str]) -> tuple[dict[str, Topic], dict[str, Slot]]:
    """Return topics for the functions that are not `known` to the dialogue, and the slots of their phrases.

    A goodbye is always understood, also where there is no `end_call`.
    """
    known = frozenset(known)
    made: dict[str, Topic] = {} if "end_call" in known else {"goodbye": _GOODBYE}
    slots: dict[str, Slot] = {}
    for tool in tools:
        match name_of(tool):
            case name if name in known or name == "end_call":
                pass
            case "transfer_call":
                destinations = _enum(_properties(tool).get("destination", {}))
                made |= {f"transfer:{each}": _transfer(each) for each in destinations}
            case "send_digits":
                made["send_digits"] = _send_digits()
                slots["digits"] = "digits"
            case name:
                made[name], more = _other(tool)
                slots |= more
    return made, slots


def typed(tool: Tool, arguments: Mapping[str, object]) -> dict[str, object]:
    """Give arguments, which are text where they were heard, the types that a function's schema asks for."""
    properties = _properties(tool)
    return {name: _typed(value, properties.get(name, {})) for name, value in arguments.items()}


def invented(tool: Tool, said: str) -> dict[str, object]:
    """Return arguments for a function that must be called although nobody asked for it."""
    properties = _properties(tool)
    return {name: _invented(properties.get(name, {}), said) for name in _required(tool)}


def _transfer(destination: str) -> Topic:
    spoken = destination.replace("_", " ").replace("-", " ")
    return Topic(
        phrases=tuple(phrase.format(spoken) for phrase in _TRANSFER_PHRASES),
        function="transfer_call",
        arguments={"destination": destination, "summary": "The caller said: {said}."},
        result=f"You are being put through to {spoken}.",
        failed=f"I am sorry, I could not put you through to {spoken}. Can I help you instead?",
    )


def _send_digits() -> Topic:
    return Topic(
        phrases=_KEYS_PHRASES,
        function="send_digits",
        arguments={"digits": "{digits}"},
        result="I have pressed {digits}.",
    )


def _other(tool: Tool) -> tuple[Topic, dict[str, Slot]]:
    name, description = name_of(tool), str(tool.get("description") or "")
    properties = _properties(tool)
    slots: dict[str, Slot] = {}
    arguments: dict[str, str | int | float | bool] = {}
    ask: dict[str, str] = {}
    for each in _required(tool):
        kind = _slot(each, properties.get(each, {}))
        slot = f"{name}_{each}" if kind else "said"
        arguments[each] = f"{{{slot}}}"
        if kind:
            slots[slot] = kind
            ask[slot] = f"Please tell me the {' '.join(words(each.replace('_', ' ')))}."
    phrases = tuple(text for text in (name.replace("_", " "), description) if words(text))
    return Topic(phrases=phrases or (name,), function=name, arguments=arguments, ask=ask), slots


def _slot(name: str, schema: Mapping[str, object]) -> Slot | None:
    """Return what may be said for a parameter; None where it is free text."""
    if choices := _enum(schema):
        return {choice.replace("_", " "): choice for choice in choices}
    match schema.get("type"):
        case "boolean":
            return {"yes": "true", "no": "false"}
        case "integer" | "number":
            return "digits"
        case _:
            described = words(f"{name} {schema.get('description', '')}".replace("_", " "))
            return "digits" if _NUMBER_WORDS.intersection(described) else None


def _typed(value: object, schema: Mapping[str, object]) -> object:
    if not isinstance(value, str):
        return value
    with contextlib.suppress(ValueError):  # what is no number stays what was heard, and the function says what is wrong
        match schema.get("type"):
            case "integer":
                return int(value)
            case "number":
                return float(value)
            case "boolean":
                return value == "true"
    return value


def _invented(schema: Mapping[str, object], said: str) -> object:
    if choices := _enum(schema):
        return choices[0]
    return {"boolean": False, "integer": 0, "number": 0, "array": [], "object": {}}.get(str(schema.get("type")), said)


def _properties(tool: Tool) -> Mapping[str, Mapping[str, object]]:
    parameters = tool.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: schema for name, schema in properties.items() if isinstance(schema, dict)}


def _required(tool: Tool) -> Sequence[str]:
    parameters = tool.get("parameters")
    required = parameters.get("required") if isinstance(parameters, dict) else None
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _enum(schema: Mapping[str, object]) -> list[str]:
    values = schema.get("enum")
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
