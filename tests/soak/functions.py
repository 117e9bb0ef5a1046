"""The operator's functions of a soak."""

from __future__ import annotations

import asyncio


def lookup() -> str:
    """A function that answers at once."""
    return "It is shipped."


async def dawdle() -> str:
    """One that does not answer."""
    await asyncio.Event().wait()
    return ""
