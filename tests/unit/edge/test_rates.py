"""Callers are counted for a minute, and forgotten then."""

from __future__ import annotations

import pytest

from bridge.edge import rates
from bridge.edge.rates import WINDOW_S, CallerRates

ANNA, BERTA, CARLA = "+15550100001", "+15550100002", "+15550100003"


def test_a_caller_may_call_again_when_the_first_call_is_a_minute_ago() -> None:
    """One call too many counts for nothing: whoever tries on and on is let in as soon as anybody else."""
    counted = CallerRates(2)

    assert [True, True, False, False] == [counted.add(ANNA, now) for now in (0.0, 1.0, 2.0, 59.0)]
    assert [True, False, True] == [counted.add(ANNA, now) for now in (WINDOW_S, WINDOW_S, WINDOW_S + 1)]


def test_nobody_is_remembered_for_longer_than_a_minute() -> None:
    """However many callers there were, memory holds those of the last minute; a refused call makes it no longer."""
    counted = CallerRates(1)
    for caller, now in ((ANNA, 0.0), (BERTA, 30.0), (ANNA, 40.0)):
        counted.add(caller, now)
    counted.add(CARLA, WINDOW_S)

    assert 2 == len(counted)
    assert not counted.add(BERTA, WINDOW_S)


def test_with_too_many_callers_the_one_who_called_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of callers costs a bounded amount of memory; the others are still counted."""
    monkeypatch.setattr(rates, "MAX_CALLERS", 2)
    counted = CallerRates(1)
    for now, caller in enumerate((ANNA, BERTA, CARLA)):
        counted.add(caller, now)

    assert [True, False] == [counted.add(caller, 3) for caller in (ANNA, CARLA)]
