"""The caller's side in virtual time: an ear that does what Twilio does, and a caller who speaks."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from base64 import b64decode
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


from tests.unit.call.messages import (
    FRAME_MS,
    SAMPLES_PER_MS,
    SILENCE_FRAME,
    STREAM_SID,
    mark_message,
    media_message,
    voice,
)


class Timeline:
    """What is to happen when; in order, and at one moment in the order in which it was planned."""

    def __init__(self) -> None:
        self.samples = 0
        self._planned: list[tuple[int, int, Callable[[], object]]] = []
        self._serial = itertools.count()

    def after(self, delay_ms: float, do: Callable[[], object]) -> None:
        """Plan something."""
        when = self.samples + math.ceil(delay_ms * SAMPLES_PER_MS)
        heapq.heappush(self._planned, (when, next(self._serial), do))

    @property
    def next(self) -> int | None:
        """When the next thing happens."""
        return self._planned[0][0] if self._planned else None

    def pop(self) -> Callable[[], object]:
        """Take out the next thing and go to its time."""
        when, _, do = heapq.heappop(self._planned)
        self.samples = max(self.samples, when)
        return do


@dataclass
class Piece:
    """Audio in the ear: when it begins to be heard, and how much of it is."""

    payload: str
    begins: int
    size: int


class Ear:
    """Plays what comes in real time and in order; returns marks when played, and all of them on a clear.

    Args:
        timeline: the time.
        send: takes the texts that go back to the bridge.
        up_ms: how long they take.
    """

    def __init__(self, timeline: Timeline, send: Callable[[str], None], up_ms: int) -> None:
        self._timeline = timeline
        self._send = send
        self.up_ms = up_ms
        self.pieces: list[Piece] = []
        self.marks_late_ms: Callable[[], int] = lambda: 0
        self.loses_mark: Callable[[], bool] = lambda: False
        self.clears = 0
        self.cleared_at: int = 0
        self._ends = 0
        self._pending: deque[str] = deque()
        self._last_mark_at = 0

    @property
    def is_playing(self) -> bool:
        """Whether anything is being heard."""
        return self._ends > self._timeline.samples

    def receive(self, text: str) -> None:
        """A message of the bridge has arrived."""
        message = json.loads(text)
        assert message["streamSid"] == STREAM_SID
        now = self._timeline.samples
        match message["event"]:
            case "media":
                assert {"event", "streamSid", "media"} == set(message)
                assert {"payload"} == set(message["media"])
                payload = message["media"]["payload"]
                begins, size = max(now, self._ends), len(b64decode(payload, validate=True))
                self.pieces.append(Piece(payload, begins, size))
                self._ends = begins + size
            case "mark":
                assert {"event", "streamSid", "mark"} == set(message)
                assert {"name"} == set(message["mark"])
                name = message["mark"]["name"]
                self._pending.append(name)
                self._timeline.after(max(0, self._ends - now) / SAMPLES_PER_MS, lambda: self._reached(name))
            case "clear":
                assert {"event", "streamSid"} == set(message)
                self._clear(now)
            case other:
                raise AssertionError(other)

    def heard_bytes(self, wanted: Callable[[str], bool] = lambda _: True) -> int:
        """How much of the audio that is `wanted` has been heard so far."""
        now = self._timeline.samples
        return sum(min(p.size, max(0, now - p.begins)) for p in self.pieces if wanted(p.payload))

    def _clear(self, now: int) -> None:
        self.clears += 1
        self.cleared_at = now
        kept = [piece for piece in self.pieces if piece.begins < now]
        for piece in kept:
            piece.size = min(piece.size, now - piece.begins)
        self.pieces = kept
        self._ends = min(self._ends, now)
        while self._pending:
            self._return(self._pending.popleft())

    def _reached(self, name: str) -> None:
        while name in self._pending:
            self._return(self._pending.popleft())

    def _return(self, name: str) -> None:
        if self.loses_mark():
            return
        arrives = self._timeline.samples + (self.up_ms + self.marks_late_ms()) * SAMPLES_PER_MS
        self._last_mark_at = max(self._last_mark_at, arrives)
        text = json.dumps(mark_message(name))
        delay_ms = (self._last_mark_at - self._timeline.samples) / SAMPLES_PER_MS
        self._timeline.after(delay_ms, lambda: self._send(text))


class Caller:
    """Sends 20 ms frames for as long as the stream lasts; is silent unless told to speak."""

    def __init__(self, timeline: Timeline, send: Callable[[str], None], up_ms: int) -> None:
        self._timeline = timeline
        self._send = send
        self._up_ms = up_ms
        self._began = 0
        self._speaks: list[tuple[int, int]] = []
        self.is_on = False
        self.is_mute = False
        self.make: Callable[[int], str] | None = None
        """Makes the frame that begins at a stream time, in ms; None: silence and voice."""

    def begin(self) -> None:
        """The stream begins."""
        self._began, self.is_on = self._timeline.samples, True
        self._timeline.after(FRAME_MS, self._frame)

    def speak(self, duration_ms: int, *, after_ms: int = 0) -> None:
        """Say something."""
        begins = self._timeline.samples + after_ms * SAMPLES_PER_MS
        self._speaks.append((begins, begins + duration_ms * SAMPLES_PER_MS))

    def _frame(self) -> None:
        if not self.is_on:
            return
        begins = self._timeline.samples - FRAME_MS * SAMPLES_PER_MS
        at_ms = (begins - self._began) // SAMPLES_PER_MS
        if self.make is not None:
            payload = self.make(at_ms)
        else:
            spoken = [begins - start for start, end in self._speaks if start <= begins < end]
            payload = voice(spoken[0]) if spoken else SILENCE_FRAME
        text = json.dumps(media_message(payload, at_ms))
        if not self.is_mute:
            self._timeline.after(self._up_ms, lambda: self._send(text))
        self._timeline.after(FRAME_MS, self._frame)
