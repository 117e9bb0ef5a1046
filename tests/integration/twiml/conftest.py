"""A real server for the tests of the signalling plane."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from quart import Quart

Serve = Callable[[Quart], Awaitable[int]]


@asynccontextmanager
async def served(app: Quart) -> AsyncIterator[int]:
    """Serve an application on a free loopback port, which is listening when this returns it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    done = asyncio.Event()
    server = asyncio.create_task(hypercorn_serve(app, config, shutdown_trigger=done.wait))
    try:
        yield port
    finally:
        done.set()
        await server


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a function that serves an application until the test ends, and gives its port."""
    async with AsyncExitStack() as servers:
        yield lambda app: servers.enter_async_context(served(app))
