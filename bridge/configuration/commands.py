"""What `voicebridge config` does: `check`, `show` and `schema`, each as a text to print and an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from bridge.configuration.keys import Path, dotted, quoted
from bridge.configuration.loading import ConfigurationErrors, Loaded, load
from bridge.configuration.schema import json_schema

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

MASK = "********"
OK, WRONG = 0, 2


class Outcome(NamedTuple):
    """What a command prints, and what it exits with: 0, or 2 for a wrong configuration."""

    text: str
    exit_code: int


def check(path: pathlib.Path | None, environ: Mapping[str, str], *, as_json: bool = False) -> Outcome:
    """Load the configuration and say what is wrong with it, a line for each problem, and what should be known."""
    try:
        loaded = load(path, environ)
    except ConfigurationErrors as error:
        return Outcome(_problems_json(error) if as_json else str(error), WRONG)
    if as_json:
        return Outcome(_json({"problems": [], "warnings": [notice._asdict() for notice in loaded.warnings]}), OK)
    warnings = [f"warning: {notice.key}: {notice.message}" for notice in loaded.warnings]
    return Outcome("\n".join([*warnings, f"The configuration is fine{_whence(path)}."]), OK)


def show(path: pathlib.Path | None, environ: Mapping[str, str], *, as_json: bool = False) -> Outcome:
    """The effective values as TOML, defaults included, secrets masked, with the variables that set any."""
    try:
        loaded = load(path, environ)
    except ConfigurationErrors as error:
        return Outcome(_problems_json(error) if as_json else str(error), WRONG)
    tree = _shown(loaded.settings, ())
    return Outcome(_json(tree) if as_json else "\n".join(_toml(tree, (), _variables(loaded, environ))).strip(), OK)


def schema() -> Outcome:
    """The JSON Schema (draft 2020-12) of the file, for editors."""
    return Outcome(_json(json_schema()), OK)


def _whence(path: pathlib.Path | None) -> str:
    return f": {path}" if path else ": no file, the embedded model on loopback"


def _problems_json(error: ConfigurationErrors) -> str:
    found = [{"key": one.key, "source": one.source, "message": one.message} for one in error.problems]
    return _json({"problems": found, "warnings": []})


def _json(tree: object) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False)


# --- values that may be seen --------------------------------------------------------------------------------------


def _shown(value: object, path: Path) -> object:
    """A setting as a JSON value without its secrets; what is unset is None."""
    if isinstance(value, BaseModel):
        hidden = {key for key, known in type(value).model_fields.items() if known.exclude}
        return {key: _shown(part, (*path, key)) for key, part in value if key not in hidden}
    if isinstance(value, dict):
        return {key: _shown(part, (*path, key)) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_shown(part, (*path, str(at))) for at, part in enumerate(value)]
    return _plain(value, path)


def _plain(value: object, path: Path) -> object:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return _masked_url(text) if path[0] in ("storage", "shared") else text and MASK
    if isinstance(value, str) and path[-1].endswith("url"):
        return _masked_url(value)
    if value is None:
        return False if path[-1] == "input_audio_transcription" else None
    return value if isinstance(value, (str, bool, int, float)) else str(value)


def _masked_url(url: str) -> str:
    """An address without the password in it and without its query, which may hold a key."""
    parts = urlsplit(url)
    masked = url.removesuffix(f"?{parts.query}") + f"?{MASK}" if parts.query else url
    return masked.replace(f":{parts.password}@", f":{MASK}@", 1) if parts.password else masked


# --- TOML ---------------------------------------------------------------------------------------------------------


def _variables(loaded: Loaded, environ: Mapping[str, str]) -> dict[str, str]:
    return {key: source for key, source in loaded.sources.items() if source in environ}


def _toml(tree: object, path: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """The lines of a table and, after its own keys, of those in it."""
    entries = tree.items() if isinstance(tree, dict) else ()
    tables = {key: value for key, value in entries if isinstance(value, dict) and value}
    plain = {key: value for key, value in entries if key not in tables and value is not None and (path or value)}
    if path and (plain or not tables):
        yield f"\n[{dotted(path)}]"
    for key, value in plain.items():
        variable = variables.get(dotted((*path, key)))
        yield f"{dotted((key,))} = {_toml_value(value)}" + (f"  # {variable}" if variable else "")
    for key, value in tables.items():
        yield from _toml(value, (*path, key), variables)


def _toml_value(value: object) -> str:
    """A value on one line; JSON's numbers and truth values are TOML's too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dotted((key,))} = {_toml_value(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(part) for part in value) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
