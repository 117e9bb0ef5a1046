"""Whether what settings name is there and fits: agents, their tools, functions, lines and destinations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from bridge import template
from bridge.call.lines import BlockList, Hours
from bridge.configuration import modules
from bridge.configuration.keys import Path, Problem, nearest
from bridge.errors import ConfigurationError
from bridge.holding import hold_clip
from bridge.settings import BUILT_IN_TOOLS, E164, NamedFunction, NamedMcp, model_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path as FilePath

    from bridge.settings import Agent, Destination, Function, Line, Mcp, Settings

_NO_DESTINATIONS = ("return", "hang_up")


def problems(settings: Settings) -> Iterator[Problem]:
    """Every name that stands for nothing, and every entry that contradicts itself."""
    yield from _agents(settings)
    yield from _functions(settings)
    yield from _lines(settings)
    yield from _destinations(settings)
    yield from _circles(settings)
    yield from _files(settings)
    yield from _prices(settings)


def _agents(settings: Settings) -> Iterator[Problem]:
    if not settings.agents:
        yield Problem(("agents",), "holds nobody: somebody must answer, write [agents.reception]")
    for name, agent in settings.agents.items():
        for found in (
            *_agent(agent),
            *_tools(settings, agent),
            *_colleagues(settings, name, agent),
            *_placeholders(settings, agent),
        ):
            yield Problem(("agents", name, *found.path), found.message)


def _colleagues(settings: Settings, name: str, agent: Agent) -> Iterator[Problem]:
    others = [other for other in settings.agents if other != name]
    for at, other in enumerate(agent.hand_over_to):
        if other not in others:
            yield Problem(("hand_over_to", str(at)), _unknown(other, others, "other agent in [agents]"))


def _agent(agent: Agent) -> Iterator[Problem]:
    if "audio" not in agent.output_modalities:
        yield Problem(("output_modalities",), "must contain audio: a caller cannot read")
    if "audio" not in agent.input_modalities:
        yield Problem(("input_modalities",), "must contain audio: a caller cannot write")
    for at, message in enumerate(agent.messages):
        if not message.content.strip():
            yield Problem(("messages", str(at), "content"), "is empty: leave the message out")


def _tools(settings: Settings, agent: Agent) -> Iterator[Problem]:
    known = [*BUILT_IN_TOOLS, *settings.functions, *settings.mcp]
    for at, tool in enumerate(agent.tools):
        if tool not in known:
            yield Problem(("tools", str(at)), _unknown(tool, known, "tool: built in or in [functions] or [mcp]"))
        elif tool in agent.tools[:at]:
            yield Problem(("tools", str(at)), f"names {tool} again: leave it out")
    choice = agent.tool_choice
    if isinstance(choice, NamedFunction) and choice.name not in agent.tools:
        yield Problem(("tool_choice", "name"), _unknown(choice.name, agent.tools, "tool of this agent"))
    if isinstance(choice, NamedMcp) and choice.server_label not in agent.tools:
        yield Problem(("tool_choice", "server_label"), _unknown(choice.server_label, agent.tools, "tool of this agent"))
    if agent.before_call and agent.before_call not in settings.functions:
        yield Problem(("before_call",), _unknown(agent.before_call, settings.functions, "function of [functions]"))


def _placeholders(settings: Settings, agent: Agent) -> Iterator[Problem]:
    if agent.before_call in settings.functions:
        return
    for key, text in (("instructions", agent.instructions), ("greeting_message", agent.greeting_message)):
        for name in sorted(template.names(text) - template.CALL_NAMES):
            way_out = f"write {{{{{name}}}}} for the word in braces, or name a before_call function that returns it"
            yield Problem((key,), f"leaves {{{name}}} open, which nobody fills in: {way_out}")


def _unknown(name: str, known: Iterable[str], kind: str) -> str:
    """That a name stands for nothing, and which may have been meant."""
    known = list(known)
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"there is {', '.join(known)}" if known else "there is none yet"
    return f"{name!r} is no {kind}: {hint}"


def _functions(settings: Settings) -> Iterator[Problem]:
    for name, function in settings.functions.items():
        for key, message in (*_name(name, (*BUILT_IN_TOOLS, *settings.mcp)), *_function(function)):
            yield Problem(("functions", name, *key), message)
    for name, server in settings.mcp.items():
        for key, message in (*_name(name, BUILT_IN_TOOLS), *_mcp(server)):
            yield Problem(("mcp", name, *key), message)


def _name(name: str, taken: Iterable[str]) -> Iterator[tuple[Path, str]]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        yield (), "must be named with letters, digits, _ and -, at most 64 of them, or the model refuses it"
    elif name in taken:
        yield (), "has the name of another tool: rename it"


def _function(function: Function) -> Iterator[tuple[Path, str]]:
    if bool(function.url) == bool(function.python):
        yield (), "needs either url or python" + (", not both" if function.url else "")
    module = function.python.partition(":")[0]
    if module and not modules.is_there(module):
        yield ("python",), f"names the module {module}, which is not there: install it, or put its folder on PYTHONPATH"
    if function.secret.get_secret_value() and function.python:
        yield ("secret",), "signs requests, and a Python function gets none: leave it out"
    if function.collect is not None and function.collect.min_digits > function.collect.max_digits:
        yield ("collect", "min_digits"), "must not be more than max_digits"
    if function.parameters and function.parameters.get("type") != "object":
        yield ("parameters", "type"), "must be 'object': the model passes arguments by name"
        return
    try:
        Draft202012Validator.check_schema(function.parameters)
    except SchemaError as error:
        yield ("parameters", *(str(part) for part in error.path)), "is not JSON Schema"


def _mcp(server: Mcp) -> Iterator[tuple[Path, str]]:
    if bool(server.server_url) == bool(server.connector_id):
        yield (), "needs either server_url or connector_id" + (", not both" if server.server_url else "")


def _lines(settings: Settings) -> Iterator[Problem]:
    for key, line in settings.lines.items():
        if key != "default" and not E164.fullmatch(key):
            yield Problem(("lines", key), "must be default or a number in E.164 form, such as +15551230000")
        if line.agent not in settings.agents:
            yield Problem(("lines", key, "agent"), _unknown(line.agent, settings.agents, "agent"))
        for field, message in _line(line):
            yield Problem(("lines", key, field), message)


def _line(line: Line) -> Iterator[tuple[str, str]]:
    try:
        if line.hours:
            Hours.parse(line.hours)
    except ValueError as error:
        yield "hours", str(error)
    try:
        BlockList.parse(line.block)
    except ValueError as error:
        yield "block", str(error)


def _destinations(settings: Settings) -> Iterator[Problem]:
    fallback = settings.fallback.destination
    if fallback and fallback not in settings.destinations:
        yield Problem(("fallback", "destination"), _unknown(fallback, settings.destinations, "destination"))
    for name, destination in settings.destinations.items():
        for key, message in (*_destination(destination), *_on_failure(settings, destination)):
            yield Problem(("destinations", name, *key), message)


def _destination(destination: Destination) -> Iterator[tuple[Path, str]]:
    kind, to = destination.kind, destination.to
    if destination.name in _NO_DESTINATIONS:
        yield (), f"cannot be named {destination.name}: on_failure has that word for something else"
    if not to:
        yield ("to",), "is empty: nobody can be reached"
    if kind == "refer" and not to.startswith("sip:"):
        yield ("kind",), "can be refer only for a sip: destination; use cold"
    if kind == "refer" and destination.whisper:
        yield ("whisper",), "is impossible with refer: the call leaves the bridge; use cold or warm"
    if to.startswith("queue:"):
        if kind != "cold":
            yield ("kind",), "must be cold for a queue"
        for key in sorted({"timeout_s", "whisper"} & destination.model_fields_set):
            if key == "timeout_s" or destination.whisper:
                yield (key,), "is impossible with a queue: leave it out"


def _on_failure(settings: Settings, destination: Destination) -> Iterator[tuple[Path, str]]:
    if destination.on_failure not in (*_NO_DESTINATIONS, *settings.destinations):
        others = (name for name in settings.destinations if name != destination.name)
        yield ("on_failure",), _unknown(destination.on_failure, (*_NO_DESTINATIONS, *others), "way to go on")


def _prices(settings: Settings) -> Iterator[Problem]:
    """A highest cost without a price is never reached."""
    if not settings.limits.max_cost:
        return
    for agent in settings.agents.values():
        name = model_for(settings.model, agent).name
        if name not in settings.prices:
            found = nearest(name, settings.prices)
            hint = f'; did you mean [prices."{name}"] by [prices."{found}"]?' if found else ""
            yield Problem(("limits", "max_cost"), f'needs what the model costs: write [prices."{name}"]{hint}')
            return


def _circles(settings: Settings) -> Iterator[Problem]:
    """Destinations that pass a caller round for ever, each circle once."""
    steps = {name: place for name, place in settings.destinations.items() if name not in _NO_DESTINATIONS}
    reported: set[str] = set()
    for name in steps:
        trail = [name]
        while (step := steps.get(trail[-1])) is not None and step.on_failure not in trail:
            trail.append(step.on_failure)
        if step is not None and step.on_failure == name and name not in reported:
            reported.update(trail)
            circle = " > ".join((*trail, name))
            yield Problem(
                ("destinations", name, "on_failure"), f"leads round in a circle: {circle}; end it with return"
            )


def _clip(file: FilePath, path: Path) -> Iterator[Problem]:
    try:
        hold_clip(file)
    except ConfigurationError as error:
        yield Problem(path, error.message)


def _files(settings: Settings) -> Iterator[Problem]:
    files = {
        ("fallback", "hold_clip"): settings.fallback.hold_clip,
        ("rehearsal", "dialogue"): settings.rehearsal.dialogue,
    }
    for path, file in files.items():
        if file is not None and not file.is_file():
            yield Problem(path, "names a file that is not there")
        elif file is not None and path[0] == "fallback":
            yield from _clip(file, path)
    if settings.tape.directory.exists() and not settings.tape.directory.is_dir():
        yield Problem(("tape", "directory"), "names a file: name a directory")
