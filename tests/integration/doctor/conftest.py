"""A whole that is well: carrier, proxy with a certificate, an endpoint of the model; a test makes one thing ill."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from bridge.app import call_control
from bridge.clock import Clock
from bridge.doctor.checks import CHECKS, examine
from bridge.doctor.commands import listener
from bridge.doctor.context import Context
from bridge.doctor.findings import Finding, Level
from bridge.rehearsal.carrier import Carrier
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel
from bridge.rehearsal.realtime.scripted import ScriptedSpeech
from bridge.settings import Settings
from tests.proxy import Proxy, proxied
from tests.support import free_port

ACCOUNT, TOKEN = "AC" + "1" * 32, "2" * 32
LINE = "+15551230000"
MODEL_KEY = "a-rehearsed-key"


@dataclass
class World:
    """Everything between Twilio and the model, well until a test changes it."""

    carrier: Carrier
    proxy: Proxy
    model: EmbeddedModel
    folder: Path
    authority: trustme.CA
    tables: dict[str, Any]
    """Of the settings."""
    clock: Clock = field(default_factory=Clock)
    wall: Callable[[], float] = time.time
    hold_s: float = 0.6

    async def examined(self, *names: str) -> dict[str, list[Finding]]:
        """What the doctor finds, by check; all of them, or some."""
        settings = Settings.model_validate(self.tables)
        checks = [check for check in CHECKS if not names or check.name in names]
        async with AsyncExitStack() as stack:
            control = await stack.enter_async_context(call_control(settings, Clock()))
            context = Context(settings, self.clock, control, hold_s=self.hold_s, wall=self.wall)
            listening = await stack.enter_async_context(listener(context))
            found = {"bridge": [listening.finding]}
            found |= {name: findings async for name, findings in examine(listening.context, checks)}
        return found

    def point(self) -> None:
        """Let the number ask the bridge."""
        own = self.carrier.account.numbers[LINE]
        base = f"{self.tables['server']['public_url']}/twiml"
        own.voice_url, own.voice_fallback_url = f"{base}/answer", f"{base}/fallback"
        own.status_callback = f"{base}/call-status"


def ill(found: dict[str, list[Finding]]) -> dict[str, list[Finding]]:
    """What is not as it should be."""
    bad = (Level.WARNING, Level.FAILED)
    picked = {name: [one for one in findings if one.level in bad] for name, findings in found.items()}
    return {name: findings for name, findings in picked.items() if findings}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The whole; its authority is one that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    port = free_port()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        carrier = await enter(Carrier(account_sid=ACCOUNT, auth_token=TOKEN, clock=Clock(), numbers=[LINE]))
        proxy = await enter(proxied(tls, to=port))
        speech, dialogue = ScriptedSpeech(), Dialogue.default()
        model = await enter(
            EmbeddedModel(
                speech=speech, dialogue=dialogue, clock=Clock(), api_key=MODEL_KEY, models=["gpt-realtime-2.1"]
            )
        )
        tables = {
            "server": {"port": port, "public_url": f"https://localhost:{proxy.port}"},
            "twilio": {"account_sid": ACCOUNT, "auth_token": TOKEN, "api_url": carrier.api_url},
            "model": {"provider": "compatible", "url": model.url, "api_key": MODEL_KEY},
            "agents": {"reception": {"instructions": "Be brief.", "greeting_message": "Hello."}},
            "lines": {"default": {"agent": "reception"}, LINE: {"agent": "reception"}},
            "destinations": {"sales": {"to": "+15557654321", "caller_id": LINE}},
            "storage": {"url": f"sqlite:///{tmp_path}/calls.db"},
            "tape": {"record": True, "directory": tmp_path / "tapes"},
        }
        world = World(carrier, proxy, model, tmp_path, authority, tables)
        world.point()
        yield world
