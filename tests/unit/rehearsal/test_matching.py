"""What a caller wants, from what was recognised."""

from __future__ import annotations

import pytest

from bridge.rehearsal.matching import Match, Matcher

SALES = {"to": "sales"}
PHRASES = {
    "hours": ["what are your opening hours", "when do you open"],
    "price": ["how much is a {bread} loaf"],
    "order": ["where is my order", "my order number is {number}"],
    "transfer": ["put me through to sales", "I want to talk to sales"],
    "goodbye": ["goodbye", "bye", "that is all thank you"],
    "thanks": ["thank you"],
    "number": ["{number}"],
}


@pytest.fixture
def matcher() -> Matcher:
    """The phrases above."""
    return Matcher(PHRASES, {"number": "digits", "bread": {"rye": "R", "white wheat": "W"}})


@pytest.mark.parametrize(
    ("heard", "topic"),
    [
        ("what are your opening hours", "hours"),
        ("what are your opening", "hours"),
        ("Where is my order?", "order"),
        ("where eight my order", "order"),
        ("eight me where is my order", "order"),
        ("that is all thank you goodbye", "goodbye"),
        ("thank you", "thanks"),
        ("when put me through to sales", "transfer"),
        ("four seven one two", "number"),
        (
            "good afternoon my rye loaf you would like the what number of my would like to know where is my order",
            "order",
        ),
    ],
)
def test_phrase_is_found_in_spite_of_recognition_errors(matcher: Matcher, heard: str, topic: str) -> None:
    """Words misheard, left out or added do not hide what the caller wants."""
    match = matcher.match(heard)

    assert match is not None
    assert topic == match.topic


@pytest.mark.parametrize(
    "heard",
    [
        "",
        "the",
        "what are your",
        "that you thank is the bye and would all to what loaf much you bye",
        "have your a can i want to talk to three can you no thank are you bye and order",
        "xylophone",
    ],
)
def test_words_that_are_no_phrase_are_not_understood(matcher: Matcher, heard: str) -> None:
    """A single word of a phrase among others is an accident."""
    assert matcher.match(heard) is None


@pytest.mark.parametrize(
    ("heard", "slots"),
    [
        ("my order number is four seven one oh", {"number": "4710"}),
        ("my order number is 4712", {"number": "4712"}),
        ("how much is a rye loaf", {"bread": "R"}),
        ("how much is a white wheat loaf", {"bread": "W"}),
        ("where is my order", {}),
    ],
)
def test_slots_are_filled_with_what_stands_for_the_words(matcher: Matcher, heard: str, slots: dict[str, str]) -> None:
    """Digits in a row become a number, a choice what the dialogue says of it."""
    match = matcher.match(heard)

    assert match is not None
    assert slots == match.slots


def test_slot_is_found_anywhere_in_an_answer(matcher: Matcher) -> None:
    """Who is asked for something may say it in any words."""
    assert "47" == matcher.find("number", "well it is four seven I think")
    assert "R" == matcher.find("bread", "the rye please")
    assert matcher.find("bread", "the brown one") is None


def test_first_of_two_equal_topics_wins() -> None:
    """The order of the dialogue file decides."""
    matcher = Matcher({"one": ["hello there"], "two": ["hello there"]}, {})

    assert Match("one", {}) == matcher.match("hello there")


def test_sentences_for_the_recogniser_have_every_choice_and_a_mark_for_digits(matcher: Matcher) -> None:
    """A choice is spelled out, digits are not."""
    sentences = matcher.sentences()

    assert "how much is a white wheat loaf" in sentences
    assert "my order number is #" in sentences
    assert ["rye", "white wheat", "#"] == matcher.answers(["bread", "number"])
