"""Settings that change while calls are up: each call goes on by those that it began with."""

from __future__ import annotations

import wave
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.call.plan import CallInfo
from bridge.doctor.signatures import signed
from bridge.errors import ConfigurationError
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.rehearsal.sound import to_ulaw
from bridge.settings import Settings
from tests.client import CALLEE, LINES, TABLES, Operator
from tests.shop import Wire, asks, output, until
from tests.support import Rehearsal, Start
from twiml.calls import CallControl, OutboundCall

HELLO = Reply(speech="Hello there.")
SHIPPED = Reply(speech="It is shipped.")
LOOKS_UP = Reply(calls=(FunctionCall("lookup", {"number": "1234"}),))


def changed(run: Rehearsal, **tables: Any) -> Settings:  # noqa: ANN401 - whatever a table may hold
    """The settings that the bridge was started with, and other tables over them."""
    given = run.bridge.given
    parts = {name: getattr(given, name) for name in type(given).model_fields if name not in tables}
    return Settings.model_validate(parts | tables)


async def test_live_call_keeps_its_settings_and_the_next_has_the_new_ones(
    rehearsal: Start, offer: Callable[..., dict[str, object]], wire: Wire
) -> None:
    """The first call's function runs, though the new settings have none and another agent."""

    def lookup(number: str) -> dict[str, str]:
        return {"state": f"{number} is shipped"}

    replies = [HELLO, LOOKS_UP, SHIPPED, Reply(speech="Good evening.")]
    functions = offer(lookup=lookup)
    run = await rehearsal(replies, heard=["where is it"], agent={"tools": ["lookup"]}, functions=functions)

    async def across(call: Call) -> None:
        await call.until(lambda: "Hello there." in run.seen.bot_words())
        night = {"night": {"greeting_message": "Good evening."}}
        await run.bridge.adopt(changed(run, functions={}, agents=night, lines={"default": {"agent": "night"}}))
        await asks(call)

    first = await run.dial(across)
    await until(first, lambda: "It is shipped." in run.seen.bot_words())
    second = await run.dial()
    await until(second, lambda: "Good evening." in run.seen.bot_words())

    assert [output({"state": "1234 is shipped"})] == wire.outputs()
    assert ["reception", "night"] == [fields["agent"] for fields in run.seen.of("call.answered")]


NIGHT: dict[str, Any] = {
    "agents": {"night": {"greeting_message": "Good evening."}},
    "lines": {"default": {"agent": "night"}},
}


async def test_caller_who_is_being_let_in_at_a_reload_is_answered(
    rehearsal: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the agent whose line was called, though the new settings know neither; the next caller gets the new one."""
    run = await rehearsal([HELLO, Reply(speech="Good evening.")])
    admit = run.bridge.desk.calls.admit

    async def reloaded_meanwhile(*about: Any) -> object:  # noqa: ANN401 - whatever the desk says
        refusal = await admit(*about)
        await run.bridge.adopt(changed(run, **NIGHT))
        return refusal

    with monkeypatch.context() as patch:
        patch.setattr(run.bridge.desk.calls, "admit", reloaded_meanwhile)
        first = await run.dial()
        await until(first, lambda: "Hello there." in run.seen.bot_words())
    second = await run.dial()
    await until(second, lambda: "Good evening." in run.seen.bot_words())

    assert ["reception", "night"] == [fields["agent"] for fields in run.seen.of("call.answered")]
    assert [] == first.told


async def test_call_that_is_being_placed_at_a_reload_is_spoken_by_whom_it_was_placed_for(
    rehearsal: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier is still being asked for it when another configuration takes over."""
    run = await rehearsal([HELLO], people={CALLEE: Callee(script=stays)}, **TABLES)
    create = CallControl.create

    async def reloaded_meanwhile(control: CallControl, order: OutboundCall) -> str:
        await run.bridge.adopt(changed(run, **NIGHT | {"lines": {name: {"agent": "night"} for name in LINES}}))
        return await create(control, order)

    monkeypatch.setattr(CallControl, "create", reloaded_meanwhile)
    await Operator(run).post("/api/calls", {"to": CALLEE})
    while not run.seen.bot_words():
        await run.clock.sleep(0.2)

    assert ["Hello there."] == run.seen.bot_words()
    assert ["reception"] == [fields["agent"] for fields in run.seen.of("call.answered")]


async def stays(call: Call) -> None:
    """Listen for a while."""
    await call.carrier.clock.sleep(4)
    call.hang_up()


async def test_settings_that_cannot_run_change_nothing(rehearsal: Start) -> None:
    """A function that cannot be imported is found before the first call needs it."""
    run = await rehearsal()
    before = run.bridge.desk.settings

    with pytest.raises(ConfigurationError):
        await run.bridge.adopt(changed(run, functions={"lookup": {"python": "no.such:function"}}))

    assert before is run.bridge.desk.settings


def write(file: Path, sound: bytes) -> None:
    """A WAV file of 16-bit samples."""
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(sound)


def clip_of_next_call(run: Rehearsal) -> bytes:
    """What its caller would hear while its session is replaced."""
    rules = run.bridge.desk.rules
    info = CallInfo(call_sid="CA" + "9" * 32, agent="reception")
    plan = rules.begin(info.call_sid).planner.plan(info, {})
    rules.end(info.call_sid)
    return b64decode(plan.hold_clip)


async def test_hold_clip_is_the_file_as_it_was_when_the_settings_were_read(rehearsal: Start, tmp_path: Path) -> None:
    """Another sound under the same name holds from the next reload on, and no call waits for a disk."""
    file, soft, loud = tmp_path / "hold.wav", b"\x10\x00" * 800, b"\x00\x10" * 800
    write(file, soft)
    run = await rehearsal(fallback={"hold_clip": file})
    write(file, loud)
    before = clip_of_next_call(run)
    await run.bridge.adopt(changed(run))
    after = clip_of_next_call(run)
    file.write_bytes(b"no sound")

    with pytest.raises(ConfigurationError, match=r"fallback\.hold_clip: is not a WAV file"):
        await run.bridge.adopt(changed(run))

    assert [to_ulaw(soft), to_ulaw(loud), to_ulaw(loud)] == [before, after, clip_of_next_call(run)]


async def test_limits_hold_for_the_next_call(rehearsal: Start) -> None:
    """A place that is taken stays taken, and there is no other."""
    run = await rehearsal([HELLO], fallback={"say": "Sorry."})
    first = await run.dial()
    await first.until(lambda: "Hello there." in run.seen.bot_words())

    await run.bridge.adopt(changed(run, limits={"max_calls": 1}, fallback={"say": "All lines are busy."}))
    second = await run.dial()
    await second.ended()
    first.hang_up()
    await first.ended()

    assert ["All lines are busy."] == second.told
    assert ["caller_hung_up"] == run.seen.endings()


async def test_token_of_the_account_is_rotated_under_a_call(rehearsal: Start) -> None:
    """What was signed with the old one is believed until the next reload, and what comes with the new one at once."""
    run = await rehearsal([HELLO, HELLO])
    call = await run.dial()
    await call.until(lambda: "Hello there." in run.seen.bot_words())

    twilio = run.bridge.given.twilio.model_dump() | {"auth_token": "another-rehearsed-token"}
    await run.bridge.adopt(changed(run, twilio=twilio))
    call.hang_up()
    await call.ended()

    assert ["caller_hung_up"] == run.seen.endings()
    assert [] == run.carrier.faults
    media = run.bridge.settings.server.media_url or "wss://bridge.test"
    for token in ("another-rehearsed-token", run.carrier.auth_token):
        assert run.bridge.desk.is_signed("/media", signed(token, f"{media}/media"), "")
