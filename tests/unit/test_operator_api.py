"""What the operator API keeps, and what its page in the docs promises."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.api import FAILURES_WITHIN_S, MAX_ADDRESSES, MAX_FAILURES, WrongTokens
from bridge.call.ending import Ending

PAGE = Path(__file__).parents[2] / "docs" / "operator-api.md"


def test_the_page_lists_every_ending_and_no_other() -> None:
    """The list is closed."""
    table = PAGE.read_text().partition("## How calls end")[2]

    assert {ending.value for ending in Ending} == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_wrong_tokens_of_one_address_leave_another_alone() -> None:
    """Who guesses shuts out nobody else."""
    wrong = WrongTokens()

    for _ in range(MAX_FAILURES):
        wrong.add("192.0.2.1", 0)

    assert wrong.are_too_many("192.0.2.1", FAILURES_WITHIN_S)
    assert not wrong.are_too_many("192.0.2.1", FAILURES_WITHIN_S + 1)
    assert not wrong.are_too_many("192.0.2.2", 0)


def test_wrong_tokens_that_are_far_apart_are_mistakes() -> None:
    """One a minute is nobody who guesses."""
    wrong = WrongTokens()

    for minute in range(10 * MAX_FAILURES):
        wrong.add("192.0.2.1", 61.0 * minute)
        assert not wrong.are_too_many("192.0.2.1", 61.0 * minute)


def test_addresses_that_are_remembered_are_bounded() -> None:
    """Whoever has many addresses fills no memory; the oldest is forgotten."""
    wrong = WrongTokens()
    for number in range(MAX_FAILURES * 2):
        wrong.add("first", number / 100)

    for number in range(MAX_ADDRESSES):
        wrong.add(f"address {number}", 1)

    assert not wrong.are_too_many("first", 1)
