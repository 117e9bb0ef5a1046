"""A phone call in virtual time, without a socket: the core between a simulated ear and a strict, scripted model.

Time is counted in samples of the line (8 a millisecond), so that everything is exact. Nothing here sleeps or awaits.
Texts go through `bridge.wire` both ways, so that what is tested is what runs.

- `Bench` (`bench.py`) gives the core one message at a time, by hand, and returns the actions of that step.
- `Rig` is a bench with an `Ear` and a `Caller` (`phone.py`) and a `Server` (`server.py`); `run` lets time pass.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.call.actions import (
    Action,
    ClearPlayout,
    CloseModel,
    CloseStream,
    ConnectModel,
    PlayAudio,
    RunFunction,
    Said,
    SetMark,
)
from bridge.call.controls import FunctionResult, ModelConnected, ModelLost
from bridge.call.plan import Plan
from bridge.wire import caller as wire_caller
from bridge.wire.commands import (
    AppendAudio,
    CancelResponse,
    CreateItem,
    CreateResponse,
    DeleteItem,
    TruncateItem,
    UpdateSession,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.controls import Control

from tests.unit.call.bench import Bench, facts, make_agent, make_plan, not_before, of
from tests.unit.call.messages import (
    SAMPLES_PER_MS,
    SILENCE_FRAME,
    STREAM_SID,
    key_message,
    mark_message,
    media_message,
    sound,
    start_message,
    voice,
)
from tests.unit.call.phone import Caller, Ear, Timeline
from tests.unit.call.server import FunctionCall, Reply, Server, Speech

__all__ = [
    "SILENCE_FRAME",
    "Bench",
    "Caller",
    "Ear",
    "FunctionCall",
    "Reply",
    "Rig",
    "Server",
    "Speech",
    "facts",
    "key_message",
    "make_agent",
    "make_plan",
    "mark_message",
    "media_message",
    "of",
    "sound",
    "start_message",
    "voice",
]
COMMANDS = (AppendAudio, UpdateSession, CreateItem, TruncateItem, DeleteItem, CreateResponse, CancelResponse)


@dataclass(frozen=True)
class Truncation:
    """A truncate that was sent, and what the ear had heard of that part when the clear reached it."""

    item_id: str
    content_index: int
    audio_end_ms: int
    sent_ms: int


class Rig(Bench):
    """A whole call in virtual time.

    Args:
        plan: of the call.
        down_ms: how long a message takes to the carrier.
        up_ms: and back.
        model_ms: how long a message takes to or from the model.
    """

    def __init__(self, plan: Plan | None = None, *, down_ms: int = 5, up_ms: int = 5, model_ms: int = 20) -> None:
        self.timeline = Timeline()
        self.down_ms = down_ms
        plan = plan or make_plan()
        self.ear = Ear(self.timeline, self._from_carrier, up_ms)
        self.phone = Caller(self.timeline, self._from_carrier, up_ms)
        self.server = Server(self.timeline, self._from_model, model_ms, plan.dialect)
        self.functions: dict[str, tuple[int, str]] = {}
        """What the operator's functions return, and after how many ms."""
        self.ran: list[str] = []
        self.dead: set[str] = set()
        """Responses of which nothing more may be played."""
        self.truncations: list[Truncation] = []
        self.order: str | None = None
        self.refusals: list[ModelLost | None] = []
        """What becomes of the next attempts to open a session; None: nothing, it hangs."""
        self._known: list[str] = []
        self._is_clip = False
        self._stream = wire_caller.Stream(STREAM_SID)
        super().__init__(plan)

    def begin(self) -> None:
        """The caller is connected; run until the session is ready as well."""
        self.timeline.after(100, self._start)
        self.run(400)

    def run(self, duration_ms: float) -> None:
        """Let time pass."""
        self._run(self.timeline.samples + math.ceil(duration_ms * SAMPLES_PER_MS), lambda: False)

    def run_until(self, happened: Callable[[], object], within_ms: float = 60_000) -> None:
        """Let time pass until something is so."""
        self._run(self.timeline.samples + math.ceil(within_ms * SAMPLES_PER_MS), happened)
        assert happened(), "it never happened"

    def heard_ms(self, item_id: str, part: int = 0) -> float:
        """How much of an item's part the caller has heard so far."""
        return self.ear.heard_bytes(lambda payload: self.server.part_of[payload] == (item_id, part)) / SAMPLES_PER_MS

    def transcript(self) -> list[tuple[str, str]]:
        """Who said what, as told."""
        return [(line.role, line.words) for line in of(Said, self.log)]

    def _start(self) -> None:
        self.phone.begin()
        self._from_carrier(json.dumps(start_message()))

    def _run(self, until: int, happened: Callable[[], object]) -> None:
        while not happened():
            deadline = self.call.deadline()
            timer = math.inf if deadline is None else max(self.timeline.samples, not_before(deadline))
            planned = math.inf if self.timeline.next is None else self.timeline.next
            if min(timer, planned) > until:
                self.timeline.samples = self.samples = until
                return
            if timer < planned:
                self.timeline.samples = self.samples = int(timer)
                self.call.handle_timer(now=self.now)
                self._take()
            else:
                self.timeline.pop()()

    def _from_carrier(self, text: str) -> None:
        self.samples = self.timeline.samples
        self.caller(text)

    def _from_model(self, text: str) -> None:
        self.samples = self.timeline.samples
        event = json.loads(text)
        if event["type"] == "response.created":
            self._known.append(event["response"]["id"])
        if self.server.is_open:
            self.model_text(text)

    def control(self, request: Control) -> list[Action]:
        """Something from neither leg, now."""
        self.samples = self.timeline.samples
        return super().control(request)

    def check(self, actions: list[Action]) -> None:
        """Judge the step, then carry it out."""
        super().check(actions)
        for action in actions:
            self._perform(action)

    def _perform(self, action: Action) -> None:
        match action:
            case PlayAudio(payload=payload):
                self._is_clip = payload == self.plan.hold_clip
                assert self._is_clip or self.server.response_of[payload] not in self.dead, (
                    "audio of a response that was cut"
                )
                self._to_carrier(self._stream.media(payload))
            case SetMark(name=name):
                self._to_carrier(self._stream.mark(name))
            case ClearPlayout():
                self.dead.update([] if self._is_clip else self._known)
                self._to_carrier(self._stream.clear())
            case CloseStream(order=order):
                self.order = order.kind
                self.timeline.after(self.down_ms, self._hang_up)
            case ConnectModel():
                self.timeline.after(self.server.delay_ms, self._connected)
            case CloseModel():
                self.server.is_open = False
            case RunFunction(call_id=call_id, name=name):
                self.ran.append(call_id)
                delay_ms, output = self.functions[name]
                self.timeline.after(delay_ms, lambda: self._function_done(call_id, output))
            case TruncateItem(item_id=item_id, content_index=part, audio_end_ms=end_ms):
                sent = self.server.items[item_id].sent[part]
                self.truncations.append(Truncation(item_id, part, end_ms, sent // SAMPLES_PER_MS))
                self._to_model(action)
            case _ if isinstance(action, COMMANDS):
                self._to_model(action)
            case _:
                pass

    def _to_carrier(self, text: str) -> None:
        self.timeline.after(self.down_ms, lambda: self.ear.receive(text))

    def _to_model(self, command: Action) -> None:
        text, session = encode(command), self.server.session

        def arrive() -> None:
            if session == self.server.session:
                self.server.receive(text)

        self.timeline.after(self.server.delay_ms, arrive)

    def _connected(self) -> None:
        if self.refusals:
            refusal = self.refusals.pop(0)
            if refusal is not None:
                self.control(refusal)
            return
        self.server.connect()
        self.control(ModelConnected())

    def lose(self, reason: str = "closed", code: str = "1006") -> None:
        """The session's socket goes away, and with it whatever was under way."""
        self.server.is_open = False
        self.server.active = None
        self.control(ModelLost(reason, code))

    def _function_done(self, call_id: str, output: str) -> None:
        self.control(FunctionResult(call_id, output))

    def _hang_up(self) -> None:
        self.phone.is_on = False
        self._from_carrier(json.dumps({"event": "stop", "sequenceNumber": "9", "streamSid": STREAM_SID}))
