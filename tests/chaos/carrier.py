"""The carrier's side in virtual time: streams with a playout clock, orders followed, callbacks that may not come."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import lru_cache, partial
from random import Random

import msgspec

from bridge.call.actions import Order
from bridge.call.controls import CalleeAnswered, CallOver, Control, PongReceived, TransferOver
from bridge.edge.driver import Driver
from bridge.rehearsal.carrier.stream import Clear, Mark, Media
from bridge.rehearsal.track import Playout, Track
from bridge.wire import caller as wire
from tests.chaos.faults import Faults, Wire
from tests.chaos.virtual import VirtualLoop
from tests.unit.call.messages import key_message, mark_message, media_message, start_message, voice

OUTCOMES = ("connected", "connected", "declined", "busy", "no_answer", "failed", "canceled")
_DECODER = msgspec.json.Decoder(Media | Mark | Clear)


class Carrier:
    """One call as the carrier has it. It begins streams, follows orders, and tells what becomes of the call, or not.

    Args:
        loop: the time.
        dice: decide.
        up: faults of messages to the bridge.
        down: faults of messages from it.
    """

    def __init__(self, loop: VirtualLoop, dice: Random, *, up: Faults, down: Faults) -> None:
        self.loop = loop
        self.dice = dice
        self.up = up
        self.down = down
        self.latency_s = dice.choice([0.0, 0.02, 0.1])
        """How long a mark takes to the bridge."""
        self.frame_ms = dice.choice([20, 100, 100, 200, 200, 200])
        """How much sound a message holds: 20 ms for a real carrier, more to make time pass faster."""
        self.driver: Driver | None = None
        self.stream: Stream | None = None
        self.is_over = False
        self.broken: list[str] = []
        """What the bridge sent and no carrier takes."""
        self.speech: list[tuple[float, float]] = []
        """When the caller speaks, in seconds of the loop."""
        self.order = Order("resume")
        """What is to be done with a call that has no stream."""
        self.answers_pings = dice.random() > 0.3
        self.returns_marks = dice.random() > 0.05
        self._streams = 0

    def connect(self) -> None:
        """Open a stream, as the documents of the bridge say; nothing happens when the call is over for it."""
        driver = self.driver
        if self.is_over or self.stream is not None or driver is None or driver.call.deadline() is None:
            return
        self._streams += 1
        self.stream = Stream(self, driver, f"MZ{self._streams:032}")
        self.stream.begin()

    def hang_up(self, *, says_stop: bool = True, closes: bool = True, tells: bool = True) -> None:
        """The caller puts the phone down, or their line is gone."""
        if self.is_over:
            return
        self.is_over = True
        stream = self.stream
        if stream is not None:
            stream.end(says_stop=says_stop, closes=closes)
        self._tell_end(tells=tells)

    def break_socket(self) -> None:
        """The stream's socket breaks; the carrier asks what to do and follows the order that stands, or resumes."""
        if self.stream is not None:
            self.stream.end(says_stop=False, closes=True)
            self.later(self.dice.random(), self.follow)

    def leave(self, close: Callable[[], object]) -> None:
        """The bridge wants the carrier to leave the stream for an order."""
        if self.dice.random() < 0.7:
            self.later(self.dice.random() * 0.3, lambda: self._left(says_stop=True))  # by REST
        else:
            close()

    def closed_by_bridge(self) -> None:
        """The bridge closed the socket."""
        self.later(0.05, lambda: self._left(says_stop=False))

    def follow(self) -> None:
        """Do what the order says."""
        if self.is_over or self.stream is not None:
            return
        order = self.order
        match order.kind:
            case "hang_up" | "fallback":
                self.is_over = True
                self._tell_end(tells=True)
            case "resume":
                self.order = Order("resume")
                self.later(0.1 + self.dice.random() * 0.3, self.connect)
            case "keys":
                self.order = Order("resume")
                self.later(0.2 * len(order.digits) + 0.5, self.connect)
            case "transfer":
                self._dial()

    def later(self, delay_s: float, do: Callable[[], object]) -> None:
        """Do something later."""
        self.loop.call_later(delay_s, do)

    def tell(self, *controls: Control) -> None:
        """Callbacks, each of which may get lost, come late, or come twice."""
        dice = self.dice
        for control in controls:
            for _ in range(dice.choices([0, 1, 2], [5, 90, 5])[0]):
                delay_s = dice.choice([0.0, 0.0, 0.05, 2.0])
                self.later(delay_s, partial(self._told, control))

    def _told(self, control: Control) -> None:
        if self.driver is not None:
            self.driver.control(control)
            if isinstance(control, TransferOver):
                self.follow_later()

    def follow_later(self) -> None:
        """A callback was answered with a document: follow it."""
        self.later(0.02, self.follow)

    def _left(self, *, says_stop: bool) -> None:
        if self.stream is not None:
            self.stream.end(says_stop=says_stop, closes=True)
            self.follow_later()

    def _tell_end(self, *, tells: bool) -> None:
        if tells:
            self.tell(CallOver("completed"))

    def _dial(self) -> None:
        """Somewhere a phone rings."""
        dice, rings_s = self.dice, self.dice.random() * 6
        outcome = dice.choice(OUTCOMES)
        self.order = Order("hang_up") if outcome == "connected" else Order("resume")
        told: list[Control] = [TransferOver(outcome)]
        if outcome in ("connected", "declined"):
            self.later(rings_s, lambda: self.tell(CalleeAnswered()))
            rings_s += dice.random() * 20
        if dice.random() < 0.1:
            self.later(rings_s * dice.random(), self.hang_up)  # the caller has waited for long enough
        self.later(rings_s, lambda: self.tell(*told))
        self.later(rings_s + 3, self._stranded)

    def _stranded(self) -> None:
        """The bridge never heard how the transfer ended; the carrier has its own end."""
        if self.stream is None and not self.is_over:
            self.follow()


class Stream:
    """One media stream, as its driver sees it (`send`, `close`) and as the carrier does."""

    def __init__(self, carrier: Carrier, driver: Driver, sid: str) -> None:
        self._carrier = carrier
        self._driver = driver
        self._sid = sid
        loop, dice = carrier.loop, carrier.dice
        self._loop = loop
        self._began = loop.time()
        self._is_on = True
        self._is_closed = False
        self._playout = Playout(Track())
        self._sent_ms = 0
        self._up = Wire(loop, dice, self._deliver, latency_s=0, faults=carrier.up)
        self._down = Wire(loop, dice, self._receive, latency_s=0, faults=carrier.down)
        self._mark_due: int | None = None

    # What the driver sees

    def send(self, text: str) -> None:
        """A message of the bridge."""
        if not self._is_closed:
            self._down.send(text)

    def ping(self) -> None:
        """The bridge asks whether anybody is there."""
        if self._is_on and self._carrier.answers_pings:
            self._loop.call_later(self._carrier.latency_s, self._driver.control, PongReceived())

    def close(self) -> None:
        """The bridge closes the socket."""
        self._carrier.closed_by_bridge()

    def drop(self) -> None:
        """The bridge closes the socket and takes nothing more from it; the carrier may notice, and asks what to do."""
        self._is_closed = True
        if self._carrier.dice.random() < 0.7:
            self._carrier.break_socket()

    # What the carrier does

    def begin(self) -> None:
        """Say `start`, and go on with the caller's sound."""
        text = json.dumps(start_message(streamSid=self._sid))
        started = wire.parse(text)
        assert isinstance(started, wire.StreamStarted)
        self._driver.attach(self, started, text)
        self._loop.call_later(self._carrier.frame_ms / 1000, self._frame)

    def end(self, *, says_stop: bool, closes: bool) -> None:
        """The stream is over for the carrier; its socket is closed, or only falls silent."""
        if not self._is_on:
            return
        self._is_on = False
        self._carrier.stream = None
        if says_stop:
            self._up.send(json.dumps({"event": "stop", "sequenceNumber": "9", "streamSid": self._sid}))
        if closes:
            self._loop.call_later(0, self._gone)

    def press(self, key: str) -> None:
        """The caller presses a key."""
        self._up.send(json.dumps(key_message(key)))

    def inject(self, text: str) -> None:
        """Say something that no carrier would."""
        self._deliver(text)

    def _gone(self) -> None:
        self._is_closed = True
        self._driver.caller_left(self)

    def _deliver(self, text: str) -> None:
        if not self._is_closed:
            self._driver.receive_caller(text)

    def _frame(self) -> None:
        if not self._is_on:
            return
        frame_ms = self._carrier.frame_ms
        now = self._loop.time()
        spoken = next((start for start, end in self._carrier.speech if start <= now < end), None)
        payload = silence(frame_ms) if spoken is None else words(round((now - spoken) * 1000) // 20 * 20, frame_ms)
        self._up.send(json.dumps(media_message(payload, self._sent_ms)))
        self._sent_ms += frame_ms
        self._loop.call_later(frame_ms / 1000, self._frame)

    # What it hears

    @property
    def _position(self) -> int:
        return round((self._loop.time() - self._began) * 8000)

    def _receive(self, text: str) -> None:
        try:
            message = _DECODER.decode(text)
            is_taken = message.streamSid == self._sid
        except (msgspec.DecodeError, RecursionError):
            is_taken = False
        if is_taken:
            self._take(message)
        elif not self._carrier.down.corrupt:  # what a fault has damaged is no fault of the bridge
            self._carrier.broken.append(f"a message that it does not take: {text[:100]}")

    def _take(self, message: Media | Mark | Clear) -> None:
        now = self._position
        if isinstance(message, Media):
            self._playout.queue(now, _sound_of(message.media.payload))
        elif isinstance(message, Mark):
            self._playout.mark(now, message.mark.name)
        else:
            self._playout.clear(now)
        self._return_marks()

    def _return_marks(self) -> None:
        for name in self._playout.due(self._position + 1):
            self._loop.call_later(self._carrier.latency_s, self._return, name)
        due = self._playout.next_due
        if due is not None and due != self._mark_due:
            self._mark_due = due
            self._loop.call_at(self._began + due / 8000, self._return_marks)

    def _return(self, name: str) -> None:
        if self._is_on and self._carrier.returns_marks:
            self._up.send(json.dumps(mark_message(name)))


def _sound_of(payload: str) -> bytes:
    """What a payload sounds like; what the model did not write as base64 is none, and the carrier passes over it."""
    try:
        return b64decode(payload, validate=True)
    except ValueError:
        return b""


@lru_cache
def silence(duration_ms: int) -> str:
    """Nobody speaks."""
    return b64encode(b"\xff" * 8 * duration_ms).decode()


@lru_cache(maxsize=4096)
def words(offset_ms: int, duration_ms: int) -> str:
    """Somebody has been speaking for `offset_ms`."""
    return b64encode(b"".join(b64decode(voice((offset_ms + ms) * 8)) for ms in range(0, duration_ms, 20))).decode()
