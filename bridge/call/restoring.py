"""What a session that is lost leaves undone, and what the one after it is told.

The new session knows nothing: it is told what was said and *heard*, what functions have returned, and which calls still
wait for their output. What was cut off is made again where that is what the caller would expect of a human: an answer
is gone on with, an announcement is said in whole, a greeting that has begun is not begun anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call import prompts
from bridge.call.responses import Kind, Wish
from bridge.wire import session as dialects
from bridge.wire.commands import CreateItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.call.functions import Functions
    from bridge.call.memory import Line
    from bridge.call.parts import Parts
    from bridge.call.responses import Active

_ROLES = {"caller": "user", "bot": "assistant"}


class Restoring:
    """Carries one conversation from one session into the next."""

    def __init__(self, parts: Parts, functions: Functions) -> None:
        self._outbox = parts.outbox
        self._session = parts.session
        self._memory = parts.memory
        self._transcript = parts.transcript
        self._responses = parts.responses
        self._answering = parts.answering
        self._turns = parts.turns
        self._functions = functions

    def session_over(self, now: float) -> None:
        """The session is gone: wish for what it owes the caller, and note what the next one must know."""
        is_speaking = self._turns.is_open
        is_owed = self._answering.session_over() or is_speaking
        broken, asked = self._responses.session_over()
        is_begun = broken is not None and self._is_begun(broken)
        self._functions.session_over()
        self._turns.restart()
        self._transcript.is_live = False
        again = asked
        if broken is not None:
            again = self._again(broken, is_begun=is_begun)
        if again is None and is_owed:
            again = Wish(Kind.ANSWER)
        if again is not None:
            self._responses.want_again(again)
            if again.kind is Kind.ANSWER and (is_begun or is_speaking or self._are_words_lost()):
                self._transcript.tell("system", prompts.CUT_OFF if is_begun else prompts.WORDS_LOST, now)
        self._memory.session_over()

    def tell(self) -> None:
        """Tell the session that there is now what was before it."""
        agent, dialect = self._session.agent, self._session.dialect
        self._transcript.dialect = self._responses.dialect = dialect
        self._transcript.is_live = True
        items = [dialects.message_item(message.role, message.content, dialect) for message in agent.messages]
        lines = [line for line in self._memory if line.role == "function" or line.heard_words]
        for line in lines[-agent.max_history :] if agent.max_history else ():
            items += self._items(line)
        for asked in self._functions.pending:
            items.append(dialects.function_call_item(asked.call_id, asked.name, asked.arguments))
        for item in items:
            self._outbox.do(CreateItem(item, self._outbox.new_id("message")))

    def _items(self, line: Line) -> Iterator[dict[str, object]]:
        if line.role == "function":
            yield dialects.function_call_item(line.item_id, line.name, line.words)
            yield dialects.function_output_item(line.item_id, line.output)
        else:
            role = _ROLES.get(line.role, line.told_as)
            yield dialects.message_item(role, line.heard_words, self._session.dialect)

    def _is_begun(self, broken: Active) -> bool:
        """Whether the caller hears any of a response."""
        return any(line.audio_bytes for line in self._memory if line.response_id == broken.response_id)

    def _again(self, broken: Active, *, is_begun: bool) -> Wish | None:
        """What is wished for in place of a response that broke off."""
        wish = broken.wish or Wish(Kind.ANSWER)
        is_done_with = {
            Kind.GREETING: is_begun,
            Kind.NUDGE: True,
            Kind.ANSWER: self._functions.leads_to_answer,
        }
        return None if is_done_with.get(wish.kind, False) else wish

    def _are_words_lost(self) -> bool:
        """Whether what the caller said last is known to nobody: it was in the sound that the lost session had."""
        last = next((line for line in reversed(list(self._memory)) if line.role != "function"), None)
        return last is not None and last.role == "caller" and not last.words
