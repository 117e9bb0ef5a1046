"""A bridge in a process of its own, for what only a process shows: signals, its exit, what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from bridge import children
from tests.support import ACCOUNT, MEDIA, PUBLIC, TOKEN, free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
SERVE = ("-m", "bridge", "serve", "--config")
STARTS_WITHIN_S = 30.0
Table = dict[str, object]


class Served:
    """`voicebridge serve`, as an async context manager; it is killed at the end if it still runs.

    Args:
        folder: where its configuration goes, and where it runs.
        tables: settings by table, over those of a bridge for the tests' account.
        door: through which media streams come.
        packages: where its Python finds packages; by default where ours does.
    """

    def __init__(
        self, folder: Path, tables: Mapping[str, Table], *, door: str = "plain", packages: Path | None = None
    ) -> None:
        server: Table = {"port": 0, "public_url": PUBLIC}
        self.media_port = free_port() if door == "fast" else 0
        if door == "fast":
            server |= {"media_port": self.media_port, "media_url": MEDIA}
        account = {"account_sid": ACCOUNT, "auth_token": TOKEN, "control": "action"}
        self._tables = dict(tables) | {
            "server": server | tables.get("server", {}),
            "twilio": account | tables.get("twilio", {}),
        }
        self._folder = folder
        self._packages = packages
        self._process: Process
        self._reading: asyncio.Task[None]
        self._came = asyncio.Event()
        self.url = ""
        self.lines: list[dict[str, Any]] = []
        """What it logged."""

    @property
    def media_url(self) -> str:
        """Where media streams come in."""
        return f"ws://127.0.0.1:{self.media_port or self.url.rpartition(':')[2]}"

    async def __aenter__(self) -> Self:
        file = self._folder / "own.toml"
        file.write_text("\n".join(_toml(name, table) for name, table in self._tables.items()))
        self._process = await asyncio.create_subprocess_exec(
            *(*_python(self._packages), *SERVE, str(file)),
            cwd=self._folder,
            env=_environ(self._folder, self._packages),
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        self.url = str((await self.logged("bridge.started", within_s=STARTS_WITHIN_S))["url"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await children.end(self._process)
        await self._reading

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        children.send_signal(self._process, number)

    async def exit_code(self, *, within_s: float) -> int:
        """Wait for its end."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()

    async def logged(self, event: str, *, within_s: float = 10.0) -> dict[str, Any]:
        """The first line with this event; waits for it."""
        async with asyncio.timeout(within_s):
            while not (found := self.of(event)):
                self._came.clear()
                await self._came.wait()
        return found[0]

    def of(self, event: str) -> list[dict[str, Any]]:
        """The lines with this event."""
        return [line for line in self.lines if line["event"] == event]

    def endings(self) -> list[str]:
        """How its calls ended."""
        return [line["ending"] for line in self.of("call.ended")]

    async def get(self, path: str) -> httpx.Response:
        """Ask it something."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            return await client.get(path)

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(json.loads(line) if line.startswith(b"{") else {"event": line.decode()})
            self._came.set()


def serve_to_its_end(folder: Path, config: str, *, packages: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`voicebridge serve`, for configurations with which it does not start."""
    return subprocess.run(
        [*_python(packages), *SERVE, config],
        cwd=folder,
        env=_environ(folder, packages),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def _python(packages: Path | None) -> tuple[str, ...]:
    """With packages of its own, it does not look where it is installed (`-S`)."""
    return (sys.executable,) if packages is None else (sys.executable, "-S")


def _environ(home: Path, packages: Path | None) -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT, packages) if packages is not None else (ROOT,)))
    return os.environ | {"PYTHONPATH": path, "XDG_RUNTIME_DIR": str(home)}


def _toml(name: str, table: Table) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join([f"[{name}]", *lines])
