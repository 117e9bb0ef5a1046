"""Asks an ASGI application of this process, as if a request had come over a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Application = Callable[..., Awaitable[None]]


class Reply(NamedTuple):
    """What it answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


async def ask(app: Application, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
    """Make a request, whose path has no query, and wait for the whole answer."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "extensions": {},
    }
    asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    replied: list[Message] = []

    is_answered = asyncio.Event()

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await is_answered.wait()  # whoever asks stays until then; Quart 0.23 does not return before they have left
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        replied.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            is_answered.set()

    await app(scope, receive, send)
    start, content = replied[0], b"".join(message.get("body", b"") for message in replied[1:])
    named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return Reply(int(start["status"]), named, content)
