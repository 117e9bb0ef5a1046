"""Lets calls go on as they would on an idle machine, however busy this one is."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.clock import Clock

STEP_S, LATE_S = 0.005, 0.01


async def pace(clock: Clock) -> None:
    """Let the calls' time stand still while this process is behind: calls take longer then, and are the same."""
    is_late = False
    while True:
        with ExitStack() as holding:
            if is_late:
                holding.enter_context(clock.held())
            due_at = time.monotonic() + STEP_S
            await asyncio.sleep(STEP_S)
            is_late = time.monotonic() > due_at + LATE_S
