"""What a process that serves does for the pace of its calls."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from typing import TYPE_CHECKING, cast
from unittest.mock import AsyncMock, Mock

import pytest

from bridge import leaving
from bridge.process import FULL_COLLECTION_AFTER, Told, signals, spare_collector
from bridge.serving import until_told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.app import Bridge


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class _Ring:
    def __init__(self) -> None:
        self.itself = self


def test_garbage_of_calls_is_collected_while_what_was_there_before_is_passed_over() -> None:
    """Full collections are short, and still find what an ended call leaves behind."""
    spare_collector()
    left = weakref.ref(_Ring())

    assert left() is not None
    assert len(gc.get_objects()) < gc.get_freeze_count() / 10
    assert FULL_COLLECTION_AFTER == gc.get_threshold()[2]
    gc.collect()
    assert left() is None


async def test_bridge_that_serves_spares_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """No webhook waits for a collection that goes through the whole program."""
    monkeypatch.setattr(leaving, "within", Mock())
    told = Told()
    told.tell()

    await until_told(cast("Bridge", Mock(drain=AsyncMock())), told)

    assert gc.get_freeze_count() > 0


async def test_bridge_that_is_told_twice_before_it_has_looked_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops it twice means it, however busy it is: its calls, which would go on, are ended."""
    monkeypatch.setattr(leaving, "within", Mock())
    bridge = Mock(drain=AsyncMock(side_effect=asyncio.Event().wait))
    with signals() as told:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await until_told(cast("Bridge", bridge), told)

    bridge.hurry.assert_called_once_with()
