"""What holds for all chaos: the embedded model tells its log about each fault, thousands of times."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nobody reads what a broken model logs."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
