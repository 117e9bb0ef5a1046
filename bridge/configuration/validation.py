"""What pydantic finds wrong, in this program's words: a path and one sentence. No value is ever shown."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from bridge.configuration import environment
from bridge.configuration.keys import Path, nearest, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from bridge.settings import Json

_SENTENCES = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "path_type": "must be a path",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}


def explain(error: ValidationError, tree: Json, variable: Callable[[Path], str]) -> Iterator[tuple[Path, str]]:
    """Each wrong value: its path in the tree, and what is wrong with it.

    Args:
        error: what pydantic raised for the tree.
        tree: the settings as they were given to it.
        variable: the environment variable a path comes from, or nothing.
    """
    found = [(*_place(detail, tree), detail) for detail in error.errors(include_url=False)]
    for place, of_place in groupby(found, key=lambda one: one[0]):
        details = _likely([(branch, detail) for _, branch, detail in of_place])
        by_path: dict[Path, list[str]] = {}
        for detail in details:
            path = _path(detail, tree)
            sentence = _sentence(path, detail, variable)
            by_path.setdefault(path, []).append(sentence)
        for path, sentences in by_path.items():
            yield path or place, ", or ".join(dict.fromkeys(sentences))


def _place(detail: ErrorDetails, tree: Json) -> tuple[Path, str]:
    """Where a value stands, up to where pydantic tries one form of it after another, and the form's name."""
    path: list[str] = []
    here: object = tree
    for part in detail["loc"]:
        if not _holds(here, part):
            return (*path,), str(part)
        path.append(str(part))
        here = here[part]  # type: ignore[index]  # _holds says that it can be
    return (*path,), ""


def _path(detail: ErrorDetails, tree: Json) -> Path:
    """The path to a value, without the names of the forms that were tried."""
    path: list[str] = []
    here: object = tree
    for at, part in enumerate(detail["loc"]):
        if _holds(here, part):
            here = here[part]  # type: ignore[index]  # _holds says that it can be
            path.append(str(part))
        elif detail["type"] == "missing" and at == len(detail["loc"]) - 1:
            path.append(str(part))
    return tuple(path)


def _holds(here: object, part: str | int) -> bool:
    return (isinstance(here, dict) and part in here) or (
        isinstance(here, list) and isinstance(part, int) and part < len(here)
    )


def _likely(errors: list[tuple[str, ErrorDetails]]) -> list[ErrorDetails]:
    """Of the forms that were tried for one value, what is wrong with the one that was meant: the nearest."""
    deep = {branch for branch, detail in errors if branch and detail["loc"][-1] != branch}
    if not deep:
        return [detail for _, detail in errors]
    meant = min(deep, key=lambda branch: sum(name == branch for name, _ in errors))
    return [detail for branch, detail in errors if branch == meant]


def _sentence(path: Path, detail: ErrorDetails, variable: Callable[[Path], str]) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key: {_meant(path, variable(path))}"
    sentence = _SENTENCES.get(detail["type"], detail["msg"]).format(**detail.get("ctx", {}))
    if detail["type"] == "literal_error" and isinstance(given := detail["input"], str):
        choices = sentence.replace(" or ", ", ").removeprefix("must be ").split(", ")
        near = nearest(given.lower(), [choice.strip("'") for choice in choices])
        return f"{sentence}; did you mean {near}?" if near else sentence
    return sentence


def _meant(path: Path, variable: str) -> str:
    """The key, or the variable, that may have been meant."""
    if variable and (near := nearest(variable, environment.variables())):
        return f"did you mean {near}?"
    return suggestion(path)
