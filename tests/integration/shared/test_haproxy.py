"""Several workers, and several bridges, behind a real HAProxy, with the configurations that are shipped."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.peers import Model, Twilio
from tests.redis_server import MISSING, PROGRAM, RedisServer
from tests.serving import ROOT, Served
from tests.support import free_port

HAPROXY = shutil.which("haproxy")
WITHIN_S = 20.0
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(HAPROXY is None, reason="there is no haproxy on this machine (Debian package haproxy)"),
]
BIND = ":443 ssl crt /etc/haproxy/bot.example.com.pem alpn http/1.1"


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """A Realtime server."""
    async with Model() as model:
        yield model


@contextmanager
def proxy(name: str, folder: Path, addresses: dict[str, str]) -> Iterator[int]:
    """HAProxy with a configuration of `ops/haproxy`, but for its addresses; the port where it listens."""
    assert HAPROXY is not None
    port = free_port()
    text = (ROOT / "ops" / "haproxy" / name).read_text()
    for shipped, here in {BIND: f"127.0.0.1:{port}", **addresses}.items():
        assert shipped in text, shipped
        text = re.sub(rf"{re.escape(shipped)}\b", here, text)
    file = folder / name
    file.write_text(text)
    process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)])
    try:
        gives_up_at = time.monotonic() + WITHIN_S
        while True:
            with closing(socket.socket()) as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < gives_up_at, "haproxy has not started"
        yield port
    finally:
        process.terminate()
        process.wait()


def sid(number: int) -> str:
    """A call's name."""
    return f"CA{number:032}"


async def test_streams_find_the_workers_that_prepared_them(tmp_path: Path, model: Model) -> None:
    """By the worker's number in their address; none of them has to move, and each is signed for the whole address."""
    port, media_port = free_port(), free_port()
    server = {
        "port": port,
        "media_port": media_port,
        "media_url": "wss://bridge.test/worker/{worker}",
        "instance": "here",
    }
    addresses = {
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "127.0.0.1:9000": f"127.0.0.1:{media_port}",
        "127.0.0.1:9001": f"127.0.0.1:{media_port + 1}",
    }
    async with Served(tmp_path, model.url, "--workers", "2", server=server) as served:
        with proxy("workers.cfg", tmp_path, addresses) as outside:
            async with Twilio(f"http://127.0.0.1:{outside}", f"ws://127.0.0.1:{outside}") as twilio:
                rung = [await twilio.ring(sid(number)) for number in range(6)]
                streams = [await twilio.connect(url, sid(number)) for number, (url, _) in enumerate(rung)]
                for number, stream in enumerate(streams):
                    await stream.start(sid(number), rung[number][1])
                await served.told("stream.started", times=6)
                closed = await twilio.post("/api/calls")
                for stream in streams:
                    await stream.hang_up()
                await served.told("call.ended", times=6)

    assert {"wss://bridge.test/worker/0/media/here-0", "wss://bridge.test/worker/1/media/here-1"} == {
        url for url, _ in rung
    }
    assert {"here-0", "here-1"} == {line["instance"] for line in served.of("stream.started")}
    assert ["caller_hung_up"] * 6 == [line["ending"] for line in served.of("call.ended")]
    assert 403 == closed.status_code


async def test_streams_find_the_bridges_that_prepared_them(tmp_path: Path, model: Model) -> None:
    """Webhooks go to both in turn, also those about a call of the other; streams by the name in their path."""
    ports = free_port(), free_port()
    addresses = {f"10.0.0.{number}:8080": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)}
    if PROGRAM is None:
        pytest.skip(MISSING)
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(tmp_path))
        tables = f'[shared]\nurl = "{redis.url}"'
        one, two = (
            Served(tmp_path / name, model.url, server={"port": port, "instance": name}, tables=tables)
            for name, port in zip(("one", "two"), ports, strict=True)
        )
        async with one, two:
            outside = stack.enter_context(proxy("bridges.cfg", tmp_path, addresses))
            async with Twilio(f"http://127.0.0.1:{outside}", f"ws://127.0.0.1:{outside}") as twilio:
                rung = [await twilio.ring(sid(number)) for number in range(4)]
                for number, (url, token) in enumerate(rung):
                    stream = await twilio.connect(url, sid(number))
                    await stream.start(sid(number), token)
                await one.told("stream.started", times=2)
                await two.told("stream.started", times=2)
                for number in range(4):  # each is asked twice, so once by the other bridge
                    for _ in range(2):
                        await twilio.post("/twiml/call-status", CallSid=sid(number), CallStatus="completed")
                await one.told("call.ended", times=2)
                await two.told("call.ended", times=2)

    assert {"wss://bridge.test/media/one", "wss://bridge.test/media/two"} == {url for url, _ in rung}
    assert {"caller_hung_up"} == {line["ending"] for bridge in (one, two) for line in bridge.of("call.ended")}
