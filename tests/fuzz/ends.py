"""The other ends of a call, without sockets: a carrier that does as it is told, and a model that always answers."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

from bridge.edge.driver import Driver
from bridge.edge.model_leg import ModelLeg
from tests.unit.call.messages import mark_message, start_message
from twiml.calls import CallControl, Number, OutboundCall

_SPEECH = b64encode(b"\x9f\x1f" * 800).decode()
"""200 ms of it."""


class Carrier(CallControl):
    """The carrier's REST interface; whatever is asked is done at once."""

    def __init__(self) -> None:
        self.call_sid = ""
        """What a call that is placed is called."""

    async def redirect(self, call_sid: str, *, url: str = "", twiml: str = "") -> None:
        """What follows is up to the input."""

    async def complete(self, call_sid: str) -> None:
        """The same."""

    async def cancel(self, call_sid: str) -> None:
        """The same."""

    async def status(self, call_sid: str) -> str:  # noqa: ARG002 - of any
        """As far as it knows, the call goes on."""
        return "in-progress"

    async def create(self, call: OutboundCall) -> str:  # noqa: ARG002 - whoever is called
        """It rings."""
        return self.call_sid

    async def add_participant(self, conference: str, **asked: object) -> str:  # noqa: ARG002 - whoever is called
        """It rings there."""
        return "CA" + "0" * 32

    async def numbers(self, phone_number: str = "") -> list[Number]:  # noqa: ARG002 - the account's signature
        """The account has none but those of lines."""
        return []


class Stream:
    """A media stream on which everything has been heard as soon as it was sent."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._is_open = True

    @staticmethod
    def start(call_sid: str, token: str) -> str:
        """The message by which it shows whose it is."""
        return json.dumps(start_message(callSid=call_sid, customParameters={"token": token}))

    def receive(self, message: str) -> None:
        """The carrier says this."""
        if self._is_open:
            self._driver.receive_caller(message)

    def send(self, text: str) -> None:
        """Return each mark."""
        message = json.loads(text)
        if message["event"] == "mark":
            name = message["mark"]["name"]
            asyncio.get_running_loop().call_soon(self.receive, json.dumps(mark_message(name)))

    def ping(self) -> None:
        """It is answered by the mark."""

    def drop(self) -> None:
        """It is of no interest any more."""
        self._is_open = False

    def close(self) -> None:
        """The bridge closes it."""
        if self._is_open:
            asyncio.get_running_loop().call_soon(self.hang_up)

    def hang_up(self) -> None:
        """The carrier closes it."""
        if self._is_open:
            self._is_open = False
            self._driver.caller_left(self)


class Model(ModelLeg):
    """A session that confirms what it is asked for, and says a word whenever an answer is wanted."""

    async def _open(self) -> None:
        self._over = asyncio.Event()
        self._responses = 0

    async def _carry(self) -> None:
        self._connected()
        await self._over.wait()

    def _leave(self) -> None:
        self._over.set()

    def _put(self, text: bytes) -> None:
        command = json.loads(text)
        if command["type"] == "session.update":
            self._say("session.updated", session=command["session"])
        elif command["type"] == "response.create":
            self._answer(command.get("response", {}))

    def _answer(self, asked: dict[str, Any]) -> None:
        self._responses += 1
        response_id, item_id = f"resp_{self._responses}", f"item_{self._responses}"
        part = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        response = {"id": response_id, "metadata": asked.get("metadata")}
        self._say("response.created", response=response)
        self._say("response.output_audio.delta", **part, delta=_SPEECH)
        self._say("response.output_audio_transcript.done", **part, transcript="Yes.")
        self._say("response.done", response=response | {"status": "completed"})

    def _say(self, kind: str, **fields: object) -> None:
        event = json.dumps({"type": kind, "event_id": "event_1", **fields})
        asyncio.get_running_loop().call_soon(lambda: self._receive(event))
