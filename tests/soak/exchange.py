"""A rehearsal whose bridges run in a process of their own: one for each door, with a carrier and a model here."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import msgspec

from bridge.clock import Clock
from bridge.rehearsal.carrier import Carrier
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel
from tests.client import ADMIN
from tests.soak.census import Census
from tests.soak.side import Side
from tests.soak.voices import Deaf, SoakMind
from tests.support import ACCOUNT, LINE, MEDIA, PUBLIC, RATE, TOKEN, free_port

DOORS = ("plain", "fast")
ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
"""How long a busy machine takes to start a process, and the process to count."""
CLOSED_WITHIN_S = 2.0
"""How long connections take to be gone; some are cut off after a second."""


class Exchange:
    """The bridges and what stands around them, as an async context manager.

    Args:
        folder: where the bridges write.
        tables: their settings.
        people: who can be called.
    """

    def __init__(self, folder: Path, tables: dict[str, Any], people: dict[str, Any]) -> None:
        self.clock = Clock(RATE)
        self.sides: list[Side] = []
        self._folder = folder
        self._log = folder / "bridges.log"
        self._tables = tables
        self._people = people
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        """Start everything."""
        async with AsyncExitStack() as stack:
            around = [(door, *await self._surround(stack)) for door in DOORS]
            settings = [self._settings(door, carrier, model) for door, carrier, model in around]
            await self._begin(settings)
            stack.push_async_callback(self._end)
            urls = msgspec.json.decode(await self._told(), type=list[str])
            for (_, carrier, model), tables, url in zip(around, settings, urls, strict=True):
                carrier.route(PUBLIC, url)
                if port := tables["server"].get("media_port"):
                    carrier.route(MEDIA, f"http://127.0.0.1:{port}")
                self.sides.append(Side(carrier, model, url))
                stack.push_async_callback(self.sides[-1].close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        await self._stack.aclose()

    async def calm_down(self) -> None:
        """Forget what was, and wait until what is being closed is closed."""
        for side in self.sides:
            await side.calm_down()
        await asyncio.sleep(CLOSED_WITHIN_S)

    async def count(self) -> Census:
        """What there is in the bridges' process."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"count\n")
        return msgspec.json.decode(await self._told(), type=Census)

    async def _surround(self, stack: AsyncExitStack) -> tuple[Carrier, EmbeddedModel]:
        model = EmbeddedModel(speech=Deaf(), dialogue=Dialogue.default(), clock=self.clock, mind=lambda _: SoakMind())
        carrier = Carrier(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            clock=self.clock,
            public_url=PUBLIC,
            numbers=[LINE],
            destinations=self._people,
        )
        return await stack.enter_async_context(carrier), await stack.enter_async_context(model)

    def _settings(self, door: str, carrier: Carrier, model: EmbeddedModel) -> dict[str, Any]:
        server: dict[str, object] = {"port": 0, "public_url": PUBLIC, "admin_token": ADMIN}
        if door == "fast":
            server |= {"media_port": free_port(), "media_url": MEDIA}
        return self._tables | {
            "server": server,
            "twilio": {"account_sid": ACCOUNT, "auth_token": TOKEN, "api_url": carrier.api_url},
            "model": {"provider": "compatible", "url": model.url, "api_key": "a-rehearsed-key"},
            "storage": {"url": f"sqlite:///{self._folder / door}.db"},
            "tape": {"record": True, "directory": str(self._folder / door), "audio": False},
        }

    async def _begin(self, settings: list[dict[str, Any]]) -> None:
        """Start the bridges; they tell where they listen."""
        file = self._folder / "soak.json"
        file.write_bytes(msgspec.json.encode({"rate": RATE, "bridges": settings}))
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.soak.bridges", str(file)),
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )

    async def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            assert 0 == await self._process.wait()

    async def _told(self) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            line = await self._process.stdout.readline()
        assert line, f"the bridges are gone: see {self._log}"
        return line
