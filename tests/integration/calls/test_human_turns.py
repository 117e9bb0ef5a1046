"""Real people who take the floor, or do not: the clips of `fixtures/calls/human-turns` in whole calls, in each mode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.rehearsal.carrier import Call
from bridge.rehearsal.conversation import Reply
from tests.support import Start

CLIPS = Path("fixtures/calls/human-turns")
LABELS = json.loads((CLIPS / "labels.json").read_text())
ONSET_S = 3.0


class OneVoice:
    """A mouth that says everything with the same recording, and an ear that understands nothing."""

    def __init__(self, sound: bytes) -> None:
        self._sound = sound

    async def speak(self, text: str, voice: str) -> bytes:  # noqa: ARG002 - one recording for all
        """The recording."""
        return self._sound

    async def recognise(self, ulaw: bytes, domain: object) -> str:  # noqa: ARG002 - deaf
        """Nothing."""
        return ""


def channels(clip: str) -> tuple[bytes, bytes]:
    """The caller's and the bot's part of a clip, mu-law at 8 kHz."""
    data = (CLIPS / f"{clip}.wav").read_bytes()
    sound = data[data.index(b"data") + 8 :]
    return sound[0::2], sound[1::2]


async def talk_over(rehearsal: Start, clip: str, mode: str) -> float | None:
    """Let the caller of a clip talk over its bot: how many seconds after the onset the bot was cut, if it was."""
    caller, bot = channels(clip)
    begun: list[float] = []

    async def script(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.is_speaking)
        begun.append(call.carrier.clock.now())
        await call.say(caller)
        call.hang_up()

    agent = {"greeting_protected": False, "barge_in": {"mode": mode}}
    run = await rehearsal([Reply(speech="The bot's part.")], mouth=OneVoice(bot), agent=agent)
    call = await run.dial(script)
    await call.ended()
    cuts = [event.at_s for event in run.carrier.events if event.kind == "playout.cleared"]
    return cuts[0] - begun[0] - ONSET_S if cuts else None


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label["id"])
async def test_a_person_takes_the_floor_or_does_not_in_confirmed_mode(rehearsal: Start, label: dict[str, str]) -> None:
    """A backchannel leaves the bot speaking; a floor take cuts it."""
    cut_after_s = await talk_over(rehearsal, label["id"], "confirmed")

    assert (label["kind"] == "floor_take") is (cut_after_s is not None)


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label["id"])
async def test_any_speech_cuts_the_bot_in_instant_mode(rehearsal: Start, label: dict[str, str]) -> None:
    """The model's own voice activity decides, and it cannot tell one from the other."""
    assert await talk_over(rehearsal, label["id"], "instant") is not None


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label["id"])
async def test_nothing_cuts_the_bot_in_off_mode(rehearsal: Start, label: dict[str, str]) -> None:
    """The bot speaks on, whoever talks."""
    assert await talk_over(rehearsal, label["id"], "off") is None
