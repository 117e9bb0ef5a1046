"""From a TOML file and the environment to settings, or to every problem there is, each with its key and its place.

`load` is the only way in. It reads the file, lays the environment over it (`bridge.environment`), fetches secrets and
instructions from the files that are named, understands pasted vocabularies (`bridge.vocabulary`), checks every value
(`bridge.settings`) and every combination (`bridge.crosschecks`).
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bridge.configuration import checks, environment
from bridge.configuration.keys import annotation_at, dotted, is_secret
from bridge.configuration.validation import explain
from bridge.configuration.vocabulary import canonical
from bridge.errors import ConfigurationError
from bridge.settings import Json, Notice, Settings, Twiml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.configuration import keys

_LONGEST_FILE_BYTES = 1_048_576
_PATHS = {("fallback", "hold_clip"), ("tape", "directory"), ("rehearsal", "dialogue")} | {
    ("twiml", key) for key in Twiml.model_fields
}


@dataclass(frozen=True)
class Loaded:
    """What `load` found."""

    settings: Settings
    warnings: tuple[Notice, ...]
    """What is accepted but does not do all it says: to be shown at start."""
    sources: dict[str, str]
    """Which file or environment variable says a key; keys that are not here have their default."""


class ConfigurationErrors(ConfigurationError):  # noqa: N818, the plural of its base
    """Everything that is wrong with a configuration; as text, a line for each problem."""

    def __init__(self, problems: tuple[ConfigurationError, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the configuration.

    Args:
        path: the TOML file; None: there is none, and with an empty environment the embedded model answers on loopback.
        environ: the environment variables.

    Raises:
        ConfigurationErrors: with all that is wrong with the values; when they are right, with all wrong combinations.
    """
    reader = _Reader(path, environ)
    settings = reader.settings(reader.tree())
    reader.stop_at_problems()
    for found in checks.problems(settings):
        reader.problem(found.path, found.message)
    reader.stop_at_problems()
    for found in checks.notices(settings):
        reader.notice(found.path, found.message)
    sources = {dotted(path): source for path, source in reader.sources.items()}
    return Loaded(settings, tuple(reader.notices), sources)


class _Reader:
    """One reading of a configuration: gathers problems, and remembers where each value stood."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self.path = path
        self.environ = environ
        self.problems: list[ConfigurationError] = []
        self.notices: list[Notice] = []
        self.sources: dict[keys.Path, str] = {}
        self._written: dict[keys.Path, keys.Path] = {}

    def problem(self, path: keys.Path, message: str) -> None:
        """Note what is wrong with the value at a path."""
        written = self._as_written(path)
        self.problems.append(ConfigurationError(message, key=dotted(written), source=self._source(written)))

    def notice(self, path: keys.Path, message: str) -> None:
        """Note what should be known of the value at a path."""
        self.notices.append(Notice(dotted(self._as_written(path)), message))

    def stop_at_problems(self) -> None:
        if self.problems:
            raise ConfigurationErrors(tuple(self.problems))

    # --- reading ---

    def tree(self) -> Json:
        """Everything that was written, in the form of the settings' models."""
        file = self._file()
        layer = environment.read(self.environ, file)
        self.sources = dict.fromkeys(_leaves(file, ()), self._name) | layer.sources
        here = self.path.parent if self.path else Path()
        tree = environment.merged(self._settled(file, (), here), self._settled(layer.tree, (), Path()))
        return self._lines(self._agents(tree))

    @property
    def _name(self) -> str:
        return str(self.path) if self.path else ""

    def _file(self) -> Json:
        if self.path is None:
            return {}
        try:
            return tomllib.loads(self.path.read_bytes().decode())
        except FileNotFoundError:
            message = "there is no such file: name one with --config, or copy bridge.example.toml"
        except (OSError, UnicodeDecodeError) as error:
            message = f"cannot be read: {_reason(error)}"
        except tomllib.TOMLDecodeError as error:
            message = f"is not TOML: {error}"
        raise ConfigurationErrors((ConfigurationError(message, source=self._name),))

    def _settled(self, table: Json, path: keys.Path, base: Path) -> Json:
        """A layer with paths relative to `base`, and with what files of secrets and instructions hold."""
        settled: Json = {}
        for key, value in table.items():
            place = (*path, key)
            if isinstance(value, dict):
                settled[key] = self._settled(value, place, base)
            elif place in _PATHS and isinstance(value, str):
                settled[key] = str(base / value)
            elif (held := key.removesuffix("_file")) != key and _may_be_a_file((*path, held)):
                self._fetch(settled, table, place, base)
            else:
                settled[key] = value
        return settled

    def _fetch(self, settled: Json, table: Json, place: keys.Path, base: Path) -> None:
        """Put what a file holds where its text belongs."""
        *_, key = place
        held = key.removesuffix("_file")
        name = table[key]
        if held in table:
            self.problem(place, f"is given beside {held}: leave one of them out")
        elif not isinstance(name, str) or not name:
            self.problem(place, "must be the path of a file")
        else:
            settled[held] = self._text(place, base / name)
            self._written[(*place[:-1], held)] = place

    def _text(self, place: keys.Path, path: Path) -> str:
        """The text of a file, without the line break at its end."""
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST_FILE_BYTES + 1).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            self.problem(place, f"names a file that cannot be read: {_reason(error)}")
            return ""
        if not text or len(text) > _LONGEST_FILE_BYTES:
            self.problem(place, "names a file that is empty" if not text else "names a file of more than 1 MiB")
        return text

    # --- forms ---

    def _agents(self, tree: Json) -> Json:
        """The tree with every agent's table in our own vocabulary."""
        agents = tree.get("agents")
        if not isinstance(agents, dict):
            return tree
        return tree | {"agents": {name: self._agent(name, table) for name, table in agents.items()}}

    def _agent(self, name: str, table: object) -> object:
        if not isinstance(table, dict):
            return table
        made = canonical(table)
        place = ("agents", name)
        self._written |= {(*place, *here): (*place, *written) for here, written in made.written.items()}
        for problem in made.problems:
            self.problem((*place, *problem.key.split(".")), problem.message)
        for found in made.notices:
            self.notice((*place, *found.key.split(".")), found.message)
        return made.table

    def _lines(self, tree: Json) -> Json:
        """The tree with every line as a table; an only agent needs no line to be called."""
        lines = tree.get("lines")
        agents = tree.get("agents")
        if lines is None and isinstance(agents, dict) and agents:
            first = next(iter(agents))
            lines = {"default": first}
            if len(agents) > 1:
                self.problem(("lines",), f"is missing: say who answers, for example default = {json.dumps(first)}")
        if not isinstance(lines, dict):
            return tree
        named = {key: line for key, line in lines.items() if isinstance(line, str)}
        self._written |= {("lines", key, "agent"): ("lines", key) for key in named}
        return tree | {"lines": lines | {key: {"agent": agent} for key, agent in named.items()}}

    def settings(self, tree: Json) -> Settings:
        """The settings of a tree; `Settings()` and problems noted when it is wrong."""
        for table in ("agents", "functions", "mcp", "destinations"):
            entries = tree.get(table)
            for name, entry in entries.items() if isinstance(entries, dict) else ():
                if isinstance(entry, dict) and "name" in entry:
                    self.problem((table, name, "name"), f"unknown key: the name is the table's own, {name}")
        try:
            return Settings.model_validate_json(json.dumps(tree, default=str), strict=True)
        except ValidationError as error:
            for path, message in explain(error, tree, self._variable):
                self.problem(path, message)
        return Settings()

    # --- places ---

    def _as_written(self, path: keys.Path) -> keys.Path:
        """Where a value stood before it was brought into our form."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._written:
                return self._written[path[:length]] + path[length:]
        return path

    def _source(self, path: keys.Path) -> str:
        """The environment variable that says a value or the table around it, else the file."""
        around = (path[:length] for length in range(len(path), 0, -1))
        return next((self.sources[place] for place in around if place in self.sources), self._name)

    def _variable(self, path: keys.Path) -> str:
        """The environment variable a path comes from, if it does."""
        source = self._source(self._as_written(path))
        return source if source in self.environ else ""


def _may_be_a_file(path: keys.Path) -> bool:
    """Whether a value may stand in a file of its own."""
    return is_secret(annotation_at(path)) or (path[0] == "agents" and path[-1] == "instructions" and len(path) == 3)  # noqa: PLR2004, agents.NAME.instructions


def _leaves(table: Json, path: keys.Path) -> Iterator[keys.Path]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def _reason(error: Exception) -> str:
    return error.strerror or "it fails" if isinstance(error, OSError) else "it is not UTF-8 text"
