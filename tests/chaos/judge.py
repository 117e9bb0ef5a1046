"""Watches a call from where its tape is written, sees all that goes in and comes out, and says what must not be.

It goes by what the core was told, damaged or not: what a fault kept from it, it cannot know. The numbers in the
sentences are those of the promises that hold for every call.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

from bridge.call.actions import (
    Action,
    ClearPlayout,
    CloseModel,
    CloseStream,
    CloseSuccessor,
    ConfigureSuccessor,
    ConnectModel,
    ConnectSuccessor,
    DropStream,
    Ended,
    Happened,
    MoveToSuccessor,
    PlayAudio,
    RunFunction,
    Said,
    SetMark,
)
from bridge.call.controls import Control, FunctionResult
from bridge.call.plan import Plan
from bridge.wire import caller, model
from bridge.wire.commands import (
    AppendAudio,
    CancelResponse,
    CreateItem,
    CreateResponse,
    DeleteItem,
    TruncateItem,
    UpdateSession,
)
from bridge.wire.g711 import BYTES_PER_MS, size_of

MAX_MARKS = 1000
MAX_WAKES_AT_ONCE = 8
"""How often the timer may go off without time passing."""
MAX_SILENCE_S = 90.0
"""How long a caller may hear nothing, whatever goes wrong: every wait of the bridge is shorter."""
OWN_SOUND = "hold"
"""Stands for the clip that is heard while there is no session."""
PROBE = "probe-"
"""Marks so named stand behind nothing: they ask whether the stream is alive."""
Entry = tuple[str, tuple[object, ...]]
"""A method of a recorder and its arguments."""


class Judge:
    """A recorder that judges. `broken` says what was wrong, `entries` is the call for a real recorder."""

    def __init__(self, plan: Plan, secrets: tuple[str, ...] = ()) -> None:
        self.broken: list[str] = []
        self.entries: list[Entry] = []
        self.ran: dict[str, str] = {}
        """Functions that were run, by call id."""
        self.outputs: dict[str, int] = {}
        """How often the session was given the output of a function."""
        self.asked: dict[str, str] = {}
        """Responses that were asked for: instructions by event id."""
        self.in_vain: set[str] = set()
        """Responses that the bridge cancelled as they began, for what they were asked for had been given up."""
        self.facts: dict[str, int] = {}
        self.endings: list[str] = []
        self._plan = plan
        self._secrets = secrets
        self._now = -1.0
        self._wakes = 0
        self._event: model.ModelEvent | None = None
        self._heard: caller.CallerMessage | None = None
        self._text: str | bytes = ""
        self._kept: set[str] = set()
        self._known_calls: set[str] = set()
        self._session = _Session()
        self._successor: _Session | None = None
        self._playing = _Playing()
        self._check: dict[type, Callable[..., None]] = {
            PlayAudio: self._play,
            SetMark: self._mark,
            ClearPlayout: self._clear,
            TruncateItem: self._truncate,
            DeleteItem: self._delete,
            CreateResponse: self._create,
            CancelResponse: self._cancel,
            AppendAudio: self._append,
            CreateItem: self._item,
            UpdateSession: self._update,
            RunFunction: self._run,
            Happened: self._happened,
            Said: self._said,
            ConnectModel: self._connect,
            CloseModel: self._close_model,
            ConnectSuccessor: self._connect_successor,
            ConfigureSuccessor: self._configure_successor,
            MoveToSuccessor: self._move_to_successor,
            CloseSuccessor: self._close_successor,
            CloseStream: self._close_stream,
            DropStream: self._drop_stream,
            Ended: self._ended,
        }

    def breaks(self, promise: int, what: str) -> None:
        """Note what was wrong."""
        self.broken.append(f"{self._now:.3f} s: promise {promise}: {what}")

    # What goes in

    def caller(self, now: float, text: str | bytes) -> None:
        """A message of the media stream."""
        self._input("caller", now, text)
        self._heard, self._event, self._text = caller.parse(text), None, text
        message = self._heard
        if isinstance(message, caller.MarkReached):
            self._playing.reached(message.name)
        elif isinstance(message, caller.StreamStarted) and not self._playing.is_up:
            self._playing.stream_began(now)
        elif isinstance(message, caller.CallerLeft):
            self._playing.is_up = False
        elif isinstance(message, caller.CallerAudio):
            if not self._session.is_confirmed or self._successor is not None:
                self._kept.add(message.payload)
            if self._playing.is_up and now > self._playing.sounds_until + MAX_SILENCE_S:
                self._playing.sounds_until = now
                self.breaks(8, f"the caller has heard nothing for {MAX_SILENCE_S:.0f} s")

    def passed_on(self, now: float, text: str | bytes, sound: AppendAudio) -> None:
        """A message of the media stream that came to nothing but its sound."""
        self.caller(now, text)
        self.actions([sound])

    def model(self, now: float, text: str | bytes) -> None:
        """An event of the session."""
        self._input("model", now, text)
        self._heard, self._event, self._text = None, model.parse(text), text
        self._session.told(self._event)
        if isinstance(self._event, model.OutputItemDone):
            self._known_calls.add(self._event.item.call_id or "")
        elif isinstance(self._event, model.ResponseDone):
            self._known_calls.update(item.call_id or "" for item in self._event.response.output or ())

    def successor(self, now: float, text: str | bytes) -> None:
        """An event of the session that is opened beside it."""
        self._input("successor", now, text)
        self._heard = self._event = None
        self._text = ""
        if self._successor is not None:
            self._successor.told(model.parse(text))

    def control(self, now: float, request: Control) -> None:
        """Something from neither leg."""
        self._input("control", now, request)
        self._heard = self._event = None
        self._text = ""
        if isinstance(request, FunctionResult) and request.call_id not in self.ran:
            self.breaks(5, "the result of a function that nobody ran")

    def timer(self, now: float) -> None:
        """The timer."""
        self._wakes = self._wakes + 1 if now <= self._now else 0
        if self._wakes >= MAX_WAKES_AT_ONCE:
            self.breaks(7, "the timer goes off again and again, and time stands still")
            raise RuntimeError("the timer would go off for ever")
        self._input("timer", now)
        self._heard = self._event = None
        self._text = ""

    def _input(self, leg: str, now: float, *what: object) -> None:
        self.entries.append((leg, (now, *what)))
        if now < self._now:
            self.breaks(7, "time goes back")
        self._now = now

    # What comes out

    def actions(self, actions: list[Action]) -> None:
        """What came out of the step."""
        self.entries.append(("actions", (actions,)))
        if self.endings:
            self.breaks(7, f"something is done after the end: {[type(action).__name__ for action in actions]}")
        self._playing.step_began()
        for action in actions:
            check = self._check.get(type(action))
            if check is not None:
                check(action)
        if self._playing.unmarked:
            self.breaks(4, "sound without a mark behind it")
        if self.endings and not isinstance(actions[-1], Ended):
            self.breaks(7, "the ending does not come last")
        if self.endings and self._successor is not None:
            self.breaks(7, "a session is left behind")

    def _play(self, action: PlayAudio) -> None:
        event, playing = self._event, self._playing
        duration_s = size_of(action.payload) / BYTES_PER_MS / 1000
        playing.sounds_until = max(playing.sounds_until, self._now) + duration_s
        if not isinstance(event, model.AudioDelta):
            playing.played("", (OWN_SOUND, 0), size_of(action.payload))
            if action.payload != self._plan.hold_clip:
                self.breaks(1, "something is played that is neither the model's nor the operator's")
            return
        if event.delta != action.payload:
            self.breaks(1, "what is played is not what the model sent")
        if not playing.is_up:
            self.breaks(3, "sound is sent to a stream that is not there")
        if event.response_id in playing.dead:
            self.breaks(3, "sound of a response that was cut")
        playing.played(event.response_id, (event.item_id, event.content_index), size_of(action.payload))

    def _mark(self, action: SetMark) -> None:
        if not self._playing.marked(action.name) and not action.name.startswith(PROBE):
            self.breaks(4, "a mark whose name was used before, or that stands behind nothing")
        if len(self._playing.waiting) > MAX_MARKS:
            self.breaks(7, "marks without a bound")

    def _clear(self, _: ClearPlayout) -> None:
        if not self._playing.waiting:
            self.breaks(3, "a clear with nothing unheard")
        self._playing.sounds_until = self._now
        self._playing.cleared(self._session.active)

    def _truncate(self, action: TruncateItem) -> None:
        part = (action.item_id, action.content_index)
        sent_ms = self._playing.sent.get(part, 0) // BYTES_PER_MS
        if not 0 < action.audio_end_ms <= sent_ms:
            self.breaks(3, f"truncated at {action.audio_end_ms} ms of {sent_ms} ms")
        if part not in self._playing.cut or action.item_id == OWN_SOUND:
            self.breaks(3, "a truncate of what was not cut just before")
        self._playing.cut.discard(part)

    def _delete(self, action: DeleteItem) -> None:
        if self._playing.heard.get(action.item_id, 0) >= BYTES_PER_MS:
            self.breaks(3, "an item is deleted that was heard")

    def _create(self, action: CreateResponse) -> None:
        session = self._session
        if session.active:
            self.breaks(5, "a response is asked for while another is active")
        if session.asked:
            self.breaks(5, "a response is asked for while another is asked for")
        session.asked = action.event_id
        self.asked[action.event_id] = str(action.response.get("instructions", ""))

    def _cancel(self, action: CancelResponse) -> None:
        if isinstance(self._event, model.ResponseCreated) and self._event.response.id == action.response_id:
            self.in_vain.add(action.response_id)

    def _append(self, action: AppendAudio) -> None:
        if not self._session.is_confirmed:
            self.breaks(2, "sound is sent before the session is confirmed")
        is_new = isinstance(self._heard, caller.CallerAudio) and action.audio == self._heard.payload
        if not is_new and action.audio not in self._kept and b64decode(action.audio).strip(b"\xff"):
            self.breaks(1, "the model gets sound that the caller did not make")

    def _item(self, action: CreateItem) -> None:
        if action.item.get("type") == "function_call":  # a new session is told of it
            self._known_calls.add(str(action.item["call_id"]))
        if action.item.get("type") != "function_call_output":
            return
        call_id = str(action.item["call_id"])
        self.outputs[call_id] = self.outputs.get(call_id, 0) + 1
        if self.outputs[call_id] > 1:
            self.breaks(5, "a function is answered twice")
        if call_id not in self._known_calls:
            self.breaks(5, "a function is answered that was not called")

    def _update(self, _: UpdateSession) -> None:
        self._session.is_asked_for = True

    def _run(self, action: RunFunction) -> None:
        if action.call_id in self.ran:
            self.breaks(5, "a function is run twice")
        if action.name not in self._plan.functions:
            self.breaks(5, "a function is run that is not the operator's")
        self.ran[action.call_id] = action.name

    def _happened(self, action: Happened) -> None:
        self.facts[action.event] = self.facts.get(action.event, 0) + 1
        if action.event in ("response.end_missed", "response.stalled"):
            self._session.gave_up()
        elif action.event == "playout.marks_lost":
            self._playing.gave_up()
        fields = {name: value for name, value in action.fields.items() if name != "call_id"}
        shown = repr(fields)  # a call's id is the model's own, at random: four digits turn up in one in some thousands
        if any(secret in shown for secret in self._secrets):
            self.breaks(9, f"{action.event} tells what nobody may see")

    def _said(self, action: Said) -> None:
        if action.role == "bot" and not action.is_cut and not action.heard_ms:
            self.breaks(9, "the transcript has a line that nobody heard")

    def _connect(self, _: ConnectModel) -> None:
        """The next session knows nothing, and what the last one made is over."""
        self._session = _Session()
        self._playing.dead.clear()
        self.outputs.clear()

    def _close_model(self, _: CloseModel) -> None:
        self._session = _Session()

    def _connect_successor(self, _: ConnectSuccessor) -> None:
        if self._successor is not None:
            self.breaks(7, "a third session is opened")
        self._successor = _Session()

    def _configure_successor(self, _: ConfigureSuccessor) -> None:
        if self._successor is not None:
            self._successor.is_asked_for = True

    def _move_to_successor(self, _: MoveToSuccessor) -> None:
        if self._successor is None or not self._successor.is_confirmed:
            self.breaks(2, "the call moves to a session that is not confirmed")
            return
        self._session, self._successor = self._successor, None
        self._playing.dead.clear()
        self.outputs.clear()

    def _close_successor(self, _: CloseSuccessor) -> None:
        if self._successor is None:
            self.breaks(7, "a session is closed that there is not")
        self._successor = None

    def _close_stream(self, action: CloseStream) -> None:
        if action.order.kind in ("transfer", "keys") and self._playing.waiting and self._text:
            self.breaks(6, "the call is handed over before the announcement is heard")
        self._playing.is_up = False

    def _drop_stream(self, _: DropStream) -> None:
        self._playing.is_up = False

    def _ended(self, action: Ended) -> None:
        self.endings.append(action.ending.value)
        if len(self.endings) > 1:
            self.breaks(7, "a call ends twice")


class _Session:
    """What the core was told about one session."""

    def __init__(self) -> None:
        self.is_asked_for = self.is_confirmed = False
        self.active = ""
        self.asked = ""

    def told(self, event: model.ModelEvent) -> None:
        match event:
            case model.SessionUpdated():
                self.is_confirmed = self.is_confirmed or self.is_asked_for
            case model.ResponseCreated(response=response):
                self.active = response.id
                metadata = response.metadata
                if not (isinstance(metadata, dict) and metadata.get("wish", self.asked) != self.asked):
                    self.asked = ""
            case model.ResponseDone(response=response) if response.id == self.active:
                self.active = ""
            case model.Failed(error=fault):
                is_busy = fault.code == "conversation_already_has_active_response"
                if fault.event_id == self.asked or (is_busy and not fault.event_id):
                    self.asked = ""

    def gave_up(self) -> None:
        self.active = self.asked = ""


class _Playing:
    """What was sent to the caller, and what came back."""

    def __init__(self) -> None:
        self.is_up = False
        self.waiting: dict[str, tuple[str, tuple[str, int], int]] = {}
        """Marks that are to come back: the response, part and size of the sound before each."""
        self.sent: dict[tuple[str, int], int] = {}
        self.heard: dict[str, int] = {}
        self.dead: set[str] = set()
        self.cut: set[tuple[str, int]] = set()
        self.unmarked: tuple[str, tuple[str, int], int] | None = None
        self.sounds_until = 0.0
        """When the caller will have heard all that was sent."""
        self._names: set[str] = set()

    def stream_began(self, now: float) -> None:
        self.is_up = True
        self.sounds_until = now
        self.waiting.clear()

    def step_began(self) -> None:
        self.cut.clear()

    def played(self, response_id: str, part: tuple[str, int], size_bytes: int) -> None:
        self.sent[part] = self.sent.get(part, 0) + size_bytes
        self.unmarked = (response_id, part, size_bytes)

    def marked(self, name: str) -> bool:
        sound, self.unmarked = self.unmarked, None
        if sound is None or name in self._names:
            return False
        self._names.add(name)
        self.waiting[name] = sound
        return True

    def reached(self, name: str) -> None:
        if name not in self.waiting:
            return
        for each in list(self.waiting):
            _, (item_id, _), size_bytes = self.waiting.pop(each)
            self.heard[item_id] = self.heard.get(item_id, 0) + size_bytes
            if each == name:
                return

    def cleared(self, active: str) -> None:
        cut = {response_id for response_id, _, _ in self.waiting.values()} - {""}
        self.dead |= (cut | {active} if cut else cut) - {""}
        self.cut = {part for _, part, _ in self.waiting.values()}
        self.waiting.clear()

    def gave_up(self) -> None:
        self.waiting.clear()
