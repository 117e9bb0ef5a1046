"""The session after the one that there is: opened and configured beside it, before that reaches its limit.

```
          settle           connected              confirmed          take
   GONE ─────────> CONNECTING ─────> CONFIGURING ──────────> READY ───────> GONE, and it is the call's session
     ^                 │ lost            │ lost                │ lost
     │ close           v                 v                     v
     └───────────── WAITING <───────────────────────────────────   (`successor.retry`: CONNECTING again)
```

Until it is taken it gets nothing but its configuration, and the call goes on with the session that it has, however
this one fares. Whoever takes it tells it what was said before, and gives it the caller's newest sound: see
`bridge.call.inbound.Inbound.overlap`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.call.actions import CloseSuccessor, ConfigureSuccessor, ConnectSuccessor
from bridge.call.failures import is_fatal
from bridge.call.recovery import Recovery
from bridge.call.session import CONFIRMED_WITHIN_S, Configuration
from bridge.call.states import ModelLeg, move_model
from bridge.wire import caller, model

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.conversation import Conversation
    from bridge.call.deadlines import Deadlines
    from bridge.call.inbound import Inbound
    from bridge.call.plan import Plan
    from bridge.call.session import Session

QUIET_FOR_S = 0.5
"""How long the line has to be quiet before the call moves: longer than a server takes to tell that the caller speaks.

The caller's sound of this time is given to the next session too, so that a word which has just begun is whole there.
"""
UNHURRIED = 4
"""How many times longer than those of a call without a session the pauses between attempts are."""


class Heir(msgspec.Struct, frozen=True):
    """A session that is ready, and what there is to know of it."""

    configuration: Configuration
    recovery: Recovery
    """Knows its endpoint, and how often it was tried to open it."""
    began_at: float
    unix_s: float
    expires_at: object


class Succession:
    """The next session of one call.

    Args:
        plan: which dialects the endpoints have.
        outbox: where actions go.
        deadlines: `successor.…` are set here.
        inbound: keeps the caller's newest sound while a session is ready to follow.
        session: the one that there is.
        talk: knows how the next one is to begin.
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
    ) -> None:
        self.leg = ModelLeg.GONE
        self._plan = plan
        self._outbox = outbox
        self._deadlines = deadlines
        self._inbound = inbound
        self._session = session
        self._talk = talk
        self._recovery: Recovery | None = None
        self._configuration: Configuration | None = None
        self._connecting_at = self._began_at = self._unix_s = 0.0
        self._expires_at: object = None

    @property
    def is_ready(self) -> bool:
        """Whether the call may move to it."""
        return self.leg is ModelLeg.READY

    def settle(self, now: float, recovery: Recovery, *, is_quiet: bool, is_late: bool) -> None:
        """The session is about to end: open the next one, and have the call moved when the line has been quiet.

        Args:
            now: the time.
            recovery: of the session that there is; what fails here does not count there.
            is_quiet: whether nobody speaks, and nothing is on its way.
            is_late: whether that is not waited for any more.
        """
        asked = self._configuration
        if asked is not None and asked.agent is not self._session.agent:  # handed over since
            self.close()
        if self._recovery is None:
            self._recovery = recovery.fork(now)
            self._connect(self._recovery, now)
        elif not (self.is_ready and (is_quiet or is_late)):
            self._deadlines.clear("successor.moved")
        elif is_late:
            self._deadlines.set("successor.moved", now)
        elif not self._deadlines.is_set("successor.moved"):
            self._deadlines.set("successor.moved", now + QUIET_FOR_S)

    def _connect(self, recovery: Recovery, now: float) -> None:
        self.leg = move_model(self.leg, ModelLeg.CONNECTING)
        self._connecting_at = now
        recovery.opening(recovery.endpoint)
        self._outbox.do(ConnectSuccessor(recovery.endpoint))

    def connected(self, now: float, unix_s: float) -> None:
        """Its socket is open: configure it."""
        if self.leg is not ModelLeg.CONNECTING or self._recovery is None:
            return
        self.leg = move_model(self.leg, ModelLeg.CONFIGURING)
        self._began_at, self._unix_s = now, unix_s
        dialect = self._plan.dialect_of(self._recovery.endpoint)
        self._configuration = self._session.configuration(dialect, server_answers=self._talk.server_may_answer)
        self._outbox.do(ConfigureSuccessor(self._configuration.update))
        self._deadlines.set("successor.confirmed", now + CONFIRMED_WITHIN_S)

    def told(self, event: model.ModelEvent, now: float) -> None:
        """It says something: of what it may say before it is used, its confirmation and its errors matter."""
        asked = self._configuration
        if asked is None:
            return
        match event:
            case model.SessionUpdated(session=session) if self.leg is ModelLeg.CONFIGURING:
                self._confirmed(asked, session, now)
            case model.Failed(error=fault):
                self._outbox.happened("model.command_refused", what="session", code=fault.code, param=fault.param)
                if asked.is_refused(fault.event_id, fault.code) and self.leg is ModelLeg.CONFIGURING:
                    self.lost("session_refused", now, code=fault.code or "")
                elif is_fatal(fault.code):
                    self.lost("refused", now, code=fault.code or "")
            case caller.Malformed(reason=reason):
                self._outbox.happened("model.event_malformed", reason=reason)
            case _:
                pass

    def _confirmed(self, asked: Configuration, session: dict[str, object], now: float) -> None:
        if not self._session.accepts(asked, session):
            self.lost("session_mismatched", now)
            return
        self.leg = move_model(self.leg, ModelLeg.READY)
        self._expires_at = session.get("expires_at")
        self._deadlines.clear("successor.confirmed")
        self._inbound.overlap(round(QUIET_FOR_S * 1000))
        self._outbox.happened("successor.readied", took_ms=round((now - self._connecting_at) * 1000))

    def lost(self, reason: str, now: float, *, code: str = "") -> None:
        """It cannot be had, or is gone: another one is tried after a pause, if any endpoint will do."""
        if self.leg in (ModelLeg.WAITING, ModelLeg.GONE) or self._recovery is None:
            return
        self._outbox.happened("successor.lost", reason=reason, code=code)
        self._let_go()
        attempt = self._recovery.after(reason, code)
        if attempt is None:  # nothing is left to try before the session itself is lost
            self.leg = ModelLeg.GONE
            return
        self.leg = move_model(self.leg, ModelLeg.WAITING)
        self._recovery.endpoint = attempt.endpoint
        self._deadlines.set("successor.retry", now + attempt.after_s * UNHURRIED)

    def due(self, name: str, now: float, *, is_late: bool) -> bool:
        """One of the `successor.…` deadlines has come. True when the call is to move now."""
        if name == "successor.confirmed":
            self.lost("session_unconfirmed", now)
        elif name == "successor.retry" and self._recovery is not None:
            self._connect(self._recovery, now)
        elif self._talk.memory.awaits_words(now) and not is_late:  # the next session would not know them
            self._deadlines.set(name, now + QUIET_FOR_S)
        else:
            return self.is_ready
        return False

    def take(self) -> Heir | None:
        """The session, if it is ready: whoever takes it moves the call there at once. There is no next one then."""
        if not self.is_ready or self._configuration is None or self._recovery is None:
            return None
        heir = Heir(self._configuration, self._recovery, self._began_at, self._unix_s, self._expires_at)
        self.leg = move_model(self.leg, ModelLeg.GONE)
        self._recovery = None
        self._forget()
        return heir

    def close(self) -> None:
        """Let go of it, in whatever state it is: the call goes on, or ends, without."""
        self._let_go()
        self.leg = ModelLeg.GONE
        self._recovery = None

    def _let_go(self) -> None:
        if self.leg not in (ModelLeg.WAITING, ModelLeg.GONE):
            self._outbox.do(CloseSuccessor())
        self._inbound.overlap(0)
        self._forget()

    def _forget(self) -> None:
        self._configuration = None
        for name in ("confirmed", "retry", "moved"):
            self._deadlines.clear(f"successor.{name}")
