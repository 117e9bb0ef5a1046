"""What was said and heard, in order: the transcript, and what a restored session is told.

The caller's words come from the server's recogniser, late and in any order; the place of a line is where its item
entered the conversation. The bot's words are kept as *heard*: of an item that was cut, the share that its heard audio
has of all its audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MAX_LINES = 4096
"""Lines kept of one call; the oldest are forgotten first."""
WORDS_WITHIN_S = 10.0
"""How long after a turn its words may come; a server may also have been asked for none."""

Role = Literal["caller", "bot", "note", "function"]


class Line(msgspec.Struct):
    """One turn's part in one item. `note` lines are what the bridge told the model, `function` lines what it called."""

    role: Role
    item_id: str
    at: float
    """When it began, in call seconds."""
    response_id: str = ""
    """Of the bot's lines: the response that made it."""
    words: str = ""
    """Of functions: the arguments, as JSON text."""
    name: str = ""
    """Of functions: which."""
    output: str = ""
    """Of functions: what came of it, as JSON text."""
    told_as: str = "system"
    """Of notes: in whose name the model was told."""
    session: int = 0
    """In which of the call's sessions it was said."""
    audio_bytes: int = 0
    """How much speech was made for it, heard or not."""
    heard_ms: int | None = None
    """How much of it was heard; None for as long as that is open, and for the caller's own lines."""

    @property
    def is_cut(self) -> bool:
        """Whether the caller heard less than what was made."""
        return self.heard_ms is not None and self.heard_ms < self.audio_bytes // BYTES_PER_MS

    @property
    def heard_words(self) -> str:
        """The words that were heard: all, or of a cut line the share that was, to a whole word."""
        if self.role != "bot" or not self.is_cut:
            return self.words
        words = self.words.split()
        share = (self.heard_ms or 0) * BYTES_PER_MS / max(1, self.audio_bytes)
        return " ".join(words[: int(len(words) * share)])


class Memory:
    """The lines of one call, in the order in which their items entered the conversation."""

    def __init__(self) -> None:
        self.session = 0
        """How many sessions of the call are over."""
        self._lines: dict[str, Line] = {}
        self._untold: dict[str, Line] = {}
        self._made_by: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    @property
    def has_bot_spoken(self) -> bool:
        """Whether any speech was made so far, which locks the session's voice."""
        return any(line.audio_bytes for line in self._lines.values())

    def caller_spoke(self, item_id: str, now: float) -> None:
        """A turn of the caller is committed; its words come later, or never."""
        self._open("caller", item_id, now)

    def caller_words(self, item_id: str, words: str, now: float) -> Line:
        """The words of a caller's turn are known."""
        line = self._open("caller", item_id, now)
        line.words = words.strip()
        return line

    def awaits_words(self, now: float) -> bool:
        """Whether the words of the caller's newest turn are still to come, as far as that can be told."""
        newest = next((line for line in reversed(self._lines.values()) if line.role == "caller"), None)
        return newest is not None and not newest.words and now < newest.at + WORDS_WITHIN_S

    def note(self, item_id: str, words: str, now: float, *, told_as: str = "system") -> None:
        """The bridge told the model something: keys that were pressed, an act that has not happened."""
        line = self._open("note", item_id, now)
        line.words, line.told_as = words, told_as

    def function_answered(self, call_id: str, name: str, arguments: str, output: str, now: float) -> None:
        """The model was given what came of a function that it had called."""
        line = self._open("function", call_id, now)
        line.name, line.words, line.output = name, arguments, output

    def bot_began(self, item_id: str, response_id: str, now: float) -> None:
        """A response begins an item that will be spoken."""
        if item_id not in self._lines:
            self._open("bot", item_id, now).response_id = response_id
            self._made_by.setdefault(response_id, []).append(item_id)

    def bot_audio(self, item_id: str, response_id: str, size_bytes: int, now: float) -> None:
        """Speech was made for an item, and is being played."""
        line = self._lines.get(item_id)
        if line is None:
            self.bot_began(item_id, response_id, now)
            line = self._lines[item_id]
        line.audio_bytes += size_bytes

    def unheard_audio(self, item_id: str, size_bytes: int) -> None:
        """More speech was made for an item that was cut; nobody will hear it."""
        line = self._lines.get(item_id)
        if line is not None:
            line.audio_bytes += size_bytes

    def bot_words(self, item_id: str, words: str, *, whole: bool) -> None:
        """Words of an item that has begun: the next few, or the `whole` of them."""
        line = self._lines.get(item_id)
        if line is not None:
            line.words = words if whole else line.words + words

    def items_of(self, response_id: str) -> list[str]:
        """The spoken items of a response that is still kept, in order."""
        return [item_id for item_id in self._made_by.get(response_id, ()) if item_id in self._lines]

    def is_known(self, item_id: str) -> bool:
        """Whether the session knows an item by its id: another one was told its words, if anything."""
        line = self._lines.get(item_id)
        return line is not None and line.session == self.session

    def session_over(self) -> None:
        """The session is gone, and with it all ids that it gave."""
        self.session += 1
        self._made_by.clear()

    def response_of(self, item_id: str) -> str:
        """The response that made an item; empty when it is not known any more."""
        line = self._lines.get(item_id)
        return line.response_id if line is not None else ""

    def response_over(self, response_id: str) -> None:
        """Nothing more is made by this response."""
        self._made_by.pop(response_id, None)

    def heard(self, item_id: str, heard_ms: int) -> None:
        """How much of an item the caller heard; the first word on it is final."""
        line = self._lines.get(item_id)
        if line is not None and line.heard_ms is None:
            line.heard_ms = heard_ms

    def forget(self, item_id: str) -> None:
        """Nobody heard the item, and the model is told so: it was never said."""
        self._lines.pop(item_id, None)
        self._untold.pop(item_id, None)

    def unheard_items(self) -> list[str]:
        """Items of the bot whose hearing is not yet final, oldest first."""
        return [item_id for item_id, line in self._untold.items() if line.heard_ms is None]

    def tell(self, *, except_items: Collection[str]) -> list[Line]:
        """The bot's lines whose hearing has become final since the last time, in order; some may lack their words."""
        told = [
            line for line in self._untold.values() if line.heard_ms is not None and line.item_id not in except_items
        ]
        for line in told:
            del self._untold[line.item_id]
        return told

    def _open(self, role: Role, item_id: str, now: float) -> Line:
        line = self._lines.get(item_id)
        if line is None:
            line = self._lines[item_id] = Line(role, item_id, now, session=self.session)
            if role == "bot":
                self._untold[item_id] = line
            if len(self._lines) > MAX_LINES:
                self.forget(next(iter(self._lines)))
        return line
