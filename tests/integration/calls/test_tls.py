"""Sessions over TLS, as with every endpoint that is not on this machine; the same at both doors."""

from __future__ import annotations

import ssl
import tempfile
from typing import TYPE_CHECKING
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import trustme

from bridge.edge.model_leg import shared_tls
from tests.peers import Model, Twilio
from tests.proxy import proxied, tunnels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Start

SID = "CA" + "1" * 32


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """An authority that the bridge trusts, with an empty memory of whom it trusted before."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    shared_tls.cache_clear()
    yield made
    shared_tls.cache_clear()


async def test_session_is_opened_where_no_file_can_be_written(
    rehearsal: Start, model: Model, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's root file system may be read-only; and no call waits for another one's disk."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    async with proxied(tls, to=urlsplit(model.url).port or 0) as proxy:
        run = await rehearsal(model={"url": f"wss://localhost:{proxy.port}"})
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        monkeypatch.setattr(tempfile, "gettempdir", Mock(side_effect=FileNotFoundError))
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            url, token = await twilio.ring(SID)
            stream = await twilio.connect(url, SID)
            await stream.start(SID, token)
            await stream.speak(b"\x01" * 160)

            await (await model.session()).first("input_audio_buffer.append")


async def test_session_is_opened_through_a_proxy(
    rehearsal: Start, model: Model, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy leads to the endpoint, and sees nothing of what is said there."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("model.test").configure_cert(tls)
    async with proxied(tls, to=urlsplit(model.url).port or 0) as server, tunnels(to=server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        run = await rehearsal(model={"url": "wss://model.test"})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            stream = await twilio.call(SID)
            await stream.speak(b"\x01" * 160)
            await (await model.session()).first("input_audio_buffer.append")

    assert ["CONNECT model.test:443 HTTP/1.1"] == proxy.asked


@pytest.mark.usefixtures("authority")
async def test_authorities_are_read_before_the_first_call(rehearsal: Start, model: Model) -> None:
    """Reading whom the system trusts holds every call for 16 ms."""
    assert 0 == shared_tls.cache_info().currsize
    await rehearsal(model={"url": model.url})

    assert 1 == shared_tls.cache_info().currsize
