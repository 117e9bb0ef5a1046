"""Stand-ins for what a tape does not hold: a line that plays to the caller, and the bridge's ear for the caller."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

from bridge.wire.g711 import BYTES_PER_MS, size_of

if TYPE_CHECKING:
    from bridge.call.actions import Action
    from bridge.wire.tape import Header

from bridge.call.actions import ClearPlayout, PlayAudio, SetMark
from bridge.call.answers import Loudness
from bridge.wire.caller import MarkReached

CONFIRMED = b'"caller.voice_confirmed"'
"""Is in the line of the action that tells that the bridge's ear confirmed a turn."""
SILENT = b'"response.failed","fields":{"status":"silent"'
"""Is in the line of the action that tells that a response could not be heard."""


class PhoneLine:
    """What a carrier would have played, and when it would have returned which mark.

    Give it the core's actions with `perform`; when `due` names a moment, give the core what `take` returns then.
    """

    def __init__(self, delay_s: float = 0.06) -> None:
        self._delay_s = delay_s
        self._ends_at = 0.0
        self._marks: deque[tuple[float, str]] = deque()

    @property
    def due(self) -> float | None:
        """When the next mark comes back."""
        return self._marks[0][0] if self._marks else None

    def take(self) -> MarkReached:
        """The mark that is due."""
        return MarkReached(self._marks.popleft()[1])

    def perform(self, action: Action, now: float) -> None:
        """Do what the core wants done on the line."""
        match action:
            case PlayAudio(payload=payload):
                self._ends_at = max(now, self._ends_at) + size_of(payload) / BYTES_PER_MS / 1000
            case SetMark(name=name):
                self._marks.append((max(now, self._ends_at) + self._delay_s, name))
            case ClearPlayout():
                self._ends_at = now
                self._marks = deque((now + self._delay_s, name) for _, name in self._marks)
            case _:
                pass


class TapedEar(Loudness):
    """The bridge's ears where the sound is not on the tape: they find what the tape says that they found.

    Takes the place of `bridge.call.voice.CallerEar`, and of `Loudness`. Show it the actions of each step before its
    input is given to the core.
    """

    def __init__(self) -> None:
        self.confirmed = False
        self._is_silent = False

    def look_at(self, actions: list[bytes]) -> None:
        """The actions of the step that comes now, as lines of the tape."""
        self.confirmed = any(CONFIRMED in line for line in actions)
        self._is_silent = any(SILENT in line for line in actions)

    def is_audible(self, payload: str) -> bool:
        """Nobody can tell: the verdict is on the tape."""
        del payload
        return False

    def is_silent(self, silent_bytes: int, *, is_over: bool) -> bool:
        """Whether this is where the response was found to be silent."""
        del silent_bytes, is_over
        return self._is_silent

    @classmethod
    def for_tape(cls, header: Header) -> Self | None:
        """An ear for a tape; None where the sound is on it, so that the bridge's own can judge it again."""
        return cls() if header.sound != "full" or header.is_cut else None

    def anew(self, *, confirm_ms: int) -> Self:
        """This one again, for whoever wants a new ear: the tape's verdicts go on."""
        del confirm_ms
        return self

    def play(self, ulaw: bytes, at_ms: int) -> None:
        """Sound that the caller is about to hear."""

    def hear(self, ulaw: bytes, at_ms: int) -> None:
        """The caller's sound."""

    def opened(self, at_ms: int) -> None:
        """The model hears the caller begin."""

    def closed(self, at_ms: int) -> None:
        """The model hears the caller end."""

    def cleared(self, at_ms: int) -> None:
        """What was to be played was thrown away."""
