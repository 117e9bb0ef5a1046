"""The composition root: what is begun and cannot be finished is let go of again."""

from __future__ import annotations

import socket

import pytest

from bridge.app import Bridge
from bridge.errors import BridgeError
from bridge.settings import Settings
from tests.support import free_port


async def test_bridge_whose_media_port_is_taken_lets_go_of_the_other() -> None:
    """The error says which port is meant, and the bridge can be started again at once."""
    port, media_port = free_port(), free_port()
    model = {"provider": "compatible", "url": "ws://127.0.0.1:9/v1/realtime", "api_key": "a-key"}
    media = {"media_port": media_port, "media_url": "wss://media.voicebridge.test"}
    settings = Settings.model_validate({"server": {"port": port} | media, "model": model})
    with socket.create_server(("127.0.0.1", media_port)), pytest.raises(BridgeError, match=r"server\.media_port"):
        async with Bridge(settings, keeps_records=False):
            pass

    socket.create_server(("127.0.0.1", port)).close()
