"""Runs the real call core on the clock of a tape.

`play` feeds it exactly what the tape holds, wake-ups included, so that what it does can be compared with what was
done then. `play_freely` lets the core's own deadlines wake it and answers its marks as a phone line would: for a tape
of messages only, which another program made, and to see what other settings would have changed. It is an open loop as
far as the model and the caller go: they say on the tape what they said then, whatever the core does now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from bridge.call.actions import Action, CloseStream, Ended, RunFunction
from bridge.call.controls import FunctionResult, ModelConnected
from bridge.call.machine import Call
from bridge.call.voice import CallerEar
from bridge.replay.ears import PhoneLine, TapedEar
from bridge.replay.inputs import Message, message_of, sound_of
from bridge.wire import caller, model
from bridge.wire.tape import Input, Recording, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.call.controls import Control
    from bridge.call.plan import Plan

WOKEN_WITHIN_S = 0.25
"""How much later than the core asked the tape may wake it."""

CLOSED_AFTER_S = 0.05
"""How long the carrier takes to let go of a stream that is closed."""
HEARD_WITHIN_S = 30.0
"""How long a call may go on after the end of a tape whose call the bridge had ended."""
_CLOSE = b'{"do":"close_stream"'


class Played(msgspec.Struct, gc=False):
    """What the core did at one moment.

    `step` is what the tape holds of it; None when the moment comes from the core's own deadline or the simulated
    line. `sound` is what the input brought, base64 text.
    """

    at: float
    step: Step | None
    message: Message | None
    sound: str | None
    actions: list[Action]


def play(tape: Recording, plan: Plan) -> Iterator[Played]:
    """Give the core what is on the tape, on the tape's clock; what it does at every step, as long as the tape goes on.

    A deadline for which the tape holds no wake-up is kept all the same, a little later: then the core has changed
    since.
    """
    began = tape.header.at
    ear = TapedEar.for_tape(tape.header)
    call = Call(plan, now=began, ear=ear.anew if ear is not None else CallerEar, loudness=ear)
    overdue_at: float | None = None
    for step in tape:
        given = step.input
        if given is None:
            yield Played(began, step, None, None, call.actions())
            continue
        now = given.at
        deadline = call.deadline()
        if deadline is None or now <= deadline or given.leg == "timer":
            overdue_at = None
        elif overdue_at is None:
            overdue_at = now
        elif now > overdue_at + WOKEN_WITHIN_S:
            call.handle_timer(now=now)
            overdue_at = None
            yield Played(now, None, None, None, call.actions())
        if ear is not None:
            ear.look_at(step.actions)
        message = message_of(given)
        if type(message) is caller.CallerAudio:  # the short way of most frames, as `bridge.edge.driver` takes it
            passed_on = call.pass_on(message, now)
            if passed_on is not None:
                yield Played(now, step, message, message.payload, [passed_on])
                continue
        _feed(call, given.leg, message, now)
        yield Played(now, step, message, sound_of(message), call.actions())


def play_freely(tape: Recording, plan: Plan) -> Iterator[Played]:
    """Give the core the messages on the tape; its deadlines and its marks are kept by the player.

    Marks and wake-ups on the tape are passed over. Where it holds no controls, they are implied: the model is
    connected when its first event comes, a function has answered when the server confirms its output, the caller has
    left when the tape ends.
    """
    stage = _Stage(tape, plan)
    yield stage.played(tape.header.at)
    for step in tape:
        given = step.input
        if given is None or given.leg == "timer":
            continue
        yield from stage.wait_until(given.at)
        stage.look_at(step)
        message = message_of(given)
        if type(message) is caller.MarkReached or (type(message) is caller.CallerLeft and stage.was_left()):
            continue
        yield from stage.imply(given, message)
        _feed(stage.call, given.leg, message, given.at)
        yield stage.played(given.at, step, message)
    yield from stage.leave()


class _Stage:
    """A call that is played freely, with a line that returns its marks."""

    def __init__(self, tape: Recording, plan: Plan) -> None:
        header = tape.header
        self._ear = TapedEar.for_tape(header)
        self._implies = header.scope == "wire"
        ear = self._ear
        loudness = TapedEar() if ear is None and self._implies else ear  # its messages may lack their sound one by one
        self.call = Call(plan, now=header.at, ear=ear.anew if ear is not None else CallerEar, loudness=loudness)
        self._line = PhoneLine()
        self._is_cut = header.is_cut
        self._is_connected = False
        self._asked: set[str] = set()
        self._is_over = False
        self._now = header.at
        self._leaves_at: float | None = None
        self._was_closed = self._lingers = False

    def played(self, now: float, step: Step | None = None, message: Message | None = None) -> Played:
        actions = self.call.actions()
        self._now = now
        for action in actions:
            self._line.perform(action, now)
            if type(action) is RunFunction:
                self._asked.add(action.call_id)
            elif type(action) is CloseStream:
                self._leaves_at = now + CLOSED_AFTER_S
            elif type(action) is Ended:
                self._is_over = True
        return Played(now, step, message, sound_of(message), actions)

    def was_left(self) -> bool:
        """Whether the bridge had closed the stream that ends here: then its end is not the caller's doing."""
        was_closed, self._was_closed = self._was_closed, False
        self._lingers = was_closed
        return was_closed

    def look_at(self, step: Step) -> None:
        """What the tape tells and the core cannot know: the ear's verdict, and who ended the stream."""
        self._was_closed = self._was_closed or any(line.startswith(_CLOSE) for line in step.actions)
        if self._ear is not None:
            self._ear.look_at(step.actions)

    def wait_until(self, now: float) -> Iterator[Played]:
        """Everything that is due before the next input, in order of time."""
        while True:
            mark_at, wake_at, leaves_at = self._line.due, self.call.deadline(), self._leaves_at
            if leaves_at is not None and leaves_at <= now and leaves_at <= min(mark_at or now, wake_at or now):
                self._leaves_at = None
                left = caller.CallerLeft(clean=False)
                self.call.receive_caller(left, now=leaves_at)
                yield self.played(leaves_at, None, left)
            elif wake_at is not None and wake_at <= now and (mark_at is None or wake_at < mark_at):
                self.call.handle_timer(now=wake_at)
                yield self.played(wake_at)
            elif mark_at is not None and mark_at <= now:
                mark = self._line.take()
                self.call.receive_caller(mark, now=mark_at)
                yield self.played(mark_at, None, mark)
            else:
                return

    def imply(self, given: Input, message: Message | None) -> Iterator[Played]:
        """The controls that a tape of messages only does not hold."""
        if not self._implies or given.leg != "model":
            return
        if not self._is_connected:
            self._is_connected = True
            self.call.receive_control(ModelConnected(), now=given.at)
            yield self.played(given.at, None, ModelConnected())
        if isinstance(message, model.ItemAdded) and message.item.call_id in self._asked:
            confirmed = _confirmed_output(given)
            if confirmed is not None:
                self._asked.discard(confirmed.call_id)
                self.call.receive_control(confirmed, now=given.at)
                yield self.played(given.at, None, confirmed)

    def leave(self) -> Iterator[Played]:
        """The tape is at its end: so is the call when what it still says is heard, unless the tape is cut."""
        if self._lingers or self._leaves_at is not None:
            yield from self.wait_until(self._now + HEARD_WITHIN_S)
        if self._is_over or self._is_cut:
            return
        left = caller.CallerLeft()
        self.call.receive_caller(left, now=self._now)
        yield self.played(self._now, None, left)


class _Output(msgspec.Struct):
    type: str
    call_id: str = ""
    output: str = ""


class _OutputConfirmed(msgspec.Struct):
    item: _Output


def _confirmed_output(given: Input) -> FunctionResult | None:
    try:
        item = msgspec.json.decode(given.text, type=_OutputConfirmed).item
    except msgspec.ValidationError:
        return None
    return FunctionResult(item.call_id, item.output) if item.type == "function_call_output" else None


def _feed(call: Call, leg: str, message: Message | None, now: float) -> None:
    """Give the core an input; `message_of` made it what its leg wants."""
    if leg == "caller":
        call.receive_caller(cast("caller.CallerMessage", message), now=now)
    elif leg == "model":
        call.receive_model(cast("model.ModelEvent", message), now=now)
    elif leg == "successor":
        call.receive_successor(cast("model.ModelEvent", message), now=now)
    elif leg == "timer":
        call.handle_timer(now=now)
    elif message is not None:
        call.receive_control(cast("Control", message), now=now)
