"""A peer, a disk or the process itself is slow: who waits for it, what is lost, and who is told."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from bridge.edge import recorder
from tests.peers import Model, Session, Stream, Twilio
from tests.support import Rehearsal, Start

SID, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
FRAME = b"\x01" * 160
WITHIN_S = 1.0
"""What the other call may take for a frame each way: it is milliseconds, and a wait would have no end."""


async def passes(stream: Stream, session: Session) -> None:
    """A call in which sound passes both ways at once."""
    heard, said = len(stream.heard()), len(session.heard())
    async with asyncio.timeout(WITHIN_S):
        await stream.speak(FRAME)
        await session.until(lambda: len(session.heard()) > said)
        await session.speak("item_1", b"\x02" * 160)
        await stream.until(lambda: len(stream.heard()) > heard)


async def begun(model: Model, twilio: Twilio, call_sid: str) -> tuple[Stream, Session]:
    """A call in which the model may speak."""
    number = len(model.sessions)
    stream = await twilio.call(call_sid)
    session = await model.session(number)
    await stream.speak(FRAME)
    await session.first("input_audio_buffer.append")
    await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    return stream, session


async def test_a_carrier_that_does_not_read_holds_up_no_other_call(
    bridge: Rehearsal, model: Model, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its TCP window is full and megabytes wait; the other call goes on at its pace, and the bound ends the first."""
    for module in ("caller", "caller_fast"):
        monkeypatch.setattr(f"bridge.edge.{module}.WAITING_BYTES", 2_000_000)
    stalled, talking = await begun(model, twilio, SID)
    other, session = await begun(model, twilio, OTHER)
    stalled.stop_reading()
    for _ in range(150):
        if talking.closed.is_set() or bridge.seen.of("stream.lost"):
            break
        with suppress(ConnectionClosed):
            await talking.speak("item_1", b"\x02" * 100_000, delta_bytes=100_000)
        await passes(other, session)

    assert bridge.seen.of("stream.lost")
    await passes(other, session)


async def test_a_model_that_does_not_read_holds_up_no_other_call(
    rehearsal: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded; beyond that the session counts as lost and is replaced, and the other goes on."""
    for module in ("model", "model_fast"):
        monkeypatch.setattr(f"bridge.edge.{module}.WAITING_BYTES", 500_000)
    run = await rehearsal(rate=1.0, model={"url": model.url}, agent={"greeting_message": ""})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        stream = await twilio.call(SID)
        stalled = await model.session()
        other, session = await begun(model, twilio, OTHER)
        stalled.stop_reading()
        payload = base64.b64encode(b"\x01" * 40_000).decode()
        for number in range(600):
            if run.seen.of("model.lost"):
                break
            media = {"track": "inbound", "chunk": "1", "timestamp": str(number * 5000), "payload": payload}
            await stream.send({"event": "media", "sequenceNumber": "2", "media": media, "streamSid": stream.stream_sid})
            await passes(other, session)

        assert ["overflowed"] == [fields["reason"] for fields in run.seen.of("model.lost")]
        await passes(other, session)
        await model.session(2)


async def test_a_disk_that_stands_still_holds_up_no_call(
    bridge: Rehearsal, model: Model, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tape waits, and is whole when the disk is back."""
    stands_still, write = threading.Event(), recorder._Writing.write  # noqa: SLF001 - where the disk is

    def slow(self: recorder._Writing) -> None:
        stands_still.wait(20)
        write(self)

    monkeypatch.setattr(recorder._Writing, "write", slow)  # noqa: SLF001 - a disk that is slow cannot be had otherwise
    stream, session = await begun(model, twilio, SID)
    for _ in range(50):
        await passes(stream, session)
    stands_still.set()
    await stream.hang_up()
    await session.closed.wait()

    assert ["caller_hung_up"] == bridge.seen.endings()
    assert 0 == bridge.number("voicebridge_tape_failures_total")


async def test_a_loop_that_stands_still_is_measured(bridge: Rehearsal) -> None:
    """Every caller waits then; whoever watches the bridge sees it, and not only the callers."""
    await asyncio.sleep(0)
    time.sleep(1.2)  # noqa: ASYNC251 - this is the fault

    await _until(lambda: bridge.number("voicebridge_loop_lag_seconds_sum") > 0.4)


async def test_sound_that_comes_late_is_measured(rehearsal: Start, model: Model) -> None:
    """By the stream's own clock: what is two seconds late is so, whatever it waited for."""
    run = await rehearsal(rate=1.0, model={"url": model.url})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        stream, _ = await begun(model, twilio, SID)
        await stream.speak(FRAME * 50)
        await _until(lambda: run.number("voicebridge_input_lag_seconds_count") > 0)
        await run.clock.sleep(3)
        await stream.speak(FRAME * 50)

        await _until(lambda: run.number("voicebridge_input_lag_seconds_sum") > 1)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the probe looks by its own timer
            await asyncio.sleep(0.05)
