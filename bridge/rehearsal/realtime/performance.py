"""What a response says: its items and deltas, one after the other, at the pace of a model faster than real time."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from bridge.rehearsal.realtime import audio
from bridge.rehearsal.realtime.items import Item, Part, new_id, text_tokens
from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.clock import Clock
    from bridge.rehearsal.conversation import FunctionCall, Reply
    from bridge.rehearsal.realtime.items import Conversation
    from bridge.rehearsal.realtime.settings import Settings

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]

_WORD_S: Final = 0.3
"""How long a word of text takes at pace 1: about as long as to say it."""
_ARGUMENT_CHARACTERS: Final = 12
"""How much of a call's arguments one delta brings."""
_AUDIO_TOKEN_MS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How a model's generation is spread over time."""

    pace: float = 4.0
    """How many times faster than real time audio is sent; `math.inf` sends all at once."""
    delta_ms: int = 200
    """How much audio one delta brings."""
    think_ms: int = 150
    """From the end of a turn, or the client's wish, to the first word, beside recognition and synthesis."""


class Emit(Protocol):
    """Sends a server event, given by its GA name."""

    def __call__(self, event_type: str, /, **fields: object) -> None:
        """Send it; never waits."""


@dataclass(slots=True)
class Response:
    """A response, as the server keeps it."""

    id: str
    settings: Settings
    """The session's, with this response's overrides."""
    conversation_id: str | None
    """None: out of band; what it says becomes no part of the conversation."""
    metadata: dict[str, str] | None = None
    status: ResponseStatus = "in_progress"
    status_details: dict[str, object] | None = None
    output: list[Item] = field(default_factory=list)
    usage: dict[str, object] | None = None
    input_tokens: tuple[int, int] = (0, 0)
    """What it was told: text tokens, audio tokens."""
    audio_sent_ms: int = 0

    def output_tokens(self) -> tuple[int, int]:
        """Return what was generated so far: text tokens (transcripts included), audio tokens."""
        text = sum(text_tokens(item.arguments + "".join(part.text for part in item.content)) for item in self.output)
        return text, math.ceil(self.audio_sent_ms / _AUDIO_TOKEN_MS)


class Performance:
    """Says one response; may be cut at any await, after which `close` ends in order what was begun.

    Args:
        conversation: where items go; None for an out-of-band response.
    """

    def __init__(
        self,
        response: Response,
        conversation: Conversation | None,
        *,
        emit: Emit,
        assistant_parts: Mapping[str, str],
        clock: Clock,
        pacing: Pacing,
    ) -> None:
        self._response = response
        self._conversation = conversation
        self._emit = emit
        self._assistant_parts = assistant_parts
        self._clock = clock
        self._pacing = pacing
        self._item: Item | None = None
        self._previous_id: str | None = None
        self._part: Part | None = None

    async def perform(self, reply: Reply, utterance: bytes) -> bool:
        """Say a reply; `utterance` is its speech as mu-law, empty for text. Return whether it was within its tokens."""
        limit = self._response.settings.max_output_tokens
        budget = math.inf if limit == "inf" else limit
        if reply.speech is not None:
            spoken = self._response.settings.modality == "audio"
            within = await (
                self._speak(reply.speech, utterance, budget) if spoken else self._write(reply.speech, budget)
            )
            if not within:
                return False
        for call in reply.calls:
            budget_left = budget - sum(self._response.output_tokens())
            if not await self._call(call, budget_left):
                return False
        return True

    def close(self, status: Literal["completed", "incomplete"]) -> None:
        """End the item that is open, if one is, with all its `done` events."""
        item, self._item = self._item, None
        if item is None:
            return
        where = self._where(item)
        if item.type == "function_call":
            done = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
            self._emit("response.function_call_arguments.done", **where, **done)
        elif self._part is not None:
            self._close_part(self._part, where)
        item.status = status
        wire = item.wire(self._assistant_parts)
        self._emit(
            "response.output_item.done", response_id=self._response.id, output_index=where["output_index"], item=wire
        )
        if self._conversation is not None:
            self._emit("conversation.item.done", previous_item_id=self._previous_id, item=wire)

    async def _speak(self, text: str, utterance: bytes, budget: float) -> bool:
        audio_format = self._response.settings.output_format
        length_ms = min(audio.duration_ms(utterance), int(min(budget, 1e9)) * _AUDIO_TOKEN_MS)
        encoded = audio.encode(utterance, audio_format)
        step = self._pacing.delta_ms * audio.WIRE_BYTES_PER_MS[audio_format]
        end = length_ms * audio.WIRE_BYTES_PER_MS[audio_format]
        within = length_ms == audio.duration_ms(utterance)
        if within:
            end = len(encoded)
        where, part = self._open_message("audio")
        words = _shared_out(text, max(1, math.ceil(len(encoded) / step)))
        started = self._clock.now()
        for start in range(0, end, step):
            await self._until(started, start / audio.WIRE_BYTES_PER_MS[audio_format] / 1000)
            self._transcript(next(words), part, where)
            self._audio(encoded[start : min(start + step, end)], utterance, part, where)
        if within:
            self._transcript("".join(words), part, where)
        self.close("completed" if within else "incomplete")
        return within

    async def _write(self, text: str, budget: float) -> bool:
        where, part = self._open_message("text")
        within = text_tokens(text) <= budget
        words = list(_shared_out(text if within else text[: int(budget) * 4], len(text.split()) or 1))
        started = self._clock.now()
        for index, word in enumerate(words):
            await self._until(started, index * _WORD_S)
            part.text += word
            if word:
                self._emit("response.output_text.delta", **where, content_index=0, delta=word)
        self.close("completed" if within else "incomplete")
        return within

    async def _call(self, call: FunctionCall, budget: float) -> bool:
        item = Item(new_id("item"), "function_call", "in_progress", name=call.name, call_id=new_id("call"))
        where = self._open(item)
        arguments = json.dumps(dict(call.arguments))
        within = text_tokens(arguments) <= budget
        arguments = arguments if within else arguments[: max(0, int(budget)) * 4]
        started = self._clock.now()
        for start in range(0, len(arguments), _ARGUMENT_CHARACTERS):
            await self._until(started, start / _ARGUMENT_CHARACTERS * _WORD_S)
            delta = arguments[start : start + _ARGUMENT_CHARACTERS]
            item.arguments += delta
            self._emit("response.function_call_arguments.delta", **where, call_id=item.call_id, delta=delta)
        self.close("completed" if within else "incomplete")
        return within

    async def _until(self, started: float, offset_s: float) -> None:
        """Wait until what real-time speech brings after `offset_s` is due at this pace."""
        if not math.isinf(self._pacing.pace):
            await self._clock.sleep_until(started + offset_s / self._pacing.pace)

    def _open_message(self, kind: Literal["audio", "text"]) -> tuple[dict[str, object], Part]:
        item = Item(new_id("item"), "message", "in_progress", role="assistant")
        where = self._open(item)
        self._part = part = Part(kind, transcript="" if kind == "audio" else None)
        item.content.append(part)
        empty = {"type": "text", "text": ""} if kind == "text" else {"type": "audio", "transcript": ""}
        self._emit("response.content_part.added", **where, content_index=0, part=empty)
        return where, part

    def _open(self, item: Item) -> dict[str, object]:
        self._item, self._part = item, None
        self._response.output.append(item)
        where = self._where(item)
        wire = item.wire(self._assistant_parts)
        self._emit(
            "response.output_item.added", response_id=self._response.id, output_index=where["output_index"], item=wire
        )
        if self._conversation is not None:
            self._previous_id = self._conversation.insert(item, after=None)
            self._emit("conversation.item.added", previous_item_id=self._previous_id, item=wire)
        return where

    def _where(self, item: Item) -> dict[str, object]:
        return {
            "response_id": self._response.id,
            "item_id": item.id,
            "output_index": self._response.output.index(item),
        }

    def _transcript(self, words: str, part: Part, where: dict[str, object]) -> None:
        if not words:
            return
        if part.truncated_at_ms is None:
            part.text += words
            part.transcript = part.text
        self._emit("response.output_audio_transcript.delta", **where, content_index=0, delta=words)

    def _audio(self, encoded: bytes, utterance: bytes, part: Part, where: dict[str, object]) -> None:
        sent_ms = len(encoded) // audio.WIRE_BYTES_PER_MS[self._response.settings.output_format]
        if part.truncated_at_ms is None:
            begin = self._response.audio_sent_ms * BYTES_PER_MS
            part.line_audio += utterance[begin : begin + sent_ms * BYTES_PER_MS]
        self._response.audio_sent_ms += sent_ms
        self._emit("response.output_audio.delta", **where, content_index=0, delta=base64.b64encode(encoded).decode())

    def _close_part(self, part: Part, where: dict[str, object]) -> None:
        if part.kind == "text":
            self._emit("response.output_text.done", **where, content_index=0, text=part.text)
            wire: dict[str, object] = {"type": "text", "text": part.text}
        else:
            transcript = part.transcript or ""
            self._emit("response.output_audio.done", **where, content_index=0)
            self._emit("response.output_audio_transcript.done", **where, content_index=0, transcript=transcript)
            wire = {"type": "audio", "transcript": transcript}
        self._emit("response.content_part.done", **where, content_index=0, part=wire)


def _shared_out(text: str, parts: int) -> Iterator[str]:
    """Give out a text's words over so many parts, evenly, earlier rather than later; together they are the text."""
    words = text.split(" ")
    given = 0
    for part in range(1, parts + 1):
        upto = math.ceil(len(words) * part / parts)
        piece = words[given:upto]
        given = upto
        yield (" " if piece and upto - len(piece) else "") + " ".join(piece)
