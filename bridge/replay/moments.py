"""What is on a tape, a moment at a time, resolved; for those who look at a call instead of running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.replay.inputs import Message, message_of, silence_of, sound_of
from bridge.replay.plans import plan_of
from bridge.replay.player import play_freely
from bridge.wire.tape import SAME, action_fields, action_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.wire.tape import Tape


class Moment(msgspec.Struct):
    """An input and what was done about it: actions as their fields, `payload` always base64 audio."""

    at: float
    """Seconds since the call began."""
    leg: str
    message: Message | None
    sound: str | None
    actions: list[dict[str, object]]
    lost: int = 0


def moments(tape: Tape) -> Iterator[Moment]:
    """What was done as the tape has it; of a tape of messages only, what this bridge would have done."""
    began = tape.header.at
    if tape.header.scope == "wire":
        for played in play_freely(tape, plan_of(tape.header)):
            given = played.step.input if played.step is not None else None
            actions = [_resolve(action_fields(action_line(action)), None) for action in played.actions]
            yield Moment(played.at - began, given.leg if given else "core", played.message, played.sound, actions)
        return
    for step in tape:
        given = step.input
        message = message_of(given) if given is not None else None
        sound = sound_of(message)
        actions = [_resolve(action_fields(line), sound) for line in step.actions]
        yield Moment(
            (given.at if given else began) - began, given.leg if given else "core", message, sound, actions, step.lost
        )


def _resolve(fields: dict[str, object], sound: str | None) -> dict[str, object]:
    if fields.get("payload") == SAME:
        return fields | {"payload": sound or ""}
    size = fields.get("bytes")
    return fields | {"payload": silence_of(size)} if isinstance(size, int) else fields
