"""The life of one call: its two legs, from the webhook that announces it to its ending, of which there is one.

What is said in the meantime is `bridge.call.conversation`'s matter. The moves of the legs are in `bridge.call.states`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import (
    CloseStream,
    DropStream,
    Ended,
    HangUpCall,
    LeaveOrder,
    Order,
    Park,
)
from bridge.call.acts import Act
from bridge.call.detection import Detection
from bridge.call.ending import Ending
from bridge.call.limits import TALKS_WITHIN_S, Limits
from bridge.call.presence import Presence
from bridge.call.responses import Kind, Wish
from bridge.call.sessions import Sessions
from bridge.call.states import CallerLeg, ModelLeg, move_caller

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.conversation import Conversation
    from bridge.call.deadlines import Deadlines
    from bridge.call.errands import Errand
    from bridge.call.inbound import Inbound
    from bridge.call.plan import Plan
    from bridge.call.session import Session
    from bridge.wire import caller

CLOSED_WITHIN_S = 5.0
"""How long the carrier may take to let go of a stream that we close."""
PHONE_AUDIO = ("audio/x-mulaw", 8000, 1)


class Life:
    """Where the two legs of a call are, and how they get there.

    Args:
        plan: what is settled before.
        outbox: where actions go.
        deadlines: every state has its own.
        inbound: the caller's sound, kept until the session is ready.
        session: configured and confirmed.
        talk: what is being said while both legs are up.
        now: the time at which the call begins.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        outbox: Outbox,
        deadlines: Deadlines,
        inbound: Inbound,
        session: Session,
        talk: Conversation,
        now: float,
    ) -> None:
        self.caller = CallerLeg.RINGING
        self.ending: Ending | None = None
        self.is_over = False
        self.presence = Presence(outbox, deadlines, now)
        self._plan = plan
        self._outbox = outbox
        self._deadlines = deadlines
        self._inbound = inbound
        self._talk = talk
        self.sessions = Sessions(
            plan,
            outbox=outbox,
            deadlines=deadlines,
            inbound=inbound,
            session=session,
            talk=talk,
            is_needed=lambda: self.caller in (CallerLeg.AWAITED, CallerLeg.UP),
            given_up=self._model_failed,
        )
        self.limits = Limits(plan, deadlines)
        self._began_at: float | None = None
        self._is_parked = False
        self._detection = Detection(plan.outgoing)
        self._message = ""
        if plan.outgoing is None:
            self.answered(now)
        else:
            self._deadlines.set("callee.answered", now + plan.outgoing.ring_within_s)

    @property
    def is_up(self) -> bool:
        """Whether caller and model can talk: both legs are up and confirmed."""
        return self.sessions.is_ready and self.caller is CallerLeg.UP

    @property
    def is_in_conversation(self) -> bool:
        """Whether what the model does still matters: both can talk, or the stream was lost and may come back."""
        return self.sessions.is_ready and (self.caller is CallerLeg.UP or self._talk.breaks.is_on)

    def stream_started(self, started: caller.StreamStarted, now: float) -> None:
        """The media stream is there: the first, or one with which the call comes back from an errand."""
        errand = self._talk.requests.errands.come_back()
        self.caller = move_caller(self.caller, CallerLeg.UP)
        self.presence.began(now)
        self._deadlines.clear("stream.claimed")
        self._deadlines.clear("errand.overdue")
        if self.limits.stream_started(now):
            self._talk.stream_started(now)
        self._outbox.happened("stream.started", stream_sid=started.stream_sid)
        if (started.encoding, started.sample_rate_hz, started.channels) != PHONE_AUDIO:
            self._outbox.happened("stream.refused", reason="format")
            self.close(Ending.CALLER_LOST, Order("fallback"), now)
        elif errand is not None:
            self._come_back(errand, now)
        elif self.sessions.leg is ModelLeg.GONE:
            self.close(Ending.MODEL_FAILED, Order("fallback"), now)
        elif self.sessions.is_ready:
            self._talk.greet()

    def answered(self, now: float) -> None:
        """Somebody is on the line: a caller of ours, or whom we have called. The session is opened meanwhile."""
        self.caller = move_caller(self.caller, CallerLeg.AWAITED)
        self._began_at = now
        self._deadlines.clear("callee.answered")
        self.sessions.open(now)
        self._deadlines.set("stream.claimed", now + self._plan.claim_within_s)

    def machine_detected(self, answered_by: str, now: float) -> None:
        """The carrier has made up its mind about who answered a call that we placed."""
        ending = self._detection.told(answered_by)
        if ending is Ending.MESSAGE_LEFT:
            self._message = self._detection.message  # is said as soon as it can be
        elif ending is not None:
            self.leave(ending, Order("hang_up"), now)

    def detached(self, now: float) -> None:
        """The stream is closed for an errand; the session stays open, for the call may come back."""
        self.caller = move_caller(self.caller, CallerLeg.DETACHED)
        self.sessions.succession.close()
        self._deadlines.clear("stream.closed")
        self._deadlines.set("errand.overdue", now + self._talk.requests.errands.within_s())

    def _come_back(self, errand: Errand, now: float) -> None:
        self._inbound.restart()
        self._is_parked = False
        if self.sessions.leg is ModelLeg.GONE:
            self.sessions.open(now, "returned")
        self.sessions.watch(now)
        self._outbox.happened("call.returned", errand=errand.order.kind, outcome=errand.outcome)
        self._talk.came_back(errand, now)

    def transfer_over(self, outcome: str, now: float) -> None:
        """A transfer is over: handed over, or one that failed, with what follows on that."""
        if self.caller is CallerLeg.CLOSING:  # the carrier's signalling was quicker than its stream
            self.detached(now)
        order = Order("hang_up") if outcome == "connected" else self._talk.requests.errands.failed(outcome)
        self._outbox.happened("transfer.ended", outcome=outcome)
        self._outbox.do(LeaveOrder(order))
        if outcome == "connected":
            self.finish(Ending.TRANSFERRED, now=now)
        elif order.kind == "resume":
            self._deadlines.set("errand.overdue", now + self._plan.claim_within_s)
        else:
            self._deadlines.set("errand.overdue", now + self._talk.requests.errands.within_s())

    def errand_overdue(self, now: float) -> None:
        """Nobody came back: the human has answered, or the carrier has lost the call."""
        errand = self._talk.requests.errands.current
        if errand is None or errand.order.kind != "transfer" or errand.outcome:
            self.finish(Ending.CALLER_LOST, now=now)
        elif self._is_parked:
            self.finish(Ending.TRANSFERRED, now=now)
        else:
            self.handed_over(now)

    def handed_over(self, now: float) -> None:
        """Caller and human are connected: the session ends and the place is free, but the call may yet come back."""
        if self.caller is CallerLeg.CLOSING:  # the carrier's signalling was quicker than its stream
            self.detached(now)
        if not self._is_parked:
            self._is_parked = True
            self.sessions.close(now)
            self._outbox.do(Park())
        self._deadlines.set("errand.overdue", now + TALKS_WITHIN_S)

    def session_updated(self, session: dict[str, object], now: float) -> None:
        """The server has confirmed an update: if it was the first of its session, audio may be sent."""
        if self.sessions.updated(session, now) and self.caller is CallerLeg.UP:
            self._talk.greet()

    def _model_failed(self, now: float) -> None:
        """No session can be had. A caller whose stream is yet to come hears the fallback then."""
        if self.caller is CallerLeg.UP:
            self._end_without_model(now)

    def _end_without_model(self, now: float) -> None:
        """What was made of an announcement is heard to its end; its act is done, else the caller hears the fallback."""
        act = self._talk.settle_act(now)
        if act is None and not self._talk.is_announcing:
            act = self._talk.act_overdue() or Act(Ending.MODEL_FAILED, Order("fallback"), None)
        self.do(act, now)

    def settle(self, now: float) -> None:
        """What follows when several things are true at once; called after each event that may have changed one."""
        if self.is_up:
            if self._message:
                self._talk.leave_message(self._message, now)
                self._message = ""
            self.do(self._talk.settle(now), now)
            if self.is_up:
                self.sessions.settle(now, is_quiet=self._talk.is_quiet)
        elif self.caller is CallerLeg.UP and self.sessions.leg is ModelLeg.GONE:
            self._end_without_model(now)
        elif self.caller is CallerLeg.UP:
            self._talk.hold.expect(now)
            self.do(self._talk.settle_act(now), now)

    def do(self, act: Act | None, now: float) -> None:
        """Carry out an act whose time has come, if there is one."""
        if act is not None:
            if act.ending is None:
                self._talk.requests.errands.begin(act.order, act.call_id)
            self.close(act.ending, act.order, now)

    def leave(self, ending: Ending, order: Order, now: float) -> None:
        """End the call where it is, whatever it is doing."""
        if self.caller is CallerLeg.UP:
            self.close(ending, order, now)
        elif self.caller is CallerLeg.AWAITED or (self.caller is CallerLeg.DETACHED and not self.is_handing_over):
            self._outbox.do(LeaveOrder(order))  # the carrier asks: at once, or when the stream that comes is refused
            self.finish(ending, now=now)
        elif self.caller is CallerLeg.RINGING:
            self.call_off(ending, now=now)

    def call_off(self, ending: Ending, reason: str = "", *, now: float) -> None:
        """End a call without a stream: the carrier is asked to, and told so if it asks first."""
        self._outbox.do(LeaveOrder(Order("hang_up")))
        self._outbox.do(HangUpCall())
        self.finish(ending, reason, now=now)

    def close(self, ending: Ending | None, order: Order, now: float) -> None:
        """Leave the stream with an order: the call is over when it is gone, or on an errand when `ending` is None."""
        if not self.sessions.is_ready:  # the call may come back, and gets another one then
            self.sessions.close(now)
        self._deadlines.clear_all()
        if ending is None:
            self._talk.turns.restart()
        self._close(ending, order, now)

    def _close(self, ending: Ending | None, order: Order, now: float) -> None:
        self.ending = ending
        self.sessions.succession.close()
        self.caller = move_caller(self.caller, CallerLeg.CLOSING)
        self._deadlines.set("stream.closed", now + CLOSED_WITHIN_S)
        self._outbox.do(CloseStream(order))

    def finish(self, ending: Ending, reason: str = "", *, now: float) -> None:
        """The call is over, once: everything is let go of, and nothing follows any more."""
        self.is_over = True
        self.ending = ending
        self._talk.over()
        self._deadlines.clear_all()
        if self.caller is CallerLeg.UP:  # the carrier's signalling knew before the stream did
            self._outbox.do(CloseStream(Order("hang_up")))
        self.caller = CallerLeg.GONE
        self.sessions.leave()
        why = {"reason": reason} if reason else {}
        talk = self._talk
        sums = {
            "turns": talk.turns.count,
            "barge_ins": talk.turns.barge_ins,
            **talk.waits.summary(),
            **talk.spend.told(),
        }
        lasted_s = round(now - self._began_at, 1) if self._began_at is not None else 0.0
        self._outbox.happened("call.ended", ending=ending.value, lasted_s=lasted_s, **sums, **why)
        self._outbox.do(Ended(ending))

    def check_spend(self, now: float) -> None:
        """End a call that has cost as much as it may."""
        if self._talk.spend.is_too_much and self.is_up and self.limits.ending is None:
            self.limit_reached(Ending.COST_LIMIT, now)

    def call_over(self, status: str, now: float) -> None:
        """The carrier says that the call has ended."""
        if self.caller is CallerLeg.RINGING and status != "completed":
            self.finish(Ending.NOT_REACHED, status.replace("-", "_"), now=now)
            return
        self.finish(self.ending or (Ending.TRANSFERRED if self._is_parked else Ending.CALLER_HUNG_UP), now=now)

    def stream_over(self, now: float) -> None:
        """The carrier asks what to do with the call: for it the stream is over, or could not be opened."""
        if self.caller is CallerLeg.AWAITED:
            self._not_opened(now)
        elif self.caller in (CallerLeg.UP, CallerLeg.CLOSING):
            self._outbox.do(DropStream())
            self.stream_left(now, is_clean=False)

    def caller_silent(self, now: float) -> None:
        """A stream that sends no sound was asked whether it is there, and its time to answer is over."""
        if self.presence.is_lost():
            self._lose_stream("silent", now)

    def _not_opened(self, now: float) -> None:
        if self.presence.may_return(now):
            self._outbox.happened("stream.lost", cause="not_opened", losses=self.presence.losses)
            self._outbox.do(LeaveOrder(Order("resume")))
            self._deadlines.set("stream.claimed", now + self._plan.claim_within_s)
        else:
            self._outbox.do(LeaveOrder(Order("fallback")))
            self.finish(Ending.NOT_CLAIMED, now=now)

    def _lose_stream(self, cause: str, now: float) -> None:
        """The stream is gone without a word: the carrier is given another one, unless that was so too often.

        It asks by itself when its socket has closed. A stream that has fallen silent is closed for it, by whichever
        way streams are left.
        """
        may_return = self.presence.may_return(now)
        order = Order("resume" if may_return else "fallback")
        self._outbox.happened("stream.lost", cause=cause, losses=self.presence.losses)
        self.presence.left()
        self.limits.stream_left()
        self._talk.broken_off(now)
        if may_return:
            self._talk.requests.errands.begin(order, "")
        if cause == "silent":
            self._close(None if may_return else Ending.CALLER_LOST, order, now)
        elif may_return:
            self._outbox.do(LeaveOrder(order))
            self.detached(now)
        else:
            self._outbox.do(LeaveOrder(order))
            self.caller = move_caller(self.caller, CallerLeg.GONE)
            self.finish(Ending.CALLER_LOST, now=now)

    @property
    def is_on_errand(self) -> bool:
        """Whether the call has left its stream for an errand, or is about to."""
        return self.caller is CallerLeg.DETACHED or (self.caller is CallerLeg.CLOSING and self.ending is None)

    @property
    def is_handing_over(self) -> bool:
        """Whether the call has left its stream for a human, who is being called or has answered."""
        errand = self._talk.requests.errands.current
        is_transfer = errand is not None and errand.order.kind == "transfer" and not errand.outcome
        return self.caller is CallerLeg.DETACHED and is_transfer

    @property
    def is_being_transferred(self) -> bool:
        """Whether that errand is a transfer: word of one before may come late, while the call is out for another."""
        errand = self._talk.requests.errands.current
        return self.is_on_errand and errand is not None and errand.order.kind == "transfer"

    def stream_left(self, now: float, *, is_clean: bool) -> None:
        """A stream is gone: the call is over, or on the errand for which it left."""
        if self.caller is CallerLeg.DETACHED:
            return  # it was the one that was left
        if self.is_on_errand:
            self.detached(now)
            return
        if self.caller is CallerLeg.UP and not is_clean:
            self._lose_stream("socket", now)
            return
        self.caller = CallerLeg.GONE
        self.finish(self.ending or (Ending.CALLER_HUNG_UP if is_clean else Ending.CALLER_LOST), now=now)

    def hang_up(self, now: float) -> None:
        """The operator ends the call."""
        if self.caller is CallerLeg.DETACHED:
            self.call_off(Ending.OPERATOR_HUNG_UP, now=now)
        else:
            self.leave(Ending.OPERATOR_HUNG_UP, Order("hang_up"), now)

    def time_due(self, name: str, now: float) -> None:
        """One of the `call.*` deadlines has come: the call must end soon, or now."""
        if name == "call.warning":
            self._outbox.happened("call.warned")
            self._talk.responses.want(Wish(Kind.SAY, self.limits.warning()))
        else:
            self.limit_reached(Ending.TIME_LIMIT, now)

    def limit_reached(self, ending: Ending, now: float) -> None:
        """The call has lasted as long, or cost as much, as it may: it ends, whether we are let say so or not."""
        act = self.limits.reached(ending, now)
        if act is not None:
            self._talk.announce(act, now)
        else:
            self.close(self.limits.ending, Order("hang_up"), now)
