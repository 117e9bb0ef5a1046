"""The hot path without sockets: a call that is up, the texts that reach it all the time, and what each costs.

`bench.test_micro` times them. Times differ from one hour to the next on a shared machine; the interpreter's
instructions, which `instructions` counts, do not: they are what the gate holds (`tests/unit/test_hot_path.py`).
"""

from __future__ import annotations

import base64
import json
import sys
from itertools import count
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

from bridge.call.controls import ModelConnected
from bridge.call.plan import CallInfo, Plan
from bridge.clock import Clock
from bridge.edge.driver import Driver
from bridge.settings import Settings
from bridge.wire import caller
from bridge.wire.commands import UpdateSession, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from _typeshed import TraceFunction

    from bridge.wire.commands import Command

_SOUND_20_MS = base64.b64encode(bytes(160)).decode()
_SOUND_200_MS = base64.b64encode(bytes(1600)).decode()
_START = (
    '{"event":"start","streamSid":"MZ0","start":{"streamSid":"MZ0","callSid":"CA0","customParameters":{},'
    '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}'
)
_IDS = '"event_id":"event_000000001","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0'
DELTA = f'{{"type":"response.output_audio.delta",{_IDS},"delta":"{_SOUND_200_MS}"}}'.encode()
"""200 ms of the bot's sound."""
WORDS = f'{{"type":"response.output_audio_transcript.delta",{_IDS},"delta":" word"}}'.encode()


def frames() -> Iterator[bytes]:
    """The caller's media frames, one after the other."""
    at_ms = 0
    while True:
        yield (
            f'{{"event":"media","sequenceNumber":"{at_ms}","media":{{"track":"inbound","chunk":"{at_ms}",'
            f'"timestamp":"{at_ms}","payload":"{_SOUND_20_MS}"}},"streamSid":"MZ{0:032}"}}'
        ).encode()
        at_ms += 20


def marks() -> Iterator[bytes]:
    """The marks of a stream that come back, one after the other."""
    for serial in count(1):
        yield f'{{"event":"mark","streamSid":"MZ{0:032}","mark":{{"name":"0.{serial}"}}}}'.encode()


def endless(text: bytes) -> Iterator[bytes]:
    """The same text, again and again."""
    while True:
        yield text


def live_call() -> Driver:
    """A call that is up, between two legs that make each text and send nothing; needs a running loop."""
    link = _ModelLink()
    surroundings = Mock(clock=Clock())
    surroundings.connect_model.return_value = link
    settings = Settings.model_validate({"agents": {"reception": {}}})
    info = CallInfo(call_sid="CA0", agent="reception")
    driver = Driver(Plan(call_sid="CA0", agent=settings.agents["reception"], dialect="ga", info=info), surroundings)
    driver.start()
    driver.control(ModelConnected())
    driver.receive_model(json.dumps({"type": "session.updated", "session": link.asked}))
    started = caller.parse(_START)
    assert isinstance(started, caller.StreamStarted)  # noqa: S101 - the text above
    driver.attach(_CallerLink(), started, _START)
    driver.receive_model('{"type":"response.created","response":{"id":"resp_1"}}')
    return driver


def instructions(take: Callable[[bytes], object], texts: Iterator[bytes], *, messages: int = 100) -> float:
    """The interpreter's instructions for each text: the same number on every run of the same code and Python."""
    # What is made on first use is no message's cost; and 3.12 counts from the second time on.
    _traced(take, [next(texts)])
    return _traced(take, [next(texts) for _ in range(messages)]) / messages


def _traced(take: Callable[[bytes], object], batch: list[bytes]) -> int:
    counter = _Counter()
    before = sys.gettrace()
    sys.settrace(counter.enter)
    try:
        for text in batch:
            take(text)
    finally:
        sys.settrace(before)
    return counter.count


class _Counter:
    """Counts every instruction of every Python function that is entered while it traces."""

    def __init__(self) -> None:
        self.count = 0

    def enter(self, frame: FrameType, event: str, _: object) -> TraceFunction:
        """A function is called, or goes on."""
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self.count += event == "opcode"
        return self.enter


class _ModelLink:
    """Makes each command's text, and keeps the session that was asked for."""

    asked: dict[str, object]

    def send(self, command: Command) -> None:
        encode(command)
        if isinstance(command, UpdateSession):
            self.asked = cast("dict[str, object]", command.session)

    def close(self) -> None:
        pass


class _CallerLink:
    def send(self, text: str, /) -> None:
        pass

    def ping(self) -> None:
        pass

    def close(self) -> None:
        pass

    def drop(self) -> None:
        pass
