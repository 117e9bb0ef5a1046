"""The operator's side of a call: functions by HTTP and in Python, and what the bridge says to the model about them."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from bridge.rehearsal.carrier import Call
from tests.receiver import Receiver
from tests.support import speech

WITHIN_S = 10.0
"""How long a function waits for a test at most, in real seconds."""
Event = dict[str, Any]


class Shop(Receiver):
    """An HTTP server of the operator's that answers every request with `result`; an async context manager."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Event] = []
        self.headers: list[Mapping[str, str]] = []
        self.result: object = None

    def receive(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """Keep a request, and answer it."""
        self.headers.append(headers)
        self.requests.append(json.loads(body))
        return json.dumps(self.result).encode()


class Gate:
    """What a function of the operator's waits at until a test opens it: functions run in other threads and loops."""

    def __init__(self) -> None:
        self._is_open = threading.Event()

    def open(self) -> None:
        """Let the function go on."""
        self._is_open.set()

    def wait(self) -> None:
        """Hold the thread."""
        assert self._is_open.wait(WITHIN_S)

    async def passed(self) -> None:
        """Give way until it is open."""
        async with asyncio.timeout(WITHIN_S):
            while not self._is_open.is_set():  # noqa: ASYNC110 - a loop of another thread waits here
                await asyncio.sleep(0.01)


class Wire:
    """Everything that the bridge said to the embedded model, in order, over all sessions."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, message: str | bytes) -> None:
        """Keep an event."""
        self.events.append(json.loads(message))

    def of(self, kind: str) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if event["type"] == kind]

    def outputs(self) -> list[str]:
        """What functions returned, in the order in which the model was told."""
        items = [event["item"] for event in self.of("conversation.item.create")]
        return [item["output"] for item in items if item["type"] == "function_call_output"]

    def messages(self) -> list[str]:
        """The texts of the messages that the model was told."""
        items = [event["item"] for event in self.of("conversation.item.create")]
        return [item["content"][0]["text"] for item in items if item["type"] == "message"]

    def wishes(self) -> list[str]:
        """The instructions of the responses that were asked for; empty for a plain answer."""
        return [event.get("response", {}).get("instructions", "") for event in self.of("response.create")]

    def steps(self) -> list[str]:
        """The outputs of functions and the wishes for a response, in order: `output` and `response`."""
        names = {"conversation.item.create": "output", "response.create": "response"}
        return [names[event["type"]] for event in self.events if event["type"] in names]

    def heard(self) -> bytes:
        """All the caller's sound."""
        return b"".join(b64decode(event["audio"]) for event in self.of("input_audio_buffer.append"))


def output(result: object) -> str:
    """An output as the model is told it."""
    return json.dumps(result, separators=(",", ":"))


async def greeted(call: Call) -> None:
    """Wait until the greeting was heard."""
    await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)


async def asks(call: Call) -> None:
    """The caller waits for the greeting, and asks for something."""
    await greeted(call)
    await call.say(speech(1.5))


async def until(call: Call, condition: Callable[[], bool], *, hangs_up: bool = True) -> None:
    """Wait until something holds, and let the caller hang up then; the call must not end before."""
    await call.until(condition)
    assert not call.is_over
    if hangs_up:
        call.hang_up()
        await call.ended()
