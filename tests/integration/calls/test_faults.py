"""A model that cannot be used: the caller hears the fallback, whatever is wrong, and nothing is left of the call."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path

import pytest

from tests.peers import Model, Twilio
from tests.support import Rehearsal, Start, by_every_client, free_port

SID = "CA" + "1" * 32
SORRY = "Sorry, our assistant is unavailable."


async def hears_the_fallback(run: Rehearsal, reason: str) -> None:
    """Call, and check what was heard."""
    call = await run.dial()
    await call.ended()
    await run.carrier.settled()

    assert [SORRY] == call.told
    assert ["model_failed"] == run.seen.endings()
    assert reason in [fields["reason"] for fields in run.seen.of("model.failed")]
    assert run.is_empty()


@by_every_client
@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthorized"), (404, "not_found"), (429, "rate_limited"), (503, "unavailable")]
)
async def test_an_endpoint_that_refuses_is_named_and_the_caller_hears_the_fallback(
    rehearsal: Start, status: int, reason: str
) -> None:
    """An HTTP status to the handshake."""
    async with Model(status=status) as model:
        run = await rehearsal(model={"url": model.url}, fallback={"say": SORRY})
        await hears_the_fallback(run, reason)


async def test_an_endpoint_that_nobody_listens_at_means_the_fallback(rehearsal: Start) -> None:
    """No connection."""
    run = await rehearsal(model={"url": f"ws://127.0.0.1:{free_port()}/v1/realtime"}, fallback={"say": SORRY})
    await hears_the_fallback(run, "unreachable")


async def test_an_endpoint_that_never_answers_means_the_fallback(rehearsal: Start) -> None:
    """A connection, and then nothing: the caller waits no longer than the time allowed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/v1/realtime"
        run = await rehearsal(model={"url": url, "connect_timeout_s": 2}, fallback={"say": SORRY})
        await hears_the_fallback(run, "timed_out")


async def test_a_session_with_other_formats_means_the_fallback_and_no_sound(rehearsal: Start) -> None:
    """A server that runs on its defaults would hear noise, and make some: it is sent none."""
    async with Model(confirms=False) as model:
        run = await rehearsal(model={"url": model.url}, fallback={"say": SORRY})
        await hears_the_fallback(run, "session_mismatched")

        assert [] == model.sessions[0].of("input_audio_buffer.append")


async def test_a_session_that_breaks_off_means_the_fallback(rehearsal: Start, model: Model) -> None:
    """The server closes the socket in the middle of a call."""
    run = await rehearsal(model={"url": model.url}, fallback={"say": SORRY})
    call = await run.dial()
    session = await model.session()
    await session.first("input_audio_buffer.append")
    await session.close(4000)
    await call.ended()

    assert [SORRY] == call.told
    assert [{"reason": "closed", "code": "4000"}] == run.seen.of("model.lost")


async def test_the_endpoint_is_asked_with_its_key(rehearsal: Start, model: Model) -> None:
    """Headers, query and subprotocols are those of the endpoint."""
    run = await rehearsal(model={"url": model.url, "extra_headers": {"X-Gateway": "one"}})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        await twilio.ring(SID)
        await model.session()

    assert "Bearer a-rehearsed-key" == model.headers[0]["Authorization"]
    assert "one" == model.headers[0]["X-Gateway"]


@pytest.mark.usefixtures("young_heap")
async def test_nothing_is_left_of_a_call(bridge: Rehearsal, model: Model, twilio: Twilio) -> None:
    """No task, no socket, no place: however a call ended, the bridge is as it was before."""
    await _hung_up(model, twilio, 0)  # what is made once is made
    await bridge.clock.sleep(5)
    before = _held()
    for number in range(1, 6):
        await _hung_up(model, twilio, number)
    for number in range(6, 9):
        await _broken_off(model, twilio, number)
    for _ in range(100):  # what is being closed takes a moment
        if _held() > before:
            await asyncio.sleep(0.05)
    assert _held() <= before

    assert bridge.is_empty()
    assert 9 == len(bridge.seen.endings())


async def _hung_up(model: Model, twilio: Twilio, number: int) -> None:
    stream = await twilio.call(f"CA{number:032}")
    session = await model.session(number)
    await stream.speak(b"\xff" * 160)
    await session.first("input_audio_buffer.append")
    await stream.hang_up()
    await stream.leave()
    await session.closed.wait()


async def _broken_off(model: Model, twilio: Twilio, number: int) -> None:
    stream = await twilio.call(f"CA{number:032}")
    session = await model.session(number)
    stream.socket.transport.abort()
    await stream.leave()
    await session.closed.wait()


def _held() -> int:
    """How many tasks there are, and file descriptors."""
    gc.collect()
    descriptors = Path("/proc/self/fd")
    return len(asyncio.all_tasks()) + (len(list(descriptors.iterdir())) if descriptors.exists() else 0)
