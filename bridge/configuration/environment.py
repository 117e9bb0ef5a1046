"""Settings from environment variables: `BRIDGE_MODEL__URL` is `model.url`.

The prefix is `BRIDGE_`, two underscores stand between levels, and in the name of an agent or another entry of the file
an underscore may stand for a dash. Values are text; where the key takes something else they are read as JSON or TOML:
`8080`, `true`, `["audio"]`, `{type = "semantic_vad"}`. A variable that is empty counts as not set.
"""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from bridge.configuration.keys import Path, all_paths, annotation_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.settings import Json

PREFIX = "BRIDGE_"
USUAL_NAMES = {
    "TWILIO_ACCOUNT_SID": ("twilio", "account_sid"),
    "TWILIO_AUTH_TOKEN": ("twilio", "auth_token"),
}
"""Names that other programs use too; weaker than the bridge's own."""
OPENAI_KEY = "OPENAI_API_KEY"
"""Another of them, for those endpoints only that are OpenAI's: a key goes to nobody else."""


@dataclass
class Layer:
    """Settings from one place."""

    tree: Json = field(default_factory=dict)
    sources: dict[Path, str] = field(default_factory=dict)
    """Which variable said what."""


def read(environ: Mapping[str, str], file: Json) -> Layer:
    """The settings in the environment, as a tree like the file's; `file` tells how entries' names are spelled."""
    layer = Layer()
    for name, path in _usual(environ):
        _put(layer, path, environ[name], name)
    ours = [(_path(name, file), name) for name in environ if name.startswith(PREFIX) and environ[name]]
    for path, name in sorted(ours, key=lambda found: (len(found[0]), found[1])):  # tables before the keys in them
        _put(layer, path, typed(environ[name], annotation_at(path)), name)
    _give_openai_key(layer, environ, file)
    return layer


def variable(path: Path) -> str:
    """The name of the variable for a path."""
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in path)


def variables() -> list[str]:
    """The names of the variables for all keys that do not stand under an entry of the operator's own."""
    return [variable(path) for path in all_paths() if "NAME" not in path]


def typed(text: str, annotation: object) -> object:
    """A variable's text as a value of the type that belongs there; as it is when nothing fits, to be refused later."""
    if annotation is None:
        return next(_readings(text), text)
    adapter: TypeAdapter[object] = TypeAdapter(annotation)  # type: ignore[arg-type]  # a field's type, whatever it is
    for value in (text, *_readings(text)):
        try:
            adapter.validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError:
            continue
        return value
    return next(_readings(text), text)


def _readings(text: str) -> Iterator[object]:
    """What a text may mean: as JSON, as TOML, as a truth value in any case."""
    for candidate in (text, text.lower()):
        with suppress(ValueError, RecursionError):
            yield json.loads(candidate)
        with suppress(tomllib.TOMLDecodeError, RecursionError):
            yield tomllib.loads(f"value = {candidate}")["value"]


def _usual(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The usual names that are set, unless the bridge's own name for the same thing is."""
    for usual, (table, key) in USUAL_NAMES.items():
        own = variable((table, key))
        if not (environ.get(own) or environ.get(f"{own}_FILE")):
            yield from (
                (f"{usual}{end}", (table, key + end.lower())) for end in ("", "_FILE") if environ.get(usual + end)
            )


def _give_openai_key(layer: Layer, environ: Mapping[str, str], file: Json) -> None:
    """`OPENAI_API_KEY` for `[model]` if that is OpenAI, else for the agents whose vendor is and that have no key."""
    found = [end for end in ("", "_FILE") if environ.get(OPENAI_KEY + end)]
    both = merged(file, layer.tree)
    model = both.get("model")
    agents = both.get("agents")
    places: list[Path] = []
    if isinstance(model, dict) and model.get("provider") == "openai":
        places = [] if _has_key(layer.tree.get("model")) else [("model",)]
    elif isinstance(agents, dict):
        places = [("agents", name) for name, agent in agents.items() if _is_openai(agent) and not _has_key(agent)]
    for place in places:
        for end in found:
            _put(layer, (*place, f"api_key{end.lower()}"), environ[OPENAI_KEY + end], OPENAI_KEY + end)


def _has_key(table: object) -> bool:
    return isinstance(table, dict) and bool(table.get("api_key") or table.get("api_key_file"))


def _is_openai(agent: object) -> bool:
    return isinstance(agent, dict) and agent.get("vendor") == "openai"


def merged(under: Json, over: Json) -> Json:
    """One tree over another, table by table; neither is changed.

    A value replaces the file it could have come from (`api_key_file`, `instructions_file`), and the file the value.
    """
    result: Json = {}
    for key, value in under.items():
        twin = key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"
        if twin not in over or isinstance(value, dict):
            result[key] = value
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _path(name: str, file: Json) -> Path:
    """The path of a variable, with the spelling of names that stand in the file."""
    path: list[str] = []
    here: object = file
    for part in name.removeprefix(PREFIX).lower().split("__"):
        known = {key.lower().replace("-", "_"): key for key in here} if isinstance(here, dict) else {}
        path.append(known.get(part, part))
        here = here.get(path[-1]) if isinstance(here, dict) else None
    return tuple(path)


def _put(layer: Layer, path: Path, value: object, name: str) -> None:
    """Set a value deep in a layer, making tables on the way."""
    tree = layer.tree
    for part in path[:-1]:
        inner = tree.get(part)
        if not isinstance(inner, dict):
            inner = tree[part] = {}
        tree = inner
    tree[path[-1]] = value
    layer.sources[path] = name
