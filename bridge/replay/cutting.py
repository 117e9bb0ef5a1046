"""The seconds of a tape that matter, so that they can still be replayed.

What the core does in a second hangs on all that was before, so nothing before is left out that it decides by:
messages, marks, controls and wake-ups stay. What goes is the sound: its length is kept, and of the caller's frames
only those that tell the time at which something happened, and one every few seconds. The core fills the gaps itself,
as it does on a line that loses frames, so what it did with them is written anew; everything from the first second
that matters on is as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.replay.inputs import message_of, sound_of
from bridge.replay.plans import plan_of
from bridge.replay.player import play
from bridge.wire import caller, model, tape
from bridge.wire.g711 import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.wire.tape import Input, Step

FRAME_EVERY_S = 4.0
"""Less than the silence after which a stream is given up, and than the longest gap that is filled."""


class Cutting:
    """A tape from one second of the call to another, that can be iterated like one.

    Args:
        recording: the tape.
        from_s: the first second that matters, counted from the call's beginning.
        until_s: the last one; None: up to the end.
    """

    def __init__(self, recording: tape.Tape, *, from_s: float, until_s: float | None) -> None:
        self.header = msgspec.structs.replace(recording.header, is_cut=True)
        self._recording = recording
        self._from = recording.header.at + from_s
        self._until = None if until_s is None else recording.header.at + until_s
        self._is_ready = False
        self._kept_at = recording.header.at

    def __iter__(self) -> Iterator[Step]:
        waiting: Step | None = None
        for step in self._recording:
            given = step.input
            if given is None or given.at >= self._from:
                if waiting is not None:
                    yield waiting
                    waiting = None
                if given is not None and self._until is not None and given.at > self._until:
                    return
                yield step
                continue
            message = message_of(given)
            self._is_ready = self._is_ready or isinstance(message, model.SessionUpdated)
            reduced = msgspec.structs.replace(step, input=_without_sound(given))
            if type(message) is caller.CallerAudio and self._is_ready and given.at < self._kept_at + FRAME_EVERY_S:
                waiting = reduced
                continue
            if waiting is not None and type(message) is not caller.CallerAudio:
                yield waiting
            waiting = None
            if type(message) is caller.CallerAudio:
                self._kept_at = given.at
            yield reduced

    def matters(self, at: float) -> bool:
        """Whether a moment is one of those that matter."""
        return at >= self._from


def _without_sound(given: Input) -> Input:
    message = message_of(given)
    sound = sound_of(message)
    if sound is None or given.size_bytes is not None:
        return given
    text: str | bytes = given.text
    if isinstance(message, model.AudioDelta):
        text = msgspec.json.encode(msgspec.structs.replace(message, delta=""))
    elif isinstance(message, caller.CallerAudio):
        media = {"timestamp": str(message.timestamp_ms), "payload": ""}
        text = msgspec.json.encode({"event": "media", "media": media})
    return msgspec.structs.replace(given, text=text, size_bytes=size_of(sound))


def cut(recording: tape.Tape, *, from_s: float, until_s: float | None = None) -> Iterator[bytes]:
    """The lines of the cut tape."""
    cutting = Cutting(recording, from_s=from_s, until_s=until_s)
    yield tape.header_line(cutting.header)
    if recording.header.scope == "wire":
        for step in cutting:
            yield from _input(step)
        return
    for played in play(cutting, plan_of(recording.header)):
        if played.step is None:
            continue
        yield from _input(played.step)
        if cutting.matters(played.at):
            yield from played.step.actions
        else:
            has_sound = not (played.step.input and played.step.input.size_bytes is not None)
            for action in played.actions:
                yield tape.action_line(action, passed=played.sound, has_sound=has_sound)
        if played.step.lost:
            yield tape.lost_line(played.step.lost)


def _input(step: Step) -> Iterator[bytes]:
    given = step.input
    if given is None:
        return
    if given.leg == "timer":
        yield tape.timer_line(given.at)
    elif given.control is not None:
        yield tape.control_fields_line(given.at, given.control)
    elif given.leg != "control":
        yield tape.message_line(given.leg, given.at, given.text, given.size_bytes)
