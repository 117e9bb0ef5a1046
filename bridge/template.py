"""Names in braces: what `instructions` and `greeting_message` may leave open until a call comes.

`{from}` stands for the caller's number. A brace that is meant stands twice: `{{from}}`. Braces around anything but a
single name, as in JSON examples, are left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL_NAMES = frozenset({"from", "to"})
"""What every call can fill in: the numbers it came from and went to."""

_NAME = re.compile(r"\{\{(?P<meant>[A-Za-z_]\w*)\}\}|\{(?P<name>[A-Za-z_]\w*)\}")


def names(text: str) -> set[str]:
    """The names a text leaves open."""
    return {match["name"] for match in _NAME.finditer(text) if match["name"]}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put the values in; a name without one becomes empty."""
    return _NAME.sub(lambda match: f"{{{match['meant']}}}" if match["meant"] else values.get(match["name"], ""), text)
