"""The ledger of what was sent and heard: marks, the stream's clock, clears, and marks that never come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.playout import KEPT_ITEMS, Cut, Playout

SECOND = 8000


@pytest.fixture
def playout() -> Playout:
    """An empty ledger."""
    return Playout()


def test_nothing_was_sent(playout: Playout) -> None:
    """There is nothing to cut."""
    assert not playout.is_playing
    assert () == playout.clear(500)


def test_mark_confirms_what_was_sent_before_it(playout: Playout) -> None:
    """All of it, and nothing that was sent after it."""
    first = playout.send("item", 0, SECOND, 0)
    playout.send("item", 0, SECOND, 0)

    assert playout.reach(first, 1000)

    assert (1000, 2000, True, 1) == (
        playout.heard_ms("item"),
        playout.sent_ms("item"),
        playout.is_playing,
        playout.marks_outstanding,
    )


def test_mark_comes_back_twice(playout: Playout) -> None:
    """The second time it confirms nothing."""
    mark = playout.send("item", 0, SECOND, 0)
    assert playout.reach(mark, 1000)

    assert not playout.reach(mark, 2000)


def test_lost_mark_is_made_good_by_the_next(playout: Playout) -> None:
    """The carrier plays in order."""
    playout.send("item", 0, SECOND, 0)
    second = playout.send("item", 0, SECOND, 0)

    assert playout.reach(second, 2000)

    assert (2000, 1, False) == (playout.heard_ms("item"), playout.lost_marks, playout.is_playing)


@pytest.mark.parametrize(
    ("clock_ms", "heard_ms"), [(0, 0), (400, 400), (1000, 1000), (5000, 1000)], ids=["start", "middle", "end", "beyond"]
)
def test_clear_between_marks(playout: Playout, clock_ms: int, heard_ms: int) -> None:
    """Heard is what the clock says, and never more than the next mark would confirm."""
    playout.send("item", 0, SECOND, 0)
    playout.send("item", 0, SECOND, 0)

    assert (Cut("item", 0, heard_ms, 2000),) == playout.clear(clock_ms)


def test_clock_counts_from_the_last_mark(playout: Playout) -> None:
    """Not from when the audio was sent."""
    first = playout.send("item", 0, SECOND, 0)
    playout.send("item", 0, SECOND, 0)
    playout.reach(first, 1100)

    assert (Cut("item", 0, 1300, 2000),) == playout.clear(1400)


def test_clear_cuts_each_part_that_was_not_heard_out(playout: Playout) -> None:
    """The one that was playing first; those behind it were not heard at all; the one before it is not cut."""
    done = playout.send("one", 0, SECOND, 0)
    playout.send("two", 0, SECOND, 0)
    playout.send("two", 1, SECOND, 0)
    playout.send("three", 0, SECOND, 0)
    playout.reach(done, 1000)

    assert (Cut("two", 0, 250, 1000), Cut("two", 1, 0, 1000), Cut("three", 0, 0, 1000)) == playout.clear(1250)
    assert (1000, 250, 0) == tuple(playout.heard_ms(item) for item in ("one", "two", "three"))


def test_marks_of_an_older_generation_come_back(playout: Playout) -> None:
    """A clear returned them: they confirm nothing, also when the same numbers are in use again."""
    old = playout.send("item", 0, SECOND, 0)
    playout.clear(100)
    new = playout.send("next", 0, SECOND, 200)

    assert not playout.reach(old, 300)
    assert playout.reach(new, 1200)
    assert (100, 1000) == (playout.heard_ms("item"), playout.heard_ms("next"))


def test_marks_are_given_up(playout: Playout) -> None:
    """What the clock has had the time to play is heard; no mark is waited for any more."""
    mark = playout.send("item", 0, SECOND, 0)
    playout.send("next", 0, SECOND, 0)

    playout.give_up(1500)

    assert (1000, 500, 2, False) == (
        playout.heard_ms("item"),
        playout.heard_ms("next"),
        playout.lost_marks,
        playout.is_playing,
    )
    assert not playout.reach(mark, 1600)


def test_end_is_known_by_the_streams_clock(playout: Playout) -> None:
    """It moves with what is sent, and with the marks that come back."""
    first = playout.send("item", 0, SECOND, 100)
    assert 1100 == playout.ends_at_ms
    playout.send("item", 0, SECOND, 300)
    assert 2100 == playout.ends_at_ms
    playout.reach(first, 1150)
    assert 2150 == playout.ends_at_ms


def test_new_stream_begins(playout: Playout) -> None:
    """Nothing of the old one is played, and its marks mean nothing."""
    mark = playout.send("item", 0, SECOND, 0)

    playout.restart()

    assert not playout.is_playing
    assert not playout.reach(mark, 0)


def test_figures_of_old_items_are_forgotten(playout: Playout) -> None:
    """But never of one that still waits for its mark."""
    waiting = playout.send("waiting", 0, SECOND, 0)
    for number in range(2 * KEPT_ITEMS):
        playout.send(f"item {number}", 0, 8, 0)

    assert playout.reach(waiting, 1000)
    assert 1000 == playout.heard_ms("waiting")


operations = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 3), st.integers(1, 40_000)),
        st.tuples(st.just("mark"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("clear"), st.just(0), st.just(0)),
        st.tuples(st.just("give up"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 5000), st.just(0)),
    ),
    max_size=40,
)


@given(operations)
def test_ledger_balances(steps: list[tuple[str, int, int]]) -> None:
    """No more is heard than was sent, no item is heard less as time passes, and cuts are within both."""
    playout, marks, clock_ms = Playout(), ["0.0"], 0
    heard = dict.fromkeys(range(4), 0)
    for kind, number, size in steps:
        if kind == "send":
            marks.append(playout.send(str(number), 0, size, clock_ms))
        elif kind == "mark":
            playout.reach(marks[number % len(marks)], clock_ms)
        elif kind == "clear":
            for cut in playout.clear(clock_ms):
                assert 0 <= cut.heard_ms <= cut.sent_ms
        elif kind == "give up":
            playout.give_up(clock_ms)
        else:
            clock_ms += number
        for item, before in heard.items():
            heard[item] = playout.heard_ms(str(item))
            assert before <= heard[item] <= playout.sent_ms(str(item))
        assert playout.is_playing is (playout.marks_outstanding > 0)
        assert not playout.is_playing or playout.ends_at_ms >= 0
