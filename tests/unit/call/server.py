"""A Realtime server in virtual time: as strict as the real one, and it says what the script says."""

from __future__ import annotations

import itertools
import json
from base64 import b64decode
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


from tests.unit.call.messages import SAMPLES_PER_MS, is_loud, sound
from tests.unit.call.phone import Timeline


@dataclass(frozen=True)
class Speech:
    """Something a scripted response says: in pieces of `delta_ms`, one every `every_ms` (0: all at once)."""

    duration_ms: int = 1000
    delta_ms: int = 100
    every_ms: int = 0
    words: str = "one two three four five six seven eight nine ten"
    parts: int = 1


@dataclass(frozen=True)
class FunctionCall:
    """A function that a scripted response calls."""

    name: str
    arguments: str = "{}"
    call_id: str = ""


@dataclass(frozen=True)
class Reply:
    """What one response does, and how it ends."""

    outputs: tuple[Speech | FunctionCall, ...] = (Speech(),)
    after_ms: int = 50
    status: str = "completed"


@dataclass
class ServerItem:
    """An item as the server holds it."""

    kind: str
    role: str = ""
    sent: dict[int, int] = field(default_factory=dict)
    """Bytes of each content part."""
    call_id: str = ""
    truncated_ms: int | None = None
    is_deleted: bool = False


@dataclass
class Making:
    """The response that is active."""

    response_id: str
    steps: Iterator[float]
    by_server: bool
    asked_id: str = ""
    open_item: dict[str, Any] | None = None
    status: str = "in_progress"
    begun_at: int = 0
    calls: int = 0
    is_empty: bool = False


class Server:
    """A Realtime server that is as strict as the real one, and says what the script says.

    Args:
        timeline: the time.
        send: takes the events.
        delay_ms: how long they take to the bridge, and commands from it.
        dialect: `ga` or `beta`.
    """

    def __init__(self, timeline: Timeline, send: Callable[[str], None], delay_ms: int, dialect: str) -> None:
        self._timeline = timeline
        self._send = send
        self.delay_ms = delay_ms
        self.is_beta = dialect == "beta"
        self.is_open = False
        self.session = 0
        """How many there were."""
        self.told: list[dict[str, Any]] = []
        """The items that this one was told."""
        self._answered: set[str] = set()
        self.items: dict[str, ServerItem] = {}
        self.replies: deque[Reply] = deque()
        self.default = Reply()
        self.active: Making | None = None
        self.refused: list[tuple[str, dict[str, Any]]] = []
        self.received: list[dict[str, Any]] = []
        self.responses: list[Making] = []
        self.outputs: list[tuple[str, str]] = []
        self.commits = 0
        self.committed_at = 0
        self.part_of: dict[str, tuple[str, int]] = {}
        """The item and part that a piece of audio is of."""
        self.response_of: dict[str, str] = {}
        self.heard = bytearray()
        """The caller's sound as it came."""
        self.echoes_metadata = True
        self.loses: Callable[[str], bool] = lambda _: False
        """Whether an event of that type gets lost."""
        self.detects_after_ms = 60
        self.silence_ms = 500
        self.creates = self.interrupts = True
        self._confirmed = False
        self._loud_ms = self._quiet_ms = 0
        self._speaks = False
        self._serial = itertools.count(1)

    # What the bridge says

    def connect(self) -> None:
        """The socket opens: an empty session."""
        self.is_open = True
        self.session += 1
        self.items = {}
        self.told = []
        self.active = None
        self._answered = set()
        self._confirmed = self._speaks = False
        self._loud_ms = self._quiet_ms = 0
        self._emit("session.created", session={"type": "realtime"})

    def receive(self, text: bytes) -> None:
        """A command has arrived."""
        if not self.is_open:
            return
        command = json.loads(text)
        self.received.append(command)
        match command["type"]:
            case "input_audio_buffer.append":
                assert self._confirmed, "sound before the session was confirmed"
                self.heard += b64decode(command["audio"])
                self._hear(command["audio"])
            case "session.update":
                self._update(command)
            case "conversation.item.create":
                self._create_item(command)
            case "conversation.item.truncate":
                self._truncate(command)
            case "conversation.item.delete":
                self._delete(command)
            case "response.create":
                self._asked_for(command)
            case "response.cancel":
                if self.active is None or command["response_id"] != self.active.response_id:
                    self._refuse("response_cancel_not_active", command)
                else:
                    self._cancel("client_cancelled")

    def _update(self, command: dict[str, Any]) -> None:
        session = command["session"]
        assert self.is_beta or session["type"] == "realtime"
        detection = session["turn_detection"] if self.is_beta else session["audio"]["input"]["turn_detection"]
        self.creates, self.interrupts = detection["create_response"], detection["interrupt_response"]
        self._confirmed = True
        self._emit("session.updated", session=session)

    def _create_item(self, command: dict[str, Any]) -> None:
        item = command["item"]
        item_id = f"item_{next(self._serial)}"
        if item["type"] == "function_call_output":
            calls = [i for i in self.items.values() if i.kind == "function_call" and i.call_id == item["call_id"]]
            assert len(calls) == 1, "an output for a call that was not made"
            assert item["call_id"] not in self._answered, "a second output for a call"
            self._answered.add(item["call_id"])
            if self.session == 1 or (item["call_id"], item["output"]) not in self.outputs:  # else it is told again
                self.outputs.append((item["call_id"], item["output"]))
        self.told.append(item)
        self.items[item_id] = ServerItem(item["type"], item.get("role", ""), call_id=item.get("call_id", ""))
        self._emit_item(item | {"id": item_id})

    def _truncate(self, command: dict[str, Any]) -> None:
        item = self.items.get(command["item_id"])
        end_ms = command["audio_end_ms"]
        if item is None or item.is_deleted or item.role != "assistant":
            self._refuse("invalid_value", command)
            return
        assert 0 < end_ms, "audio_end_ms must be more than nothing"
        if end_ms * SAMPLES_PER_MS > item.sent.get(command["content_index"], 0):
            self._refuse("invalid_value", command)
            return
        item.truncated_ms = end_ms
        fields = {key: command[key] for key in ("item_id", "content_index", "audio_end_ms")}
        self._emit("conversation.item.truncated", **fields)

    def _delete(self, command: dict[str, Any]) -> None:
        item = self.items.get(command["item_id"])
        if item is None or item.is_deleted:
            self._refuse("item_delete_invalid_item_id", command)
            return
        item.is_deleted = True
        self._emit("conversation.item.deleted", item_id=command["item_id"])

    def _asked_for(self, command: dict[str, Any]) -> None:
        if self.active is not None:
            self._refuse("conversation_already_has_active_response", command)
            return
        self._begin(command["response"].get("metadata"), asked_id=command["event_id"])

    def _refuse(self, code: str, command: dict[str, Any]) -> None:
        self.refused.append((code, command))
        error = {"type": "invalid_request_error", "code": code, "message": "no", "event_id": command["event_id"]}
        self._emit("error", error=error)

    # What it hears

    def _hear(self, payload: str) -> None:
        ms = len(b64decode(payload)) // SAMPLES_PER_MS
        if is_loud(payload):
            self._loud_ms, self._quiet_ms = self._loud_ms + ms, 0
        else:
            self._loud_ms, self._quiet_ms = 0, self._quiet_ms + ms
        if not self._speaks and self._loud_ms >= self.detects_after_ms:
            self._speaks = True
            self._user_item = f"item_{next(self._serial)}"
            self._emit("input_audio_buffer.speech_started", item_id=self._user_item, audio_start_ms=0)
            if self.interrupts and self.active is not None:
                self._cancel("turn_detected")
        elif self._speaks and self._quiet_ms >= self.silence_ms:
            self._speaks = False
            self._commit(self._user_item)

    def _commit(self, item_id: str) -> None:
        self.commits, self.committed_at = self.commits + 1, self._timeline.samples
        self._emit("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=0)
        self._emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        self.items[item_id] = ServerItem("message", "user")
        self._emit_item({"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]})
        transcript = "conversation.item.input_audio_transcription.completed"
        self._emit(transcript, item_id=item_id, content_index=0, transcript=f"words of {item_id}")
        if self.creates and self.active is None:
            self._begin(None, by_server=True)

    # What it says

    def _begin(self, metadata: dict[str, str] | None, *, asked_id: str = "", by_server: bool = False) -> None:
        response_id = f"resp_{next(self._serial)}"
        reply = self.replies.popleft() if self.replies else self.default
        steps = self._steps(response_id, reply, metadata)
        self.active = Making(
            response_id, steps, by_server, asked_id, begun_at=self._timeline.samples, is_empty=not reply.outputs
        )
        self.responses.append(self.active)
        self._go_on(self.active)

    def _go_on(self, making: Making) -> None:
        if self.active is making:
            for delay_ms in making.steps:
                self._timeline.after(delay_ms, lambda: self._go_on(making))
                return

    def _steps(self, response_id: str, reply: Reply, metadata: dict[str, str] | None) -> Iterator[float]:
        said = {"metadata": metadata} if self.echoes_metadata else {}
        self._emit("response.created", response={"id": response_id, "status": "in_progress", **said})
        yield reply.after_ms
        output: list[dict[str, Any]] = []
        for index, made in enumerate(reply.outputs):
            item_id = f"item_{next(self._serial)}"
            if isinstance(made, Speech):
                yield from self._speak(response_id, item_id, index, made, output)
            else:
                self._call(response_id, item_id, index, made, output)
        assert self.active is not None
        self.active.status = reply.status
        self.active = None
        self._emit("response.done", response={"id": response_id, "status": reply.status, "output": output, **said})

    def _speak(
        self, response_id: str, item_id: str, index: int, speech: Speech, output: list[dict[str, Any]]
    ) -> Iterator[float]:
        assert self.active is not None
        self.items[item_id] = state = ServerItem("message", "assistant")
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        self.active.open_item = item | {"output_index": index}
        place = {"response_id": response_id, "output_index": index}
        self._emit("response.output_item.added", item=item, **place)
        self._emit_item(item)
        words = speech.words.split()
        for part in range(speech.parts):
            spot = place | {"item_id": item_id, "content_index": part}
            self._emit("response.content_part.added", part={"type": "audio"}, **spot)
            sent_ms = 0
            while sent_ms < speech.duration_ms:
                size_ms = min(speech.delta_ms, speech.duration_ms - sent_ms)
                payload = sound(f"{item_id}.{part}.{sent_ms}", size_ms)
                self.part_of[payload], self.response_of[payload] = (item_id, part), response_id
                state.sent[part] = state.sent.get(part, 0) + size_ms * SAMPLES_PER_MS
                told, sent_ms = len(words) * sent_ms // speech.duration_ms, sent_ms + size_ms
                some = words[told : len(words) * sent_ms // speech.duration_ms]
                if some:
                    name = (
                        "response.audio_transcript.delta" if self.is_beta else "response.output_audio_transcript.delta"
                    )
                    self._emit(name, delta=" ".join(some) + " ", **spot)
                self._emit(
                    "response.audio.delta" if self.is_beta else "response.output_audio.delta", delta=payload, **spot
                )
                if speech.every_ms:
                    yield speech.every_ms
            name = "response.audio_transcript.done" if self.is_beta else "response.output_audio_transcript.done"
            self._emit(name, transcript=" ".join(words), **spot)
        self.active.open_item = None
        output.append(item | {"status": "completed"})
        self._emit("response.output_item.done", item=output[-1], **place)

    def _call(
        self, response_id: str, item_id: str, index: int, call: FunctionCall, output: list[dict[str, Any]]
    ) -> None:
        call_id = call.call_id or f"call_{item_id}"
        assert self.active is not None
        self.active.calls += 1
        self.items[item_id] = ServerItem("function_call", call_id=call_id)
        item = {"id": item_id, "type": "function_call", "call_id": call_id, "name": call.name, "status": "in_progress"}
        place = {"response_id": response_id, "output_index": index}
        self._emit("response.output_item.added", item=item | {"arguments": ""}, **place)
        output.append(item | {"arguments": call.arguments, "status": "completed"})
        self._emit("response.output_item.done", item=output[-1], **place)

    def _cancel(self, reason: str) -> None:
        making, self.active = self.active, None
        assert making is not None
        making.status = "cancelled"
        output = []
        if making.open_item is not None:
            index = making.open_item.pop("output_index")
            output.append(making.open_item | {"status": "incomplete"})
            self._emit("response.output_item.done", item=output[0], response_id=making.response_id, output_index=index)
        details = {"type": "cancelled", "reason": reason}
        response = {"id": making.response_id, "status": "cancelled", "status_details": details, "output": output}
        self._emit("response.done", response=response)

    def _emit_item(self, item: dict[str, Any]) -> None:
        kind = "conversation.item.created" if self.is_beta else "conversation.item.added"
        self._emit(kind, item=item, previous_item_id=None)

    def _emit(self, kind: str, **fields: object) -> None:
        if not self.loses(kind):
            text = json.dumps({"type": kind, "event_id": f"event_{next(self._serial)}", **fields})
            session = self.session

            def arrive() -> None:
                if session == self.session:
                    self._send(text)

            self._timeline.after(self.delay_ms, arrive)
