"""A tape as what caller, model, people and functions have to play, and as what the bridge did about it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING

import msgspec

from bridge.wire import caller, model
from bridge.wire.g711 import SILENCE, size_of
from bridge.wire.tape import SAME, TapeError, action_fields

if TYPE_CHECKING:
    from bridge.wire.tape import Input, Step, Tape

_APPEND = "input_audio_buffer.append"
_UPDATE = "session.update"
Fields = dict[str, object]

AUDIBLE = b"\x00\x80"
"""Stands for the bot's sound where a tape has its length alone: silence would be an answer that nobody can hear."""


class Sent(msgspec.Struct, frozen=True):
    """A command that the bridge gave the model; sound is none."""

    at: float
    fields: Fields

    @property
    def kind(self) -> str:
        """Its type, as the Realtime API names it."""
        return str(self.fields.get("type"))


class Event(msgspec.Struct, frozen=True):
    """What the model's server said, and how much of the caller's sound it had by then."""

    at: float
    text: str
    heard_bytes: int

    @property
    def is_of_sound(self) -> bool:
        """Whether it tells what the server has found in the caller's sound, so that it comes with the sound."""
        return '"input_audio_buffer.' in self.text[:200]


class Lost(msgspec.Struct, frozen=True):
    """The session's socket was closed, by neither the bridge nor the caller."""

    at: float
    code: str


class SessionPart(msgspec.Struct):
    """What happens on one session of the model. `is_refused`: it never came up."""

    began_at: float
    unix_s: float = 0.0
    """The wall clock's time then, in which the server says how long the session lasts; 0: not known."""
    opening_s: float = 0.0
    """From the attempt to open it to its beginning, or to the refusal."""
    acts: list[Sent | Event | Lost] = []
    heard_bytes: int = 0
    is_refused: bool = False


class StreamPart(msgspec.Struct):
    """What the caller does on one media stream; times are seconds since it came up."""

    began_at: float
    sound: list[tuple[int, bytes]] = []
    """Mu-law, with its millisecond on the stream's clock."""
    keys: list[tuple[float, str]] = []
    leaves_after_s: float | None = None
    """When the caller hangs up; None: the bridge leaves first."""


class Errand(msgspec.Struct):
    """A transfer: how it went, and how long it took until that was known."""

    destination: str
    began_at: float
    outcome: str = ""
    took_s: float = 0.0


class Line(msgspec.Struct, frozen=True):
    """A line of the transcript."""

    role: str
    words: str
    is_cut: bool


class Deeds(msgspec.Struct):
    """What a bridge did in a call; times are seconds since the newest media stream came up, negative before any did."""

    commands: list[Sent] = []
    clears: list[float] = []
    lines: list[Line] | None = []
    """None: they cannot be known."""
    ending: str = ""


class Parts(msgspec.Struct):
    """A whole call."""

    began_at: float
    ends_at: float
    sessions: list[SessionPart] = []
    streams: list[StreamPart] = []
    errands: list[Errand] = []
    results: dict[str, tuple[float, str]] = {}
    """By `call_id` of a function: after how many seconds it answered, and what."""
    done: Deeds = msgspec.field(default_factory=Deeds)

    @property
    def length_s(self) -> float:
        """How long the call was."""
        return self.ends_at - self.began_at


def parts_of(tape: Tape) -> Parts:
    """Read a tape. Raises TapeError for a call that cannot be played over sockets."""
    if tape.header.plan.get("outgoing"):
        raise TapeError("is of a call that the bridge placed: over sockets only calls that came in can be played")
    reader = _Reader(tape.header.at, is_wire=tape.header.scope == "wire")
    for step in tape:
        reader.read(step)
    if not reader.parts.streams:
        raise TapeError("has no media stream, so there is nothing to play over sockets")
    return reader.parts


class _Reader:
    def __init__(self, began_at: float, *, is_wire: bool) -> None:
        self.parts = Parts(began_at, began_at)
        self._is_wire = is_wire
        self._is_closing = False
        self._asked: dict[str, float] = {}
        self._session: SessionPart | None = None
        self._successor: SessionPart | None = None
        self._connecting_at = began_at

    def read(self, step: Step) -> None:
        sound = ""
        at = self.parts.began_at
        if step.input is not None:
            at = self.parts.ends_at = step.input.at
            sound = self._input(step.input)
        for line in step.actions:
            self._action(at, action_fields(line), sound)

    def _input(self, given: Input) -> str:
        """Take an input; the sound in it, if there is some."""
        if given.leg == "caller":
            return self._caller(given)
        if given.leg == "model":
            return self._model(given)
        if given.leg == "successor" and self._successor is not None:
            self._successor.acts.append(Event(given.at, _text(given), 0))
        if given.control is not None:
            self._control(given.at, given.control)
        return ""

    def _caller(self, given: Input) -> str:
        message = caller.parse(given.text)
        if isinstance(message, caller.StreamStarted):
            self.parts.streams.append(StreamPart(given.at))
            self._is_closing = False
        if not self.parts.streams:
            return ""
        stream = self.parts.streams[-1]
        match message:
            case caller.CallerAudio(payload=payload, timestamp_ms=timestamp_ms):
                ulaw = _ulaw(payload) if given.size_bytes is None else SILENCE * given.size_bytes
                stream.sound.append((timestamp_ms, ulaw))
                if self._is_wire and self._session is not None:
                    self._session.heard_bytes += len(ulaw)
                return payload or _base64(len(ulaw))
            case caller.Digit(digit=digit):
                stream.keys.append((given.at - stream.began_at, digit))
            case caller.CallerLeft() if not self._is_closing:
                stream.leaves_after_s = given.at - stream.began_at
            case _:
                pass
        return ""

    def _model(self, given: Input) -> str:
        event = model.parse(given.text)
        sound = event.delta if isinstance(event, model.AudioDelta) else ""
        text = _text(given)
        if given.size_bytes is not None and isinstance(event, model.AudioDelta):
            sound = b64encode((AUDIBLE * given.size_bytes)[: given.size_bytes]).decode()
            text = msgspec.json.encode(msgspec.structs.replace(event, delta=sound)).decode()
        if self._is_wire and self._session is None:
            self._session = self._opened(given.at, given.at, {})
        session = self._session
        if session is None:
            return sound
        if self._is_wire and isinstance(event, model.SessionUpdated):
            session.acts.append(Sent(given.at, {"type": _UPDATE}))
        session.acts.append(Event(given.at, text, session.heard_bytes))
        return sound

    def _control(self, at: float, control: Fields) -> None:
        match control:
            case {"kind": "model_connected"}:
                self._session = self._opened(at, self._connecting_at, control)
            case {"kind": "successor_connected"}:
                self._successor = self._opened(at, self._connecting_at, control)
            case {"kind": "model_lost", "reason": str(reason), "code": str(code)}:
                self._lost(self._session, at, reason, code)
            case {"kind": "successor_lost", "reason": str(reason), "code": str(code)}:
                self._lost(self._successor, at, reason, code)
            case {"kind": "function_result", "call_id": str(call_id), "output": str(output)}:
                self.parts.results[call_id] = at - self._asked.get(call_id, at), output
            case {"kind": "transfer_over", "outcome": str(outcome)} if self.parts.errands:
                errand = self.parts.errands[-1]
                errand.outcome, errand.took_s = outcome, at - errand.began_at
            case _:
                pass

    def _opened(self, at: float, asked_at: float, connected: Fields) -> SessionPart:
        unix_s = connected.get("unix_s")
        part = SessionPart(at, unix_s if isinstance(unix_s, int | float) else 0.0, at - asked_at)
        self.parts.sessions.append(part)
        return part

    def _lost(self, session: SessionPart | None, at: float, reason: str, code: str) -> None:
        if reason == "closed" and session is not None:
            session.acts.append(Lost(at, code))
        else:
            self.parts.sessions.append(SessionPart(at, opening_s=at - self._connecting_at, is_refused=True))

    def _action(self, at: float, fields: Fields, sound: str) -> None:
        match fields:
            case {"do": "append_audio"} if self._session is not None:
                self._session.heard_bytes += _size(fields, sound)
            case {"type": str()} if self._session is not None:
                self._sent(self._session, at, {name: value for name, value in fields.items() if name != "do"})
            case {"do": "configure_successor", "update": dict(update)} if self._successor is not None:
                self._sent(self._successor, at, update)
            case {"do": "move_to_successor"}:
                self._session, self._successor = self._successor, None
            case {"do": "connect_model" | "connect_successor"}:
                self._connecting_at = at
            case {"do": "close_stream" | "leave_order", "order": {"kind": str(kind), "destination": str(destination)}}:
                self._is_closing = True
                if kind == "transfer":
                    self.parts.errands.append(Errand(destination, at))
            case {"do": "run_function", "call_id": str(call_id)}:
                self._asked[call_id] = at
            case _:
                self._outcome(at, fields)

    def _sent(self, session: SessionPart, at: float, command: Fields) -> None:
        session.acts.append(Sent(at, command))
        self.parts.done.commands.append(Sent(self._since_stream(at), command))

    def _outcome(self, at: float, fields: Fields) -> None:
        done = self.parts.done
        match fields:
            case {"do": "clear_playout"}:
                done.clears.append(self._since_stream(at))
            case {"do": "said", "role": str(role), "words": str(words)} if words and done.lines is not None:
                done.lines.append(Line(role, words, bool(fields.get("is_cut"))))
            case {"do": "ended", "ending": str(ending)}:
                done.ending = ending
            case _:
                pass

    def _since_stream(self, at: float) -> float:
        return at - self.parts.streams[-1].began_at if self.parts.streams else -1.0


def is_sound(fields: Fields) -> bool:
    """Whether a command brings the caller's sound."""
    return fields.get("type") == _APPEND


def _text(given: Input) -> str:
    return given.text if isinstance(given.text, str) else bytes(given.text).decode(errors="replace")


def _size(fields: Fields, sound: str) -> int:
    size, payload = fields.get("bytes"), fields.get("payload")
    return size if isinstance(size, int) else size_of(sound if payload == SAME else str(payload))


def _ulaw(payload: str) -> bytes:
    try:
        return b64decode(payload)
    except NotBase64:
        return b""


def _base64(size_bytes: int) -> str:
    return b64encode(SILENCE * size_bytes).decode()
