"""One call, sans-I/O: values go in with the time, actions come out. It keeps the two legs and routes; its parts decide.

```
call.receive_caller(message, now=)      call.receive_model(event, now=)
call.receive_control(request, now=)     call.receive_successor(event, now=)
call.handle_timer(now=)
for action in call.actions(): perform(action)
arm(call.deadline())
```

After every call of a `receive_…` or `handle_timer`, perform what `actions` returns, in order, and look at `deadline`
again. A peer's fault never raises: it is counted and acted upon. After `Ended` everything is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import Order, Outbox
from bridge.call.answers import Loudness
from bridge.call.controls import (
    Answered,
    CalleeAnswered,
    CallOver,
    FunctionResult,
    HandedOver,
    HangUp,
    MachineDetected,
    ModelConnected,
    ModelLost,
    Moved,
    PongReceived,
    Say,
    Shutdown,
    StreamOver,
    SuccessorConnected,
    SuccessorLost,
    Transfer,
    TransferOver,
)
from bridge.call.conversation import Conversation
from bridge.call.deadlines import Deadlines
from bridge.call.ending import Ending
from bridge.call.inbound import Inbound
from bridge.call.life import Life
from bridge.call.session import Session
from bridge.call.states import CallerLeg, ModelLeg
from bridge.call.voice import CallerEar
from bridge.wire import caller, model
from bridge.wire.commands import AppendAudio
from bridge.wire.g711 import BYTES_PER_MS, size_of
from bridge.wire.g711 import silence as silence_of

if TYPE_CHECKING:
    from bridge.call.actions import Action
    from bridge.call.controls import Control
    from bridge.call.memory import Memory
    from bridge.call.plan import Plan
    from bridge.call.turns import EarMaker


class Call:
    """One call between a caller and a model.

    Args:
        plan: what is settled before.
        now: the time. A call that comes in begins when its webhook is being answered, before the media stream is
            there; one that the bridge places begins as soon as it has a name.
        ear: makes what listens to a caller who speaks while the bot is heard.
        loudness: tells whether the model's sound can be heard.
    """

    def __init__(self, plan: Plan, *, now: float, ear: EarMaker = CallerEar, loudness: Loudness | None = None) -> None:
        self.plan = plan
        self._outbox = Outbox()
        self._deadlines = Deadlines()
        self._inbound = Inbound()
        self._session = Session(plan, self._outbox, self._deadlines)
        self._talk = Conversation(
            plan,
            self._outbox,
            self._deadlines,
            self._inbound,
            self._session,
            ear=ear,
            loudness=loudness or Loudness(),
        )
        self._life = Life(
            plan,
            outbox=self._outbox,
            deadlines=self._deadlines,
            inbound=self._inbound,
            session=self._session,
            talk=self._talk,
            now=now,
        )
        self._presence = self._life.presence
        self._passes_on = False
        """Whether a frame that follows the one before has nothing to it but to be passed on."""

    @property
    def memory(self) -> Memory:
        """What was said and heard so far."""
        return self._talk.memory

    @property
    def marks_outstanding(self) -> int:
        """How many pieces of speech are sent and not yet confirmed as heard."""
        return self._talk.playout.marks_outstanding

    @property
    def input_lag_s(self) -> float:
        """How far behind real time the caller's sound was read, when a piece of it was last."""
        return self._presence.lag_s(self._inbound.clock_ms)

    @property
    def is_secret(self) -> bool:
        """Whether the caller is keying in what nobody may see: what comes from the caller must not be taken down."""
        return self._talk.requests.is_secret

    @property
    def is_up(self) -> bool:
        """Whether caller and model can talk: both legs are up and confirmed."""
        return self._life.is_up

    @property
    def transfer_hindrance(self) -> str:
        """Why a call that is up cannot be handed over now; empty when it can."""
        return self._talk.transfer_hindrance

    @property
    def is_ringing(self) -> bool:
        """Whether the bridge placed this call and nobody has answered it yet."""
        return self._life.caller is CallerLeg.RINGING

    @property
    def may_move(self) -> bool:
        """Whether another bridge may go on with this call: its stream is awaited, and nobody has spoken yet."""
        return self._life.caller is CallerLeg.AWAITED

    @property
    def is_away(self) -> bool:
        """Whether the call has left its stream for a human, who is being called or has answered."""
        return self._life.is_handing_over

    # What goes in and comes out

    def receive_caller(self, message: caller.CallerMessage, *, now: float) -> None:
        """Something came from the caller's media stream."""
        is_up = self._life.caller is CallerLeg.UP
        if is_up and type(message) is caller.CallerAudio:
            self._hear(message, now)
        elif is_up and type(message) is caller.MarkReached:
            self._mark_reached(message.name, now)
        elif not self._life.is_over:
            self._receive_rare(message, now)
            self._settle(now)

    def pass_on(self, audio: caller.CallerAudio, now: float) -> AppendAudio | None:
        """What most of the caller's sound comes to, without a list, a look at the deadlines or anything to settle.

        None, and nothing has happened, when there may be more to a piece: give it to `receive_caller`.
        """
        if not (self._passes_on and self._inbound.follows(audio)):
            return None
        self._presence.media_at = now
        return AppendAudio(audio.payload)

    def receive_model(self, event: model.ModelEvent, *, now: float) -> None:
        """Something came from the model's session."""
        if self._life.is_over or self._life.sessions.leg in (ModelLeg.WAITING, ModelLeg.GONE):
            return
        if isinstance(event, model.AudioDelta):
            if self._life.is_up:
                self._talk.speaking.made(event, now)
        elif isinstance(event, model.TranscriptDelta):  # as many as there is sound, and nothing to settle
            self._talk.memory.bot_words(event.item_id, event.delta, whole=False)
        else:
            self._receive_event(event, now)
            self._settle(now)

    def receive_successor(self, event: model.ModelEvent, *, now: float) -> None:
        """Something came from the session that is opened beside the present one."""
        if not self._life.is_over:
            self._life.sessions.succession.told(event, now)
            self._settle(now)

    def receive_control(self, request: Control, *, now: float) -> None:
        """Something came from neither leg: see `bridge.call.controls`."""
        if not self._life.is_over:
            self._control(request, now)
            self._settle(now)

    def handle_timer(self, *, now: float) -> None:
        """The time that `deadline` named has come (or any other: what is not due is left alone)."""
        while (name := self._deadlines.take_due(now)) is not None:
            self._due(name, now)
            self._settle(now)

    def actions(self) -> list[Action]:
        """What is to be done since the last time, in order."""
        return self._outbox.take()

    def deadline(self) -> float | None:
        """When `handle_timer` must be called, in call seconds; None when nothing is waited for."""
        return self._deadlines.next

    def _settle(self, now: float) -> None:
        """What follows from an input that may have changed anything."""
        life, talk = self._life, self._talk
        life.settle(now)
        self._passes_on = life.is_up and not (talk.turns.is_eared or talk.requests.is_secret)

    # The caller's leg

    def _hear(self, audio: caller.CallerAudio, now: float) -> None:
        self._presence.media_at = now
        silence = self._inbound.gap_before(audio)
        talk = self._talk
        if talk.turns.is_listening and talk.hear(audio.payload, audio.timestamp_ms, now):
            self._settle(now)
        payload = audio.payload
        if talk.requests.is_secret:  # keys can be heard
            payload = silence_of(size_of(payload) // BYTES_PER_MS)
        for piece in (silence, payload) if silence else (payload,):
            if not self._life.sessions.is_ready:
                self._inbound.keep(piece)
                continue
            self._outbox.do(AppendAudio(piece))
            if self._inbound.overlap_ms:
                self._inbound.sent(piece)

    def _mark_reached(self, name: str, now: float) -> None:
        """The carrier returned a mark: nothing follows from it, and nothing is to be settled, while more is played."""
        self._presence.sign_of_life(now)
        if self._talk.speaking.mark_reached(name, now):
            self._settle(now)

    def _receive_rare(self, message: caller.CallerMessage, now: float) -> None:
        life, leg = self._life, self._life.caller
        self._presence.sign_of_life(now)
        match message:
            case caller.Digit(digit=digit) if leg is CallerLeg.UP:
                self._talk.key_pressed(digit, now)
            case caller.StreamStarted() if leg in (CallerLeg.AWAITED, CallerLeg.DETACHED):
                life.stream_started(message, now)
            case caller.CallerLeft(clean=clean):
                life.stream_left(now, is_clean=clean)
            case caller.CallerAudio() | caller.MarkReached() | caller.Digit() if leg is CallerLeg.CLOSING:
                pass  # sent before the stream was closed
            case _:
                self._take_note(message)

    def _take_note(self, message: caller.CallerMessage) -> None:
        """Count a message that a call makes nothing of."""
        match message:
            case caller.Greeted():
                pass
            case caller.Unknown(kind=kind):
                self._outbox.happened("caller.message_unknown", kind=kind)
            case caller.Malformed(reason=reason):
                self._outbox.happened("caller.message_malformed", reason=reason)
            case _:
                self._outbox.happened("caller.message_unexpected", kind=type(message).__name__)

    # The model's leg

    def _receive_event(self, event: model.ModelEvent, now: float) -> None:
        sessions = self._life.sessions
        if isinstance(event, caller.Malformed):
            sessions.malformed(event.reason, now)
            return
        sessions.made_sense()
        match event:
            case model.SessionUpdated(session=session):
                self._life.session_updated(session, now)
            case model.Failed(error=fault):
                sessions.refused(fault, now)
            case caller.Unknown(kind=kind):
                self._outbox.happened("model.event_unknown", kind=kind)
            case _ if self._life.is_in_conversation:
                self._talk.receive(event, now)
        sessions.check_answers(now)
        self._life.check_spend(now)

    # Neither leg

    def _control(self, request: Control, now: float) -> None:
        life, talk = self._life, self._talk
        match request:
            case ModelConnected(unix_s=unix_s) if life.sessions.leg is ModelLeg.CONNECTING:
                life.sessions.connected(now, unix_s)
            case ModelLost(reason=reason, code=code):
                life.sessions.lose(reason, now, code=code)
            case SuccessorConnected(unix_s=unix_s):
                life.sessions.succession.connected(now, unix_s)
            case SuccessorLost(reason=reason, code=code):
                life.sessions.succession.lost(reason, now, code=code)
            case FunctionResult(call_id=call_id, output=output):
                talk.requests.done(call_id, output, now)
            case Say(words=words):
                talk.say(words)
            case Transfer(destination=where, summary=why) if (
                life.caller is CallerLeg.UP and not talk.transfer_hindrance
            ):
                talk.transfer(where, why, now)
            case HangUp():
                life.hang_up(now)
            case Shutdown():
                life.leave(Ending.DRAINED, Order("fallback"), now)
            case _:
                self._signal(request, now)

    def _signal(self, request: Control, now: float) -> None:
        """What the carrier's signalling says."""
        life = self._life
        match request:
            case Answered() if life.caller is CallerLeg.RINGING:
                life.answered(now)
            case Moved() if self.may_move:
                life.finish(Ending.MOVED, now=now)
            case MachineDetected(answered_by=answered_by):
                life.machine_detected(answered_by, now)
            case CalleeAnswered() if life.caller is CallerLeg.DETACHED and life.is_being_transferred:
                self._deadlines.set("errand.overdue", now + self._talk.requests.errands.answered_within_s())
            case HandedOver() if life.is_being_transferred:
                life.handed_over(now)
            case TransferOver(outcome=outcome) if life.is_being_transferred:
                life.transfer_over(outcome, now)
            case PongReceived():
                self._presence.sign_of_life(now)
            case StreamOver():
                life.stream_over(now)
            case CallOver(status=status):
                life.call_over(status, now)
            case _:
                self._outbox.happened("control.ignored", kind=type(request).__name__)

    def _due(self, name: str, now: float) -> None:
        life = self._life
        match name:
            case "callee.answered":
                life.call_off(Ending.NOT_REACHED, "no_answer", now=now)
            case "stream.claimed":
                life.finish(Ending.NOT_CLAIMED, now=now)
            case "stream.closed":
                life.stream_left(now, is_clean=False)
            case "errand.overdue":
                life.errand_overdue(now)
            case _ if name.startswith(("model.", "session.", "successor.")):
                life.sessions.due(name, now)
            case "hold":
                self._talk.hold.due(now)
            case "caller.media":
                self._presence.media_missing(now)
            case "caller.answered":
                life.caller_silent(now)
            case "call.limit" | "call.warning":
                life.time_due(name, now)
            case _:
                self._due_in_talk(name, now)

    def _due_in_talk(self, name: str, now: float) -> None:
        talk = self._talk
        match name:
            case "playout.overdue":
                talk.speaking.overdue(now)
            case "turn.over" | "turn.committed" | "turn.answered":
                talk.answering.overdue(name)
            case "keys.pause":
                talk.keys_complete(now)
            case "secret.keyed":
                talk.requests.keyed(now)
            case "function.filler":
                talk.filler_due(now)
            case "silence":
                talk.silence_due(now)
            case "act.overdue":
                self._life.do(talk.act_overdue(), now)
            case _ if talk.course.overdue(name, now):
                self._life.sessions.lose("response_overdue", now)
