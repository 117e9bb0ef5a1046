"""What is fuzzed: each target takes any bytes and raises only if there is a defect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from string import printable
from urllib.parse import quote_from_bytes

from quart import Quart
from quart.typing import TestClientProtocol

from bridge.clock import Clock
from bridge.replay.plans import plan_of
from bridge.replay.player import play_freely
from bridge.wire import caller, model, tape
from bridge.wire.g711 import size_of
from tests.unit.call.bench import Bench, make_plan
from twiml import documents
from twiml.parameters import (
    CallStatus,
    FallbackNotice,
    IncomingCall,
    MachineDetection,
    RecordingStatus,
    StreamEnded,
    StreamStatus,
)
from twiml.ports import Desk
from twiml.signature import SIGNATURE_HEADER, Validator
from twiml.transfers import TransferResult, Whisper
from twiml.webhooks import Webhooks

ROUTES = ("answer", "after-stream", "transfer-result", "whisper", "fallback", "call-status", "stream-status",
          "machine-detection", "recording-status")  # fmt: skip
MAX_STEPS = 2000
"""Of a tape: a mark may be hours away."""


def caller_leg(data: bytes) -> None:
    """A message of the media stream: read as text and as bytes alike, and taken by a call that is up."""
    read = caller.parse(data)
    assert isinstance(read, caller.CallerMessage)
    if isinstance(read, caller.CallerAudio):
        assert 0 <= read.timestamp_ms <= caller.MAX_TIMESTAMP_MS
        assert 0 <= size_of(read.payload)
    call = _call()
    call.caller(data.decode(errors="replace"))
    call.frame()


def model_leg(data: bytes) -> None:
    """Events of the session, one a line: read, and taken by a call whose bot is speaking."""
    call = _call()
    for line in data.split(b"\n")[:50]:
        read = model.parse(line)
        assert isinstance(read, model.ModelEvent)
        call.model_text(line.decode(errors="replace"))
    if not call.endings:
        call.frame()


def tapes(data: bytes) -> None:
    """A tape: refused in words, or played to its end."""
    try:
        recording = tape.Tape(data.splitlines(keepends=True))
        for number, _ in enumerate(play_freely(recording, plan_of(recording.header))):
            if number > MAX_STEPS:
                return
    except tape.TapeError:
        return


def webhooks(data: bytes) -> None:
    """A request: the first two bytes choose route, method and app; then a line of query, one of a header, the body."""
    head, rest = data[:2].ljust(2, b"\0"), data[2:]
    query, _, rest = rest.partition(b"\n")
    header, _, body = rest.partition(b"\n")
    loop, clients = _clients()
    is_believed = bool(head[1] & 1)
    client = clients[is_believed]
    sent = (client.get if head[1] & 2 else client.post)(
        f"/twiml/{ROUTES[head[0] % len(ROUTES)]}?{quote_from_bytes(query, safe=printable)}",
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            SIGNATURE_HEADER: "".join(chr(byte) for byte in header if chr(byte).isprintable()),
        },
        data=body,
    )
    answer = loop.run_until_complete(asyncio.wait_for(sent, 5))
    assert answer.status_code < 500, answer.status_code
    assert is_believed or answer.status_code >= 400


TARGETS: dict[str, Callable[[bytes], None]] = {
    "caller": caller_leg,
    "model": model_leg,
    "tapes": tapes,
    "webhooks": webhooks,
}


def _call() -> Bench:
    """A call in which much can happen: the bot is speaking, and a function runs."""
    call = Bench(make_plan(functions=("lookup",), barge_in={"mode": "confirmed"}))
    call.up()
    call.turn()
    call.respond("resp_1")
    call.speak("resp_1", "item_1", "/v7+")
    item = {"id": "item_2", "type": "function_call", "call_id": "call_1", "name": "lookup", "arguments": "{}"}
    call.model("response.output_item.done", response_id="resp_1", item=item)
    return call


class _Clerk(Desk):
    """A desk that hangs up on everybody."""

    async def answer(self, call: IncomingCall) -> str:  # noqa: ARG002 - whoever it is
        return documents.hang_up()

    async def after_stream(self, ended: StreamEnded) -> str:  # noqa: ARG002
        return documents.hang_up()

    async def transfer_result(self, result: TransferResult) -> str:  # noqa: ARG002
        return documents.hang_up()

    async def whisper(self, callee: Whisper) -> str:  # noqa: ARG002
        return documents.hang_up()

    async def fallback(self, notice: FallbackNotice) -> None:
        """Nothing to note."""

    async def call_status(self, status: CallStatus) -> None:
        """Nothing to note."""

    async def stream_status(self, status: StreamStatus) -> None:
        """Nothing to note."""

    async def recording_status(self, status: RecordingStatus) -> None:
        """Nothing to note."""

    async def machine_detection(self, detection: MachineDetection) -> None:
        """Nothing to note."""


@cache
def _clients() -> tuple[asyncio.AbstractEventLoop, dict[bool, TestClientProtocol]]:
    """Two applications: one that believes every request, and one that believes signatures."""
    logging.disable(logging.CRITICAL)
    clients = {}
    for is_believed in (True, False):
        app = Quart(__name__)
        validator = None if is_believed else Validator(["12345"], "https://bot.example.test")
        desk = Webhooks(
            _Clerk(),
            validator=validator,
            fallback=documents.hang_up,
            clock=Clock(),
            refused=lambda _: None,
            insecure=is_believed,
        )
        app.register_blueprint(desk.blueprint())
        clients[is_believed] = app.test_client()
    return asyncio.new_event_loop(), clients


@contextmanager
def closed() -> Iterator[None]:
    """Let go of the applications at the end of the block."""
    yield
    if _clients.cache_info().currsize:
        loop, _ = _clients()
        loop.close()
        _clients.cache_clear()
        logging.disable(logging.NOTSET)
