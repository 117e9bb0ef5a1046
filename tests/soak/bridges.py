"""The bridges of a soak, in a process of their own: what is counted there is theirs, not the carrier's or the model's.

`python -m tests.soak.bridges FILE` starts one for each of the settings in the file, writes where they listen, and
counts whenever it is sent a line, until its standard input is closed. Everything it writes is a line of JSON.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from bridge import process
from bridge.app import Bridge
from bridge.clock import Clock
from bridge.edge.model import ModelSocket
from bridge.edge.model_fast import FastModelSocket
from bridge.serving import log_as
from bridge.settings import Settings
from tests.soak.census import remember_little, take
from tests.soak.pacing import pace


async def main(told: dict[str, Any]) -> int:
    """Serve until nobody asks any more; the exit code."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    clock = Clock(told["rate"])
    settings = [Settings.model_validate(each) for each in told["bridges"]]
    log_as(settings[0])
    async with AsyncExitStack() as stack:
        bridges = [await stack.enter_async_context(_bridge(each, clock)) for each in settings]
        pacing = asyncio.create_task(pace(clock))
        stack.callback(pacing.cancel)
        tell([bridge.url for bridge in bridges])
        while await reader.readline():
            tell(take(bridges))
    return 0


def _bridge(settings: Settings, clock: Clock) -> Bridge:
    """Each client of the model's leg behind one of the doors."""
    return Bridge(settings, clock=clock, model_leg=FastModelSocket if settings.server.media_port else ModelSocket)


def tell(what: object) -> None:
    """Write a line of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    remember_little()
    sys.exit(process.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes()))))
