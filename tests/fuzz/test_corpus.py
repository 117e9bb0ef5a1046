"""Everything that fuzzing begins with, and all that it ever found, goes through the same targets without a defect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.targets import TARGETS, closed

EXAMPLES = 100
PHASES = [phase for phase in Phase if phase is not Phase.shrink]
"""What is found is small enough, and shrinking plays it thousands of times."""


@pytest.fixture(scope="module", autouse=True)
def clients() -> Iterator[None]:
    """The applications are let go of in the end."""
    with closed():
        yield


@pytest.mark.parametrize("target", TARGETS)
def test_corpus_shows_no_defect(target: str) -> None:
    """Neither does a half of any entry, nor one with a byte changed."""
    entries = list(corpus.entries(target))
    for name, data in entries:
        try:
            TARGETS[target](data)
            TARGETS[target](data[: len(data) // 2])
        except Exception as error:
            raise AssertionError(name) from error

    assert len(entries) > 5


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=EXAMPLES, phases=PHASES)
@given(st.data())
def test_damaged_entry_shows_no_defect(target: str, data: st.DataObject) -> None:
    """A few bytes of an entry are others."""
    entries = [entry for _, entry in corpus.entries(target)]
    damaged = bytearray(data.draw(st.sampled_from(entries)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=6))

    TARGETS[target](bytes(damaged))
