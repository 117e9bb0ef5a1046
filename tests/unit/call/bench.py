"""A call that is fed by hand, one message at a time; what comes out of each step is returned."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from bridge.call.actions import (
    Action,
    ClearPlayout,
    Ended,
    Happened,
    SetMark,
)
from bridge.call.controls import ModelConnected
from bridge.call.machine import Call
from bridge.call.plan import Plan
from bridge.settings import Agent
from bridge.wire import caller as wire_caller
from bridge.wire import model as wire_model
from bridge.wire.commands import (
    CancelResponse,
    CreateResponse,
    TruncateItem,
    UpdateSession,
)

if TYPE_CHECKING:
    from bridge.call.controls import Control

from tests.unit.call.messages import (
    CALL_SID,
    FRAME_MS,
    SAMPLES_PER_MS,
    SILENCE_FRAME,
    mark_message,
    media_message,
    start_message,
)


def make_agent(**settings: object) -> Agent:
    """An agent by its configuration keys."""
    return Agent.model_validate(settings)


def make_plan(
    dialect: str = "ga", functions: tuple[str, ...] = (), max_call_s: float = 3600, **settings: object
) -> Plan:
    """A plan whose agent has these settings."""
    return Plan(
        call_sid=CALL_SID,
        agent=make_agent(**settings),
        dialect="beta" if dialect == "beta" else "ga",
        functions=frozenset(functions),
        max_call_s=max_call_s,
    )


def not_before(seconds: float) -> int:
    """The first sample at which that time has come, whatever rounding does."""
    samples = math.ceil(seconds * 8000)
    return samples if samples / 8000 >= seconds else samples + 1


def of(kind: type[Any], actions: list[Action]) -> list[Any]:
    """The actions of one kind."""
    return [action for action in actions if isinstance(action, kind)]


def facts(event: str, actions: list[Action]) -> list[dict[str, Any]]:
    """The fields of the facts of that name."""
    return [action.fields for action in actions if isinstance(action, Happened) and action.event == event]


class Bench:
    """One call, fed by hand one step at a time. Each step's actions are returned, and kept in `log`."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or make_plan()
        self.samples = 0
        self.call = Call(self.plan, now=0)
        self.log: list[Action] = []
        self.endings: list[str] = []
        """The endings so far: never more than one."""
        self.stream_ms = 0
        self._take()

    @property
    def now(self) -> float:
        """Call seconds."""
        return self.samples / 8000

    def at(self, seconds: float) -> None:
        """Jump to a time, without telling the core."""
        self.samples = math.ceil(seconds * 8000)

    def caller(self, message: dict[str, Any] | str) -> list[Action]:
        """A message of the media stream."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.call.receive_caller(wire_caller.parse(text), now=self.now)
        return self._take()

    def model(self, kind: str, **fields: object) -> list[Action]:
        """An event of the session."""
        return self.model_text(json.dumps({"type": kind, "event_id": "event_1", **fields}))

    def model_text(self, text: str) -> list[Action]:
        """The text of an event of the session."""
        self.call.receive_model(wire_model.parse(text), now=self.now)
        return self._take()

    def successor(self, kind: str, **fields: object) -> list[Action]:
        """An event of the session that is opened beside the present one."""
        text = json.dumps({"type": kind, "event_id": "event_1", **fields})
        self.call.receive_successor(wire_model.parse(text), now=self.now)
        return self._take()

    def control(self, request: Control) -> list[Action]:
        """Something from neither leg."""
        self.call.receive_control(request, now=self.now)
        return self._take()

    def timer(self) -> list[Action]:
        """Jump to the deadline and tell the core."""
        deadline = self.call.deadline()
        assert deadline is not None
        self.samples = max(self.samples, not_before(deadline))
        self.call.handle_timer(now=self.now)
        return self._take()

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass, with the timer going off whenever it is due."""
        until, actions = self.now + seconds, []
        while (deadline := self.call.deadline()) is not None and deadline <= until:
            actions += self.timer()
        self.at(until)
        return actions

    # What tests say often

    def start(self) -> list[Action]:
        """The media stream comes."""
        return self.caller(start_message())

    def ready(self) -> list[Action]:
        """The session is opened, configured and confirmed."""
        actions = self.control(ModelConnected())
        asked = of(UpdateSession, actions)[0].session
        return actions + self.model("session.updated", session=asked)

    def up(self) -> list[Action]:
        """Both legs are up."""
        return self.ready() + self.start()

    def frame(self, payload: str = SILENCE_FRAME) -> list[Action]:
        """The next 20 ms of the caller; takes as long."""
        self.samples += FRAME_MS * SAMPLES_PER_MS
        actions = self.caller(media_message(payload, self.stream_ms))
        self.stream_ms += FRAME_MS
        return actions

    def listen(self, duration_ms: int) -> list[Action]:
        """The caller's line for a while, silent."""
        return [action for _ in range(duration_ms // FRAME_MS) for action in self.frame()]

    def turn(self, item_id: str = "item_caller") -> list[Action]:
        """The caller has said something: begun, ended and committed."""
        actions = self.model("input_audio_buffer.speech_started", item_id=item_id)
        actions += self.model("input_audio_buffer.speech_stopped", item_id=item_id)
        return actions + self.model("input_audio_buffer.committed", item_id=item_id)

    def respond(self, response_id: str, asked: CreateResponse | None = None) -> list[Action]:
        """A response begins: the answer to `asked`, or the server's own."""
        metadata = asked.response["metadata"] if asked is not None else None
        return self.model("response.created", response={"id": response_id, "metadata": metadata})

    def speak(self, response_id: str, item_id: str, payload: str, content_index: int = 0) -> list[Action]:
        """A piece of speech."""
        kind = "response.output_audio.delta" if self.plan.dialect == "ga" else "response.audio.delta"
        return self.model(
            kind, response_id=response_id, item_id=item_id, content_index=content_index, delta=payload, output_index=0
        )

    def done(self, response_id: str, status: str = "completed", **fields: object) -> list[Action]:
        """A response ends."""
        return self.model("response.done", response={"id": response_id, "status": status, **fields})

    def marks(self, actions: list[Action]) -> list[Action]:
        """The marks that were set come back."""
        return [action for mark in of(SetMark, actions) for action in self.caller(mark_message(mark.name))]

    def _take(self) -> list[Action]:
        actions = self.call.actions()
        assert not (self.endings and actions), "something was done after the end"
        self.log += actions
        self.endings += [action.ending.value for action in of(Ended, actions)]
        assert bool(self.endings) is (self.call.deadline() is None), "a call that goes on has a deadline"
        assert len(self.endings) <= 1
        if self.endings and actions:
            assert isinstance(actions[-1], Ended), "the ending comes last"
        self.check(actions)
        return actions

    def check(self, actions: list[Action]) -> None:
        """What holds in every step: clear before truncate before cancel."""
        order = [kind for kind in map(type, actions) if kind in (ClearPlayout, TruncateItem, CancelResponse)]
        assert order == sorted(order, key=(ClearPlayout, TruncateItem, CancelResponse).index)
