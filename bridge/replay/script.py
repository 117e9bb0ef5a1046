"""A call written by hand: what caller and model do, through the real core, on a line that plays and returns marks.

```
script = Script(plan)
script.begin()
script.respond("resp_1", "item_1", "Hello, how can I help you?", speech_ms=2000)
script.wait(0.8)
script.model("input_audio_buffer.speech_started", item_id="item_2", audio_start_ms=800)
```

`script.done` holds every action so far, `script.tape()` the call as a tape. Nothing here takes real time.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bridge.call.actions import Ended, PlayAudio
from bridge.call.controls import ModelConnected
from bridge.call.machine import Call
from bridge.replay.ears import PhoneLine
from bridge.wire import caller, model
from bridge.wire.commands import AppendAudio, CreateResponse, UpdateSession
from bridge.wire.g711 import BYTES_PER_MS, SILENCE, size_of
from bridge.wire.tape import (
    VERSION,
    Header,
    action_line,
    control_line,
    end_line,
    header_line,
    message_line,
    plain,
    timer_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.actions import Action
    from bridge.call.controls import Control
    from bridge.call.plan import Plan

Wanted = TypeVar("Wanted")

DELTA_MS = 400
"""How much speech an audio delta brings."""


class Script:
    """One call.

    Args:
        plan: what the call goes by.
        frame_ms: how much sound the caller's stream sends at once; 20 on a real line, more makes shorter tapes.
        has_sound: whether the tape holds the sound or only its lengths.
        mark_delay_s: how long a mark takes to come back.
    """

    def __init__(self, plan: Plan, *, frame_ms: int = 100, has_sound: bool = False, mark_delay_s: float = 0.06) -> None:
        self.plan = plan
        self.now = 0.0
        self.call = Call(plan, now=0.0)
        self.line = PhoneLine(mark_delay_s)
        self.done: list[Action] = []
        self.frame_ms = frame_ms
        self.stream_ms = 0
        self.model_ms = 0
        """How much of the caller's sound the server has: its own clock, which a new stream does not set back."""
        self.is_over = False
        self._has_sound = has_sound
        self._lines = [
            header_line(Header(VERSION, "script", 0.0, "core", "full" if has_sound else "lengths", plan=plain(plan)))
        ]
        self._flush()

    # What comes in

    def begin(self, *, greet_first: bool = False) -> None:
        """The media stream comes, the session is opened and confirmed as it was asked for."""
        if not greet_first:
            self.stream_started()
        self.control(ModelConnected())
        self.model("session.created", session={})
        self.session_updated()
        if greet_first:
            self.stream_started()

    def stream_started(self, stream_sid: str = "MZ00000000000000000000000000000001") -> None:
        """The carrier's media stream is up."""
        media = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {"streamSid": stream_sid, "callSid": self.plan.call_sid, "mediaFormat": media, "customParameters": {}}
        self.stream_ms = 0
        self.caller("start", start=start)

    def stream_over(self) -> None:
        """The carrier lets go of a stream that the bridge has closed."""
        self.caller("stop", stop={})

    def session_updated(self) -> None:
        """The server confirms the newest update as it was asked for."""
        update = self.last(UpdateSession)
        self.model("session.updated", session=update.session)

    def caller(self, event: str, **fields: object) -> None:
        """A message of the media stream."""
        text = msgspec.json.encode({"event": event, **fields})
        self._lines.append(message_line("caller", self.now, text))
        self.call.receive_caller(caller.parse(text), now=self.now)
        self._flush()

    def model(self, kind: str, **fields: object) -> None:
        """An event of the session."""
        text = msgspec.json.encode({"type": kind, **fields})
        self._lines.append(message_line("model", self.now, text))
        self.call.receive_model(model.parse(text), now=self.now)
        self._flush()

    def successor(self, kind: str, **fields: object) -> None:
        """An event of the session that is opened beside the present one."""
        text = msgspec.json.encode({"type": kind, **fields})
        self._lines.append(message_line("successor", self.now, text))
        self.call.receive_successor(model.parse(text), now=self.now)
        self._flush()

    def control(self, request: Control) -> None:
        """Something from neither leg."""
        self._lines.append(control_line(self.now, request))
        self.call.receive_control(request, now=self.now)
        self._flush()

    # What usually belongs together

    def created(self, response_id: str, *, by_server: bool = False) -> None:
        """A response begins: the one that was asked for last, or one that the server makes by itself."""
        metadata = None if by_server else self.last(CreateResponse).response.get("metadata")
        self.model("response.created", response={"id": response_id, "status": "in_progress", "metadata": metadata})

    def speech(self, response_id: str, item_id: str, speech_ms: int, *, content_index: int = 0) -> None:
        """Speech of a response, as fast as the server makes it, in pieces."""
        while speech_ms > 0:
            piece_ms = min(speech_ms, DELTA_MS)
            self.delta(response_id, item_id, piece_ms * BYTES_PER_MS, content_index=content_index)
            speech_ms -= piece_ms

    def delta(self, response_id: str, item_id: str, size_bytes: int, *, content_index: int = 0) -> None:
        """One piece of speech."""
        buzz = _BUZZ * (size_bytes // len(_BUZZ) + 1)
        self.sound(response_id, item_id, buzz[:size_bytes], content_index=content_index)

    def sound(self, response_id: str, item_id: str, ulaw: bytes, *, content_index: int = 0) -> None:
        """One piece of speech that sounds like that, in mu-law."""
        payload = b64encode(ulaw).decode()
        event = model.AudioDelta(response_id, item_id, payload, content_index)
        short = event if self._has_sound else msgspec.structs.replace(event, delta="")
        size = None if self._has_sound else len(ulaw)
        self._lines.append(message_line("model", self.now, msgspec.json.encode(short), size))
        self.call.receive_model(event, now=self.now)
        self._flush(payload)

    def response_done(self, response_id: str, status: str = "completed", **fields: object) -> None:
        """A response ends."""
        self.model("response.done", response={"id": response_id, "status": status, **fields})

    def respond(
        self,
        response_id: str,
        item_id: str,
        words: str,
        *,
        speech_ms: int,
        by_server: bool = False,
        is_done: bool = True,
    ) -> None:
        """A spoken response, from its beginning to its end: the server is done long before the caller has heard it."""
        self.created(response_id, by_server=by_server)
        self.model("response.output_item.added", response_id=response_id, item=_message(item_id, "in_progress"))
        self.model("response.output_audio_transcript.delta", response_id=response_id, item_id=item_id, delta=words)
        self.speech(response_id, item_id, speech_ms)
        if is_done:
            item = _message(item_id, "completed")
            self.model("response.output_item.done", response_id=response_id, item=item)
            self.response_done(response_id)

    def turn(self, item_id: str, words: str, *, speech_s: float = 1.0) -> None:
        """The caller speaks, and is silent again; the server hears it, and writes it down."""
        self.speech_started(item_id)
        self.wait(speech_s)
        self.speech_stopped(item_id)
        kind = "conversation.item.input_audio_transcription.completed"
        self.model(kind, item_id=item_id, transcript=words)

    def speech_started(self, item_id: str) -> None:
        """The server hears the caller begin."""
        self.model("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=self.model_ms)

    def speech_stopped(self, item_id: str) -> None:
        """The server hears the caller end, and takes the turn into the conversation."""
        self.model("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=self.model_ms)
        self.model("input_audio_buffer.committed", item_id=item_id)

    def hang_up(self) -> None:
        """The caller puts the phone down."""
        self.stream_over()

    # Time

    def wait(self, seconds: float, sound: Callable[[int], bytes] | None = None) -> None:
        """Let time pass: the caller's sound comes in frames, marks come back, deadlines come.

        Args:
            seconds: how long.
            sound: makes so many bytes of the caller's sound; silence without it.
        """
        until = round(self.now + seconds, 6)
        frame_s = self.frame_ms / 1000
        while self.now + frame_s <= until + 1e-9 and not self.is_over:
            self._pass_until(round(self.now + frame_s, 6))
            size = self.frame_ms * BYTES_PER_MS
            self.hear((sound or SILENCE.__mul__)(size))
        self._pass_until(until)

    def pass_time(self, seconds: float) -> None:
        """Let time pass without a stream: deadlines come."""
        self._pass_until(round(self.now + seconds, 6))

    def hear(self, ulaw: bytes) -> None:
        """A piece of the caller's sound."""
        heard = caller.CallerAudio(b64encode(ulaw).decode(), self.stream_ms)
        payload = heard.payload if self._has_sound else ""
        text = msgspec.json.encode({"event": "media", "media": {"timestamp": str(self.stream_ms), "payload": payload}})
        size = None if self._has_sound else len(ulaw)
        self.stream_ms += len(ulaw) // BYTES_PER_MS
        self._lines.append(message_line("caller", self.now, text, size))
        self.call.receive_caller(heard, now=self.now)
        self._flush(heard.payload)

    def _pass_until(self, until: float) -> None:
        while not self.is_over:
            mark_at, wake_at = self.line.due, self.call.deadline()
            if wake_at is not None and wake_at <= until and (mark_at is None or wake_at <= mark_at):
                self.now = max(self.now, wake_at)
                self._lines.append(timer_line(self.now))
                self.call.handle_timer(now=self.now)
                self._flush()
            elif mark_at is not None and mark_at <= until:
                self.now = max(self.now, mark_at)
                self.caller("mark", mark={"name": self.line.take().name})
            else:
                break
        self.now = until

    # What comes out

    def last(self, kind: type[Wanted]) -> Wanted:
        """The newest action of a kind; there must be one."""
        return next(action for action in reversed(self.done) if isinstance(action, kind))

    def all(self, kind: type[Wanted]) -> list[Wanted]:
        """Every action of a kind, in order."""
        return [action for action in self.done if isinstance(action, kind)]

    def tape(self) -> bytes:
        """The call so far, as a tape."""
        return b"".join(self._lines)

    def _flush(self, passed: str | None = None) -> None:
        for action in self.call.actions():
            self.done.append(action)
            self.line.perform(action, self.now)
            is_sound = isinstance(action, PlayAudio | AppendAudio)
            if isinstance(action, AppendAudio):
                self.model_ms += size_of(action.audio) // BYTES_PER_MS
            self._lines.append(action_line(action, passed=passed, has_sound=self._has_sound or not is_sound))
            if isinstance(action, Ended):
                self.is_over = True
                self._lines.append(end_line(action.ending.value))


_BUZZ = bytes(range(0x80, 0x100, 8)) + bytes(range(0x7F, -1, -8))
"""One period of a buzz at 250 Hz."""


def _message(item_id: str, status: str) -> dict[str, object]:
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": []}
