"""`<Enqueue>` and `<Dial><Queue>`: callers wait in a named line until a leg takes the first of them.

A destination `queue:NAME` (or `queue:` and the SID of a TaskRouter workflow) is the agent there: answers after
its `after_s` and takes the caller. Source: Twilio's pages `docs/voice/twiml/enqueue` and `/queue`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.call import Call
from bridge.rehearsal.carrier.flow import Goto, Leave
from bridge.rehearsal.carrier.records import new_sid
from bridge.rehearsal.carrier.rooms import Room

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.carrier import Carrier
    from bridge.rehearsal.carrier.interpreter import Interpreter
    from bridge.rehearsal.carrier.people import Callee
    from bridge.rehearsal.carrier.twiml import Document, Verb

MAX_WAITING = 100
"""Source: Twilio's page on `<Enqueue>`, attribute maxQueueSize."""


class Place:
    """One caller's place in a queue: waiting, then taken, then done."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.since_s = call.carrier.clock.now()
        self.taken = asyncio.Event()
        self.done = asyncio.Event()


class Queue:
    """A line of callers.

    Attributes:
        name: its name, or the SID of the workflow that fills it.
        tasks: the text of each `<Task>` that came with a caller, in order.
    """

    def __init__(self, name: str) -> None:
        self.sid = new_sid("QU")
        self.name = name
        self.tasks: list[str] = []
        self._waiting: deque[Place] = deque()
        self._came = asyncio.Condition()

    async def join(self, place: Place) -> bool:
        """Put a caller at the end; False when the queue is full."""
        if len(self._waiting) >= MAX_WAITING:
            return False
        async with self._came:
            self._waiting.append(place)
            self._came.notify()
        return True

    def leave(self, place: Place) -> None:
        """Take a caller out who waits no longer."""
        if place in self._waiting:
            self._waiting.remove(place)
        place.done.set()

    async def take(self) -> Place:
        """Take the first caller, waiting for one if need be."""
        async with self._came:
            await self._came.wait_for(lambda: bool(self._waiting))
            place = self._waiting.popleft()
        place.taken.set()
        return place


async def enqueue(interpreter: Interpreter, verb: Verb, document: Document) -> Goto | None:
    """Let the caller wait, be taken and talk; then the action's document, or the next verb."""
    call = interpreter.call
    call.answer()
    queue = call.carrier.queue(verb.get("workflowSid") or verb.text)
    queue.tasks += [task.text for task in verb.children]
    place = Place(call)
    if not await queue.join(place):
        return interpreter.action(verb, document, {"QueueResult": "queue-full"})
    call.event("queue.entered", queue.name)
    agent = call.carrier.destinations.get(f"queue:{queue.name}")
    if agent is not None:
        _send_agent(call.carrier, agent, queue)
    try:
        result = await _wait(interpreter, verb, document, place)
    except asyncio.CancelledError:
        interpreter.action(verb, document, _result(queue, place, "bridged" if place.taken.is_set() else "hangup"))
        raise
    finally:
        queue.leave(place)
    return interpreter.action(verb, document, _result(queue, place, result))


async def dial_queue(call: Call, queue: Queue, timeout_s: float) -> str:
    """Connect a leg with the first caller of a queue, until one of them leaves; returns a DialCallStatus."""
    place: Place | None = None
    with contextlib.suppress(TimeoutError):
        async with call.carrier.clock.timeout(timeout_s):
            place = await queue.take()
    if place is None:
        return "no-answer"
    room = Room()
    seats = room.enter(place.call), room.enter(call)
    call.event("call.bridged", place.call.from_)
    try:
        await place.done.wait()
    finally:
        for seat in seats:
            room.leave(seat)
        place.done.set()
    return "completed"


async def _wait(interpreter: Interpreter, verb: Verb, document: Document, place: Place) -> str:
    url = verb.get("waitUrl")
    goto = Goto("wait", document.resolve(url), verb.get("waitUrlMethod", "POST")) if url else None
    music, taken = asyncio.ensure_future(interpreter.wait(goto)), asyncio.ensure_future(place.taken.wait())
    try:
        await asyncio.wait((music, taken), return_when=asyncio.FIRST_COMPLETED)
        if not taken.done():
            await music
    except Leave:
        return "leave"
    finally:
        taken.cancel()
        music.cancel()
        await asyncio.wait((music,))
    await place.done.wait()
    return "bridged"


def _result(queue: Queue, place: Place, result: str) -> dict[str, str | list[str]]:
    waited_s = place.call.carrier.clock.now() - place.since_s
    return {"QueueResult": result, "QueueSid": queue.sid, "QueueTime": str(int(waited_s))}


def _send_agent(carrier: Carrier, callee: Callee, queue: Queue) -> None:
    agent = Call(carrier, callee, direction="outbound-api", from_="", to=f"queue:{queue.name}")

    async def work() -> None:
        if await agent.ring(timeout_s=60):
            await dial_queue(agent, queue, timeout_s=60)

    carrier.keep(agent)
    agent.begin(work)
