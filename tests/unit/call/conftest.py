"""A bench and a rig for each test that asks for one; see `rig.py`."""

from __future__ import annotations

import pytest

from tests.unit.call.rig import Bench, Rig


@pytest.fixture
def bench() -> Bench:
    """A call whose caller speaks first, stepped by hand."""
    return Bench()


@pytest.fixture
def rig() -> Rig:
    """A call whose caller speaks first, in virtual time."""
    return Rig()
