"""The webhook at the end of a call: signed, tried until it is taken, and given up at last."""

from __future__ import annotations

import asyncio
import json
import os
import pkgutil
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import NoResultFound

from bridge.edge.functions_signature import sign, verify_signature
from bridge.errors import ConfigurationError
from bridge.records import outbox
from bridge.records.database import open_engine
from bridge.records.tables import deliveries
from bridge.rehearsal.conversation import Reply
from tests.support import Rehearsal, Start, free_port, start

SECRET = "a-webhook-secret"
PAGE = Path(__file__).parents[3] / "docs" / "records.md"


@pytest.fixture
def door() -> str:
    """It is the same through whichever door the media streams come."""
    return "plain"


class Receiver:
    """The operator's own system: answers as told, in order, with 204 at last; keeps what it was sent."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.taken = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status = self._answers.pop(0) if self._answers else 204
        writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        if status == 204:
            self.taken.set()

    def told(self) -> list[dict[str, Any]]:
        """What it was told, by requests that it can trust."""
        for headers, body in self.requests:
            stamp, signature = headers["x-voicebridge-timestamp"], headers["x-voicebridge-signature"]
            assert verify_signature(SECRET, body, timestamp=stamp, signature=signature)
        return [json.loads(body) for _, body in self.requests]


@pytest.fixture
async def receive() -> AsyncIterator[Callable[..., Any]]:
    """Starts receivers on loopback."""
    async with AsyncExitStack() as stack:

        async def receive(*answers: int, port: int = 0) -> Receiver:
            receiver = Receiver(*answers)
            server = await stack.enter_async_context(await asyncio.start_server(receiver.serve, "127.0.0.1", port))
            receiver.port = server.sockets[0].getsockname()[1]
            return receiver

        yield receive


def tables(database: str, port: int, **records: object) -> dict[str, Any]:
    """Settings that have a receiver told."""
    url = f"http://127.0.0.1:{port}/calls"
    webhook = {"webhook_url": url, "webhook_secret": SECRET, "webhook_allow_private": True}
    return {"storage": {"url": database}, "records": webhook | records}


async def one_call(run: Rehearsal) -> str:
    """A call that is over; its name."""
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() == ["Hello there."])
    call.hang_up()
    await call.ended()
    await run.carrier.settled()
    return call.sid


def delivery(database: str) -> tuple[str, int, str | None]:
    """State, attempts and last error of the one delivery there is."""
    engine = open_engine(database, is_reader=True)
    with engine.connect() as connection:
        row = connection.execute(select(deliveries.c.state, deliveries.c.attempts, deliveries.c.last_error)).one()
    engine.dispose()
    return row.state, row.attempts, row.last_error


async def settled(database: str) -> None:
    """What came of it is written down."""
    async with asyncio.timeout(20):
        while True:
            with suppress(NoResultFound):  # the writer has not come to it yet
                if delivery(database)[0] != "waiting":
                    return
            await asyncio.sleep(0.05)


async def test_a_receiver_that_fails_twice_is_told_in_the_end(
    rehearsal: Start, database: str, receive: Callable[..., Any]
) -> None:
    """Three times the same signed record under the same key, and then never again."""
    receiver: Receiver = await receive(503, 500)
    run = await rehearsal([Reply(speech="Hello there.")], **tables(database, receiver.port))
    call_sid = await one_call(run)

    await asyncio.wait_for(receiver.taken.wait(), 20)
    await settled(database)

    told = receiver.told()
    assert ["call.ended"] * 3 == [message["event"] for message in told]
    assert told[0] == told[1] == told[2]
    assert (call_sid, "caller_hung_up") == (told[0]["call"]["call_sid"], told[0]["call"]["ending"])
    assert "Hello there." == told[0]["call"]["transcript"][0]["words"]
    assert {told[0]["call"]["id"]} == {headers["idempotency-key"] for headers, _ in receiver.requests}
    assert ("delivered", 3, None) == delivery(database)


async def test_a_restart_loses_nothing_that_was_to_be_told(
    rehearsal: Start, database: str, receive: Callable[..., Any]
) -> None:
    """The receiver is away when the call ends; the bridge that starts next tells it."""
    port = free_port()
    settings = tables(database, port) | {"server": {"instance": "a"}}
    async with AsyncExitStack() as stack:
        await one_call(await start(stack, [Reply(speech="Hello there.")], **settings))
    assert "waiting" == delivery(database)[0]
    engine = open_engine(database)
    with engine.begin() as connection:
        connection.execute(update(deliveries).values(next_at=deliveries.c.created_at))
    engine.dispose()

    receiver: Receiver = await receive(port=port)
    await rehearsal([], **settings)
    await asyncio.wait_for(receiver.taken.wait(), 20)

    assert ["caller_hung_up"] == [message["call"]["ending"] for message in receiver.told()]


async def test_a_receiver_that_never_takes_it_is_given_up(
    rehearsal: Start, database: str, receive: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `webhook_retry_h`; what was wrong stands in the outbox."""
    monkeypatch.setattr(outbox, "RETRY_FIRST_S", 0.1)
    receiver: Receiver = await receive(*[404] * 1000)
    run = await rehearsal([Reply(speech="Hello there.")], **tables(database, receiver.port, webhook_retry_h=0.0003))
    await one_call(run)

    await settled(database)

    state, attempts, error = delivery(database)
    assert ("given_up", "status 404") == (state, error)
    assert attempts == len(receiver.requests)


@pytest.mark.parametrize("broken", ["bridge.records.webhook.sign", "bridge.records.outbox.due"])
async def test_a_fault_of_the_bridge_keeps_no_record_from_its_receiver(
    broken: str, rehearsal: Start, database: str, receive: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, and tried again: nobody else would do it."""
    monkeypatch.setattr(outbox, "RETRY_FIRST_S", 0.1)
    works, calls = pkgutil.resolve_name(broken), []

    def fails_once(*arguments: Any) -> object:  # noqa: ANN401 - whatever it takes
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyError("as asked")
        return works(*arguments)

    monkeypatch.setattr(broken, fails_once)
    receiver: Receiver = await receive()
    run = await rehearsal([Reply(speech="Hello there.")], **tables(database, receiver.port))
    await one_call(run)

    await asyncio.wait_for(receiver.taken.wait(), 20)
    await settled(database)

    assert "delivered" == delivery(database)[0]
    assert 1 == run.number("voicebridge_faults_total", part="webhook")


async def test_a_receiver_in_a_private_network_is_refused_at_start(rehearsal: Start, database: str) -> None:
    """Unless that is allowed: the rule is that of functions."""
    webhook = {"webhook_url": "https://10.0.0.7/calls", "webhook_secret": SECRET}

    with pytest.raises(ConfigurationError, match=r"records\.webhook_url: is in a private network"):
        await rehearsal(storage={"url": database}, records=webhook)


def test_receiver_of_the_docs_tells_us_from_others(tmp_path: Path) -> None:
    """The page's own code runs, takes what is signed, and refuses everything else."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "receiver.py").write_text(code)
    port = free_port()
    environ = os.environ | {"SECRET": SECRET, "PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "receiver.py"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE
    ) as receiver:
        try:
            assert {204: 1, 403: 2} == asyncio.run(_answers(port))
            assert receiver.stdout is not None
            assert b"record-1 no_input\n" == receiver.stdout.readline()
        finally:
            receiver.kill()


async def _answers(port: int) -> Counter[int]:
    """What the receiver answers to a record that is ours, and to two that are not."""
    body = json.dumps({"event": "call.ended", "call": {"ending": "no_input"}}).encode()
    stamp = str(int(time.time()))
    signed = {"X-Voicebridge-Timestamp": stamp, "X-Voicebridge-Signature": sign(SECRET, stamp, body)}
    old = {"X-Voicebridge-Timestamp": "1", "X-Voicebridge-Signature": sign(SECRET, "1", body)}
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(retries=8), base_url=f"http://127.0.0.1:{port}"
    ) as client:  # the receiver needs a moment to listen
        answers = [
            await client.post("/calls", content=body, headers=headers | {"Idempotency-Key": "record-1"})
            for headers in (signed, signed | {"X-Voicebridge-Signature": "v1=0"}, old)
        ]
    return Counter(answer.status_code for answer in answers)
