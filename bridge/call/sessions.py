"""The model's leg of one call: a session is opened, configured and confirmed, told what was before it, and replaced.

Whatever goes wrong with a session ends in `lose`. Another one is opened then, as `bridge.call.recovery` decides, until
there is one or the time is over: then the caller hears the fallback, which is `bridge.call.life`'s matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import CloseModel, ConnectModel, MoveToSuccessor
from bridge.call.failures import is_fatal
from bridge.call.lifetime import Age, Lifetime
from bridge.call.recovery import PATIENCE_S, Recovery
from bridge.call.responses import Refusal
from bridge.call.states import ModelLeg, move_model
from bridge.call.succession import Succession
from bridge.wire.commands import AppendAudio

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.actions import Outbox
    from bridge.call.conversation import Conversation
    from bridge.call.deadlines import Deadlines
    from bridge.call.inbound import Inbound
    from bridge.call.plan import Plan
    from bridge.call.session import Session
    from bridge.wire import model

MAX_FAILURES = 3
"""Responses that may fail in a row before the session is given up."""
MAX_MALFORMED = 20
"""Events in a row that may make no sense before the session is given up."""
_TIMED_OUT = "timed_out", ""
"""Why no session came, for as long as no attempt has been refused."""


class Sessions:
    """The sessions of one call, one after the other.

    Args:
        plan: which endpoints there are, and how long the call may be without a session.
        outbox: where actions go.
        deadlines: `model.…`, `session.…` and `successor.…` are set here.
        inbound: the caller's sound, kept until a session is ready.
        session: configured and confirmed.
        talk: is told when a session is over, and tells the next one.
        is_needed: whether the call goes on in need of a session: it is on no errand, and not about to end.
        given_up: told when no session can be had.
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
        is_needed: Callable[[], bool],
        given_up: Callable[[float], None],
    ) -> None:
        self.leg = ModelLeg.GONE
        self.is_ready = False
        """Whether the session is confirmed, so that audio may be sent."""
        self._plan = plan
        self._outbox = outbox
        self._deadlines = deadlines
        self._inbound = inbound
        self._session = session
        self._talk = talk
        self._is_needed = is_needed
        self._given_up = given_up
        self.succession = Succession(
            plan, outbox=outbox, deadlines=deadlines, inbound=inbound, session=session, talk=talk
        )
        self._recovery = Recovery(plan)
        self._lifetime = Lifetime(deadlines)
        self._cause = ""
        self._why = _TIMED_OUT
        self._connecting_at = self._give_up_at = 0.0
        self._fault_code = ""
        self._malformed = 0

    # There is a session

    def open(self, now: float, cause: str = "") -> None:
        """The call needs a session. `cause`: why it has none any more; empty: it never had one."""
        self._cause = cause
        self._why = _TIMED_OUT
        self._recovery.begin(now)
        self._give_up_at = now + self._plan.restore_within_s
        self._deadlines.set("model.restored", self._give_up_at)
        self._connect(now)

    def _connect(self, now: float) -> None:
        self.leg = move_model(self.leg, ModelLeg.CONNECTING)
        self._connecting_at = now
        self._fault_code, self._malformed = "", 0
        recovery = self._recovery
        recovery.opening(recovery.endpoint)
        self._session.dialect = self._plan.dialect_of(recovery.endpoint)
        self._outbox.do(ConnectModel(recovery.endpoint))
        if recovery.has_another:
            self._deadlines.set("model.readied", now + PATIENCE_S)

    def connected(self, now: float, unix_s: float) -> None:
        """The session's socket is open: configure it."""
        self.leg = move_model(self.leg, ModelLeg.CONFIGURING)
        self._lifetime.began(now, unix_s)
        self._session.configure(now, server_answers=self._talk.server_may_answer)

    def updated(self, session: dict[str, object], now: float) -> bool:
        """The server has confirmed an update. True when that makes the session ready to be used."""
        if self.leg is not ModelLeg.CONFIGURING:
            self._session.turns_controlled()
            return False
        if not self._session.is_confirmed(session):
            self.lose("session_mismatched", now)
            return False
        self.leg = move_model(self.leg, ModelLeg.READY)
        self._clear_deadlines()
        self._lifetime.confirmed(session.get("expires_at"), now)
        self._outbox.happened("model.readied", took_ms=round((now - self._connecting_at) * 1000))
        if self._cause:
            self._recovery.replaced()
            self._replaced(took_ms=round((now - self._recovery.since) * 1000))
        self._begin(now)
        return True

    def _begin(self, now: float) -> None:
        """There is a session that is ready: it is told what was before it, and gets the caller's sound."""
        self.is_ready = True
        self._talk.session_begun(now)
        for payload in self._inbound.release():
            self._outbox.do(AppendAudio(payload))
        if self._inbound.dropped_ms:
            self._outbox.happened("caller.audio_dropped", dropped_ms=self._inbound.dropped_ms)
            self._inbound.dropped_ms = 0

    def watch(self, now: float) -> None:
        """The call is back from an errand, for which all deadlines were given up."""
        self._lifetime.watch(now)

    # It is about to end

    def settle(self, now: float, *, is_quiet: bool) -> None:
        """Caller and model can talk: look whether the time has come to have another session, and to move there.

        Args:
            now: the time.
            is_quiet: whether nobody speaks, and nothing is on its way.
        """
        if self._lifetime.age is not Age.YOUNG:
            is_late = self._lifetime.age >= Age.LATE
            self.succession.settle(now, self._recovery, is_quiet=is_quiet, is_late=is_late)

    def _move(self, now: float, cause: str) -> bool:
        """Go over to the session that was made ready beside this one, in one step; False when there is none.

        On a quiet line the caller's newest sound, which the old session has too, goes to the new one behind what was
        said before.
        """
        heir = self.succession.take()
        if heir is None:
            return False
        if not self._talk.is_quiet:
            self._inbound.overlap(0)
        if self.is_ready:
            self._talk.session_over(now)
        self._outbox.do(MoveToSuccessor())
        self._session.begin(heir.configuration)
        self._clear_deadlines()
        self._lifetime.began(heir.began_at, heir.unix_s)
        self._lifetime.confirmed(heir.expires_at, now)
        self._recovery, self._cause = heir.recovery, cause
        self._fault_code, self._malformed = "", 0
        self._replaced(took_ms=0)
        self._begin(now)
        return True

    def _renew(self, now: float) -> None:
        """No other session could be had beside this one, whose time is over: another attempt is made without it."""
        self.close(now)
        self.open(now, "limit")

    def _replaced(self, *, took_ms: int) -> None:
        recovery = self._recovery
        self._outbox.happened(
            "session.replaced",
            cause=self._cause,
            attempts=recovery.attempts,
            took_ms=took_ms,
            endpoint=recovery.endpoint,
        )

    # It goes wrong

    def refused(self, fault: model.Fault, now: float) -> None:
        """The server refused something that we sent, or has a fault that has nothing to do with us."""
        if fault.event_id is None:
            self._fault_code = fault.code or ""
        is_session = self._session.is_refused(fault.event_id, fault.code)
        if not is_session and self._talk.course.refused(fault, now) is Refusal.LATER:
            return
        what = "session" if is_session else (fault.event_id or "").partition("-")[0]
        self._outbox.happened("model.command_refused", what=what, code=fault.code, param=fault.param)
        if self.leg is ModelLeg.CONFIGURING and is_session:
            self.lose("session_refused", now, code=fault.code or "")
        elif is_fatal(fault.code):
            self.lose("refused", now, code=fault.code or "")

    def malformed(self, reason: str, now: float) -> None:
        """An event makes no sense; many in a row, and the server does not."""
        self._outbox.happened("model.event_malformed", reason=reason)
        self._malformed += 1
        if self._malformed >= MAX_MALFORMED:
            self.lose("nonsense", now)

    def made_sense(self) -> None:
        """An event came that is none of those."""
        self._malformed = 0

    def check_answers(self, now: float) -> None:
        """Give the session up when too many responses have failed in a row, or one for good."""
        answers = self._talk.answers
        if answers.is_good:
            self._recovery.proved()
        elif answers.failures >= MAX_FAILURES or is_fatal(answers.code):
            self.lose("responses_failed", now, code=answers.code)

    def lose(self, reason: str, now: float, *, code: str = "") -> None:
        """The session cannot be had, or cannot be used any more; another one is opened in a moment, if it is needed.

        Args:
            reason: see `bridge.call.failures`.
            now: the time.
            code: the server's, or the socket's.
        """
        if self.leg in (ModelLeg.WAITING, ModelLeg.GONE):
            return
        if self._fault_code not in code:
            code = f"{code} {self._fault_code}".lstrip()
        self._outbox.happened("model.lost", reason=reason, code=code)
        had_session = self.is_ready
        if had_session and self._is_needed() and self._move(now, "lost"):
            self._recovery.replaced()
            return
        give_up_at = now + self._plan.restore_within_s if had_session else self._give_up_at
        self.close(now)
        if not self._is_needed():
            return
        if had_session:
            self._cause = "lost"
            self._recovery.begin(now)
        self._why = reason, code
        attempt = self._recovery.after(reason, code)
        if attempt is None or now + attempt.after_s >= give_up_at:
            self._give_up(now)
            return
        if had_session:
            self._why = _TIMED_OUT
        self.leg = move_model(self.leg, ModelLeg.WAITING)
        self._give_up_at = give_up_at
        self._recovery.endpoint = attempt.endpoint
        self._deadlines.set("model.retry", now + attempt.after_s)
        self._deadlines.set("model.restored", give_up_at)

    def _give_up(self, now: float) -> None:
        reason, code = self._why
        self._outbox.happened("model.failed", reason=reason, code=code)
        self._given_up(now)

    def due(self, name: str, now: float) -> None:
        """One of the `model.…`, `session.…` and `successor.…` deadlines has come."""
        if name == "model.retry":
            self._connect(now)
        elif name == "session.confirmed":
            self.lose("session_unconfirmed", now)
        elif name == "model.readied":
            self.lose("timed_out", now)
        elif name == "session.limit":
            self._lifetime.due(now)
            if self._lifetime.age is Age.OVER and self._is_needed():
                self._renew(now)
        elif name.startswith("successor."):
            if self.succession.due(name, now, is_late=self._lifetime.age >= Age.LATE):
                self._move(now, "limit")
        else:
            self.close(now)
            self._give_up(now)

    def close(self, now: float) -> None:
        """Let go of the session, in whatever state it is; the call may need another one later."""
        was_ready = self.is_ready
        self.leave()
        if was_ready:
            self._deadlines.clear("silence")  # nobody could ask whether the caller is there
            self._talk.session_over(now)

    def leave(self) -> None:
        """Let go of the session for good."""
        self.succession.close()
        if self.leg not in (ModelLeg.WAITING, ModelLeg.GONE):
            self._outbox.do(CloseModel())
        self.leg = ModelLeg.GONE
        self.is_ready = False
        self._lifetime.over()
        self._clear_deadlines()

    def _clear_deadlines(self) -> None:
        for name in ("model.retry", "model.readied", "model.restored", "session.confirmed"):
            self._deadlines.clear(name)
