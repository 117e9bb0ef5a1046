"""What a caller may be expected to say: the sentences a recogniser is made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The words for 0 to 9. "oh" is understood as zero as well."""
ANY_DIGITS: Final = "#"
"""Stands in a sentence of a domain for one or more digits."""
_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)*|\d|#")


def words(text: str) -> list[str]:
    """Cut a text into words as a recogniser knows them: lower case, each digit a word, no punctuation but `#`."""
    found = _WORD.findall(text.lower().replace("\u2019", "'"))
    return [DIGITS[int(word)] if word.isdigit() else word for word in found]


@dataclass(frozen=True, slots=True)
class Domain:
    """Sentences a caller may say; equal ones are one recogniser."""

    sentences: tuple[str, ...]
    """Lower-case words with a space between, `#` for any digits; each sentence once."""

    @classmethod
    def of(cls, sentences: Iterable[str]) -> Domain:
        """Make a domain of sentences in ordinary spelling."""
        return cls(tuple(dict.fromkeys(sentence for text in sentences if (sentence := " ".join(words(text))))))

    @property
    def vocabulary(self) -> list[str]:
        """Every word that occurs, sorted."""
        return sorted({word for sentence in self.spelled_out() for word in sentence.split()})

    def spelled_out(self) -> list[str]:
        """Return the sentences with digits in the place of `#`: enough to learn from them which word follows which."""
        spelled = [sentence for sentence in self.sentences if ANY_DIGITS not in sentence]
        for sentence in self.sentences:
            if ANY_DIGITS in sentence:
                spelled += [sentence.replace(ANY_DIGITS, number) for number in _SOME_NUMBERS]
        return spelled + _digit_sequences() if len(spelled) > len(self.sentences) else spelled


_SOME_NUMBERS: Final = tuple(f"{digit} {DIGITS[(3 * value + 1) % 10]}" for value, digit in enumerate(DIGITS))
"""Any digit may come first; the sequences have the rest."""


def _digit_sequences() -> list[str]:
    """Return sentences of six digits in which every digit follows every digit once: all numbers are alike."""
    order = _de_bruijn(len(DIGITS))
    order.append(order[0])
    return [" ".join(DIGITS[digit] for digit in order[at : at + 6]) for at in range(0, len(order) - 1, 5)]


def _de_bruijn(size: int) -> list[int]:
    """Return the shortest cycle of the numbers below `size` that has every pair of them: its Lyndon words, in order."""
    pairs = ([[first], *([first, second] for second in range(first + 1, size))] for first in range(size))
    return [digit for family in pairs for word in family for digit in word]
