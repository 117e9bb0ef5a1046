"""A bridge as an operator runs it: `voicebridge serve` in a process of its own, with its log at hand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from bridge import children
from tests.support import ACCOUNT, PUBLIC, TOKEN

ROOT = Path(__file__).parents[1]
ADMIN = "an-admin-token"
WITHIN_S = 90.0
"""A busy machine starts three processes in this time."""


class Served:
    """The process, as an async context manager: it listens once entered, and is ended with two signals.

    Args:
        folder: where it runs; the configuration and what it writes go there.
        model_url: of its model.
        arguments: further ones of `serve`.
        server: keys of `[server]`.
        tables: other tables, as TOML.
    """

    def __init__(
        self, folder: Path, model_url: str, *arguments: str, server: Mapping[str, object], tables: str = ""
    ) -> None:
        keys = {"public_url": PUBLIC, "admin_token": ADMIN, **server}
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self._folder = folder
        self._arguments = arguments
        self._config = "\n".join(
            [
                "[server]",
                *lines,
                f'[twilio]\naccount_sid = "{ACCOUNT}"\nauth_token = "{TOKEN}"\ncontrol = "action"',
                f'[model]\nprovider = "compatible"\nurl = "{model_url}"\napi_key = "a-rehearsed-key"',
                '[agents.reception]\ngreeting_message = ""\n[records]\nkeep = false',
                tables,
            ]
        )
        self.lines: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start it."""
        self._folder.mkdir(exist_ok=True)
        (self._folder / "bridge.toml").write_text(self._config)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "serve", *self._arguments),
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(self._folder)},
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        await self.told("bridge.started")
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            await self.told("bridge.draining")
            self.signal(signal.SIGTERM)
        await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        children.send_signal(self.process, number)

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.of("bridge.started")[0]["url"])

    def of(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event."""
        return [line for line in self.lines if line["event"] == event]

    async def told(self, event: str, *, times: int = 1) -> None:
        """Wait until an event has happened so often."""
        await self.until(lambda: len(self.of(event)) >= times)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on its log holds."""
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                assert not self._reading.done(), self.lines
                self._came.clear()
                await self._came.wait()

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        async with asyncio.timeout(WITHIN_S):
            code = await self.process.wait()
            await self._reading
        return code

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(json.loads(line) if line.startswith(b"{") else {"event": line.decode()})
            self._came.set()
        self._came.set()
