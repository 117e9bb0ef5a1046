"""The REST interface as a local HTTP server on a free port of the loopback address."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from hypercorn.asyncio import serve
from hypercorn.config import Config

from bridge.rehearsal.carrier.rest import make_app

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.carrier import Carrier


class RestServer:
    """Serves one carrier's REST interface between `start` and `stop`."""

    def __init__(self, carrier: Carrier) -> None:
        self.url = ""
        self._carrier = carrier
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen; `url` is known from then on."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.graceful_timeout = 0.1  # a client's kept connection is no reason to wait
        config.accesslog = config.errorlog = None
        self._task = asyncio.create_task(serve(make_app(self._carrier), config, shutdown_trigger=self._stop.wait))

    async def stop(self) -> None:
        """Stop to listen."""
        self._stop.set()
        if self._task is not None:
            await self._task
