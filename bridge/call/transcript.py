"""The transcript as it becomes final: the memory's lines, at the moment at which their hearing is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call import prompts
from bridge.call.actions import Said
from bridge.wire import session as dialects
from bridge.wire.commands import CreateItem

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.call.actions import Outbox
    from bridge.call.memory import Memory
    from bridge.call.playout import Playout
    from bridge.settings import Dialect


class Transcript:
    """Gives out the lines of one call, and writes into the model's conversation what it cannot know by itself."""

    def __init__(self, outbox: Outbox, memory: Memory, playout: Playout, dialect: Dialect) -> None:
        self._outbox = outbox
        self._memory = memory
        self._playout = playout
        self.dialect: Dialect = dialect
        """Of the session."""
        self.is_live = False
        """Whether there is a session to be told; what it is not told at once, the next one is told with the history."""

    def settle(self, *, except_items: Collection[str] = ()) -> None:
        """What was sent of the bot's items is heard or never will be: their lines are final, but for some."""
        for item_id in self._memory.unheard_items():
            if item_id not in except_items:
                self._memory.heard(item_id, self._playout.heard_ms(item_id))
        for line in self._memory.tell(except_items=except_items):
            if line.audio_bytes:
                self._outbox.do(Said("bot", line.heard_words, line.at, line.heard_ms, line.is_cut))
            if line.is_cut and self.is_live and line.session != self._memory.session:  # it was told that all was heard
                self.tell("system", prompts.HEARD_ONLY.format(line.heard_words), line.at)

    def caller_words(self, item_id: str, words: str, now: float) -> None:
        """The caller's words are known."""
        line = self._memory.caller_words(item_id, words, now)
        self._outbox.do(Said("caller", line.words, line.at))

    def tell(self, role: str, text: str, now: float) -> None:
        """Tell the model something."""
        event_id = self._outbox.new_id("message")
        self._memory.note(event_id, text, now, told_as=role)
        if self.is_live:
            self._outbox.do(CreateItem(dialects.message_item(role, text, self.dialect), event_id))
