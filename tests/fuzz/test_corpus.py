"""Everything that fuzzing begins with, and all that it ever found, goes through the same targets without a defect."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.targets import TARGETS
from tests.fuzz.webhooks import closed, webhooks

EXAMPLES = 100
PHASES = [phase for phase in Phase if phase is not Phase.shrink]
"""What is found is small enough, and shrinking plays it thousands of times."""
MAX_CPU_S = 2.0
"""Of an entry; the slowest takes a fiftieth of it."""
MAX_MEMORY_BYTES = 8 * 1024 * 1024
"""More than there was before, at any moment of an entry and after it."""
ENTRIES = [
    pytest.param(target, data, id=f"{target}-{name}") for target in TARGETS for name, data in corpus.entries(target)
]


@pytest.fixture(scope="module", autouse=True)
def clients() -> Iterator[None]:
    """The applications are made before anything is measured, and let go of in the end."""
    with closed():
        for target in TARGETS:
            TARGETS[target](next(corpus.seeds(target))[1])
        yield


@contextmanager
def bounds() -> Iterator[None]:
    """What is done in the block takes neither long nor much."""
    tracemalloc.start()
    try:
        began_s = time.process_time()
        yield
        took_s = time.process_time() - began_s
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took_s < MAX_CPU_S
    assert peak_bytes < MAX_MEMORY_BYTES


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("target", "data"), ENTRIES)
def test_entry_shows_no_defect(target: str, data: bytes) -> None:
    """Neither does a half of it, within bounds of time and memory."""
    with bounds():
        TARGETS[target](data)
        TARGETS[target](data[: len(data) // 2])


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


def test_signed_request_is_believed() -> None:
    """What lies behind the signature is reached: without that, fuzzing the webhooks says little."""
    valid = {name: webhooks(data) for name, data in corpus.seeds("webhooks") if "-valid-" in name}

    assert {200, 204} == {status for statuses in valid.values() for status in statuses}


def test_call_that_an_entry_tells_of_is_the_same_call() -> None:
    """Answers, streams, orders and ends: the desk keeps its state from one request to the next."""
    entries = dict(corpus.entries("webhooks"))

    assert [200, 200, 204, 200] == webhooks(entries["call-that-is-answered-lost-and-over"])
    assert [201, 200, 200, 204] == webhooks(entries["call-that-is-placed-answered-and-hung-up"])
    assert [200, 101, 204, 200, 200, 101] == webhooks(entries["transfer-that-is-not-answered"])


@pytest.mark.parametrize("target", TARGETS)
def test_corpus_names_nobody(target: str) -> None:
    """Mutations make numbers: none is kept that could be somebody's."""
    for path in sorted((corpus.FOUND / target).iterdir()):
        numbers = re.findall(rb"(?:\+|%2[Bb])(\d{7,})", path.read_bytes())

        assert [] == [number for number in numbers if not number.startswith((b"1555", b"441632"))], path.name
