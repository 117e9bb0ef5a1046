"""Who answers a turn of the caller, and when: the server by itself, or the bridge, once the bot was heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.responses import Kind, Wish

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.deadlines import Deadlines
    from bridge.call.responses import Responses
    from bridge.call.session import Session
    from bridge.call.turns import Turns

COMMITTED_WITHIN_S = 2.0
"""How long the server may take to commit a turn that is over."""
OVER_WITHIN_S = 45.0
"""How long a turn may go on; then the server is taken to have lost its end."""
ANSWER_WITHIN_S = 5.0
"""How long the server may take to begin the response to a turn, before we ask for it."""


class Answering:
    """The turns of one call that wait for their answer; several that wait are answered together."""

    def __init__(
        self, outbox: Outbox, deadlines: Deadlines, responses: Responses, turns: Turns, session: Session
    ) -> None:
        self.awaits_server = False
        """Whether the server is to begin a response by itself."""
        self._outbox = outbox
        self._deadlines = deadlines
        self._responses = responses
        self._turns = turns
        self._session = session
        self._is_owed = False

    def turn_begun(self, now: float) -> None:
        """The caller has begun to speak: the server answers this turn instead of one before, when it is over."""
        self.await_server(None)
        self._deadlines.clear("turn.committed")
        self._deadlines.set("turn.over", now + OVER_WITHIN_S)

    def turn_over(self, now: float) -> None:
        """The caller has stopped speaking: the turn must be committed within a time."""
        self._deadlines.clear("turn.over")
        self._deadlines.set("turn.committed", now + COMMITTED_WITHIN_S)

    def turn_committed(self, now: float) -> None:
        """What the caller said is an item of the conversation now."""
        self._turns.committed()
        self._deadlines.clear("turn.over")
        self._deadlines.clear("turn.committed")
        if self._session.server_answers:
            self.await_server(now)
        elif self._turns.counted:
            self._is_owed = True
        else:
            self._outbox.happened("turn.left_unanswered")

    def broken_off(self) -> None:
        """Nobody can hear an answer for a while: the one that the server is to begin is asked for after that."""
        self._is_owed = self._is_owed or self.awaits_server
        self.await_server(None)

    def overdue(self, name: str) -> None:
        """One of the `turn.*` deadlines has come: what the server owes is done without it."""
        match name:
            case "turn.over":  # it has lost the end: the caller hears something all the same
                self._turns.restart()
                self._is_owed = True
                self._outbox.happened("turn.end_missed")
            case "turn.committed":  # nothing waits for it any more
                self._turns.committed()
                self._outbox.happened("turn.commit_missed")
            case _:  # it has begun no response: we ask for it
                self.await_server(None)
                self._is_owed = True
                self._outbox.happened("response.missed")

    def server_answers(self) -> None:
        """The server has begun a response of its own, which answers all that was said so far."""
        self._is_owed = False

    def await_server(self, since: float | None) -> None:
        """The server is to begin a response by itself within a time; None: not any more."""
        self.awaits_server = since is not None
        self._responses.server_may_create = since is not None
        if since is None:
            self._deadlines.clear("turn.answered")
        else:
            self._deadlines.set("turn.answered", since + ANSWER_WITHIN_S)

    def session_over(self) -> bool:
        """The session is gone: whether a turn of the caller is still without its answer."""
        owes = self._is_owed or self.awaits_server
        self._is_owed = False
        self.await_server(None)
        self._deadlines.clear("turn.committed")
        return owes

    def settle(self, *, is_quiet: bool) -> None:
        """Wish for the answer that is owed, if nobody speaks and nothing is being made."""
        if self._is_owed and is_quiet:
            self._is_owed = False
            self._responses.want(Wish(Kind.ANSWER))
