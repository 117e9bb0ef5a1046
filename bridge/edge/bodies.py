"""Reads the body of a request that anybody may have sent: so much of it, and for so long, and no more.

`twiml.webhooks` has the same for the carrier's requests: it knows nothing of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from bridge.clock import Clock


class TooLargeError(BridgeError):
    """There is more than is read."""


async def read(body: AsyncIterable[bytes], clock: Clock, *, max_bytes: int, within_s: float) -> bytes:
    """All of a body. Raises TooLargeError as soon as it has more bytes, TimeoutError when it has not come in time."""
    read = bytearray()
    async with clock.timeout(within_s):
        async for chunk in body:
            read += chunk
            if len(read) > max_bytes:
                raise TooLargeError(f"the body has more than {max_bytes} bytes")
    return bytes(read)
