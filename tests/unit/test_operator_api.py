"""What the operator API keeps, and what its page in the docs promises."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

import pytest
from openapi_spec_validator import validate
from quart import Quart
from werkzeug.datastructures import MultiDict

from bridge.api import OperatorApi
from bridge.api_document import document
from bridge.api_limits import MAX_ADDRESSES, Tally
from bridge.api_query import cursor_of, parse
from bridge.call.ending import Ending
from bridge.desk import FrontDesk
from bridge.past import Calls
from bridge.recent import RecentCalls, Summary

PAGE = Path(__file__).parents[2] / "docs" / "operator-api.md"
DOCUMENT = PAGE.with_name("openapi.json")


@pytest.fixture
def app_rules() -> set[tuple[str, str]]:
    """Method and path of every route of the API."""
    app = Quart("api")
    app.register_blueprint(OperatorApi(cast("FrontDesk", None), Calls(RecentCalls(), None), "").blueprint())
    return {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in (rule.methods or set()) - {"HEAD"}
    }


def test_the_page_lists_every_ending_and_no_other() -> None:
    """The list is closed."""
    table = PAGE.read_text().partition("## How calls end")[2]

    assert {ending.value for ending in Ending} == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_what_is_too_much_of_one_address_leaves_another_alone() -> None:
    """Who guesses shuts out nobody else, and is heard again when the window is over."""
    wrong = Tally(3, 60)

    for at in (0, 10, 20):
        assert 0 == wrong.wait_s("192.0.2.1", at)
        wrong.add("192.0.2.1", at)

    assert 35 == wrong.wait_s("192.0.2.1", 25.5)
    assert 0 == wrong.wait_s("192.0.2.2", 25.5)
    assert 0 == wrong.wait_s("192.0.2.1", 60)


def test_an_address_of_ipv6_is_counted_with_its_neighbours() -> None:
    """Whoever has one has all of its /64."""
    wrong = Tally(1, 60)

    wrong.add("2001:db8:1:2::1", 0)

    assert 60 == wrong.wait_s("2001:db8:1:2:ffff::9", 0)
    assert 0 == wrong.wait_s("2001:db8:1:3::1", 0)
    wrong.add("::ffff:192.0.2.1", 0)
    assert 60 == wrong.wait_s("192.0.2.1", 0)


def test_mistakes_that_are_far_apart_are_mistakes() -> None:
    """One a minute is nobody who guesses."""
    wrong = Tally(2, 60)

    for minute in range(10):
        wrong.add("192.0.2.1", 61.0 * minute)
        assert 0 == wrong.wait_s("192.0.2.1", 61.0 * minute)


def test_addresses_that_are_remembered_are_bounded() -> None:
    """Whoever has many addresses fills no memory; the oldest is forgotten."""
    wrong = Tally(1, 60)
    wrong.add("first", 0)

    for number in range(MAX_ADDRESSES):
        wrong.add(f"address {number}", 1)

    assert 0 == wrong.wait_s("first", 1)


def test_document_in_the_docs_is_the_one_that_is_served() -> None:
    """It is made by `python docs/make_openapi.py`."""
    assert json.loads(DOCUMENT.read_text()) == document()
    validate(document())


def test_document_describes_every_route(app_rules: set[tuple[str, str]]) -> None:
    """None more, none less."""
    described = {
        (method.upper(), path)
        for path, item in cast("dict[str, dict[str, object]]", document()["paths"]).items()
        for method in item
        if method != "parameters"
    }

    assert app_rules == described


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("since=yesterday", "since"),
        ("since=2026-11-21", "since"),
        ("until=2026-13-21T09:00:00Z", "until"),
        ("until=0001-01-01T00:00:00%2B23:59", "until"),
        ("state=gone", "state"),
        ("ending=", "ending"),
        ("cursor=x", "cursor"),
        ("cursor=MjAyNi0xMS0yMVQwOTowMDowMCBDQTE=", "cursor"),
        ("page=2", "known"),
    ],
)
def test_a_question_that_is_wrong_is_told_what_is(query: str, named: str) -> None:
    """By the key."""
    with pytest.raises(ValueError, match=named):
        parse(MultiDict(parse_qsl(query, keep_blank_values=True)))


def test_cursor_leads_to_what_comes_after_a_call() -> None:
    """To the microsecond, whatever zone was asked with."""
    began_at = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
    call = Summary(call_sid="CA1", agent="reception", direction="inbound", began_at=began_at)

    wanted, limit = parse(MultiDict({"cursor": cursor_of(call), "since": "2026-11-21T10:00:00+01:00", "limit": "7"}))

    assert (began_at, "CA1") == wanted.before
    assert datetime(2026, 11, 21, 9, tzinfo=UTC) == wanted.since
    assert 7 == limit
