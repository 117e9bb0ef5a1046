"""Takes secrets out of texts before they are written anywhere. What stands in their place is as long as they were.

Two ways, because neither is enough: by *value*, for the secrets that the settings hold, however they are escaped; by
*pattern*, for those that only the peers know: keys of known shapes, and whatever stands under a name such as `token`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Shorter values are no secrets, and would take apart what they happen to occur in."""

_NAMES = (
    "api_?key|auth_?token|access_?token|refresh_?token|id_?token|token|authorization|proxy-authorization|x-api-key"
    "|api-key|password|passwd|secret|client_?secret|signature|x-twilio-signature|cookie|set-cookie"
)
_NAMED = re.compile(rf'(\\*"(?:{_NAMES})\\*"\s*:\s*\\*")([^"\\]+)', re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:sk|ek|rk|pk)[-_][A-Za-z0-9_-]{8,}"  # OpenAI's keys and client secrets
    r"|\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\bSK[0-9a-f]{32}\b"  # the name of a Twilio API key
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JSON Web Tokens
    r"|(?<=://)[^/\s:@\"]+:[^/\s@\"]+(?=@)"  # user and password of a URL
)

_TRACES = (
    "api", "token", "authorization", "passw", "secret", "signature", "cookie", "sk", "ek_", "ek-", "rk_", "rk-",
    "pk_", "pk-", "bearer", "basic", "eyj", "://"
)  # fmt: skip
"""One of them is in every text in which the patterns find anything; looking for them is ten times as fast."""


class Scrubber:
    """Replaces secrets by stars.

    Args:
        values: secrets that are known.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: list[str] = []
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """One more secret; a very short one is passed over."""
        if len(value) < SHORTEST:
            return
        spellings = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe="")}
        self._values = sorted(
            {*self._values, *spellings}, key=len, reverse=True
        )  # the longest first: one may hold another

    def scrub(self, text: str) -> str:
        """The text without secrets, exactly as long."""
        text = self.scrub_values(text)
        lower = text.lower()
        if not any(trace in lower for trace in _TRACES):
            return text
        text = _NAMED.sub(lambda found: found[1] + "*" * len(found[2]), text)
        return _SHAPES.sub(lambda found: "*" * len(found[0]), text)

    def scrub_values(self, text: str) -> str:
        """The text without the secrets that are known; cheap enough for each frame."""
        for value in self._values:
            if value in text:
                text = text.replace(value, "*" * len(value))
        return text


def secrets_of(settings: object) -> Iterator[str]:
    """Every secret that a settings value holds, at any depth."""
    match settings:
        case SecretStr():
            yield settings.get_secret_value()
        case BaseModel():
            for _, value in settings:
                yield from secrets_of(value)
        case dict():
            for value in settings.values():
                yield from secrets_of(value)
        case tuple() | list():
            for value in settings:
                yield from secrets_of(value)
        case _:
            pass
