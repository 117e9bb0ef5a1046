"""The sentences that a recogniser is made from, and how their words sound."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import pytest

from bridge.rehearsal.domain import DIGITS, Domain, words
from bridge.rehearsal.pronunciation import Pronunciations

DICTIONARY = """\
sour S AW ER
sour(2) S AW R
dough D OW
sales S EY L Z
"""


@pytest.fixture
def known(tmp_path: Path) -> Pronunciations:
    """A dictionary of three words."""
    path = tmp_path / "small.dict"
    path.write_text(DICTIONARY, encoding="utf-8")
    return Pronunciations.load(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is my order?", ["where", "is", "my", "order"]),
        ("It's 42, isn\u2019t it", ["it's", "four", "two", "isn't", "it"]),
        ("customer_service", ["customer", "service"]),
        ("...", []),
        ("", []),
    ],
)
def test_text_is_cut_into_words_that_can_be_heard(text: str, expected: list[str]) -> None:
    """Case and punctuation are not heard; digits are words."""
    assert expected == words(text)


def test_domain_has_each_sentence_once_and_no_empty_one() -> None:
    """Two spellings of one sentence are one."""
    assert Domain(("good morning", "bye")) == Domain.of(["Good morning!", "", "bye", "good  morning"])


def test_digits_are_spelled_out_so_that_any_number_is_alike() -> None:
    """Every digit may come first after the words before, and every digit follows every other."""
    spelled = Domain.of(["it is #", "hello"]).spelled_out()

    assert "hello" in spelled
    assert set(DIGITS) == {sentence.split()[2] for sentence in spelled if sentence.startswith("it is")}
    pairs = [pair for sentence in spelled for pair in pairwise(sentence.split())]
    assert set(product(DIGITS, DIGITS)) <= set(pairs)
    assert ["bye"] == Domain.of(["bye"]).spelled_out()


def test_vocabulary_is_every_word_that_may_be_said() -> None:
    """The mark for digits is no word, the digits are."""
    assert sorted({"it", "is", *DIGITS}) == Domain.of(["it is #"]).vocabulary


def test_word_of_the_dictionary_has_all_its_variants(known: Pronunciations) -> None:
    """Each becomes a line of the recogniser's own dictionary."""
    assert "sour S AW ER\nsour(2) S AW R\n" == known.entries("sour")


def test_compound_sounds_as_its_parts(known: Pronunciations) -> None:
    """A word that is two words of the dictionary sounds like them."""
    assert ("S AW ER D OW", "S AW R D OW") == known.of("sourdough")


@pytest.mark.parametrize(
    ("word", "sounds"),
    [("schmidt", "SH M IH D T"), ("zippe", "Z IH P"), ("o'x", "OW K S"), ("phaeton", "F AE EH T OW N")],
)
def test_unknown_name_sounds_as_it_is_spelled(known: Pronunciations, word: str, sounds: str) -> None:
    """A destination's name can be recognised although no dictionary has it."""
    assert (sounds,) == known.of(word)
