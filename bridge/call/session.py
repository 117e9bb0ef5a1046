"""A session with the model: configured once, confirmed before any sound is sent, and told who answers turns.

The server confirms an update with the whole session. Only when its formats are ours may sound be sent: a server that
runs on its defaults takes mu-law for PCM, and the caller would hear noise.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from bridge.settings import Agent, Dialect
from bridge.wire import echo
from bridge.wire import session as dialects
from bridge.wire.commands import UpdateSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.call.actions import Outbox
    from bridge.call.deadlines import Deadlines
    from bridge.call.plan import Plan
    from bridge.settings import Json

CONFIRMED_WITHIN_S = 10.0
_WHOLE_UPDATE_REFUSED = frozenset({"missing_required_parameter", "unknown_parameter"})
"""Codes that refuse the configuration, where the server does not name the event that it refuses."""


class Configuration(msgspec.Struct, frozen=True):
    """What one session is asked to be; `update` is what asks for it."""

    agent: Agent
    dialect: Dialect
    update: UpdateSession
    server_answers: bool

    def is_refused(self, event_id: str | None, code: str | None) -> bool:
        """Whether an `error` refuses it as a whole."""
        return event_id == self.update.event_id or (event_id is None and code in _WHOLE_UPDATE_REFUSED)


class Session:
    """What the server was told about the session that there is, and what it confirmed."""

    def __init__(self, plan: Plan, outbox: Outbox, deadlines: Deadlines) -> None:
        self.dialect = plan.dialect
        """Of the endpoint at which the session is."""
        self._agent = plan.agent
        self._tools: Sequence[Json] = plan.tools
        self._outbox = outbox
        self._deadlines = deadlines
        self._asked: Configuration | None = None
        self.server_answers = False
        """Whether the server makes the response to a turn, and cancels one, by itself: as it has confirmed."""
        self._told_to_answer = False
        self._unconfirmed: deque[tuple[str, bool]] = deque()

    @property
    def agent(self) -> Agent:
        """Whom the session is, or is to be."""
        return self._agent

    def configuration(self, dialect: Dialect, *, server_answers: bool) -> Configuration:
        """What a session is to be that begins now."""
        control = dialects.TurnControl(server_answers, server_answers)
        fields = dialects.session_fields(self._agent, dialect=dialect, tools=self._tools, turn_control=control)
        update = UpdateSession(fields, self._outbox.new_id("session"))
        return Configuration(self._agent, dialect, update, server_answers)

    def configure(self, now: float, *, server_answers: bool) -> None:
        """Send the first update. `is_confirmed` must be asked about the session that comes back, within a time."""
        asked = self.configuration(self.dialect, server_answers=server_answers)
        self.begin(asked)
        self._outbox.do(asked.update)
        self._deadlines.set("session.confirmed", now + CONFIRMED_WITHIN_S)

    def begin(self, asked: Configuration) -> None:
        """From now on this is about the session that was asked to be so."""
        self._asked = asked
        self.dialect = asked.dialect
        self.server_answers = self._told_to_answer = asked.server_answers
        self._unconfirmed.clear()

    def is_confirmed(self, echoed: dict[str, object]) -> bool:
        """Whether the session is the one that was asked for, as far as sound goes; other differences are reported."""
        self._deadlines.clear("session.confirmed")
        return self._asked is not None and self.accepts(self._asked, echoed)

    def accepts(self, asked: Configuration, echoed: dict[str, object]) -> bool:
        """The same, of any session."""
        mismatches = echo.verify(asked.update.session, echoed, dialect=asked.dialect)
        for mismatch in mismatches:
            event = "session.mismatched" if mismatch.fatal else "session.differed"
            self._outbox.happened(event, path=mismatch.path, asked=mismatch.asked, got=mismatch.got)
        return not any(mismatch.fatal for mismatch in mismatches)

    def is_refused(self, event_id: str | None, code: str | None) -> bool:
        """Whether an `error` refuses the configuration as a whole."""
        return self._asked is not None and self._asked.is_refused(event_id, code)

    def control_turns(self, *, server_answers: bool) -> None:
        """Have the server answer turns by itself, or leave that to us, as soon as it has confirmed so."""
        if server_answers is self._told_to_answer:
            return
        self._told_to_answer = server_answers
        control = dialects.TurnControl(server_answers, server_answers)
        fields = dialects.turn_fields(self._agent, dialect=self.dialect, turn_control=control)
        event_id = self._outbox.new_id("turns")
        self._unconfirmed.append((event_id, server_answers))
        self._outbox.do(UpdateSession(fields, event_id))

    def change_agent(self, agent: Agent, tools: Sequence[Json], *, may_change_voice: bool) -> None:
        """Tell the session to be another agent; the formats stay as they are, and so does a voice that was heard."""
        self._agent, self._tools = agent, tools
        control = dialects.TurnControl(self._told_to_answer, self._told_to_answer)
        fields = dialects.agent_fields(
            agent, dialect=self.dialect, tools=tools, turn_control=control, with_voice=may_change_voice
        )
        event_id = self._outbox.new_id("agent")
        self._unconfirmed.append((event_id, self._told_to_answer))
        self._outbox.do(UpdateSession(fields, event_id))

    def turns_controlled(self) -> None:
        """A `session.updated` after the first: the oldest update that was open holds from here on."""
        if self._unconfirmed:
            _, self.server_answers = self._unconfirmed.popleft()

    def turns_refused(self, event_id: str | None) -> None:
        """An `error`: if it refuses such an update, the server goes on as before."""
        self._unconfirmed = deque(update for update in self._unconfirmed if update[0] != event_id)
