"""A whole rehearsal in one process: a real bridge, a scripted model behind a real Realtime server, a carrier."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.app import Bridge
from bridge.clock import Clock
from bridge.edge.model import ModelSocket
from bridge.edge.model_fast import FastModelSocket
from bridge.rehearsal.carrier import Call, Callee, Caller, Carrier, Params
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel
from bridge.rehearsal.realtime.scripted import TONE, ScriptedMind, ScriptedSpeech
from bridge.settings import ModelFault, Settings

if TYPE_CHECKING:
    from bridge.call.actions import Said
    from bridge.edge.driver import Driver
    from bridge.rehearsal.conversation import Reply
    from bridge.rehearsal.realtime.ports import MindLike, SpeechLike

ACCOUNT = "AC" + "0" * 32
TOKEN = "a-rehearsed-auth-token"
PUBLIC = "https://bridge.test"
MEDIA = "wss://media.bridge.test"
CALLER, LINE = "+15550100001", "+15551230000"
RATE = 10.0
CLIENTS = {"plain": ModelSocket, "mixed": FastModelSocket, "fast": FastModelSocket}
"""The client of the model's leg by door. Every test of a whole call goes through `plain`, which is Hypercorn and
`websockets`, and `fast`, both legs by picows and media on a port of its own. `mixed` is the plain door where picows is
installed: Hypercorn and picows."""
by_every_client = pytest.mark.parametrize("door", CLIENTS)
"""For tests of what the two legs have to do with each other, whoever carries them."""


class Seen:
    """What happened in the bridge, in order."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, dict[str, object]]] = []
        self.lines: list[Said] = []

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:  # noqa: ARG002 - one is all
        """A fact."""
        self.facts.append((event, fields))

    def said(self, driver: Driver, line: Said) -> None:  # noqa: ARG002 - one is all
        """A line of the transcript."""
        self.lines.append(line)

    def events(self) -> list[str]:
        """The names of the facts."""
        return [event for event, _ in self.facts]

    def of(self, event: str) -> list[dict[str, object]]:
        """The fields of every fact of that name."""
        return [fields for name, fields in self.facts if name == event]

    async def until(self, event: str) -> None:
        """Wait for a fact of that name; whoever calls says for how long."""
        while not self.of(event):  # noqa: ASYNC110 - facts come from everywhere
            await asyncio.sleep(0.02)

    def endings(self) -> list[object]:
        """How calls ended."""
        return [fields["ending"] for fields in self.of("call.ended")]

    def bot_words(self) -> list[str]:
        """What the bot said, as heard, line by line."""
        return [line.words for line in self.lines if line.role == "bot"]


class Rehearsal:
    """Everything a test of a whole call touches."""

    def __init__(self, bridge: Bridge, carrier: Carrier, model: EmbeddedModel, mind: ScriptedMind, seen: Seen) -> None:
        self.bridge = bridge
        self.carrier = carrier
        self.model = model
        self.mind = mind
        self.seen = seen
        self.clock = carrier.clock

    async def dial(
        self, script: Callable[[Call], Awaitable[object]] | None = None, *, from_: str = CALLER, **params: str
    ) -> Call:
        """Call the bridge; `script` is what the caller does, `params` are further parameters of the webhooks."""
        more: Params = dict(params)
        return await self.carrier.dial(from_=from_, to=LINE, caller=Caller(script=script), params=more)

    def asked(self, *kinds: str) -> list[tuple[str, str]]:
        """What was asked of and by the carrier, in order: the kind and the path."""
        return [
            (exchange.kind, exchange.url.partition("?")[0].removeprefix(PUBLIC))
            for exchange in self.carrier.record
            if not kinds or exchange.kind in kinds
        ]

    @property
    def media_url(self) -> str:
        """Where media streams come in on this machine."""
        server = self.bridge.settings.server
        return f"ws://127.0.0.1:{server.media_port or self.bridge.port}"

    def number(self, name: str, **labels: str) -> float:
        """The value of a series of `/metrics` now; 0 when there is none."""
        return sum(self.numbers(name, **labels).values())

    def numbers(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """The values of every series of that name with these labels, by the values of their other labels."""
        return {
            tuple(value for key, value in found.items() if key not in labels): amount
            for family in self.bridge.metrics.snapshot()
            for series, found, amount in family["samples"]
            if series == name and labels.items() <= found.items()
        }

    @property
    def refusals(self) -> dict[str, float]:
        """How many requests were refused and callers turned away, by reason."""
        refused, turned_away = "voicebridge_requests_refused_total", "voicebridge_calls_turned_away_total"
        counts = self.numbers(refused) | self.numbers(turned_away)
        return {reason: count for (reason,), count in counts.items() if count}

    def is_empty(self) -> bool:
        """Whether nothing of any call is left in the bridge."""
        return not len(self.bridge.desk.calls)


Start = Callable[..., Awaitable[Rehearsal]]
"""See `start`, without its first argument."""


async def start(
    stack: AsyncExitStack,
    replies: Iterable[Reply] = (),
    *,
    heard: Iterable[str] = (),
    people: dict[str, Callee] | None = None,
    mouth: SpeechLike | None = None,
    thinks: MindLike | None = None,
    rest: bool = True,
    door: str = "plain",
    rate: float = RATE,
    tapes: Path | None = None,
    faults: Iterable[dict[str, object]] = (),
    **tables: Any,  # noqa: ANN401 - whatever a table of the settings may hold
) -> Rehearsal:
    """Start a rehearsal: `replies` of the model in order, what it `heard`, who can be called, and settings by table.

    The model does wrong what `faults` say, connection by connection. Its calls are recorded in the folder `tapes`, if
    one is named; records are kept where a table `storage` says so.
    A `mouth` speaks instead of a tone, and what `thinks` replies instead of the script. What carries the two legs is
    the `door`'s, see `DOORS`.
    """
    clock = Clock(rate)
    mind = ScriptedMind(replies)
    seen = Seen()
    speech = mouth or ScriptedSpeech(heard)
    endpoint = {"provider": "compatible", "api_key": "a-rehearsed-key"} | tables.pop("model", {})
    dialects = endpoint.get("dialect", "ga")
    model = await stack.enter_async_context(
        EmbeddedModel(
            speech=speech,
            dialogue=Dialogue.default(),
            clock=clock,
            mind=lambda _: thinks or mind,
            dialects=dialects,
            faults=[ModelFault.model_validate(fault) for fault in faults],
        )
    )
    carrier = await stack.enter_async_context(
        Carrier(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            clock=clock,
            public_url=PUBLIC,
            numbers=[LINE],
            destinations=people,
        )
    )
    twilio = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "api_url": carrier.api_url,
        "control": "rest" if rest else "action",
    }
    endpoint = {"url": model.url} | endpoint
    agent = {"greeting_message": "Hello there."} | tables.pop("agent", {})
    server = {"port": 0, "public_url": PUBLIC} | tables.pop("server", {})
    if tapes is not None:
        tables["tape"] = {"record": True, "directory": tapes} | tables.get("tape", {})
    if door == "fast":
        server |= {"media_port": free_port(), "media_url": MEDIA}
    settings = Settings.model_validate(
        {"twilio": twilio, "model": endpoint, "agents": {"reception": agent}, "server": server} | tables
    )
    bridge = await stack.enter_async_context(
        Bridge(settings, clock=clock, observers=(seen,), model_leg=CLIENTS[door], keeps_records="storage" in tables)
    )
    carrier.route(PUBLIC, bridge.url)
    if door == "fast":
        carrier.route(MEDIA, f"http://127.0.0.1:{server['media_port']}")
    return Rehearsal(bridge, carrier, model, mind, seen)


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to no connection going out in the meantime."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)  # below those that are given out, on Linux and elsewhere
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def program(name: str) -> str:
    """The path of a program that a test runs; the test is left out where it is not installed."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")
    return path or pytest.skip(f"{name} is not installed")


def speech(seconds: float) -> bytes:
    """The caller's sound, as the model's voice activity takes it for speech."""
    return TONE * int(seconds * 1000)
