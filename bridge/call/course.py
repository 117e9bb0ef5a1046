"""The course of the model's responses: created, items, end, or none of it in time; and what follows from each.

Which response is wanted and asked for next is `bridge.call.responses`'s matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call import prompts
from bridge.call.answers import code_of
from bridge.call.functions import error
from bridge.call.responses import PROGRESS_WITHIN_S, Refusal
from bridge.wire import model as wire

if TYPE_CHECKING:
    from bridge.call.breaks import Breaks
    from bridge.call.parts import Parts
    from bridge.call.requests import Requests
    from bridge.call.speaking import Speaking
    from bridge.call.spend import Spend

_STRAY = "response.stray"


class Course:
    """What the server tells of its responses. Needs a `settle` of the conversation after each."""

    def __init__(self, parts: Parts, requests: Requests, breaks: Breaks, speaking: Speaking, spend: Spend) -> None:
        self._outbox = parts.outbox
        self._deadlines = parts.deadlines
        self._session = parts.session
        self._responses = parts.responses
        self._answers = parts.answers
        self._answering = parts.answering
        self._requests = requests
        self._functions = requests.functions
        self._memory = parts.memory
        self._turns = parts.turns
        self._breaks = breaks
        self._playout = parts.playout
        self._speaking = speaking
        self._spend = spend

    def receive(self, event: wire.ModelEvent, now: float) -> None:
        """An event of a response that is neither its sound nor its words."""
        match event:
            case wire.ResponseCreated(response=response):
                self._created(response, now)
            case wire.OutputItemAdded(response_id=response_id, item=item):
                self._responses.progressed(now)
                if item.type == "message":
                    self._memory.bot_began(item.id, response_id, now)
            case wire.OutputItemDone(response_id=response_id, item=item):
                self._item_done(response_id, item, now)
                self._watch_stray(response_id, now)
            case wire.ResponseDone(response=response):
                self._done(response, now)

    def overdue(self, name: str, now: float) -> bool:
        """One of the `response.*` deadlines has come. True when the server makes no sense any more: it is lost."""
        if name == _STRAY:
            self._functions.others_over(self._responses.active_id)
            return False
        waited_for = self._responses.active
        is_lost = self._responses.overdue(name, now)
        if waited_for is not None and self._responses.active is None:
            self._over(waited_for.response_id, now)
        return is_lost

    def watch_again(self, now: float) -> None:
        """The call comes back from where it heard nothing of its responses: they may have ended meanwhile."""
        self._responses.watch_again(now)
        self._functions.others_over(self._responses.active_id)

    def refused(self, fault: wire.Fault, now: float) -> Refusal:
        """The server refused a command that is not about the session; a response that it refuses has failed."""
        refusal = self._responses.refused(fault.event_id, fault.code, now)
        if refusal is Refusal.FAILED:
            self._answers.failed(fault.code or "")
        self._session.turns_refused(fault.event_id)
        return refusal

    def _created(self, response: wire.Response, now: float) -> None:
        lost = self._responses.active
        if lost is not None:
            self._over(lost.response_id, now)
        self._responses.created(response, now)
        self._answers.begin()
        self._answering.await_server(None)
        active = self._responses.active
        if active is not None and active.wish is None:  # the server's own answers all that was said so far
            self._answering.server_answers()
            if self._responses.is_closing:
                self._responses.interrupt(now, by_server=False)
        self._breaks.response_created(now)

    def _item_done(self, response_id: str, item: wire.Item, now: float) -> None:
        self._responses.progressed(now)
        request = self._functions.announce(response_id, item)
        if request is None:
            return
        if self._responses.is_muted(response_id):
            self._functions.decline(request.call_id, error(prompts.NOT_DONE))
        else:
            self._requests.carry_out(request, now, is_announced=bool(self._memory.items_of(response_id)))

    def _watch_stray(self, response_id: str, now: float) -> None:
        """The outputs of a response that is not the active one do not wait for its end, which nobody watches."""
        if response_id != self._responses.active_id and self._functions.is_open(response_id):
            self._deadlines.set(_STRAY, now + PROGRESS_WITHIN_S)

    def _done(self, response: wire.Response, now: float) -> None:
        self._spend.response_done(response.usage)
        is_cut = self._responses.is_muted(response.id)
        done = self._responses.done(response.id)
        flaw = "" if is_cut else self._answers.over(response)
        if flaw or response.status not in ("completed", "cancelled"):
            code = code_of(response) or None
            self._outbox.happened("response.failed", status=flaw or response.status, code=code)
        if flaw:
            self._speaking.again(flaw, done.wish if done is not None else None, now)
        for item in response.output or ():
            self._item_done(response.id, item, now)
        self._over(response.id, now)

    def _over(self, response_id: str, now: float) -> None:
        """Nothing more comes of a response, whether its end was told or got lost."""
        self._functions.response_over(response_id)
        if self._responses.is_muted(response_id):
            self._turns.response_ended(response_id)
        else:
            self._memory.response_over(response_id)
        if not self._playout.is_playing:
            self._speaking.heard_out(now)
