"""The process of one worker: `python -m bridge.worker FD`, started by `bridge.workers` and by nobody else."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import sys

from bridge import process, several
from bridge.app import Bridge
from bridge.edge.peer import LENGTH
from bridge.edge.shared_parent import SharedByParent
from bridge.errors import BridgeError
from bridge.serving import log_as, reloading, until_told
from bridge.workers import READY, Instructions

_log = logging.getLogger("bridge")


async def main(fd: int) -> int:
    """Serve calls until the parent says so, or is gone; the exit code."""
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd))
    (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    given: Instructions = pickle.loads(await reader.readexactly(size))  # noqa: S301 - from our own parent
    settings, instance = given.settings, given.settings.server.instance
    log_as(settings, instance=instance)
    parent = SharedByParent(given.address, reader, writer)
    listening = asyncio.create_task(parent.run())
    try:
        with process.signals() as told:
            listening.add_done_callback(lambda _: told.tell())
            shared = parent if several.is_in_memory(settings) else None
            async with Bridge(settings, shared=shared) as bridge:
                bridge.given = given.given
                with reloading(bridge, given.file, given.environ, instance=instance):
                    parent.tell(READY)
                    await until_told(bridge, told)
    except BridgeError as error:
        _log.error("worker.failed", extra={"reason": str(error)})
        return 1
    finally:
        parent.close()
        await listening
    return 0


if __name__ == "__main__":
    sys.exit(process.run(main(int(sys.argv[1]))))
