"""Whether the endpoints of the model are known to be down: then callers hear the fallback at once, not after a silence.

A circuit breaker for each endpoint. It opens when sessions fail one after another, and at once for a reason that would
make the next one fail as well. After a pause it lets one call try: a real session of a real call is the only proof, and
a probe of our own would be one more kind of session, on a timer, at endpoints that count them. Whoever makes that call
hears it ring a little longer, for its webhook is answered when the session is ready, or has failed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from bridge.call.failures import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.actions import Said
    from bridge.call.plan import EndpointName
    from bridge.clock import Clock
    from bridge.edge.driver import Driver
    from bridge.endpoints import Endpoints
    from bridge.rules import RuleBook, Rules
    from bridge.settings import Agent
    from bridge.wire.endpoint import Endpoint

LONGEST_PAUSE_S = 300.0
RELAPSE_S = 60.0
"""An endpoint that fails again within this time after it seemed well is left alone for twice as long."""
SETTLED_WITHIN_S = 4.0
"""How long the webhook of a call that tries is held back for its session: the carrier waits for 15 s."""
_OWN = frozenset({"session_refused", "session_mismatched"})
"""Reasons that lie in an agent's own settings: another agent may do well at the same endpoint."""
_LATE = frozenset({"responses_failed", "response_overdue", "nonsense"})
"""Reasons that tell of an endpoint even when the session was ready before. Another loss does not: sockets break."""
_log = logging.getLogger("bridge")


class State(IntEnum):
    """Of a breaker; the values are those of the metric."""

    CLOSED = 0
    """The endpoint works, as far as is known."""
    TRYING = 1
    """One call tries whether it works again."""
    OPEN = 2
    """It is down, and nobody is sent there for a while."""


class Breaker:
    """What is known of one endpoint. The time is an argument, in seconds of a monotonic clock.

    Args:
        after_failures: sessions that may fail in a row until it opens; 0: it never does.
        retry_after_s: how long it is open, the first time, until a call may try.
    """

    def __init__(self, after_failures: int, retry_after_s: float) -> None:
        self.state = State.CLOSED
        self.pause_s = retry_after_s
        self._after_failures = after_failures
        self._retry_after_s = retry_after_s
        self._in_a_row = 0
        self._until = 0.0
        """When a call may try; while one tries, when it is not waited for any more."""
        self._closed_at = float("-inf")

    def ask(self, now: float) -> Literal["go", "try", "no"]:
        """Whether a call may use the endpoint. With `try` it is the one that tries: nobody else will for a while."""
        if self.state is State.CLOSED:
            return "go"
        if now < self._until:
            return "no"
        self.state = State.TRYING
        self._until = now + self.pause_s
        return "try"

    def failed(self, now: float, *, is_fatal: bool) -> bool:
        """A session has failed. Whether that opens the breaker."""
        self._in_a_row += 1
        is_enough = is_fatal or self._in_a_row >= self._after_failures or self.state is State.TRYING
        if not self._after_failures or not is_enough or self.state is State.OPEN:
            return False
        is_relapse = self.state is State.TRYING or now < self._closed_at + RELAPSE_S
        self.pause_s = min(LONGEST_PAUSE_S, self.pause_s * 2) if is_relapse else self._retry_after_s
        self.state = State.OPEN
        self._until = now + self.pause_s
        return True

    def succeeded(self, now: float) -> bool:
        """A session is ready. Whether that closes the breaker."""
        self._in_a_row = 0
        if self.state is State.CLOSED:
            return False
        self.state = State.CLOSED
        self._closed_at = now
        return True


@dataclass(frozen=True)
class Way:
    """How a call gets its session."""

    is_primary_down: bool = False
    """Whether it begins at the standby."""
    is_trial: bool = False
    """Whether it is the call that tries: answer its webhook when `Health.settled` returns."""


class Health:
    """The breakers of all endpoints, fed by what happens in calls: it is one of their observers.

    Args:
        rules: the settings that hold for new calls.
        clock: of the calls.
        turned: told the endpoint's name and the state of its breaker whenever that changes.
    """

    def __init__(self, rules: RuleBook, clock: Clock, turned: Callable[[str, int], object]) -> None:
        self._rules = rules
        self._clock = clock
        self._turned = turned
        self._breakers: dict[_Key, Breaker] = {}
        self._sessions: dict[str, _Session] = {}
        """The newest session of each live call."""

    def way(self, agent: Agent, rules: Rules) -> Way | None:
        """How a call of this agent, by these rules, gets its session; None when every endpoint is known to be down."""
        endpoints = rules.planner.endpoints
        primary = self._ask(agent, "primary", endpoints)
        if primary != "no":
            return Way(is_trial=primary == "try")
        has_standby = rules.settings.model.standby is not None
        standby = self._ask(agent, "standby", endpoints) if has_standby else "no"
        return Way(is_primary_down=True, is_trial=standby == "try") if standby != "no" else None

    async def settled(self, call_sid: str) -> None:
        """Wait until a call has a session or can have none, for `SETTLED_WITHIN_S` at most."""
        session = self._sessions.get(call_sid)
        if session is not None:
            with suppress(TimeoutError):
                async with self._clock.timeout(SETTLED_WITHIN_S):
                    await session.settled.wait()

    def connecting(
        self, driver: Driver, endpoint: EndpointName, address: Endpoint, *, is_successor: bool = False
    ) -> None:
        """A call opens a session at an endpoint, if `is_successor` beside the one that it has."""
        before = self._sessions.get(driver.plan.call_sid)
        settled = before.settled if before is not None else asyncio.Event()
        session = _Session(_keys(driver.plan.agent, endpoint, address), settled)
        if is_successor and before is not None:
            before.successor = session
        else:
            self._sessions[driver.plan.call_sid] = session

    def reloaded(self) -> None:
        """Other settings hold for new calls: what is known of endpoints and keys that they do not use is forgotten."""
        in_use, known = self._in_use(), self._breakers
        self._breakers = {key: breaker for key, breaker in known.items() if key in in_use}
        for endpoint in {key.endpoint for key in known}:
            self._tell(endpoint)

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        session = self._sessions.get(driver.plan.call_sid)
        if session is None:
            return
        if event == "model.readied":
            self._readied(session)
        elif event == "model.lost":
            self._failed(session, str(fields["reason"]), str(fields.get("code", "")))
        elif event.startswith("successor.") and session.successor is not None:
            self._of_successor(session.successor, event, fields)
        elif event == "session.replaced" and session.successor is not None:  # the call has moved there
            self._sessions[driver.plan.call_sid] = session.successor
        elif event in ("model.failed", "call.ended"):
            session.settled.set()
            if event == "call.ended":
                del self._sessions[driver.plan.call_sid]

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript: nothing to learn."""

    def _of_successor(self, successor: _Session, event: str, fields: dict[str, object]) -> None:
        if event == "successor.readied":
            self._readied(successor)
        elif event == "successor.lost":
            self._failed(successor, str(fields["reason"]), str(fields.get("code", "")))

    def _readied(self, session: _Session) -> None:
        session.is_ready = True
        session.settled.set()
        for key in session.keys:
            self._succeeded(key)

    def _failed(self, session: _Session, reason: str, code: str) -> None:
        is_fatal = judge(reason, code) is Verdict.NEVER
        if session.is_ready and not is_fatal and reason not in _LATE:
            return
        own, everybodys = session.keys
        key = own if reason in _OWN else everybodys
        if key not in self._in_use():  # a call that began by settings which hold for no other
            return
        breaker = self._breaker(key)
        if breaker.failed(self._clock.now(), is_fatal=is_fatal):
            fields = {"endpoint": key.endpoint, "reason": reason, "code": code, "pause_s": breaker.pause_s}
            _log.error("breaker.opened", extra={key: value for key, value in fields.items() if value})
            self._tell(key.endpoint)

    def _succeeded(self, key: _Key) -> None:
        if key in self._breakers and self._breakers[key].succeeded(self._clock.now()):
            _log.warning("breaker.closed", extra={"endpoint": key.endpoint})
            self._tell(key.endpoint)

    def _ask(self, agent: Agent, endpoint: EndpointName, endpoints: Endpoints) -> Literal["go", "try", "no"]:
        now, address = self._clock.now(), endpoints.of(agent, endpoint).address
        verdicts = {
            key: self._breakers[key].ask(now) for key in _keys(agent, endpoint, address) if key in self._breakers
        }
        if "no" in verdicts.values():
            return "no"
        if "try" in verdicts.values():
            _log.warning("breaker.tried", extra={"endpoint": endpoint})
            self._tell(endpoint)
            return "try"
        return "go"

    def _tell(self, endpoint: EndpointName) -> None:
        states = (breaker.state for key, breaker in self._breakers.items() if key.endpoint == endpoint)
        self._turned(endpoint, max(states, default=State.CLOSED))

    def _in_use(self) -> set[_Key]:
        """Whose breakers count for new calls."""
        settings = self._rules.settings
        endpoints: tuple[EndpointName, ...] = ("primary", "standby") if settings.model.standby else ("primary",)
        of = self._rules.endpoints.of
        return {
            key
            for agent in settings.agents.values()
            for name in endpoints
            for key in _keys(agent, name, of(agent, name).address)
        }

    def _breaker(self, key: _Key) -> Breaker:
        fallback = self._rules.settings.fallback
        return self._breakers.setdefault(key, Breaker(fallback.after_failures, fallback.retry_after_s))


@dataclass(frozen=True)
class _Key:
    """Whose breaker it is."""

    endpoint: EndpointName
    url: str
    credentials: tuple[object, ...]
    agent: str = ""


@dataclass
class _Session:
    """A session of a call."""

    keys: tuple[_Key, _Key]
    settled: asyncio.Event
    is_ready: bool = False
    successor: _Session | None = None
    """One that is opened beside it."""


def _keys(agent: Agent, endpoint: EndpointName, address: Endpoint) -> tuple[_Key, _Key]:
    """What is known of an endpoint for this agent alone, and for everybody who uses it with the same key."""
    credentials = (*address.headers.items(), *address.subprotocols)
    return _Key(endpoint, address.url, credentials, agent.name), _Key(endpoint, address.url, credentials)
