"""Strangers, and peers that mean no good: what they can hold, how long, and what the calls notice of it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.edge import caller, caller_fast, http
from bridge.edge.http import HttpServer
from tests.peers import Model, Twilio
from tests.support import ACCOUNT, PUBLIC, TOKEN, Rehearsal, Start

SID, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
DEEP = 30_000
BOMBS = {
    "deep list": '{"event":"media","media":' + "[" * DEEP + "]" * DEEP + "}",
    "deep object": '{"event":"mark","mark":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}",
    "never closed": "[" * 60_000,
    "huge number": '{"event":"media","media":{"timestamp":' + "9" * 60_000 + ',"payload":"AQEB"}}',
    "huge number as text": '{"event":"media","media":{"timestamp":"' + "9" * 60_000 + '","payload":"AQEB"}}',
    "long key": '{"event":"media","' + "k" * 60_000 + '":1}',
    "many keys": '{"event":"media",' + ",".join(f'"k{number}":1' for number in range(5000)) + "}",
    "lone surrogate": '{"event":"\\ud800"}',
}
EVENTS = {
    "deep list": '{"type":"session.updated","session":' + "[" * 400_000 + "]" * 400_000 + "}",
    "never closed": '{"type":"response.done","response":' + '{"a":' * 150_000,
    "huge number": '{"type":"session.updated","session":{"expires_at":' + "9" * 500_000 + "}}",
    "long key": '{"type":"response.created","' + "k" * 900_000 + '":1}',
    "long type": '{"type":"' + "x" * 900_000 + '"}',
}


UPGRADE = (
    b"GET /media HTTP/1.1\r\nHost: bridge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HELLO = b"\x81\x85" + bytes(4) + b"hello"
"""A text message, masked with zeros."""


class TestStrangers:
    """Connections over which nothing signed has come."""

    @pytest.fixture
    def door(self) -> str:
        """The door that everybody can find; the other has a limit for the handshake, and nothing else to offer."""
        return "plain"

    @pytest.mark.parametrize(
        "said", [b"", b"POST /twiml/answer HTTP/1.1\r\nHos", b"GET /media HTTP/1.1\r\nHost: bridge.test\r\nUpgrade: we"]
    )
    async def test_a_slow_head_is_not_waited_for(
        self, bridge: Rehearsal, said: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever has not asked for anything within five seconds is cut off, however busily they trickle."""
        monkeypatch.setattr(http, "HEAD_WITHIN_S", 0.3)
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.bridge.port)
        writer.write(said)
        trickling = asyncio.create_task(_trickle(writer))
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                assert b"" == await reader.read()
        trickling.cancel()
        writer.close()

    async def test_a_head_that_is_too_long_is_refused(self, bridge: Rehearsal) -> None:
        """Sixteen kilobytes are enough for any request of Twilio's."""
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.bridge.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: bridge.test\r\nX-Long: " + b"x" * 40_000)
        async with asyncio.timeout(10):
            assert b" 431 " in await reader.readline()
        writer.close()

    async def test_a_flood_of_connections_keeps_no_caller_out(
        self, bridge: Rehearsal, model: Model, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The stranger who has waited longest goes; a call that is up and a webhook that comes notice nothing."""
        monkeypatch.setattr(http, "MAX_STRANGERS", 20)
        stream = await twilio.call(SID)
        session = await model.session()
        async with AsyncExitStack() as stack:
            held = [await _hold(stack, bridge.bridge.port) for _ in range(100)]
            await twilio.ring(OTHER)
            await stream.speak(b"\x01" * 160)
            await session.first("input_audio_buffer.append")
            async with asyncio.timeout(10):
                await asyncio.gather(*(asyncio.get_running_loop().sock_recv(one, 1) for one in held[:70]))

        assert 2 == len(bridge.bridge.desk.calls)
        assert bridge.refusals["connections"] >= 80

    async def test_a_page_in_a_browser_of_this_machine_is_not_believed_without_signatures(
        self, rehearsal: Start, model: Model
    ) -> None:
        """`insecure` believes this machine, and a browser on it runs everybody's pages: it says so, and is refused."""
        run = await rehearsal(
            model={"url": model.url}, twilio={"auth_token": "", "insecure": True, "control": "action"}
        )
        async with Twilio(run.bridge.url, run.media_url) as twilio:
            await twilio.ring(SID)
            refused = await twilio.post("/twiml/answer", origin="https://elsewhere.test", CallSid=OTHER)
            with pytest.raises(InvalidStatus):
                await connect(f"{run.media_url}/media", origin="https://elsewhere.test", proxy=None)  # type: ignore[arg-type]  # any text is an origin

        assert 403 == refused.status_code
        assert {"origin": 1, "handshake_origin": 1} == run.refusals


async def test_a_flood_of_sockets_that_show_no_token_keeps_no_caller_out(
    bridge: Rehearsal, model: Model, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their handshakes are signed, as a replay is: who has waited longest goes, and each one is counted."""
    for door in (caller, caller_fast):
        monkeypatch.setattr(door, "START_WITHIN_S", 600)
    monkeypatch.setattr(http, "MAX_STRANGERS", 10)
    url, _ = await twilio.ring(SID)
    held = [await twilio.connect(url, SID) for _ in range(30)]
    stream = await twilio.call(OTHER)
    await stream.speak(b"\x01" * 160)
    await (await model.session(1)).first("input_audio_buffer.append")

    assert {1006, 1008} >= {await one.closed() for one in held[:19]}
    assert ["connections"] == list(bridge.refusals)
    assert 20 <= bridge.refusals["connections"] <= 23


class TestLeavers:
    """Peers that close their side of a connection, as HTTP clients do with those that they have kept for a while."""

    @pytest.fixture
    def door(self) -> str:
        """The door for requests; the other has none."""
        return "plain"

    async def test_a_connection_is_not_kept_for_a_peer_that_has_closed_it(self, bridge: Rehearsal) -> None:
        """It would hold a descriptor, and what serves it, for over a minute after each of the carrier's requests."""
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.bridge.port)
        writer.write(_status_callback())
        assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()

        async with asyncio.timeout(10):
            assert b"" == await reader.read()
        writer.close()

    async def test_who_asks_and_closes_its_side_is_answered(self, bridge: Rehearsal) -> None:
        """Some proxies say at once that no other request will follow."""
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.bridge.port)
        writer.write(_status_callback())
        writer.write_eof()

        async with asyncio.timeout(10):
            assert b" 204 " in await reader.read()
        writer.close()


class TestHandshakes:
    """At both doors."""

    async def test_a_handshake_that_is_never_finished_is_cut_off(self, bridge: Rehearsal) -> None:
        """Within five seconds of the wall; other calls do not wait for it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(bridge.media_url).port)
        writer.write(b"GET /media HTTP/1.1\r\nHost: bridge.test\r\nUpgrade: websocket\r\n")
        async with asyncio.timeout(15):
            with suppress(ConnectionError):
                await reader.read()
        writer.close()

    async def test_a_flood_of_unsigned_handshakes_opens_nothing(self, bridge: Rehearsal, model: Model) -> None:
        """Each costs a 403; no session, no socket, no place."""
        async with Twilio(bridge.bridge.url, bridge.media_url) as twilio:
            url = f"wss://{urlsplit(PUBLIC).netloc}/media"
            results = await asyncio.gather(
                *(twilio.connect(url, SID, auth_token="another") for _ in range(100)), return_exceptions=True
            )

        assert 100 == sum(isinstance(result, InvalidStatus) for result in results)
        assert 100 == bridge.refusals["handshake_signature"]
        assert (0, 0) == (model.handshakes, len(bridge.bridge.desk.calls))

    async def test_a_message_before_the_start_that_is_too_long_is_not_taken(
        self, bridge: Rehearsal, twilio: Twilio
    ) -> None:
        """The limit holds from the first message on, and the call whose token was not shown goes on waiting."""
        url, token = await twilio.ring(SID)
        stream = await twilio.connect(url, SID)
        with suppress(ConnectionClosed):
            await stream.send("x" * 100_000)
        await stream.closed()
        another = await twilio.connect(url, SID)
        await another.start(SID, token)
        await another.speak(b"\x01" * 160)

        assert 1 == len(bridge.bridge.desk.calls)
        assert another.socket.close_code is None


class TestMessages:
    """JSON that is made to hurt."""

    @pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
    async def test_a_bomb_on_the_callers_leg_is_counted_and_survived(
        self, bridge: Rehearsal, model: Model, twilio: Twilio, bomb: str
    ) -> None:
        """The sound after it arrives."""
        stream = await twilio.call(SID)
        await stream.send(bomb)
        await stream.speak(b"\x01" * 160)
        await (await model.session()).first("input_audio_buffer.append")

        assert 1 == len(bridge.seen.of("caller.message_malformed"))

    @pytest.mark.parametrize("bomb", EVENTS.values(), ids=list(EVENTS))
    async def test_a_bomb_on_the_models_leg_is_counted_and_survived(
        self, bridge: Rehearsal, model: Model, twilio: Twilio, bomb: str
    ) -> None:
        """The speech after it is heard."""
        stream = await twilio.call(SID)
        session = await model.session()
        await stream.speak(b"\x01" * 160)
        await session.first("input_audio_buffer.append")
        await session.send(bomb)
        await session.speak("item_1", b"\x02" * 1600)
        await stream.first("media")

        odd = [*bridge.seen.of("model.event_malformed"), *bridge.seen.of("model.event_unknown")]
        assert 1 == len(odd)


async def test_a_burst_behind_the_end_of_a_handler_holds_nothing() -> None:
    """What nobody takes any more must keep neither what reads the socket nor what closes it waiting for room."""
    listener = socket.create_server(("127.0.0.1", 0))
    async with HttpServer(_takes_one_message, listener, max_message_bytes=1000, refused=print):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(UPGRADE)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(HELLO * 500)
        async with asyncio.timeout(10):
            await reader.read()
        writer.close()
        async with asyncio.timeout(10):
            while any(  # noqa: ASYNC110 - nobody else is told
                "HttpServer._serve" in str(task.get_coro()) for task in asyncio.all_tasks()
            ):
                await asyncio.sleep(0.05)


async def _takes_one_message(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """An application whose handler has soon enough."""
    assert "websocket" == scope["type"]
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    await receive()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(0.05)
            writer.write(b"x")


def _status_callback() -> bytes:
    """A signed request, as it goes over a connection."""
    form = {"CallSid": SID, "AccountSid": ACCOUNT, "CallStatus": "completed"}
    url = f"{PUBLIC}/twiml/call-status"
    headers = {"X-Twilio-Signature": str(RequestValidator(TOKEN).compute_signature(url, form))}
    request = httpx.Request("POST", url, headers=headers, data=form)
    lines = (b"%s: %s\r\n" % field for field in request.headers.raw)
    return b"POST /twiml/call-status HTTP/1.1\r\n" + b"".join(lines) + b"\r\n" + request.content


async def _hold(stack: AsyncExitStack, port: int) -> socket.socket:
    connection = stack.enter_context(socket.socket())
    connection.settimeout(0)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return connection
