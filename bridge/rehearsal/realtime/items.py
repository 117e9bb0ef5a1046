"""The conversation: items in order, as both dialects and the mind see them."""

from __future__ import annotations

import base64
import json
import math
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bridge.rehearsal.conversation import FunctionCall, FunctionCallOutput, Heard, Message
from bridge.rehearsal.realtime import audio, refusal
from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.rehearsal.realtime.events import Status

Role = Literal["system", "user", "assistant"]
ItemType = Literal["message", "function_call", "function_call_output"]

_CHARACTERS_PER_TOKEN = 4
_MS_PER_TOKEN = {"user": 100, "assistant": 50, "system": 100}
"""User audio is 10 tokens a second, assistant audio 20 (protocol reference, section 7)."""


@dataclass(slots=True, eq=False)
class Part:
    """One content part of a message."""

    kind: Literal["text", "audio"]
    text: str = ""
    """The text, or what was understood or said in the audio; the mind's knowledge, not always shown."""
    line_audio: bytearray = field(default_factory=bytearray)
    """Mu-law at 8 kHz; of an assistant's part what was sent so far, and after a truncation what is left of it."""
    transcript: str | None = None
    """What the wire shows; None until transcribed, and again after a truncation."""
    truncated_at_ms: int | None = None
    """Where the client cut it; audio that is still generated for it is not kept."""

    @property
    def audio_ms(self) -> int:
        """How long the audio lasts."""
        return audio.duration_ms(self.line_audio)


@dataclass(slots=True, eq=False)
class Item:
    """One item of a conversation."""

    id: str
    type: ItemType
    status: Status = "completed"
    role: Role = "user"
    """Of a message; of other items it says nothing."""
    content: list[Part] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    output: str = ""

    def wire(self, assistant_parts: Mapping[str, str], *, with_audio: bool = False) -> dict[str, object]:
        """Write the item as an event shows it; `assistant_parts` are the dialect's types of an assistant's content."""
        wire: dict[str, object] = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        match self.type:
            case "message":
                kinds = assistant_parts if self.role == "assistant" else {"text": "input_text", "audio": "input_audio"}
                wire["role"] = self.role
                wire["content"] = [_part(part, kinds[part.kind], with_audio=with_audio) for part in self.content]
            case "function_call":
                wire |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
            case "function_call_output":
                wire |= {"call_id": self.call_id, "output": self.output}
        return wire

    def heard(self) -> Heard:
        """Return the item as the mind takes it."""
        match self.type:
            case "function_call":
                return FunctionCall(self.name, _object(self.arguments), self.call_id)
            case "function_call_output":
                return FunctionCallOutput(self.call_id, self.output)
            case "message":
                return Message(self.role, " ".join(part.text for part in self.content if part.text))

    def tokens(self) -> tuple[int, int]:
        """Return what the item costs as input: text tokens, audio tokens."""
        text = text_tokens(self.name + self.arguments + self.output)
        spoken = 0
        for part in self.content:
            if part.kind == "text":
                text += text_tokens(part.text)
            else:
                spoken += math.ceil(part.audio_ms / _MS_PER_TOKEN[self.role])
        return text, spoken

    def truncate(self, content_index: int, audio_end_ms: int) -> None:
        """Forget the audio after `audio_end_ms`, and what was said in it.

        Raises:
            Refusal: the item has no such audio, or less of it.
        """
        part = self.content[content_index] if content_index < len(self.content) else None
        if self.role != "assistant" or part is None or part.kind != "audio":
            raise refusal.wrong("Only model output audio messages can be truncated")
        length_ms = part.audio_ms
        if audio_end_ms > length_ms:
            raise refusal.wrong(f"Audio content of {length_ms}ms is already shorter than {audio_end_ms}ms")
        words = part.text.split()
        part.text = " ".join(words[: round(len(words) * audio_end_ms / length_ms)]) if length_ms else ""
        part.transcript = None
        part.truncated_at_ms = audio_end_ms
        del part.line_audio[audio_end_ms * BYTES_PER_MS :]


class Conversation:
    """Items in order; every id occurs once."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    @property
    def last_id(self) -> str | None:
        """The id of the newest item."""
        return self._items[-1].id if self._items else None

    def find(self, item_id: str) -> Item | None:
        """Return an item, or None where there is none of that id."""
        return next((item for item in self._items if item.id == item_id), None)

    def insert(self, item: Item, *, after: str | None) -> str | None:
        """Put an item after another one, first of all (`root`) or last (None); return the id of the one before it.

        Raises:
            Refusal: its id is taken, or there is no item `after`.
        """
        if self.find(item.id) is not None:
            message = f"Error adding item: an item with id '{item.id}' already exists."
            raise refusal.wrong(message, param="item.id")
        if after is None:
            index = len(self._items)
        elif after == "root":
            index = 0
        else:
            index = self._index(after, "adding", "item_create_invalid_previous_item_id", "previous item") + 1
        self._items.insert(index, item)
        return self._items[index - 1].id if index else None

    def get(self, item_id: str, doing: Literal["retrieving", "truncating"]) -> Item:
        """Return an item that an event names.

        Raises:
            Refusal: there is none of that id.
        """
        return self._items[self._index(item_id, doing, f"item_{doing.removesuffix('ing')}e_invalid_item_id")]

    def delete(self, item_id: str) -> None:
        """Forget an item.

        Raises:
            Refusal: there is none of that id.
        """
        del self._items[self._index(item_id, "deleting", "item_delete_invalid_item_id")]

    def has_call(self, call_id: str) -> bool:
        """Say whether a function call of that id was made."""
        return any(item.type == "function_call" and item.call_id == call_id for item in self._items)

    def _index(self, item_id: str, doing: str, code: str, what: str = "item") -> int:
        for index, item in enumerate(self._items):
            if item.id == item_id:
                return index
        raise refusal.Refusal(code, f"Error {doing} item: the {what} with id '{item_id}' does not exist.")


def new_id(prefix: str) -> str:
    """Return an id like the server's own: `item_…`; 32 characters at most."""
    return f"{prefix}_{uuid.uuid4().hex[:20]}"


def text_tokens(text: str) -> int:
    """Return roughly how many tokens a text has."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _part(part: Part, kind: str, *, with_audio: bool) -> dict[str, object]:
    if part.kind == "text":
        return {"type": kind, "text": part.text}
    wire: dict[str, object] = {"type": kind, "transcript": part.transcript}
    if with_audio:
        wire["audio"] = base64.b64encode(part.line_audio).decode()
    return wire


def _object(arguments: str) -> dict[str, object]:
    """Read a call's arguments; a call that was cut short has none to speak of."""
    try:
        value = json.loads(arguments)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
