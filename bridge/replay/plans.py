"""The plan a call went by, from the header of its tape; and the one it would have gone by under other settings."""

from __future__ import annotations

from collections import abc
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel, ValidationError

from bridge import settings as all_settings
from bridge.call.plan import Plan
from bridge.settings import Agent
from bridge.wire.tape import TapeError

if TYPE_CHECKING:
    from bridge.settings import Settings
    from bridge.wire.tape import Header

_UNKNOWN = Plan(call_sid="", agent=Agent(name="unknown"), dialect="ga")
"""Of a tape that another program made: an agent that is as little special as can be."""


def plan_of(header: Header) -> Plan:
    """The plan in a tape's header: defaults for what it does not say, and nothing of what this version does not know.

    Raises TapeError when a value cannot be one of the plan's.
    """
    try:
        fields = _known(Plan, header.plan)
    except (TypeError, msgspec.ValidationError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first is not None else str(error)
        raise TapeError(f"the tape's plan is damaged: {what}") from error
    return msgspec.structs.replace(_UNKNOWN, **fields)


def plan_under(plan: Plan, settings: Settings) -> Plan:
    """The plan as it would have been under other settings: the agent of that name, or the first one, and the limits.

    The words of instructions and greeting stay those of the tape where the new agent has any: on the tape their
    variables are filled in.
    """
    agent = settings.agents.get(plan.agent.name) or next(iter(settings.agents.values()))
    words = {
        key: getattr(plan.agent, key)
        for key in ("instructions", "greeting_message")
        if getattr(agent, key) and getattr(plan.agent, key)
    }
    functions = plan.functions & settings.functions.keys() & set(agent.tools)
    return msgspec.structs.replace(
        plan,
        agent=agent.model_copy(update=words),
        functions=functions,
        max_call_s=settings.limits.max_call_s,
        warn_before_s=settings.limits.warn_before_s,
        max_cost=settings.limits.max_cost,
        claim_within_s=settings.limits.token_ttl_s,
    )


def _known(kind: type[msgspec.Struct], values: dict[str, object]) -> dict[str, object]:
    """The fields of a struct that it knows."""
    hints = _hints_of(kind)
    return {name: _made(hints[name], value) for name, value in values.items() if name in hints}


@cache
def _hints_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Its annotations, which may name what its module imports for them alone."""
    return get_type_hints(kind, localns=vars(abc) | vars(all_settings))


def _made(hint: object, value: object) -> object:
    """A value from a tape as what its annotation says."""
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _tolerant(hint, value)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and isinstance(value, dict):
        return hint(**_known(hint, value))
    if isinstance(origin, type) and issubclass(origin, abc.Mapping) and isinstance(value, dict):
        return {key: _made(inner[1], own) for key, own in value.items()}
    if origin is tuple and isinstance(value, list):
        return tuple(_made(inner[0], own) for own in value)
    return value if hint is object else msgspec.convert(value, hint)


def _tolerant(kind: type[BaseModel], value: object) -> BaseModel:
    """A settings model from a tape: keys of a newer version are left out, at any depth."""
    while True:
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            unknown = [found["loc"] for found in error.errors() if found["type"] == "extra_forbidden"]
            known = _without(value, unknown)
            if known == value:  # nothing is unknown, or it stands where it cannot be left out
                raise
            value = known


def _without(tree: object, places: list[tuple[int | str, ...]]) -> object:
    """A JSON object without what stands at some places."""
    if not isinstance(tree, dict):
        return tree
    gone = {place[0] for place in places if len(place) == 1}
    below = {key: [place[1:] for place in places if place[0] == key and len(place) > 1] for key in tree}
    return {key: _without(value, below[key]) if below[key] else value for key, value in tree.items() if key not in gone}
