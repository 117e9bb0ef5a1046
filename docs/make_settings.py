"""Writes the tables of docs/settings.md from the settings' models: `python docs/make_settings.py`."""  # noqa: INP001, a script

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bridge.configuration.keys import is_secret, model_of, parts
from bridge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

HERE = Path(__file__).parent / "settings.md"
BEGIN, END = "<!-- tables: make_settings.py -->\n", "<!-- end -->\n"
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret"}


def reference(text: str) -> str:
    """The page with its tables written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{''.join(_tables())}{END}{after}"


def _tables() -> Iterator[str]:
    for name, table in Settings.model_fields.items():
        named = [get_args(table.annotation)[1]] if get_origin(table.annotation) is dict else []
        model = model_of(named[0] if named else table.annotation)
        if model is not None:
            yield from _table(model, f"{name}.NAME" if named and name != "lines" else name)


def _table(model: type[BaseModel], name: str) -> Iterator[str]:
    """A model's keys, and after them those of the tables in it."""
    title = '`[lines]`, an entry `"+15551230000" = {…}`' if name == "lines" else f"`[{name}]`"
    meaning = re.sub(r"^(?:An entry of )?`\[.*?\]`: ", "", " ".join((model.__doc__ or "").split()))
    yield f"\n### {title}\n\n{meaning[:1].upper()}{meaning[1:]}\n\n"
    yield "| Key | Type | Default | Meaning |\n|---|---|---|---|\n"
    inner = []
    for key, known in model.model_fields.items():
        if known.exclude:
            continue
        yield f"| `{key}` | {_type(known)} | {_default(known)} | {known.description} |\n"
        inner += [(table, f"{name}.{key}") for part in parts(known.annotation) if (table := model_of(part)) is not None]
    for table, path in inner:
        yield from _table(table, path)


def _type(known: FieldInfo) -> str:
    bounds = {
        type(limit).__name__.lower(): getattr(limit, type(limit).__name__.lower())
        for limit in known.metadata
        if type(limit).__name__ in ("Ge", "Le", "Gt", "Lt")
    }
    kinds = ", ".join(_kind(part) for part in parts(known.annotation) if part is not type(None))
    low = f"from {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}" if "gt" in bounds else ""
    high = f"to {bounds['le']}" if "le" in bounds else ""
    return " ".join(part for part in (kinds, low, high) if part)


def _kind(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f'`"{value}"`' for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        entry = get_args(annotation)[0]
        return "list of tables" if model_of(entry) else f"list of {_kind(entry)}"
    if get_origin(annotation) is dict:
        return "table of secrets" if is_secret(get_args(annotation)[1]) else "table"
    if model_of(annotation) is not None:
        return "table"
    if args := get_args(annotation):  # Annotated, inside a union
        return _kind(args[0])
    return _WORDS.get(annotation, "anything")  # type: ignore[call-overload,no-any-return]  # a type or none of ours


def _default(known: FieldInfo) -> str:
    if known.is_required():
        return "must be set"
    value = known.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or isinstance(value, BaseModel) or value in ("", (), {}):
        return ""
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{part}"' for part in value) + "]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, (int, float)) else f'`"{value}"`'


if __name__ == "__main__":
    HERE.write_text(reference(HERE.read_text()))
