"""Whole rehearsals: a scenario, a carrier, and a bridge that listens and talks."""

from __future__ import annotations

import base64
import dataclasses
import wave
from typing import TYPE_CHECKING

from bridge.rehearsal.hearing import Hearing
from bridge.rehearsal.rehearse import Turn, rehearse
from bridge.rehearsal.scenario import Destination, Expectations, Scenario, Step
from bridge.rehearsal.show import Timeline, outcome, summary, transcript
from bridge.rehearsal.sound import tone

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.rehearsal.carrier import Carrier
    from tests.integration.rehearsal.conftest import Bridge, Stream

CONNECT = '<Response><Connect><Stream url="wss://bridge.test/media"/></Connect></Response>'
GREETING, REPLY = tone(400, duration_ms=1000), tone(600, duration_ms=4000)
QUESTION = tone(200, duration_ms=1200)


async def converse(stream: Stream) -> None:
    """A bot: greets, replies whenever the caller stops, and falls silent when the caller starts."""
    hearing, at = Hearing(), 0
    await stream.until("start")
    await stream.play(GREETING)
    while (message := await stream.receive())["event"] != "stop":
        if message["event"] != "media":
            continue
        change = hearing.feed(at, base64.b64decode(message["media"]["payload"]))  # type: ignore[index]  # JSON
        at += 160
        if change == "started":
            await stream.clear()
        elif change == "stopped":
            await stream.play(REPLY)


async def turns(_: str) -> list[Turn]:
    """What the bridge would say was said."""
    return [
        Turn("bot", "Hello, how can I help you?"),
        Turn("caller", "When do you open?"),
        Turn("bot", "We open at eight", is_cut=True),
    ]


def scenario(*steps: Step, **more: object) -> Scenario:
    """A scenario with one recording."""
    return Scenario(title="Test", steps=steps, sounds={"question": QUESTION}, **more)  # type: ignore[arg-type]  # fields of several types


async def test_caller_asks_interrupts_and_hangs_up(bridge: Bridge, carrier: Carrier, tmp_path: Path) -> None:
    """Each step comes at its moment; latencies are measured; the recording has who was heard when."""
    bridge.documents["/twiml/answer"] = CONNECT
    bridge.talk = converse
    expect = Expectations(
        heard=("how can i help", "eight"), understood=("open",), replies_within_s=5, stops_within_s=5, ended_by="caller"
    )
    steps = (
        Step(say="question", after="greeting"),
        Step(say="question", during=1.5),
        Step(hang_up=True, after="answer"),
    )

    rehearsed = await rehearse(scenario(*steps, expect=expect), carrier, transcript=turns)

    path = tmp_path / "call.wav"
    rehearsed.write_wav(path)
    with wave.open(str(path)) as file:
        length_s = file.getnframes() / file.getframerate()
    kinds = [event.kind for event in rehearsed.events if event.kind.startswith(("bot", "caller", "playout"))]
    assert [] == [*rehearsed.failures, *rehearsed.warnings]
    assert [seconds > 0.3 for seconds in rehearsed.replies_s] == [True, True]
    assert 1 == len(rehearsed.stops_s)
    assert ["bot.started", "bot.stopped", "caller.started", "caller.stopped", "bot.started"] == [
        kind for kind in kinds if kind != "playout.cleared"
    ][:5]
    assert abs(rehearsed.call.duration_s - length_s) <= 1


async def test_moment_that_never_comes_is_a_failure(bridge: Bridge, carrier: Carrier) -> None:
    """The caller gives up and hangs up; the failure says which step waited for what."""
    bridge.documents["/twiml/answer"] = CONNECT

    rehearsed = await rehearse(scenario(Step(say="question", after="greeting", within_s=3)), carrier)

    assert ["step 1: the bot's greeting did not come within 3 s"] == list(rehearsed.failures)


async def test_unmet_expectations_are_failures(bridge: Bridge, carrier: Carrier) -> None:
    """A sentence each."""
    bridge.documents["/twiml/answer"] = '<Response><Dial action="/done">+15557654321</Dial></Response>'
    bridge.documents["/done"] = "<Response/>"
    expect = Expectations(
        heard=("eight", "Hello"), replies_within_s=1, dialled=("+15557654321", "+15550000000"), ended_by="caller"
    )
    destinations = {"+15557654321": Destination(result="busy", after_s=1)}

    rehearsed = await rehearse(
        scenario(Step(pause_s=30), expect=expect, destinations=destinations), carrier, transcript=turns
    )

    assert [
        "'Hello' is not among the bot's words",
        "there was no reply",
        "+15550000000 was not called",
        "the call was ended by carrier, not by caller",
    ] == list(rehearsed.failures)


async def test_call_that_goes_on_for_too_long_is_hung_up(bridge: Bridge, carrier: Carrier) -> None:
    """Even when the scenario would go on."""
    bridge.documents["/twiml/answer"] = CONNECT

    rehearsed = await rehearse(scenario(Step(pause_s=600), limit_s=4), carrier)

    assert ["the call was not over after 4 s"] == list(rehearsed.failures)


async def test_timeline_is_written_in_order_of_time(bridge: Bridge, carrier: Carrier) -> None:
    """Live, though the end of speech is known only after a pause; and without the keys that were pressed."""
    bridge.documents["/twiml/answer"] = CONNECT
    bridge.talk = converse
    lines: list[str] = []
    timeline = Timeline(carrier.clock, lines.append)
    carrier.on_event = timeline

    steps = (Step(press="7", after="greeting"), Step(say="question"), Step(hang_up=True, after="answer"))
    rehearsed = await rehearse(scenario(*steps), carrier, transcript=turns)
    live = len(lines)
    timeline.close()

    texts = [line.split(" s  ", 1)[1] for line in lines]
    times = [float(line.split(" s", 1)[0]) for line in lines]
    assert [
        "dialled +15551230000",
        "answered",
        "media stream up",
        "bot speaks",
        "bot is silent",
        "caller presses a key",
        "caller speaks",
        "playout cleared: 0 ms dropped",
        "caller is silent",
        "bot speaks",
        "bot is silent",
        "media stream down",
        "ended: completed, by caller",
    ] == texts
    assert sorted(times) == times
    assert live >= len(lines) - 3  # the last half second is still held back
    assert "replies: median" in summary(rehearsed)
    assert outcome(rehearsed) == f"{transcript(rehearsed.turns)}\n\n{summary(rehearsed)}"
    assert summary(rehearsed) == outcome(dataclasses.replace(rehearsed, turns=[]))
    assert "caller: When do you open?\n   bot: We open at eight —" in transcript(rehearsed.turns)
