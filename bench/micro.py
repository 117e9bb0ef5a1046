"""The hot path without sockets: microseconds of CPU for each message, from its text to the text that goes out."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING
from unittest.mock import Mock

from bridge.call.controls import ModelConnected
from bridge.call.plan import CallInfo, Plan
from bridge.clock import Clock
from bridge.edge.driver import Driver
from bridge.settings import Settings
from bridge.wire import caller, model
from bridge.wire.commands import UpdateSession, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.wire.commands import Command

RUNS = 7
MESSAGES = 5_000
_SOUND_20_MS = base64.b64encode(bytes(160)).decode()
_SOUND_200_MS = base64.b64encode(bytes(1600)).decode()
_START = (
    '{"event":"start","streamSid":"MZ0","start":{"streamSid":"MZ0","callSid":"CA0","customParameters":{},'
    '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}'
)
_IDS = '"event_id":"event_000000001","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0'


def report() -> str:
    """What each message costs, a line each."""
    return "\n".join(f"{name:<24}{cost_us:>8.2f} us" for name, cost_us in asyncio.run(_measure()).items())


async def _measure() -> dict[str, float]:
    driver = _driver()
    delta = f'{{"type":"response.output_audio.delta",{_IDS},"delta":"{_SOUND_200_MS}"}}'.encode()
    words = f'{{"type":"response.output_audio_transcript.delta",{_IDS},"delta":" word"}}'.encode()
    return {
        "a frame, text to text": _cost(driver.receive_caller, _frames()),
        "a frame, only read": _cost(caller.parse, _frames()),
        "200 ms, text to text": _cost(driver.receive_model, _endless(delta)),
        "200 ms, only read": _cost(model.parse, _endless(delta)),
        "words": _cost(driver.receive_model, _endless(words)),
    }


def _cost(take: Callable[[bytes], object], texts: Iterator[bytes]) -> float:
    """Microseconds of CPU for each text: of the best of some runs, which is the one that was least disturbed."""
    best_s = float("inf")
    for _ in range(RUNS):
        batch = [next(texts) for _ in range(MESSAGES)]
        began = time.process_time()
        for text in batch:
            take(text)
        best_s = min(best_s, time.process_time() - began)
    return best_s / MESSAGES * 1e6


def _frames() -> Iterator[bytes]:
    at_ms = 0
    while True:
        yield (
            f'{{"event":"media","sequenceNumber":"{at_ms}","media":{{"track":"inbound","chunk":"{at_ms}",'
            f'"timestamp":"{at_ms}","payload":"{_SOUND_20_MS}"}},"streamSid":"MZ{0:032}"}}'
        ).encode()
        at_ms += 20


def _endless(text: bytes) -> Iterator[bytes]:
    while True:
        yield text


class _ModelLink:
    """Makes each command's text, and keeps the session that was asked for."""

    asked: dict[str, object]

    def send(self, command: Command) -> None:
        encode(command)
        if isinstance(command, UpdateSession):
            self.asked = command.session

    def close(self) -> None:
        pass


class _CallerLink:
    def send(self, text: str, /) -> None:
        pass

    def close(self) -> None:
        pass


def _driver() -> Driver:
    """A call that is up, between two legs that send nothing."""
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
