"""Two processes that ask each other: what goes wrong in one answer is no matter of the next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from bridge.edge.peer import LENGTH, Peer
from bridge.edge.shared import GoneError


def handle(method: str, arguments: Sequence[object]) -> object:
    """Answer with the arguments, or fail."""
    if method == "fail":
        raise KeyError("as asked")
    return arguments


@asynccontextmanager
async def connected() -> AsyncIterator[Peer]:
    """One side; the other answers it."""
    ours, theirs = socket.socketpair()
    asking = Peer(*await asyncio.open_unix_connection(sock=ours), handle)
    answering = Peer(*await asyncio.open_unix_connection(sock=theirs), handle)
    tasks = [asyncio.create_task(asking.run()), asyncio.create_task(answering.run())]
    try:
        yield asking
    finally:
        asking.close()
        await asyncio.gather(*tasks)


async def test_question_that_cannot_be_answered_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asked is told, what was told is passed over, and the next question is answered."""
    async with connected() as peer:
        with pytest.raises(GoneError, match="could not answer"):
            await peer.ask("fail")
        peer.tell("fail")

        assert [1] == await peer.ask("echo", 1)

    failed = [(record.message, vars(record)["question"]) for record in caplog.records]
    assert [("question.failed", "fail")] * 2 == failed


@pytest.mark.parametrize("frame", [b"\xc1", msgspec.msgpack.encode((1, "echo", "no list"))])
async def test_process_that_sends_what_makes_no_sense_is_cut_off(
    frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Its stream is closed, and whoever serves it goes on."""
    ours, theirs = socket.socketpair()
    with ours:
        peer = Peer(*await asyncio.open_unix_connection(sock=theirs), handle)
        ours.sendall(LENGTH.pack(len(frame)) + frame)

        await peer.run()

    assert ["peer.failed"] == [record.message for record in caplog.records]
