"""The embedded server with its real ears, mouth and mind: a recorded caller is understood and answered aloud."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from bridge.clock import Clock
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel
from bridge.rehearsal.sound import read_wav
from bridge.rehearsal.speech import Speech

CALLS = Path(__file__).parents[2] / "fixtures" / "calls"
FRAME_BYTES = 160
MULAW_BOTH_WAYS = {
    "input": {
        "format": {"type": "audio/pcmu"},
        "transcription": {"model": "gpt-transcribe"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
    },
    "output": {"format": {"type": "audio/pcmu"}},
}


async def speak(socket: ClientConnection, clock: Clock, name: str, *, then_silence_s: float = 2.0) -> None:
    """Play a recorded caller in the clock's time, a frame every 20 ms."""
    sound = read_wav(CALLS / name) + b"\xff" * int(8000 * then_silence_s)
    started = clock.now()
    for index, at in enumerate(range(0, len(sound), FRAME_BYTES)):
        await clock.sleep_until(started + index * 0.02)
        payload = base64.b64encode(sound[at : at + FRAME_BYTES]).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": payload}))


async def until(socket: ClientConnection, event_type: str) -> dict[str, Any]:
    """Return the next event of a type."""
    async with asyncio.timeout(30):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == event_type:
                return event


@pytest.mark.parametrize("rate", [4.0, 10.0])
async def test_recorded_caller_is_understood_and_answered_aloud(rate: float) -> None:
    """At each rate the caller who asks for the opening hours is transcribed, and hears them said."""
    clock = Clock(rate)
    async with (
        Speech() as speech,
        EmbeddedModel(speech=speech, dialogue=Dialogue.default(), clock=clock) as model,
        connect(f"{model.url}?model=gpt-realtime-2.1") as socket,
        asyncio.TaskGroup() as tasks,
    ):
        session = {"type": "realtime", "instructions": "You are a baker's assistant.", "audio": MULAW_BOTH_WAYS}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        await until(socket, "session.updated")
        tasks.create_task(speak(socket, clock, "slt/hours.wav"))

        heard = await until(socket, "conversation.item.input_audio_transcription.completed")
        done = (await until(socket, "response.done"))["response"]

        assert "what are your opening hours" == heard["transcript"]
        assert "completed" == done["status"]
        said = done["output"][0]["content"][0]["transcript"]
        assert "We are open from Monday to Saturday" in said
        (live,) = model.sessions
        assert 2000 < live.items[-1].content[0].audio_ms < 15_000


async def test_model_says_word_for_word_what_a_response_tells_it_to() -> None:
    """A greeting asked for by `response.create` is said exactly, before the caller has said anything."""
    async with (
        Speech() as speech,
        EmbeddedModel(speech=speech, dialogue=Dialogue.default(), clock=Clock(10)) as model,
        connect(f"{model.url}?model=gpt-realtime-2.1") as socket,
    ):
        words = 'Say exactly this to the caller, word for word, and nothing else: "Welcome to the bakery."'
        await socket.send(json.dumps({"type": "response.create", "response": {"instructions": words}}))
        done = (await until(socket, "response.done"))["response"]

        assert "Welcome to the bakery." == done["output"][0]["content"][0]["transcript"]
