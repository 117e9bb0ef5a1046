"""How a session is opened, and what becomes of an endpoint that answers as it should not: the same by either client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trustme

from bridge.edge import model_fast
from tests.peers import Model, Twilio
from tests.proxy import listening, proxied, tunnels
from tests.support import Rehearsal, Start

SID = "CA" + "1" * 32
QUOTA = b'{"error":{"code":"insufficient_quota"}}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names none until the test does."""
    model_fast.proxy_of.cache_clear()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy", "socks_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[str]:
    """An endpoint that answers each handshake with this, piece by piece, and closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)  # the pieces are to arrive one by one

    async with listening(serve) as port:
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def lost(run: Rehearsal) -> dict[str, object]:
    """Ring; how the first session was lost."""
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        await twilio.ring(SID)
        async with asyncio.timeout(10):
            await run.seen.until("model.lost")
    return run.seen.of("model.lost")[0]


@pytest.mark.parametrize(
    ("answer", "reason", "code"),
    [
        (b"", "unreachable", "ValueError"),
        (b"SSH-2.0-Server\r\n\r\n", "unreachable", "ValueError"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "unreachable", "ValueError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "refused", "200"),
        (b"HTTP/1.1 522 Origin Unreachable\r\nContent-Length: 0\r\n\r\n", "unavailable", "522"),
    ],
    ids=["nothing", "another protocol", "no upgrade", "a page", "a status of its own"],
)
async def test_endpoint_answers_as_none_should(rehearsal: Start, answer: bytes, reason: str, code: str) -> None:
    """The call learns at once that there is no session, and why."""
    async with answering(answer) as url:
        run = await rehearsal(model={"url": url, "connect_timeout_s": 60})

        assert {"reason": reason, "code": code} == await lost(run)


async def test_reason_of_a_refusal_arrives_after_its_status(rehearsal: Start) -> None:
    """Servers that write head and body one after the other are common: what the body says decides what follows."""
    head = f"HTTP/1.1 429 Too Many Requests\r\nContent-Length: {len(QUOTA)}\r\n\r\n".encode()
    async with answering(head, QUOTA[:20], QUOTA[20:]) as url:
        run = await rehearsal(model={"url": url})

        assert {"reason": "rate_limited", "code": "429 insufficient_quota"} == await lost(run)


async def test_reason_of_a_refusal_never_arrives(rehearsal: Start) -> None:
    """It is waited for within the time for opening a session, which begins once."""
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 900\r\n\r\n"
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if len(asked) == 1:
            await run.bridge.clock.sleep(4)
            writer.write(head)
        await reader.read()

    async with listening(serve) as port:
        run = await rehearsal(model={"url": f"ws://127.0.0.1:{port}/v1/realtime", "connect_timeout_s": 5})
        began = run.bridge.clock.now()
        await lost(run)

    assert 8 > run.bridge.clock.now() - began


async def test_redirect_leads_nowhere(rehearsal: Start, model: Model) -> None:
    """Wherever it leads would be given the key."""
    async with answering(
        f"HTTP/1.1 307 Elsewhere\r\nLocation: {model.url}\r\nContent-Length: 0\r\n\r\n".encode()
    ) as url:
        run = await rehearsal(model={"url": url, "extra_headers": {"api-key": "a-key"}})

        assert {"reason": "refused", "code": "307"} == await lost(run)
        assert 0 == model.handshakes


async def test_certificate_is_not_believed(rehearsal: Start) -> None:
    """Nobody is told the key before it is."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    async with proxied(tls) as server:
        run = await rehearsal(model={"url": f"wss://localhost:{server.port}"})

        assert "tls_failed" == (await lost(run))["reason"]


@pytest.mark.parametrize(
    ("headers", "agent"), [({}, "voicebridge/"), ({"user-agent": "my line"}, "my line")], ids=["own", "operator's"]
)
async def test_bridge_says_who_it_is(rehearsal: Start, model: Model, headers: dict[str, str], agent: str) -> None:
    """Gateways turn away who does not; the operator may have it say something else."""
    run = await rehearsal(model={"url": model.url, "extra_headers": headers})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        await twilio.ring(SID)
        await model.session()
    agents = [value for name, value in model.headers[0].items() if name.lower() == "user-agent"]

    assert 1 == len(agents)
    assert agents[0].startswith(agent)


async def test_session_is_opened_through_a_proxy(
    rehearsal: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some networks have no other way out; the environment names it."""
    async with tunnels(to=urlsplit(model.url).port or 0) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        run = await rehearsal(model={"url": "ws://model.test:8000/v1/realtime"})
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await twilio.call(SID)
            await model.session()

    assert ["CONNECT model.test:8000 HTTP/1.1"] == proxy.asked


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "socks5h://127.0.0.1"])
async def test_proxy_does_not_lead_anywhere(rehearsal: Start, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """It refuses, or its address is none: the call learns that, instead of waiting for a session."""
    async with tunnels(to=9) as proxy:
        proxy.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        monkeypatch.setenv("http_proxy", address.format(port=proxy.port))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        run = await rehearsal(model={"url": "ws://model.test:8000/v1/realtime", "connect_timeout_s": 60})

        assert "unreachable" == (await lost(run))["reason"]


async def test_model_sends_more_than_may_be(rehearsal: Start, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session is given up, and another one opened."""
    for client in ("straight", "model_fast"):
        monkeypatch.setattr(f"bridge.edge.{client}.MAX_MESSAGE_BYTES", 100_000)
    run = await rehearsal(model={"url": model.url})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        await twilio.call(SID)
        session = await model.session()
        await session.send("x" * 100_001)
        async with asyncio.timeout(10):
            await run.seen.until("model.lost")

    assert "closed" == run.seen.of("model.lost")[0]["reason"]
