"""One Realtime session: carries out or refuses each client event, and lets the caller's turns have their effect."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import ValidationError

from bridge.rehearsal.realtime import audio, events, refusal
from bridge.rehearsal.realtime.hearing import Hearing, TurnStarted, TurnStopped
from bridge.rehearsal.realtime.idle import IdleTimer
from bridge.rehearsal.realtime.items import Conversation, Item, Part, new_id
from bridge.rehearsal.realtime.responses import Responses
from bridge.rehearsal.realtime.settings import Settings
from bridge.rehearsal.realtime.understanding import Understanding
from bridge.rehearsal.realtime.writing import input_of, item_of
from bridge.wire.g711 import BYTES_PER_MS

if TYPE_CHECKING:
    from bridge.clock import Clock, Timer
    from bridge.rehearsal.realtime.dialect import Dialect
    from bridge.rehearsal.realtime.performance import Pacing, Response
    from bridge.rehearsal.realtime.ports import MindLike, SpeechLike

CLOSE_GOING_AWAY: Final = 1001
_REMEMBERED: Final = 1000
"""How many refusals and truncations a session keeps for those who look at it."""


class Sink(Protocol):
    """Where a session's events go; `bridge.rehearsal.realtime.outbox` has the real one."""

    def put(self, event: dict[str, object]) -> None:
        """Take an event; never waits."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection once what was put is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one session may take."""

    max_session_s: float = 3600.0
    """Then `session_expired` and close 1001 (protocol reference, section 8)."""
    max_buffered_ms: int = 600_000
    """Of input audio that is not committed."""
    transcript_delay_ms: int = 0
    """How much later than understood a transcription is told."""


class Session:
    """One client's session. What it holds may be read by tests; only the session changes it.

    Args:
        model: the model's name, of the connection's URL.
        deployments: whether model names are the operator's own, as on Azure.
    """

    def __init__(
        self,
        outbox: Sink,
        dialect: Dialect,
        *,
        model: str,
        deployments: bool,
        speech: SpeechLike,
        mind: MindLike,
        clock: Clock,
        pacing: Pacing,
        limits: Limits,
    ) -> None:
        self.id: Final = new_id("sess")
        self.dialect: Final = dialect
        self.settings = Settings(model=model, voice=dialect.default_voice)
        self.conversation: Final = Conversation()
        self.received: Final[Counter[str]] = Counter()
        """How many events of each type the client sent and was not refused."""
        self.refusals: Final[deque[refusal.Refusal]] = deque(maxlen=_REMEMBERED)
        self.truncations: Final[deque[events.TruncateItem]] = deque(maxlen=_REMEMBERED)
        self._context = {"model": model, "deployments": deployments}
        self._outbox = outbox
        self._clock = clock
        self._limits = limits
        self._hearing = Hearing(
            self.settings.input_format, self.settings.turn_detection, max_buffered_ms=limits.max_buffered_ms
        )
        self._understanding = Understanding(
            speech=speech, mind=mind, clock=clock, emit=self._emit, transcript_delay_ms=limits.transcript_delay_ms
        )
        self.responses: Final = self._responses(speech, mind, pacing)
        self._turn_item_id = ""
        self._idle = IdleTimer(clock, self._idled)
        self._expiry: Timer | None = None
        self._expires_at = 0

    def _responses(self, speech: SpeechLike, mind: MindLike, pacing: Pacing) -> Responses:
        return Responses(
            self.conversation,
            speech=speech,
            mind=mind,
            clock=self._clock,
            pacing=pacing,
            dialect=self.dialect,
            emit=self._emit,
            understood=self._understanding.wait,
            on_done=self._response_done,
        )

    @property
    def items(self) -> list[Item]:
        """The conversation's items, oldest first."""
        return list(self.conversation)

    def open(self) -> None:
        """Greet the client with `session.created`; the session's time begins."""
        self._expires_at = int(time.time() + self._limits.max_session_s)
        self._expiry = self._clock.call_at(self._clock.now() + self._limits.max_session_s, self._expire)
        self._emit("session.created", session=self._wire())
        conversation = {"id": self.responses.conversation_id, "object": "realtime.conversation"}
        self._emit("conversation.created", conversation=conversation)

    async def close(self) -> None:
        """End everything the session has begun; sends nothing more."""
        self._idle.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
        await self.responses.close()
        await self._understanding.close()

    def receive(self, message: str | bytes) -> None:
        """Carry out a client event, or refuse it with an `error` event; the session goes on either way."""
        data: dict[str, object] = {}
        try:
            data = _decoded(message)
            self._carry_out(self.dialect.parse(data, context=self._context))
        except ValidationError as error:
            self._refuse(refusal.from_validation(error, data), data)
        except refusal.Refusal as refused:
            self._refuse(refused, data)
        else:
            self.received[str(data["type"])] += 1

    def _carry_out(self, command: events.ClientCommand) -> None:  # noqa: C901 - one line for each kind of event
        match command:
            case events.AppendAudio():
                self._append(command.audio)
            case events.CommitAudio():
                self._commit(self._hearing.commit(), new_id("item"))
            case events.ClearAudio():
                self._hearing.clear()
                self._emit("input_audio_buffer.cleared")
            case events.UpdateSession():
                self._update(command)
            case events.CreateItem():
                self._create_item(command)
            case events.RetrieveItem():
                item = self.conversation.get(command.item_id, "retrieving")
                self._emit("conversation.item.retrieved", item=item.wire(self.dialect.assistant_parts, with_audio=True))
            case events.TruncateItem():
                self._truncate(command)
            case events.DeleteItem():
                self.conversation.delete(command.item_id)
                self._emit("conversation.item.deleted", item_id=command.item_id)
            case events.CreateResponse():
                self._create_response(command)
            case events.CancelResponse():
                self.responses.cancel(command.response_id)
            case events.ClearOutput():
                raise refusal.wrong("'output_audio_buffer.clear' is only supported over WebRTC and SIP.", param="type")

    def _update(self, command: events.UpdateSession) -> None:
        if command.patch.get("model", self.settings.model) != self.settings.model:
            raise refusal.wrong("The model of a session cannot be changed.", param="session.model")
        if "voice" in command.patch and self.responses.has_spoken:
            raise _voice_is_settled()
        self.settings = self.settings.patched(command.patch)
        self._hearing.configure(self.settings.input_format, self.settings.turn_detection)
        self._idle.cancel()
        self._emit("session.updated", session=self._wire())

    def _append(self, text: str) -> None:
        if len(text) > events.MAX_APPEND_BYTES:
            raise refusal.Refusal(
                "string_above_max_length",
                f"Invalid 'audio': string too long. Expected a string with maximum length {events.MAX_APPEND_BYTES}, "
                f"but got a string with length {len(text)} instead.",
                param="audio",
            )
        for turn in self._hearing.append(audio.decode_base64(text, param="audio")):
            if isinstance(turn, TurnStarted):
                self._turn_started(turn)
            else:
                self._turn_stopped(turn)

    def _turn_started(self, turn: TurnStarted) -> None:
        self._turn_item_id = new_id("item")
        self._emit("input_audio_buffer.speech_started", audio_start_ms=turn.at_ms, item_id=self._turn_item_id)
        detection = self.settings.turn_detection
        if detection is not None and detection.interrupt_response:
            self.responses.interrupt()
        self._idle.cancel()

    def _turn_stopped(self, turn: TurnStopped) -> None:
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=turn.at_ms, item_id=self._turn_item_id)
        self._commit(turn.line_audio, self._turn_item_id)
        detection = self.settings.turn_detection
        if detection is not None and detection.create_response:
            self._answer()

    def _answer(self) -> None:
        """Begin a response of the server's own accord; where one runs already the client is told of the collision."""
        try:
            self.responses.create(events.CreateResponse(), self.settings)
            self._idle.cancel()
        except refusal.Refusal as refused:
            self._refuse(refused, {})

    def _commit(self, line_audio: bytes, item_id: str) -> None:
        self._emit("input_audio_buffer.committed", previous_item_id=self.conversation.last_id, item_id=item_id)
        part = Part("audio", line_audio=bytearray(line_audio))
        item = Item(item_id, "message", role="user", content=[part])
        self._add(item, after=None)
        self._understanding.begin(item, part, self.settings, transcribe=True)

    def _create_item(self, command: events.CreateItem) -> None:
        item = item_of(command.item, self.settings.input_format)
        if item.type == "function_call_output" and not self.conversation.has_call(item.call_id):
            raise refusal.Refusal("invalid_tool_call_id", f"Tool call ID '{item.call_id}' not found in conversation.")
        self._add(item, after=command.previous_item_id)
        self._understand_written(item)

    def _add(self, item: Item, *, after: str | None) -> None:
        previous_id = self.conversation.insert(item, after=after)
        wire = item.wire(self.dialect.assistant_parts)
        self._emit("conversation.item.added", previous_item_id=previous_id, item=wire)
        self._emit("conversation.item.done", previous_item_id=previous_id, item=wire)

    def _understand_written(self, item: Item) -> None:
        """Recognise the audio of an item that the client wrote."""
        for part in item.content:
            if part.kind == "audio":
                self._understanding.begin(item, part, self.settings, transcribe=False)

    def _truncate(self, command: events.TruncateItem) -> None:
        item = self.conversation.get(command.item_id, "truncating")
        item.truncate(command.content_index, command.audio_end_ms)
        self.truncations.append(command)
        where = {"item_id": item.id, "content_index": command.content_index}
        self._emit("conversation.item.truncated", **where, audio_end_ms=command.audio_end_ms)

    def _create_response(self, command: events.CreateResponse) -> None:
        if self.responses.has_spoken and command.patch.get("voice", self.settings.voice) != self.settings.voice:
            raise _voice_is_settled()
        chosen = None
        if command.input is not None:
            chosen = input_of(command.input, self.conversation, self.settings.input_format)
        self.responses.create(command, self.settings, chosen=chosen)
        for item in chosen or ():
            self._understand_written(item)
        self._idle.cancel()

    def _response_done(self, response: Response) -> None:
        self._idle.arm(response, self.settings.turn_detection)

    def _idled(self, idle_ms: int) -> None:
        """Let the model prompt a caller who has said nothing; the silence becomes an item of theirs."""
        if self.responses.active is not None or self._hearing.is_speech:
            return
        now_ms, item_id = self._hearing.now_ms, new_id("item")
        start_ms = max(0, now_ms - idle_ms)
        self._emit(
            "input_audio_buffer.timeout_triggered", audio_start_ms=start_ms, audio_end_ms=now_ms, item_id=item_id
        )
        silence = self._hearing.clear()
        self._commit(silence[max(0, len(silence) - idle_ms * BYTES_PER_MS) :], item_id)
        self._answer()

    def _expire(self) -> None:
        minutes = round(self._limits.max_session_s / 60)
        message = f"Your session hit the maximum duration of {minutes} minutes."
        self._refuse(refusal.Refusal("session_expired", message), {})
        self._outbox.close(CLOSE_GOING_AWAY, message)

    def _wire(self) -> dict[str, object]:
        return {
            "object": "realtime.session",
            "id": self.id,
            "expires_at": self._expires_at,
            **self.dialect.session(self.settings),
        }

    def _refuse(self, refused: refusal.Refusal, data: dict[str, object]) -> None:
        self.refusals.append(refused)
        event_id = data.get("event_id")
        self._emit("error", error=refused.payload(event_id if isinstance(event_id, str) else None))

    def _emit(self, event_type: str, /, **fields: object) -> None:
        event = self.dialect.render(event_type, fields)
        if event is not None:
            self._outbox.put({"event_id": new_id("event"), **event})


def _decoded(message: str | bytes) -> dict[str, object]:
    """Return a message as a JSON object that has a type."""
    if isinstance(message, bytes):
        raise refusal.not_an_event("Binary messages are not supported: send each event as a text message.")
    try:
        data = json.loads(message)
    except (json.JSONDecodeError, RecursionError) as error:
        raise refusal.not_an_event(f"The message is not valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise refusal.not_an_event("An event is a JSON object.")
    if "type" not in data:
        raise refusal.not_an_event("The 'type' field is missing.")
    return data


def _voice_is_settled() -> refusal.Refusal:
    return refusal.Refusal("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")
