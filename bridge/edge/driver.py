"""Drives one call: gives the core what arrives, performs what comes out, keeps one timer. Knows no protocol.

Everything runs on the event loop without a wait between input and output. The sockets' own modules call
`receive_caller` and `receive_model` for each message; a function or a socket that takes time works beside the call and
comes back as a control.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from bridge.call.actions import (
    ClearPlayout,
    CloseModel,
    CloseStream,
    CloseSuccessor,
    ConfigureSuccessor,
    ConnectModel,
    ConnectSuccessor,
    DropStream,
    Ended,
    HangUpCall,
    Happened,
    LeaveOrder,
    MoveToSuccessor,
    Order,
    Park,
    PauseRecording,
    PlayAudio,
    ProbeCaller,
    ResumeRecording,
    RunFunction,
    Said,
    SetMark,
)
from bridge.call.controls import FunctionResult
from bridge.call.ending import Ending
from bridge.call.limits import longest_s
from bridge.call.machine import Call
from bridge.edge import abandoned
from bridge.edge.abandoned import OverdueError
from bridge.edge.writer import ignore
from bridge.wire import caller as wire_caller
from bridge.wire import model as wire_model
from bridge.wire.caller import CallerAudio, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.controls import Control
    from bridge.call.plan import Plan
    from bridge.clock import Timer
    from bridge.edge.ports import CallerLink, ModelLink, Recorder, Surroundings
    from bridge.wire.commands import Command


class Driver:
    """One call, from the webhook that announced it to its ending."""

    def __init__(
        self, plan: Plan, surroundings: Surroundings, record: Callable[[Plan, float], Recorder] | None = None
    ) -> None:
        self.plan = plan
        self.clock = surroundings.clock
        self.began_at = self.clock.now()
        self.began_on = datetime.now(UTC)
        self.call = Call(plan, now=self.began_at)
        self._surroundings = surroundings
        self._recorder = record(plan, self.began_at) if record is not None else None
        self._now = self.clock.now
        self._timer: Timer | None = None
        self._watchdog: Timer | None = None
        self._caller: CallerLink | None = None
        self._stream: wire_caller.Stream | None = None
        self._model: ModelLink | None = None
        self._successor: ModelLink | None = None
        self._send: Callable[[Command], object] = ignore
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin: the session with the model is opened. Call once, when the webhook is being answered.

        A call that the bridge placed begins when its name is known; its session is opened when somebody has answered.
        """
        self._watchdog = self.clock.call_at(self.began_at + longest_s(self.plan), self._overdue)
        self._try(self._flush)

    def attach(self, link: CallerLink, started: wire_caller.StreamStarted, text: str | bytes) -> None:
        """The media stream has come, with its `start` message; pass on what it says from now on to `receive_caller`."""
        self._drop()
        self._caller = link
        self._stream = wire_caller.Stream(started.stream_sid)
        self.receive_caller(text)

    def receive_caller(self, text: str | bytes) -> None:
        """A message of the media stream."""
        try:
            now = self._now()
            message = parse(text)
            if type(message) is CallerAudio:
                passed_on = self.call.pass_on(message, now)
                if passed_on is not None:  # 49 of 50 times
                    if self._recorder is not None:
                        self._recorder.passed_on(now, text, passed_on)
                    self._send(passed_on)
                    return
            if self._recorder is not None:
                self._recorder.caller(now, text)
            self.call.receive_caller(message, now=now)
            self._flush()
        except Exception as error:  # noqa: BLE001 - a fault of ours, whatever it is, ends this call and no other
            self._abandon(error)

    def caller_left(self, link: CallerLink) -> None:
        """A media stream's socket is closed, with or without a `stop`. Nothing happens when a newer one is there."""
        if self._caller is link:
            self._caller = None
            self.receive_caller(wire_caller.LOST)

    def receive_model(self, text: str | bytes) -> None:
        """An event of the session."""
        try:
            now = self._now()
            if self._recorder is not None:
                self._recorder.model(now, text)
            self.call.receive_model(wire_model.parse(text), now=now)
            self._flush()
        except Exception as error:  # noqa: BLE001 - the same
            self._abandon(error)

    def receive_successor(self, text: str | bytes) -> None:
        """An event of the session that is opened beside the present one."""
        self._try(self._take_from_successor, text)

    def _take_from_successor(self, text: str | bytes) -> None:
        now = self._now()
        if self._recorder is not None:
            self._recorder.successor(now, text)
        self.call.receive_successor(wire_model.parse(text), now=now)
        self._flush()

    def control(self, request: Control) -> None:
        """Something that comes from neither leg."""
        self._try(self._control, request)

    def _control(self, request: Control) -> None:
        now = self._now()
        if self._recorder is not None:
            self._recorder.control(now, request)
        self.call.receive_control(request, now=now)
        self._flush()

    def _wake(self) -> None:
        self._try(self._timer_due)

    def _timer_due(self) -> None:
        self._timer = None
        now = self._now()
        if self._recorder is not None:
            self._recorder.timer(now)
        self.call.handle_timer(now=now)
        self._flush()

    # What must not happen

    def _overdue(self) -> None:
        """The watchdog: the call has passed every limit that it has."""
        self._watchdog = None
        self._abandon(OverdueError("the call has passed every limit"))

    def _try(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - a fault of ours, whatever it is, ends this call and no other
            self._abandon(error)

    def _abandon(self, error: Exception) -> None:
        """End a call whose code has failed: the caller hears the fallback, and everything is let go of."""
        abandoned.report(self.plan.call_sid, error)
        call, self.call = self.call, abandoned.over()
        if isinstance(call, abandoned.Over):
            return
        around, ending = self._surroundings, Ending.BRIDGE_FAILED
        facts: dict[str, object] = {"ending": ending.value, "lasted_s": round(self._now() - self.began_at, 1)}
        abandoned.do_all(
            self.plan.call_sid,
            (
                lambda: around.leave_order(self, Order("fallback")),
                lambda: around.hang_up(self) if call.is_ringing else None,
                lambda: around.leave_stream(self, self._caller.close) if self._caller is not None else None,
                lambda: self._close_model(CloseModel()),
                lambda: self._close_successor(CloseSuccessor()),
                lambda: self._recorder.actions([Ended(ending)]) if self._recorder is not None else None,
                lambda: around.happened(self, "call.ended", facts),
                lambda: self._ended(Ended(ending)),
            ),
        )

    def _flush(self) -> None:
        """Perform what the core wants done, and arm the timer; it is re-armed only when it must come earlier."""
        call = self.call
        actions = call.actions()
        if actions:
            if self._recorder is not None:
                self._recorder.actions(actions)
            ways, other = self._WAYS, Driver._tell_model
            for action in actions:
                ways.get(type(action), other)(self, action)
        deadline = call.deadline()
        timer = self._timer
        if deadline is not None and (timer is None or deadline < timer.when):
            if timer is not None:
                timer.cancel()
            self._timer = self.clock.call_at(deadline, self._wake)

    # Actions

    def _tell_model(self, command: Command) -> None:
        """What has no way of its own is a command."""
        self._send(command)

    def _play(self, action: PlayAudio) -> None:
        if self._caller is not None and self._stream is not None:
            self._caller.send(self._stream.media(action.payload))

    def _mark(self, action: SetMark) -> None:
        if self._caller is not None and self._stream is not None:
            self._caller.send(self._stream.mark(action.name))

    def _clear(self, _: ClearPlayout) -> None:
        if self._caller is not None and self._stream is not None:
            self._caller.send(self._stream.clear())

    def _probe(self, _: ProbeCaller) -> None:
        if self._caller is not None:
            self._caller.ping()

    def _drop_stream(self, _: DropStream) -> None:
        self._drop()

    def _drop(self) -> None:
        """Let go of a stream whose socket may still be open."""
        if self._caller is not None:
            self._caller.drop()
            self._caller = None

    def _close_stream(self, action: CloseStream) -> None:
        self._surroundings.leave_order(self, action.order)
        if self._caller is not None:
            self._surroundings.leave_stream(self, self._caller.close)

    def _connect_model(self, action: ConnectModel) -> None:
        self._model = self._surroundings.connect_model(self, action.endpoint)
        self._send = self._model.send

    def _close_model(self, _: CloseModel) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None
            self._send = ignore

    def _connect_successor(self, action: ConnectSuccessor) -> None:
        self._successor = self._surroundings.connect_model(self, action.endpoint, is_successor=True)

    def _configure_successor(self, action: ConfigureSuccessor) -> None:
        if self._successor is not None:
            self._successor.send(action.update)

    def _move_to_successor(self, _: MoveToSuccessor) -> None:
        if self._successor is not None:
            if self._model is not None:
                self._model.close()
            self._model, self._successor = self._successor, None
            self._send = self._model.send
            self._model.succeed()

    def _close_successor(self, _: CloseSuccessor) -> None:
        if self._successor is not None:
            self._successor.close()
            self._successor = None

    def _run_function(self, action: RunFunction) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(action))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, action: RunFunction) -> None:
        output = await self._surroundings.run_function(self.plan, action)
        self.control(FunctionResult(action.call_id, output))

    def _ended(self, action: Ended) -> None:
        for timer in (self._timer, self._watchdog):
            if timer is not None:
                timer.cancel()
        self._timer = self._watchdog = None
        for task in self._running:
            task.cancel()
        self._surroundings.ended(self, action.ending)

    _WAYS: ClassVar[dict[type, Callable[[Driver, Any], object]]] = {
        PlayAudio: _play,
        SetMark: _mark,
        ClearPlayout: _clear,
        ProbeCaller: _probe,
        DropStream: _drop_stream,
        CloseStream: _close_stream,
        ConnectModel: _connect_model,
        CloseModel: _close_model,
        ConnectSuccessor: _connect_successor,
        ConfigureSuccessor: _configure_successor,
        MoveToSuccessor: _move_to_successor,
        CloseSuccessor: _close_successor,
        RunFunction: _run_function,
        PauseRecording: lambda self, _: self._surroundings.record(self, is_on=False),
        ResumeRecording: lambda self, _: self._surroundings.record(self, is_on=True),
        LeaveOrder: lambda self, action: self._surroundings.leave_order(self, action.order),
        HangUpCall: lambda self, _: self._surroundings.hang_up(self),
        Park: lambda self, _: self._surroundings.park(self),
        Said: lambda self, line: self._surroundings.said(self, line),
        Happened: lambda self, fact: self._surroundings.happened(self, fact.event, fact.fields),
        Ended: _ended,
    }
    """How each action is performed, the same for all calls: what holds references to its call is garbage in a ring."""
