"""What a caller wants, from what was recognised: the phrase that fits best, with what was said in its slots.

A recogniser mishears, drops and adds words, and callers say more than a phrase. So each phrase is aligned with the
words, in order, with gaps; a word counts the more the fewer topics use it. Deterministic: of two that fit equally the
first one wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product, takewhile
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from bridge.rehearsal.domain import ANY_DIGITS, DIGITS, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bridge.rehearsal.dialogue import Slot

_SPOKEN_DIGITS: Final = {word: str(value) for value, word in enumerate(DIGITS)} | {"oh": "0"}
_PIECE: Final = re.compile(r"\{(\w+)\}|([^{}]+)")
_GAP: Final = 0.2
"""What a word costs that stands between words of the phrase."""
_LEAST_RECALL: Final = 0.65
"""Of the phrase's weight."""
_LEAST_SHARE: Final = 0.5
"""Of the caller's words. In a longer turn a phrase is no accident if it is long and nearly all of it was said."""
_LONG: Final = 4
"""Words."""
_NEARLY_ALL: Final = 0.9


class Match(NamedTuple):
    """A topic that was recognised."""

    topic: str
    slots: Mapping[str, str]
    """What was said in the phrase's slots, as it is to be filled in."""


@dataclass(frozen=True, slots=True)
class Blank:
    """The place of a slot in a phrase."""

    slot: str


Piece: TypeAlias = str | Blank


class _Fit(NamedTuple):
    """How well a phrase's beginning fits the words up to some place; the greatest is the best."""

    gain: float
    words: int
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of a topic, cut into words and blanks."""

    topic: str
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, topic: str, text: str) -> Phrase:
        """Cut a text such as `how much is a {bread} loaf`."""
        pieces: list[Piece] = []
        for slot, plain in _PIECE.findall(text):
            pieces += [Blank(slot)] if slot else words(plain)
        return cls(topic, tuple(pieces))


class Matcher:
    """Knows the phrases of a session.

    Args:
        phrases: for each topic its phrases; earlier topics win a tie.
        slots: what may stand in their slots.
    """

    def __init__(self, phrases: Mapping[str, Iterable[str]], slots: Mapping[str, Slot]) -> None:
        self.phrases = tuple(Phrase.of(topic, text) for topic, texts in phrases.items() for text in texts)
        self._choices = {
            name: {tuple(words(choice)): value for choice, value in slot.items()}
            for name, slot in slots.items()
            if not isinstance(slot, str)
        }
        topics_of: dict[Piece, set[str]] = {}
        for phrase in self.phrases:
            for piece in phrase.pieces:
                topics_of.setdefault(piece, set()).add(phrase.topic)
        self._weights = {piece: 1 / len(topics) for piece, topics in topics_of.items()}
        self.match = lru_cache(maxsize=256)(self._match)
        """Return the topic that a text is about and what is in its slots; None where it is about none."""

    def sentences(self) -> list[str]:
        """Return everything a caller may be expected to say, for a recogniser."""
        return [" ".join(said) for phrase in self.phrases for said in product(*map(self._spoken, phrase.pieces))]

    def answers(self, slots: Iterable[str]) -> list[str]:
        """Return what a caller may say when asked for one of these slots."""
        return [said for slot in slots for said in self._spoken(Blank(slot))]

    def find(self, slot: str, text: str) -> str | None:
        """Return what a text says for a slot, wherever it stands in it; None where it says nothing."""
        heard = words(text)
        found = (value for start in range(len(heard)) for _, value in self._fitting(Blank(slot), heard, start))
        return next(found, None)

    def _match(self, text: str) -> Match | None:
        heard = words(text)
        best, match = (0.0, 0.0), None
        for phrase in self.phrases:
            fit = self._align(phrase, heard)
            share = fit.words / max(len(heard), 1)
            recall = fit.gain / sum(self._weights[piece] for piece in phrase.pieces)
            is_accident = share < _LEAST_SHARE and (fit.words < _LONG or recall < _NEARLY_ALL)
            if recall >= _LEAST_RECALL and not is_accident and (fit.gain, share) > best:
                best, match = (fit.gain, share), Match(phrase.topic, dict(fit.slots))
        return match

    def _align(self, phrase: Phrase, heard: Sequence[str]) -> _Fit:
        """Return how a phrase fits best, in order: it may begin and end anywhere among the words, and lack some."""
        fits = [_Fit(0, 0)] * (len(heard) + 1)
        for piece in phrase.pieces:
            ends = list(fits)
            for start, before in enumerate(fits[:-1]):
                for end, value in self._fitting(piece, heard, start):
                    slots = ((piece.slot, value),) if isinstance(piece, Blank) else ()
                    gain = before.gain + self._weights[piece]
                    ends[end] = max(ends[end], _Fit(gain, before.words + end - start, before.slots + slots))
            for end in range(1, len(ends)):
                skipped = ends[end - 1]
                if skipped.words:
                    ends[end] = max(ends[end], skipped._replace(gain=skipped.gain - _GAP))
            fits = ends
        return max(fits)

    def _fitting(self, piece: Piece, heard: Sequence[str], start: int) -> Iterator[tuple[int, str]]:
        """Yield where a piece may end that begins at `start`, and what it then says."""
        if not isinstance(piece, Blank):
            if heard[start] == piece:
                yield start + 1, ""
        elif self._is_digits(piece):
            digits = "".join(takewhile(bool, (_SPOKEN_DIGITS.get(word, "") for word in heard[start:])))
            if digits:
                yield start + len(digits), digits
        else:
            for choice, value in self._choices[piece.slot].items():
                end = start + len(choice)
                if tuple(heard[start:end]) == choice:
                    yield end, value

    def _spoken(self, piece: Piece) -> Sequence[str]:
        if not isinstance(piece, Blank):
            return [piece]
        return [ANY_DIGITS] if self._is_digits(piece) else [" ".join(choice) for choice in self._choices[piece.slot]]

    def _is_digits(self, piece: Piece) -> bool:
        return isinstance(piece, Blank) and piece.slot not in self._choices
