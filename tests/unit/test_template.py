"""Words that a text leaves open until a call comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import template


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {from}.", "Hello +15551230000."),
        ("{from}{from}", "+15551230000+15551230000"),
        ("Hello {nobody}.", "Hello ."),
        ("Say {{from}}.", "Say {from}."),
        ('{"from": 1} { from } {1} {}', '{"from": 1} { from } {1} {}'),
        ("{{{from}}}", "{{from}}"),
    ],
)
def test_text_is_filled_in(text: str, filled: str) -> None:
    """A name in braces becomes its value, a doubled brace a brace, and everything else stays."""
    assert filled == template.fill(text, {"from": "+15551230000"})


def test_open_names_are_found() -> None:
    """The names to fill in are those in single braces."""
    assert {"from", "customer"} == template.names('{from} {{meant}} {customer} {"json": {}} {1x}')


@given(value=st.text())
def test_a_value_is_not_filled_in_again(value: str) -> None:
    """What a caller or a function put in is taken as it is, braces and all."""
    assert f"<{value}>" == template.fill("<{name}>", {"name": value})
