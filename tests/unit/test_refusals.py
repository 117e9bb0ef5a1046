"""A flood is counted to the last request, and does not flood the log."""

from __future__ import annotations

import logging

import pytest

from bridge.clock import Clock
from bridge.refusals import LOG_EVERY_S, Refusals


class StandingClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.now = lambda: self.at


def test_many_refusals_make_two_lines_and_are_all_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The first at once, and one for all the others when it is time."""
    clock, counted = StandingClock(), list[str]()
    refusals = Refusals(clock, counted.append)
    with caplog.at_level(logging.WARNING):
        for _ in range(500):
            refusals.refused("signature_wrong")
        clock.at = LOG_EVERY_S
        refusals.refused("signature_wrong")

    assert 501 == len(counted)
    assert [1, 500] == [vars(record)["times"] for record in caplog.records]
