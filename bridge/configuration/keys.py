"""Which keys there are, told from the settings' models: what stands at a path, and what a wrong key may have meant."""

from __future__ import annotations

import difflib
import json
import re
import types
from typing import TYPE_CHECKING, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bridge.configuration.vocabulary import BLOCK, SESSION_KEYS, SPELLINGS, WITHOUT_EFFECT
from bridge.settings import Settings
from bridge.settings.agent import Agent, Params

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Path = tuple[str, ...]
"""A setting's place: the names of its tables and its own."""


class Problem(NamedTuple):
    """A setting that cannot stay as it is."""

    path: Path
    message: str
    """One sentence: what is wrong, and the way out."""


def dotted(path: Path) -> str:
    """A path as TOML writes it."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quoted(part) for part in path)


def quoted(text: str) -> str:
    """A text as TOML writes it: as JSON does, and DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def annotation_at(path: Path) -> object:
    """The type of the value that belongs at a path; None when nothing does, or anything."""
    here: object = Settings
    for part in path:
        if (model := model_of(here)) is not None:
            known = model.model_fields.get(part)
            here = known.annotation if known else None
        else:
            here = next((get_args(kind)[1] for kind in parts(here) if get_origin(kind) is dict), None)
    return here


def model_of(annotation: object) -> type[BaseModel] | None:
    """The model of a table, also of one that may be left out."""
    return next((kind for kind in parts(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def is_secret(annotation: object) -> bool:
    """Whether a value must not be shown."""
    return SecretStr in parts(annotation)


def written_keys(model: type[BaseModel]) -> list[str]:
    """Every key one may write in a table of this model."""
    keys = [key for key, known in model.model_fields.items() if not known.exclude]
    keys += [f"{key}_file" for key in keys if is_secret(model.model_fields[key].annotation)]
    if model is Agent:
        keys += ["instructions_file", BLOCK, *SPELLINGS, *WITHOUT_EFFECT, *Params.model_fields]
    if model is Params:
        keys += [*SESSION_KEYS, *SPELLINGS, *WITHOUT_EFFECT]
    return keys


def suggestion(path: Path) -> str:
    """The end of a sentence about an unknown key: the key that may have been meant."""
    *table, key = path
    model = model_of(annotation_at(tuple(table)))
    known = written_keys(model) if model else []
    if near := nearest(key, known):
        return f"did you mean {near}?"
    if elsewhere := sorted({dotted(place[:-1]) for place in all_paths() if place[-1] == key}):
        return f"{key} belongs under [{elsewhere[0]}]"
    return f"known here: {', '.join(sorted(known))}"


_LIKE = 0.65
"""How alike two words must be (0 to 1) for the one to be a slip for the other: expire is none for explode (0.62)."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like one that is not, or nothing."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=_LIKE)), "")


def all_paths() -> Iterator[Path]:
    """The paths of all keys; an entry of the operator's own is called NAME."""
    yield from _paths(Settings, ())


def _paths(model: type[BaseModel], prefix: Path) -> Iterator[Path]:
    for key, known in model.model_fields.items():
        if known.exclude:
            continue
        here = (*prefix, key)
        entry = next((get_args(kind)[1] for kind in parts(known.annotation) if get_origin(kind) is dict), None)
        if (table := model_of(known.annotation)) is not None:
            yield from _paths(table, here)
        elif (named := model_of(entry)) is not None:
            yield from _paths(named, (*here, "NAME"))
        else:
            yield here


def parts(annotation: object) -> tuple[object, ...]:
    """The members of a union, or the type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
