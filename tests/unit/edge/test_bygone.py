"""Calls that are over are remembered, and not without end."""

from __future__ import annotations

import pytest

from bridge.edge import bygone
from bridge.edge.bygone import Bygone


def test_the_call_that_ended_first_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many end, no more than `KEPT` are kept."""
    monkeypatch.setattr(bygone, "KEPT", 2)
    calls = Bygone()
    for name in ("CA1", "CA2", "CA1", "CA3"):
        calls.add(name)

    assert [True, False, True] == [name in calls for name in ("CA1", "CA2", "CA3")]
