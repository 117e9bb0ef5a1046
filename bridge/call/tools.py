"""What the model may do, as tools of a Realtime session: the built-in functions, the operator's own, and MCP servers.

Source: `openai.types.realtime.RealtimeFunctionTool` and `RealtimeToolsConfigUnion.Mcp` of the `openai` package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.settings import model_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.settings import Agent, Destination, Function, Json, Mcp, Settings

NO_ARGUMENTS: Json = {"type": "object", "properties": {}}
"""Schema of a function that takes none."""
KEYED_IN = "The caller is asked by the phone system to key in the digits this needs: never ask for them yourself."

END_CALL: Json = {
    "type": "function",
    "name": "end_call",
    "description": (
        "End the phone call. Say goodbye first, in the same response. "
        "The call ends when the goodbye was heard, unless the caller goes on speaking."
    ),
    "parameters": {
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why the call ends, in a few words."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
}
SEND_DIGITS: Json = {
    "type": "function",
    "name": "send_digits",
    "description": (
        "Press keys on the phone, for a menu or an extension at the far end. "
        "The conversation goes on when they were sent."
    ),
    "parameters": {
        "type": "object",
        "properties": {
            "digits": {
                "type": "string",
                "pattern": "^[0-9*#w]{1,64}$",
                "description": "The keys in order: 0 to 9, * and #; w waits for half a second.",
            }
        },
        "required": ["digits"],
        "additionalProperties": False,
    },
}


def tools_of(
    agent: Agent, settings: Settings, schemas: Mapping[str, Json], *, caller_by_sip: bool = False
) -> tuple[Json, ...]:
    """The tools of an agent, in the order of its configuration; those that could not be carried out are left out.

    Args:
        agent: names them.
        settings: what they stand for.
        schemas: of the operator's functions, from whoever runs them.
        caller_by_sip: whether the caller can be handed over by *refer*.

    An MCP tool bears the operator's token: what is returned goes to the model's server and nowhere else.
    """
    is_ga = model_for(settings.model, agent).dialect == "ga"
    tools: list[Json] = []
    if agent.hand_over_to:
        tools.append(_hand_over(agent.hand_over_to))
    for name in agent.tools:
        if name == "end_call":
            tools.append(END_CALL)
        elif name == "send_digits":
            tools.append(SEND_DIGITS)
        elif name == "transfer_call":
            tools.extend(_transfer_call(settings.destinations, caller_by_sip=caller_by_sip))
        elif name in settings.functions:
            tools.append(_function(settings.functions[name], schemas.get(name, NO_ARGUMENTS)))
        elif name in settings.mcp and is_ga:
            tools.append(_mcp(settings.mcp[name]))
    return tuple(tools)


def _transfer_call(destinations: Mapping[str, Destination], *, caller_by_sip: bool) -> list[Json]:
    """The tool, if there is anywhere to transfer to."""
    reachable = {name: one for name, one in destinations.items() if caller_by_sip or one.kind != "refer"}
    if not reachable:
        return []
    places = "; ".join(f"{name}: {one.description}" if one.description else name for name, one in reachable.items())
    properties = {
        "destination": {"type": "string", "enum": list(reachable), "description": places},
        "summary": {
            "type": "string",
            "description": "For the human who takes over: who calls and what about, in one or two sentences.",
        },
    }
    return [
        {
            "type": "function",
            "name": "transfer_call",
            "description": (
                "Hand the call over to a human. The caller is told first; "
                "if nobody takes it, the call comes back and you are told why."
            ),
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        }
    ]


def _hand_over(names: Sequence[str]) -> Json:
    """Another agent goes on with the conversation, in the same call."""
    return {
        "type": "function",
        "name": "hand_over",
        "description": "Hand the conversation to another agent, who goes on with it at once.",
        "parameters": {
            "type": "object",
            "properties": {"agent": {"type": "string", "enum": list(names), "description": "Who goes on."}},
            "required": ["agent"],
            "additionalProperties": False,
        },
    }


def _function(function: Function, schema: Json) -> Json:
    description = function.description
    if function.collect is not None:
        description = f"{description} {KEYED_IN}".lstrip()
    return {"type": "function", "name": function.name, "description": description, "parameters": schema}


def _mcp(server: Mcp) -> Json:
    tool: Json = {
        "type": "mcp",
        "server_label": server.name,
        "server_url": server.server_url,
        "connector_id": server.connector_id,
        "server_description": server.description,
        "authorization": server.authorization.get_secret_value(),
        "headers": {name: value.get_secret_value() for name, value in server.headers.items()},
        "allowed_tools": list(server.allowed_tools),
    }
    # nobody is there to approve: a caller cannot see what the model asks for
    return {key: value for key, value in tool.items() if value} | {"require_approval": "never"}
