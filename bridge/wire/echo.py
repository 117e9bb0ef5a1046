"""Whether a session is as it was asked for: the session of `session.updated` against that of `session.update`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.wire.session import GA_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.settings import Dialect, Json

SERVER_FORMAT = {"ga": GA_FORMATS["pcm16"], "beta": "pcm16"}
"""What a session uses until it has been told otherwise."""

_FORMATS = {
    "ga": (("audio", "input", "format"), ("audio", "output", "format")),
    "beta": (("input_audio_format",), ("output_audio_format",)),
}
_WORDS = ("instructions", "prompt", "description", "metadata", "variables")
_LONGEST_SHOWN = 64


@dataclass(frozen=True)
class Mismatch:
    """A field of the session that is not as it was asked for; of anybody's words only the length is kept."""

    path: str
    asked: str
    got: str
    fatal: bool
    """The sound would be noise: send none, close the session, and let the caller hear the fallback."""


def verify(asked: Json, echoed: Json, *, dialect: Dialect) -> tuple[Mismatch, ...]:
    """Compare the session of `session.updated` with what was asked of it.

    A format that differs is fatal. One that is missing counts as the server's default, PCM at 24 kHz, in both dialects:
    nothing else was confirmed. Any other field is reported when it came back different; one that did not come back is
    not, since compatible servers leave fields out.
    """
    return tuple(_format_mismatches(asked, echoed, dialect)) + tuple(_differences(asked, echoed, ""))


def _format_mismatches(asked: Json, echoed: Json, dialect: Dialect) -> Iterator[Mismatch]:
    for path in _FORMATS[dialect]:
        wanted = _at(asked, path)
        got = _at(echoed, path)
        if wanted is not None and not _same_format(wanted, SERVER_FORMAT[dialect] if got is None else got):
            shown = "nothing" if got is None else _shown(got, "")
            yield Mismatch(".".join(path), _shown(wanted, ""), shown, fatal=True)


def _at(tree: object, path: Sequence[str]) -> object:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _same_format(asked: object, got: object) -> bool:
    """Whether two formats are one; a rate that goes without saying may be said or not."""
    if isinstance(asked, dict) and isinstance(got, dict):
        return asked["type"] == got.get("type") and got.get("rate") in (None, asked.get("rate", 8_000))
    return asked == got


def _differences(asked: Json, echoed: Json, path: str) -> Iterator[Mismatch]:
    for key, wanted in asked.items():
        if key not in echoed or key in ("format", "input_audio_format", "output_audio_format"):
            continue
        got = echoed[key]
        if isinstance(wanted, dict) and isinstance(got, dict):
            yield from _differences(wanted, got, f"{path}{key}.")
        elif not _same(wanted, got):
            yield Mismatch(f"{path}{key}", _shown(wanted, key), _shown(got, key), fatal=False)


def _same(asked: object, got: object) -> bool:
    """Equal; numbers as near as single precision keeps them, tools by their names, modalities in any order."""
    if isinstance(asked, float) and isinstance(got, (int, float)):
        return math.isclose(asked, got, rel_tol=1e-6)
    if isinstance(asked, list) and isinstance(got, list):
        return _names(asked) == _names(got)
    return asked == got


def _names(values: list[object]) -> list[str]:
    return sorted(
        str(value.get("name") or value.get("server_label")) if isinstance(value, dict) else str(value)
        for value in values
    )


def _shown(value: object, key: str) -> str:
    """A value for a log line: never anybody's words."""
    if isinstance(value, list):
        return ", ".join(_names(value))
    if isinstance(value, dict):
        return " ".join(str(part) for part in (value.get("type"), value.get("rate")) if part) or "an object"
    text = str(value)
    return f"{len(text)} characters" if key in _WORDS or len(text) > _LONGEST_SHOWN else text
