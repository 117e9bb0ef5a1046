"""Every rehearsed call is on a tape (the fixture `rehearsal` replays it); tapes are played over real sockets again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.app import Bridge
from bridge.call.plan import Plan
from bridge.clock import Clock
from bridge.reenactment import Reenacted, reenact, settings_of
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.rehearsal.reenact.likeness import Tolerance
from bridge.rehearsal.reenact.parts import Parts, parts_of
from bridge.rendezvous import Credential
from bridge.replay.commands import opened
from bridge.replay.plans import plan_of
from bridge.settings import BargeIn
from tests.support import Rehearsal, Start, free_port, speech

TAPES = Path(__file__).parents[3] / "fixtures" / "tapes"
SALES = "+15557654321"
RATES = (10, 4, 2)
"""Faster than real time; where a machine that is busy with other tests does not keep up, the slower one counts."""
LOOSE = Tolerance(heard_ms=500, moment_s=1.0)


def read(path: Path) -> tuple[Parts, Plan]:
    """What there is to play on a tape, and what its call went by."""
    with opened(path) as tape:
        return parts_of(tape), plan_of(tape.header)


async def over_sockets(path: Path) -> Reenacted:
    """A tape, played at a bridge that is started for it."""
    parts, plan = read(path)
    for rate in RATES:
        again = await reenact(parts, plan, Clock(rate), tolerance=LOOSE)
        if not again.differences:
            break
    return again


async def tape_of(run: Rehearsal, folder: Path) -> Path:
    """The tape of the call that a rehearsal has made, once it is written to its end."""
    async with run.clock.timeout(100):
        while not (whole := whole_tapes(folder)):
            await run.clock.sleep(1)
    return whole[0]


def whole_tapes(folder: Path) -> list[Path]:
    """The tapes that are written to their ends."""
    return [path for path in folder.rglob("*.tape") if b'\n{"end":' in path.read_bytes()]


async def test_a_rehearsed_call_is_on_a_tape(rehearsal: Start, tmp_path: Path) -> None:
    """Were it not, the replay of every tape would say nothing."""
    run = await rehearsal([Reply(speech="Hello there.")])
    call = await run.dial()
    await call.until(lambda: bool(run.seen.lines))
    call.hang_up()
    await call.ended()

    _, plan = read(await tape_of(run, tmp_path))
    assert call.sid == plan.call_sid


@pytest.mark.parametrize("tape", sorted(path.stem for path in TAPES.glob("*.tape")))
async def test_a_tape_goes_over_sockets_as_it_went(tape: str) -> None:
    """Cuts, truncations, commands, words and ending: the carrier plays the caller, a server the model."""
    again = await over_sockets(TAPES / f"{tape}.tape")

    assert [] == again.differences
    assert again.deeds.ending


async def test_a_call_that_moves_to_another_session_goes_over_sockets_as_it_went(
    rehearsal: Start, tmp_path: Path
) -> None:
    """Two sessions at once for a while, the second told what the first had heard: at its limit then, and again now."""
    replies = [Reply(speech="Hello there."), Reply(speech="From nine to five."), Reply(speech="You are welcome.")]
    faults, agent = [{"kind": "expire", "after_s": 20}], {"silence": {"prompt_after_s": 60}}
    run = await rehearsal(replies, heard=["when", "thanks"], faults=faults, agent=agent)

    async def asks_twice(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
        await call.say(speech(1.5))
        await call.until(lambda: bool(run.seen.of("session.replaced")))
        await call.say(speech(1.5))
        await call.until(lambda: len(run.seen.bot_words()) > 2)
        call.hang_up()

    call = await run.dial(asks_twice)
    await call.ended()
    path = await tape_of(run, tmp_path)
    parts, _ = read(path)
    again = await over_sockets(path)

    assert 2 == len(parts.sessions)
    assert [] == again.differences


async def test_a_call_with_an_errand_goes_over_sockets_as_it_went(rehearsal: Start, tmp_path: Path) -> None:
    """The caller comes back from a destination that is busy, and interrupts: two streams, one session."""
    run = await rehearsal(
        [
            Reply(speech="Hello there."),
            Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "Wants a price."}),)),
            Reply(speech="I will put you through."),
            Reply(speech="Nobody is there just now, so let me tell you what else I could do for you today."),
        ],
        heard=["sales please"],
        people={SALES: Callee(result="busy", after_s=1)},
        destinations={"sales": {"to": SALES, "announce": "I will put you through.", "timeout_s": 10}},
    )

    async def asks_and_interrupts(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
        await call.say(speech(1.5))
        await call.until(lambda: len(call.streams) > 1 and call.phone.listened_s > 2)
        await call.say(speech(1))
        await call.until(lambda: bool(run.seen.of("bargein.performed")))
        call.hang_up()

    call = await run.dial(asks_and_interrupts)
    await call.ended()
    path = await tape_of(run, tmp_path)
    parts, _ = read(path)
    again = await over_sockets(path)

    assert (2, ["busy"]) == (len(parts.streams), [errand.outcome for errand in parts.errands])
    assert 1 == len(parts.done.clears)
    assert [] == again.differences


async def test_a_bridge_that_does_otherwise_is_told() -> None:
    """With barge-in off nobody is cut, and the model is told of no cut."""
    parts, plan = read(TAPES / "barge-in.tape")
    deaf = plan.agent.model_copy(update={"barge_in": BargeIn(mode="off")})
    again = await reenact(parts, msgspec.structs.replace(plan, agent=deaf), Clock(RATES[0]), tolerance=LOOSE)

    assert [line for line in again.differences if line.startswith("- ") and "the bot is cut" in line]
    assert [line for line in again.differences if line.startswith("- ") and "conversation.item.truncate" in line]


async def test_a_running_bridge_is_played_at() -> None:
    """It is configured with the address of the tape's model, and called like by any carrier."""
    parts, plan = read(TAPES / "goodbye.tape")
    clock, port = Clock(RATES[-1]), free_port()
    settings = settings_of(plan, f"ws://127.0.0.1:{port}/v1/realtime")
    async with Bridge(settings, clock=clock, keeps_records=False) as bridge:
        at = bridge.url, Credential.of(bridge.settings)
        again = await reenact(parts, plan, clock, to=at, model_port=port, tolerance=LOOSE)

    assert [] == again.differences
    assert "bot_hung_up" == again.deeds.ending
