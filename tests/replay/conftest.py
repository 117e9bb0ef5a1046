"""Where the tapes are."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tapes() -> Path:
    """The folder of the tapes."""
    return Path(__file__).parents[2] / "fixtures" / "tapes"
