"""Who calls in a soak: sixteen kinds of short calls, and a model that knows by the caller's number what to say.

Nobody here waits for ever, and nothing that a busy machine makes late is an error: what is asked of a call is that it
ends, and that nothing of it is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bridge.call.presence import MAX_LOSSES
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.shop import asks, greeted
from tests.soak.side import Side
from tests.support import speech

SALES, DESK, NIGHT, OFFICE = "+15557654321", "+15557654322", "+15557654323", "+15557654324"
SURE = Reply(speech="All right.")
LONG = Reply(speech="The shop is open from nine to five on every day but Sunday.")
BYE = Reply(speech="Goodbye.", calls=(FunctionCall("end_call", {"reason": "done"}),))
_CLIENT_GONE = 1011


def passes_on(destination: str) -> Reply:
    """The model puts the caller through."""
    return Reply(calls=(FunctionCall("transfer_call", {"destination": destination, "summary": "A price."}),))


async def answered(call: Call) -> None:
    """Wait until something more was heard to its end."""
    before = call.phone.hearing.stopped
    await call.until(lambda: call.phone.hearing.stopped > before and call.phone.silent_s > 0.5)


async def leaves_in_the_greeting(side: Side, call: Call) -> None:
    """Hears a word of it."""
    await call.until(lambda: call.stream is not None)
    await side.clock.sleep(0.5)


async def talks(side: Side, call: Call) -> None:  # noqa: ARG001 - as the others
    """Asks, and hears the answer."""
    await asks(call)
    await answered(call)


async def interrupts(side: Side, call: Call) -> None:
    """Speaks while the answer is heard."""
    await asks(call)
    before = call.phone.hearing.started
    await call.until(lambda: call.phone.hearing.started > before)
    await side.clock.sleep(0.5)
    await call.say(speech(1))
    await answered(call)


async def stays(side: Side, call: Call) -> None:  # noqa: ARG001
    """Says nothing, until somebody hangs up."""
    await call.ended()


async def asks_and_stays(side: Side, call: Call) -> None:  # noqa: ARG001
    """Asks, and whatever comes of it, comes."""
    await asks(call)
    await call.ended()


async def leaves_during_a_function(side: Side, call: Call) -> None:
    """Has no patience: the function has not answered."""
    await asks(call)
    await side.clock.sleep(1.5)


async def leaves_while_it_rings(side: Side, call: Call) -> None:
    """Hangs up before anybody picks up."""
    await asks(call)
    await call.until(lambda: any(leg.parent_sid == call.sid for leg in side.carrier.calls))
    await side.clock.sleep(1)


async def loses_the_stream(side: Side, call: Call) -> None:
    """The stream breaks once; another one goes on."""
    await greeted(call)
    assert call.stream is not None
    call.stream.drop()
    await call.until(lambda: len(call.streams) > 1)
    await side.clock.sleep(1)


async def loses_every_stream(side: Side, call: Call) -> None:
    """It breaks again and again."""
    for number in range(1, MAX_LOSSES + 2):
        await call.until(lambda number=number: len(call.streams) == number)  # type: ignore[misc]
        await side.clock.sleep(0.5)
        if call.stream is not None:
            call.stream.drop()
    await call.ended()


async def loses_the_model(side: Side, call: Call) -> None:
    """The session breaks in the middle of the answer, and another one goes on."""
    await asks(call)
    before = call.phone.hearing.started
    await call.until(lambda: call.phone.hearing.started > before)
    for session in side.model.sessions:
        if call.from_ in session.settings.instructions:
            session._outbox.close(_CLIENT_GONE, "")  # noqa: SLF001 - the server's end
    await answered(call)


async def is_hung_up_on(side: Side, call: Call) -> None:
    """The operator ends the call."""
    await greeted(call)
    await side.hang_up(call)
    await call.ended()


async def presses_keys(side: Side, call: Call) -> None:
    """Types a number, which the model is told."""
    await greeted(call)
    await call.press("12#")
    await side.clock.sleep(1)


Script = Callable[[Side, Call], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call.

    Attributes:
        name: of it.
        script: what the caller does.
        reply: what the model answers.
        ending: how the call ends, as a rule.
    """

    name: str
    script: Script
    reply: Reply
    ending: str


KINDS: Final = (
    Kind("left in the greeting", leaves_in_the_greeting, SURE, "caller_hung_up"),
    Kind("talked", talks, SURE, "caller_hung_up"),
    Kind("interrupted", interrupts, LONG, "caller_hung_up"),
    Kind("said nothing", stays, SURE, "no_input"),
    Kind("seen off", asks_and_stays, BYE, "bot_hung_up"),
    Kind("function", talks, Reply(calls=(FunctionCall("lookup"),)), "caller_hung_up"),
    Kind("left in a function", leaves_during_a_function, Reply(calls=(FunctionCall("dawdle"),)), "caller_hung_up"),
    Kind("cold transfer", asks_and_stays, passes_on("sales"), "transferred"),
    Kind("warm transfer", asks_and_stays, passes_on("office"), "transferred"),
    Kind("came back", asks_and_stays, passes_on("desk"), "no_input"),
    Kind("left while it rang", leaves_while_it_rings, passes_on("night"), "caller_hung_up"),
    Kind("stream lost", loses_the_stream, SURE, "caller_hung_up"),
    Kind("every stream lost", loses_every_stream, SURE, "caller_lost"),
    Kind("model lost", loses_the_model, LONG, "caller_hung_up"),
    Kind("operator", is_hung_up_on, SURE, "operator_hung_up"),
    Kind("keys", presses_keys, SURE, "caller_hung_up"),
)


def number_of(index: int) -> str:
    """The number of a caller: no two have the same, and the model reads the kind of call in it."""
    return f"+1555{index:05d}{index % len(KINDS):02d}"


async def talks_for_a_second(call: Call) -> None:
    """The human of a transfer."""
    await call.carrier.clock.sleep(1)
    call.hang_up()


async def accepts(call: Call) -> None:
    """Another one, who is asked first."""
    await call.until(lambda: bool(call.told))
    await call.press("1")
    await call.carrier.clock.sleep(2)
    call.hang_up()


PEOPLE: Final = {
    SALES: Callee(after_s=1, script=talks_for_a_second),
    OFFICE: Callee(after_s=1, script=accepts),
    DESK: Callee(result="busy", after_s=1),
    NIGHT: Callee(result="no-answer"),
}
