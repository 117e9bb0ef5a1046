"""After the end of a call, on any path, nothing of it remains: each ending of the closed list, through both doors."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from bridge.call.controls import Moved
from bridge.call.ending import Ending
from bridge.call.machine import Call as Core
from bridge.call.presence import MAX_LOSSES
from bridge.edge.driver import Driver
from bridge.errors import LocalProtocolError
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.client import ADMIN, LINES, Operator
from tests.peers import Model, Stream, Twilio
from tests.shop import asks, greeted
from tests.support import Rehearsal, Start

HELLO = Reply(speech="Hello there.")
BYE = Reply(speech="Goodbye.")
SID = "CA" + "1" * 32
SALES = "+15557654321"
PLACE = {"to": SALES, "announce": "One moment.", "timeout_s": 5}
TRANSFER = Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "A price."}),))
END = Reply(speech="Goodbye.", calls=(FunctionCall("end_call", {"reason": "done"}),))
TABLES: dict[str, Any] = {"server": {"admin_token": ADMIN}, "lines": LINES}
Script = Callable[[Rehearsal], Awaitable[object]]


async def hangs_up(run: Rehearsal) -> None:
    """The caller hangs up."""
    call = await run.dial(greeted)
    await greeted(call)
    call.hang_up()
    await call.ended()


async def asks_for_it(run: Rehearsal) -> None:
    """The caller asks, and whatever the model does then is done."""
    call = await run.dial(asks)
    await call.ended()


async def stays(run: Rehearsal) -> None:
    """The caller says nothing."""
    call = await run.dial()
    await call.ended()


async def is_hung_up_on(run: Rehearsal) -> None:
    """The operator ends the call."""
    call = await run.dial(greeted)
    await greeted(call)
    await Operator(run).post(f"/api/calls/{call.sid}/hang-up")
    await call.ended()


async def is_lost(run: Rehearsal) -> None:
    """The stream breaks again and again."""

    async def script(call: Call) -> None:
        for number in range(1, MAX_LOSSES + 2):
            await call.until(partial(_has_streams, call, number))
            await call.carrier.clock.sleep(0.5)
            assert call.stream is not None
            call.stream.drop()

    call = await run.dial(script)
    await call.ended()


def _has_streams(call: Call, number: int) -> bool:
    return len(call.streams) == number


async def is_drained(run: Rehearsal) -> None:
    """The bridge is shut down."""
    call = await run.dial(greeted)
    await greeted(call)
    run.bridge.desk.hang_up_all(politely=True)
    await call.ended()


async def calls_somebody(run: Rehearsal) -> None:
    """The bridge places a call; who is called does what the test says."""
    order = {"to": SALES, "on_machine": "hang_up", "ring_s": 5}
    await Operator(run).post("/api/calls", order)
    await run.clock.sleep(1)
    await asyncio.gather(*(call.ended() for call in run.carrier.calls))


async def leaves_a_message(run: Rehearsal) -> None:
    """The same, with a message for a machine."""
    order = {"to": SALES, "on_machine": "leave_message", "message": "Please call back.", "ring_s": 5}
    await Operator(run).post("/api/calls", order)
    await run.clock.sleep(1)
    await asyncio.gather(*(call.ended() for call in run.carrier.calls))


async def does_not_come(run: Rehearsal) -> None:
    """The webhook is answered, and no stream follows."""
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        await twilio.ring(SID)
        await _over(run)


async def goes_elsewhere(run: Rehearsal) -> None:
    """The stream has come to another bridge, which asks for the call."""
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        _, token = await twilio.ring(SID)
        place = run.bridge.desk.calls.find(SID)
        assert place is not None
        assert place.claim(token, run.clock.now())
        place.held.control(Moved())
        await _over(run)


async def breaks(run: Rehearsal) -> None:
    """The bridge's own code fails in the middle of it."""

    def fails(*_: object, **__: object) -> None:
        raise LocalProtocolError("made to fail")

    call = await run.dial(greeted)
    await greeted(call)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Core, "receive_caller", fails)
        patch.setattr(Core, "pass_on", fails)
        await call.ended()


async def _over(run: Rehearsal) -> None:
    while not run.seen.endings():
        await run.clock.sleep(0.2)


async def talks(call: Call) -> None:
    """The human says nothing much."""
    await call.carrier.clock.sleep(2)
    call.hang_up()


WAYS: dict[Ending, tuple[Script, dict[str, Any]]] = {
    Ending.CALLER_HUNG_UP: (hangs_up, {}),
    Ending.BOT_HUNG_UP: (asks_for_it, {"replies": [HELLO, END]}),
    Ending.TRANSFERRED: (
        asks_for_it,
        {
            "replies": [HELLO, TRANSFER, HELLO],
            "destinations": {"sales": PLACE},
            "people": {SALES: Callee(script=talks)},
        },
    ),
    Ending.TRANSFER_FAILED: (
        asks_for_it,
        {
            "replies": [HELLO, TRANSFER, HELLO, BYE],
            "destinations": {"sales": PLACE | {"on_failure": "hang_up"}},
            "people": {SALES: Callee(result="busy", after_s=1)},
        },
    ),
    Ending.OPERATOR_HUNG_UP: (is_hung_up_on, {}),
    Ending.NO_INPUT: (stays, {"replies": [HELLO, BYE], "agent": {"silence": {"prompt_after_s": 2, "prompts": 0}}}),
    Ending.TIME_LIMIT: (stays, {"replies": [HELLO, BYE], "limits": {"max_call_s": 10}}),
    Ending.COST_LIMIT: (
        stays,
        {
            "replies": [HELLO, BYE],
            "limits": {"max_cost": 1},
            "prices": {"gpt-realtime-2.1": {"audio_out": 1_000_000}},
        },
    ),
    Ending.MODEL_FAILED: (stays, {"model": {"url": "ws://127.0.0.1:9/v1/realtime", "restore_within_s": 2}}),
    Ending.CALLER_LOST: (is_lost, {}),
    Ending.DRAINED: (is_drained, {}),
    Ending.NOT_CLAIMED: (does_not_come, {"limits": {"token_ttl_s": 5}}),
    Ending.MOVED: (goes_elsewhere, {}),
    Ending.BRIDGE_FAILED: (breaks, {}),
    Ending.NOT_REACHED: (calls_somebody, {"people": {SALES: Callee(result="busy", after_s=1)}}),
    Ending.MACHINE: (calls_somebody, {"people": {SALES: Callee(answered_by="machine_start")}}),
    Ending.FAX: (calls_somebody, {"people": {SALES: Callee(answered_by="fax")}}),
    Ending.MESSAGE_LEFT: (leaves_a_message, {"people": {SALES: Callee(answered_by="machine_end_beep")}}),
}


@pytest.mark.usefixtures("young_heap")
@pytest.mark.parametrize("ending", WAYS, ids=lambda ending: ending.value)
async def test_nothing_is_left_of_a_call(rehearsal: Start, ending: Ending) -> None:
    """No task, no timer that still means it, no place, no token, no transfer, no order that holds it, no object."""
    way, tables = WAYS[ending]
    tables = TABLES | {"heard": ["please"] * 3, "replies": [HELLO], "tape": {"record": False}} | tables
    run = await rehearsal(tables.pop("replies"), **tables)
    await run.clock.sleep(5)  # until the server serves
    before = works()
    await way(run)
    await run.carrier.settled()

    assert [ending.value] == run.seen.endings()
    await put_away(before)
    assert set() == {str(task.get_coro()) for task in works() - before}
    assert [] == alive()
    assert run.is_empty()
    assert not run.bridge.desk.is_owing


async def test_nothing_is_left_of_a_stream_whose_carrier_talks_on_and_does_not_listen(
    rehearsal: Start, model: Model
) -> None:
    """Who is to close the socket must not wait for room among messages that nobody takes any more."""
    run = await rehearsal(model={"url": model.url}, agent={"greeting_message": ""}, tape={"record": False})
    await run.clock.sleep(5)  # until the server serves
    before = works()
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        stream = await twilio.call(SID)
        await model.session()
        stream.socket.transport.pause_reading()
        talking = asyncio.create_task(talk(stream))
        await run.clock.sleep(2)
        run.bridge.desk.hang_up_all(politely=False)
        await asyncio.wait([talking], timeout=10)  # until it is cut off
        assert talking.done()
        await put_away(before)

    assert set() == {str(task.get_coro()) for task in works() - before}
    assert run.is_empty()


async def talk(stream: Stream) -> None:
    """Send sound for as long as somebody takes it."""
    with suppress(ConnectionClosed):
        while True:
            await stream.speak(b"\x01" * 8000)


async def put_away(before: set[asyncio.Task[Any]]) -> None:
    """Wait a moment, in which what is being closed is closed."""
    for _ in range(20):
        if not (works() - before or alive()):
            break
        await asyncio.sleep(0.3)


def works() -> set[asyncio.Task[Any]]:
    """What is being done, but for the connections that the carrier's HTTP client keeps open for its next request."""
    kept = ("HttpServer._serve", "_Connection._idle_timeout")
    return {task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") not in kept}


def alive() -> list[type]:
    """What there still is of calls."""
    gc.collect()
    return [type(each) for each in gc.get_objects() if type(each) in (Driver, Core)]


def test_every_ending_is_looked_at() -> None:
    """A new one needs a way to get there."""
    assert set(Ending) == set(WAYS)
