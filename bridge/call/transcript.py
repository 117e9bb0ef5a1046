"""The transcript as it becomes final: the memory's lines, at the moment at which their hearing is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import Said
from bridge.wire import session as dialects
from bridge.wire.commands import CreateItem

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.call.actions import Outbox
    from bridge.call.memory import Memory
    from bridge.call.playout import Playout
    from bridge.settings import Dialect

_ROLES = {"caller": "user", "bot": "assistant", "note": "system"}


class Transcript:
    """Gives out the lines of one call, and writes into the model's conversation what it cannot know by itself."""

    def __init__(self, outbox: Outbox, memory: Memory, playout: Playout, dialect: Dialect) -> None:
        self._outbox = outbox
        self._memory = memory
        self._playout = playout
        self._dialect: Dialect = dialect

    def settle(self, *, except_items: Collection[str] = ()) -> None:
        """What was sent of the bot's items is heard or never will be: their lines are final, but for some."""
        for item_id in self._memory.unheard_items():
            if item_id not in except_items:
                self._memory.heard(item_id, self._playout.heard_ms(item_id))
        for line in self._memory.tell(except_items=except_items):
            if line.audio_bytes:
                self._outbox.do(Said("bot", line.heard_words, line.at, line.heard_ms, line.is_cut))

    def caller_words(self, item_id: str, words: str, now: float) -> None:
        """The caller's words are known."""
        line = self._memory.caller_words(item_id, words, now)
        self._outbox.do(Said("caller", line.words, line.at))

    def tell(self, role: str, text: str, now: float, *, is_sent: bool = True) -> None:
        """Tell the model something; a session that is yet to be opened is told with the history."""
        event_id = self._outbox.new_id("message")
        self._memory.note(event_id, text, now)
        if is_sent:
            self._outbox.do(CreateItem(dialects.message_item(role, text, self._dialect), event_id))

    def history(self, most: int) -> list[tuple[str, str]]:
        """Role and words of the last lines, as heard: what a new session is told of the conversation so far."""
        lines = [(_ROLES[line.role], line.heard_words) for line in self._memory if line.heard_words]
        return lines[-most:] if most else []
