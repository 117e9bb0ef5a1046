"""An operator's functions that take their time, for the probe: what do the other calls notice of them?"""

from __future__ import annotations

import asyncio
import time

TAKES_S = 5.0


async def wait() -> str:
    """Take five seconds, as who awaits something does."""
    await asyncio.sleep(TAKES_S)
    return "done"


def block() -> str:
    """Take five seconds, and hold the thread meanwhile."""
    time.sleep(TAKES_S)
    return "done"


async def hold() -> str:
    """Take five seconds, and hold the event loop it is run in, as a careless function does."""
    time.sleep(TAKES_S)  # noqa: ASYNC251 - the carelessness that is probed
    return "done"
