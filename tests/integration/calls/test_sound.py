"""The sound of whole calls: unchanged, in order, at the right place, and silent at once on a barge-in."""

from __future__ import annotations

import asyncio
import random

from bridge.rehearsal.carrier import Call
from bridge.rehearsal.realtime.scripted import TONE
from tests.peers import Model, Session, Stream, Twilio
from tests.support import Start, by_every_client

SID = "CA" + "1" * 32
CALLS = 20
ALLOWED_MS = 40
"""How far a truncation may be from what was heard."""


def sound(seed: int, milliseconds: int) -> bytes:
    """Sound that no other seed makes."""
    return random.Random(seed).randbytes(8 * milliseconds)  # noqa: S311 - nothing to be kept secret


async def answering(session: Session, twilio_stream: Stream) -> None:
    """Wait until both legs are up, and begin a response."""
    await twilio_stream.speak(b"\xff" * 160)
    await session.first("input_audio_buffer.append")
    await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    await added(session, "item_1")


async def added(session: Session, item_id: str) -> None:
    """Begin an item of the response."""
    item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    await session.say("response.output_item.added", response_id="resp_1", output_index=0, item=item)


async def done(session: Session) -> None:
    """End the response."""
    await session.say("response.done", response={"id": "resp_1", "status": "completed", "output": []})


@by_every_client
async def test_a_barge_in_after_a_burst_clears_first_and_plays_nothing_more(model: Model, twilio: Twilio) -> None:
    """Ten seconds sent at once, all done; then the caller speaks: clear, truncate, and not one byte of it follows."""
    stream = await twilio.call(SID)
    session = await model.session()
    await answering(session, stream)
    answer = sound(1, 10_000)
    await session.speak("item_1", answer)
    await done(session)
    await stream.until(lambda: len(stream.of("mark")) == 50)
    await stream.reach(stream.of("mark")[4]["mark"]["name"])  # 1 s is played, and confirmed
    await stream.speak(b"\xff" * 160 * 5)  # and 100 ms more
    await session.until(lambda: len(session.heard()) >= 160 * 6)
    sent = len(stream.messages)
    await session.say("input_audio_buffer.speech_started", item_id="item_2", audio_start_ms=0)
    await session.speak("item_1", b"\x05" * 1600)  # late: it was on its way already
    await stream.first("clear")
    truncate = await session.first("conversation.item.truncate")
    await session.say("input_audio_buffer.speech_stopped", item_id="item_2", audio_end_ms=0)
    await stream.speak(b"\xff" * 160)
    await session.until(lambda: len(session.heard()) >= 160 * 7)

    assert answer == stream.heard()
    assert ["clear"] == stream.kinds()[sent:]
    assert ("item_1", 0) == (truncate["item_id"], truncate["content_index"])
    assert abs(1100 - truncate["audio_end_ms"]) <= ALLOWED_MS


@by_every_client
async def test_a_truncation_is_what_the_ear_heard(rehearsal: Start, model: Model) -> None:
    """A carrier that plays in real time: the model is told within 40 ms how much of its answer was heard."""
    run = await rehearsal(rate=1, model={"url": model.url}, agent={"greeting_message": ""})
    call = await run.dial()
    session = await model.session()
    await session.first("input_audio_buffer.append")
    await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    await added(session, "item_1")
    await session.speak("item_1", TONE * 6000)
    await call.until(lambda: heard_ms(call) > 2345)
    await session.say("input_audio_buffer.speech_started", item_id="item_2", audio_start_ms=0)
    truncate = await session.first("conversation.item.truncate")
    await run.clock.sleep(1)

    assert abs(heard_ms(call) - truncate["audio_end_ms"]) <= ALLOWED_MS
    call.hang_up()
    await call.ended()


def heard_ms(call: Call) -> int:
    """How much of the bot has come out of the telephone."""
    now = call.phone.position()
    return sum(min(piece.stop, now) - piece.start for piece in call.phone.ear.pieces if piece.start < now) // 8


async def test_twenty_calls_at_once_never_mix(rehearsal: Start, model: Model) -> None:
    """Every byte arrives at the right place, in order, unchanged, both ways."""
    run = await rehearsal(model={"url": model.url}, agent={"greeting_message": ""})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        calls = await asyncio.gather(*(_talk(model, twilio, number) for number in range(CALLS)))
        for number, (stream, session) in enumerate(calls):
            assert sound(number, 2000) == session.heard()
            assert sound(1000 + number, 2000) == stream.heard()

        await asyncio.gather(*(stream.hang_up() for stream, _ in calls))
        await asyncio.gather(*(session.closed.wait() for _, session in calls))

    assert ["caller_hung_up"] * CALLS == run.seen.endings()
    assert run.is_empty()


async def _talk(model: Model, twilio: Twilio, number: int) -> tuple[Stream, Session]:
    """Speak two seconds both ways at once; which session is whose is known by the first frame."""
    stream = await twilio.call(f"CA{number:032}")
    spoken = sound(number, 2000)
    await stream.speak(spoken[:160])
    session = await _session_that_heard(model, spoken[:160])
    await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    await added(session, "item_1")
    speaking = asyncio.create_task(session.speak("item_1", sound(1000 + number, 2000), delta_bytes=999))
    for start in range(160, len(spoken), 320):
        await stream.speak(spoken[start : start + 320])
        await asyncio.sleep(0)
    await speaking
    await session.until(lambda: len(session.heard()) == len(spoken))
    await stream.until(lambda: len(stream.heard()) == len(spoken))
    return stream, session


async def _session_that_heard(model: Model, beginning: bytes) -> Session:
    async with asyncio.timeout(10):
        while True:
            for session in model.sessions:
                if session.of("input_audio_buffer.append") and session.heard().startswith(beginning):
                    return session
            await asyncio.sleep(0.01)
