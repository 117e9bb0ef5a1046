"""An application is asked without a socket, and answers as it would over one."""

from __future__ import annotations

import asyncio

from quart import Quart, request

from bridge.edge.in_process import ask


async def test_answer_that_takes_time_is_waited_for() -> None:
    """A record that is read beside the event loop is as much of an answer as one that is at hand."""
    app = Quart(__name__)

    @app.post("/echo")
    async def echo() -> tuple[str | bytes, int]:
        for _ in range(10):
            await asyncio.sleep(0)
        return await request.get_data(as_text=False), 202

    async with asyncio.timeout(5):
        reply = await ask(app, "POST", "/echo", [("Content-Type", "text/plain")], b"words")

    assert (202, b"words") == (reply.status, reply.body)
