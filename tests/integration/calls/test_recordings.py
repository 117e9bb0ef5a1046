"""Recordings by the carrier: after the consent line, on two channels, paused for secrets, and named in the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.client import CALLEE, TABLES, Operator
from tests.support import Rehearsal, Start, speech

RECORDED: dict[str, Any] = {"recording": {"on": True, "consent": "This call is recorded."}}
ASKED = "/Recordings.json"


@pytest.fixture
def door() -> str:
    """It is the same through whichever door the media streams come."""
    return "plain"


async def greeted(run: Rehearsal, script: Callable[[Call], Any] | None = None) -> Call:
    """A call whose caller has heard the greeting."""
    call = await run.dial(script)
    await call.until(lambda: run.seen.bot_words() != [])
    return call


def recorded(run: Rehearsal) -> list[dict[str, Any]]:
    """What was said when recordings were asked for."""
    return [dict(exchange.params) for exchange in run.carrier.record if exchange.url.endswith(ASKED)]


async def test_a_call_is_recorded_on_two_channels_once_the_caller_was_told(rehearsal: Start, database: str) -> None:
    """From the stream on, to the end; the recording is named in the call's record."""
    run = await rehearsal([Reply(speech="Hello there.")], storage={"url": database}, **TABLES, **RECORDED)
    call = await greeted(run)
    await call.until(lambda: call.recordings != [])
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    (recording,) = call.recordings
    (asked,) = recorded(run)
    view = await Operator(run).view(call)
    assert ["This call is recorded."] == call.told
    assert call.stream is not None
    assert ("2", ["in-progress", "completed"]) == (recording.channels, [status for _, status in recording.history])
    assert ("dual", "both", "do-not-trim") == tuple(
        asked[name] for name in ("RecordingChannels", "RecordingTrack", "Trim")
    )
    assert [{"recording_sid": recording.sid, "status": "completed", "channels": 2}] == [
        {name: told[name] for name in ("recording_sid", "status", "channels")} for told in view["recordings"]
    ]


async def test_a_call_is_not_recorded_unless_that_is_wanted(rehearsal: Start) -> None:
    """Nobody is told, and nothing is asked for."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES)
    call = await greeted(run)
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    assert ([], [], []) == (call.told, call.recordings, recorded(run))


async def test_a_call_that_is_placed_is_recorded_too(rehearsal: Start) -> None:
    """Whoever is called is told first."""
    run = await rehearsal([Reply(speech="Hello there.")], people={CALLEE: Callee(after_s=1)}, **TABLES, **RECORDED)
    call = await Operator(run).call()
    await call.until(lambda: call.recordings != [])
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    assert ["This call is recorded."] == call.told


async def test_a_secret_is_never_recorded(rehearsal: Start, offer: Callable[..., dict[str, object]]) -> None:
    """The recording has begun before it is paused, in whatever order the requests would arrive."""

    async def check(digits: str) -> str:
        return f"{len(digits)} digits"

    run = await rehearsal(
        [Reply(calls=(FunctionCall("check"),)), Reply(speech="Thank you.")],
        heard=["My PIN, please."],
        functions=offer(check=check, keys={"collect": {"prompt": ""}}),
        agent={"tools": ["check"], "greeting_message": ""},
        **TABLES,
        **RECORDED,
    )
    call = await run.dial()
    await call.until(lambda: call.recordings != [])
    call.say(speech(1))
    await call.until(lambda: "secret.asked" in run.seen.events())
    await call.until(lambda: call.recordings[0].status == "paused")
    call.press("1234#")
    await call.until(lambda: call.recordings[0].status == "in-progress")
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    statuses = [status for _, status in call.recordings[0].history]
    assert ["in-progress", "paused", "in-progress", "completed"] == statuses


async def test_a_call_goes_on_when_it_cannot_be_recorded(
    rehearsal: Start,
    monkeypatch: pytest.MonkeyPatch,
    log: Any,  # noqa: ANN401 - a stream of text
) -> None:
    """The carrier refuses: that is logged, and no more."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES, **RECORDED)
    monkeypatch.setattr(run.carrier, "account_sid", "AC" + "f" * 32)  # it knows us no more
    call = await greeted(run)
    await asyncio.wait_for(said(log, "recording.refused"), 10)
    call.hang_up()
    await call.ended()

    assert ["Hello there."] == run.seen.bot_words()


async def said(log: Any, event: str) -> None:  # noqa: ANN401 - a stream of text
    """An event is in the log."""
    while event not in log.getvalue():  # noqa: ASYNC110 - it is the log that changes
        await asyncio.sleep(0.05)
