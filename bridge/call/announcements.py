"""Acts and what is said before them: announced, heard in full and then done; undone by the caller, or by the line.

What happens to the call then is `bridge.call.acts`' and `bridge.call.life`'s matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call import prompts
from bridge.call.actions import Order
from bridge.call.acts import Act, Acts
from bridge.call.ending import Ending
from bridge.call.functions import error
from bridge.call.responses import Kind, Wish

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.deadlines import Deadlines
    from bridge.call.functions import Functions
    from bridge.call.responses import Responses

CHARACTERS_PER_S = 10
"""How fast a text is spoken at least."""


class Announcements:
    """The act of one call that is announced, if there is one.

    Args:
        outbox: where actions go.
        deadlines: an act is waited for no longer than its announcement takes.
        responses: where the announcement is wished for.
        functions: answered when the act that one of them asked for cannot be begun.
    """

    def __init__(self, outbox: Outbox, deadlines: Deadlines, responses: Responses, functions: Functions) -> None:
        self._acts = Acts(deadlines)
        self._outbox = outbox
        self._responses = responses
        self._functions = functions

    @property
    def is_pending(self) -> bool:
        """Whether an act is announced and not yet done."""
        return self._acts.is_pending

    def begin(self, act: Act, now: float) -> None:
        """Begin an act, unless one is pending."""
        if self._acts.is_pending:
            if act.call_id:
                self._functions.answer(act.call_id, error("the call is being ended already"))
            return
        self._outbox.happened("act.announced", act=act.order.kind)
        self._responses.forget(Kind.NUDGE)
        self._acts.begin(act, now)
        if act.announcement is not None:
            self._responses.want(Wish(Kind.ANNOUNCEMENT, act.announcement))

    @property
    def hindrance(self) -> str:
        """Why the call cannot be handed over now; empty when it can, whatever else is announced."""
        if self._responses.is_closing:
            return "a message is being left"
        pending = self._acts.pending
        return "it is being handed over already" if pending is not None and pending.order.kind == "transfer" else ""

    def give_way(self) -> None:
        """The operator wants something else: the act that is announced does not happen, and the model is told so."""
        act = self._acts.undo()
        if act is None:
            return
        self._outbox.happened("act.replaced", act=act.order.kind)
        self._responses.forget(Kind.ANNOUNCEMENT)
        if act.call_id:
            self._functions.answer(act.call_id, error(prompts.REPLACED))

    def due(self, now: float, *, is_made: bool, unheard_ms: int) -> Act | None:
        """The act, if it is to be done now: see `Acts.due`."""
        return self._acts.due(now, is_made=is_made, unheard_ms=unheard_ms)

    def overdue(self) -> Act | None:
        """The announcement has taken too long: the act is done now."""
        return self._acts.overdue()

    def leave_message(self, words: str, now: float) -> None:
        """Nothing but this message is said any more, to a machine that listens; then the call ends."""
        self._acts.undo()
        announcement = prompts.word_for_word(words)
        self._responses.want_only(Wish(Kind.ANNOUNCEMENT, announcement))
        act = Act(Ending.MESSAGE_LEFT, Order("hang_up"), announcement)
        self._acts.begin(act, now, speech_s=len(words) / CHARACTERS_PER_S)
        self._outbox.happened("message.begun")

    def undo(self) -> Act | None:
        """The caller goes on speaking: the act that does not happen, if there is one."""
        act = self._acts.undo()
        if act is not None:
            self._outbox.happened("act.undone", act=act.order.kind)
            self._responses.forget(Kind.ANNOUNCEMENT)
        return act

    def break_off(self) -> Act | None:
        """The stream is lost: the act that is to be begun again when there is another, if there is one."""
        self._responses.forget(Kind.ANNOUNCEMENT)
        return self._acts.undo()

    def begin_again(self, act: Act, now: float) -> None:
        """The caller may not have heard the announcement: make it once more, in a response of its own."""
        if act.ending is Ending.MESSAGE_LEFT and act.announcement is not None:
            self._responses.want_only(Wish(Kind.ANNOUNCEMENT, act.announcement))
            self._acts.begin(act, now, speech_s=len(act.announcement) / CHARACTERS_PER_S)
            return
        announcement = act.announcement
        if announcement is None and act.order.kind != "keys":
            announcement = prompts.PUTTING_THROUGH if act.order.kind == "transfer" else prompts.GOODBYE
        self.begin(Act(act.ending, act.order, announcement, act.call_id), now)
