"""How words sound: a dictionary, and a guess for names that are in none.

Sounds are those of the CMU pronouncing dictionary, without stress.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VARIANT: Final = re.compile(r"\(\d+\)$")
_SHORTEST_PART: Final = 3
_SPELLING: Final = {
    "sch": "SH", "tch": "CH", "igh": "AY", "augh": "AO",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ck": "K", "qu": "K W", "ng": "NG", "wh": "W", "kn": "N",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "AW", "ai": "EY", "ay": "EY", "oa": "OW", "oi": "OY",
    "oy": "OY", "au": "AO", "aw": "AO", "ie": "IY", "ei": "AY", "er": "ER", "ir": "ER", "ur": "ER", "ar": "AA R",
    "or": "AO R", "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH",
    "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "OW", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T",
    "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
"""English spelling, roughly: good enough to tell one destination's name from another's."""
_LETTERS: Final = re.compile("|".join(sorted(_SPELLING, key=len, reverse=True)))
_DOUBLED: Final = re.compile(r"([bcdfglmnprstz])\1")


@dataclass(frozen=True)
class Pronunciations:
    """A pronouncing dictionary: for each word one or more sequences of sounds."""

    known: Mapping[str, tuple[str, ...]]

    @classmethod
    def load(cls, path: Path) -> Pronunciations:
        """Read a dictionary in CMU's format, one `word SOUND SOUND…` a line, further variants as `word(2)`."""
        known: dict[str, list[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            word, _, sounds = line.partition(" ")
            known.setdefault(_VARIANT.sub("", word), []).append(sounds.strip())
        return cls({word: tuple(variants) for word, variants in known.items()})

    def of(self, word: str) -> tuple[str, ...]:
        """Return how a word may sound: as the dictionary says, as two words of it in a row, or as it is spelled."""
        return self.known.get(word) or self._compound(word) or (_as_spelled(word),)

    def entries(self, word: str) -> str:
        """Return a word's lines for a recogniser's dictionary."""
        names = (word, *(f"{word}({number})" for number in range(2, 100)))
        return "".join(f"{name} {sounds}\n" for name, sounds in zip(names, self.of(word), strict=False))

    def _compound(self, word: str) -> tuple[str, ...]:
        for cut in range(len(word) - _SHORTEST_PART, _SHORTEST_PART - 1, -1):
            first, second = self.known.get(word[:cut]), self.known.get(word[cut:])
            if first and second:
                return tuple(f"{one} {other}" for one in first for other in second)
        return ()


def _as_spelled(word: str) -> str:
    letters = _DOUBLED.sub(r"\1", word)
    if len(letters) > _SHORTEST_PART and letters.endswith("e"):
        letters = letters[:-1]  # silent
    return " ".join(_SPELLING[piece] for piece in _LETTERS.findall(letters)) or "AH"
