"""What can go wrong with a message on its way, drawn from a seed."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

_NUMBER = re.compile(r"-?\d+")
_VALUE = re.compile(r':\s*("(?:[^"\\]|\\.)*"|-?\d+|true|false|null)')
_ODD = (
    "null",
    "{}",
    "[]",
    '""',
    "-1",
    "0",
    "1e999",
    "true",
    '"' + "x" * 300 + '"',
    "[" * 5000,
    "99999999999999999999",
    '"\\ud800"',
)
_KIND = re.compile(r'("(?:type|event)":\s*)"[^"]*"')
_OTHER_KINDS = (
    "response.done",
    "response.created",
    "session.updated",
    "error",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.committed",
    "mark",
    "media",
    "stop",
    "nonsense",
)


@dataclass(frozen=True)
class Faults:
    """Shares of the messages of one direction that meet each fault."""

    drop: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    """Comes up to `late_s` late, and holds up those behind it."""
    overtaken: float = 0.0
    """Comes late, and those behind it come first."""
    corrupt: float = 0.0
    late_s: float = 3.0

    @classmethod
    def drawn(cls, dice: Random) -> Faults:
        """One or more kinds of fault, from rare to plenty."""
        drop, duplicate, late, overtaken, corrupt = (dice.choice([0.0, 0.0, 0.002, 0.02, 0.2]) for _ in range(5))
        return cls(drop, duplicate, late, overtaken, corrupt, dice.choice([0.1, 1.0, 8.0]))

    @property
    def any(self) -> float:
        """The share that meets any."""
        return self.drop + self.duplicate + self.late + self.overtaken + self.corrupt


class Wire:
    """One direction of one leg. In order, and at once where there is neither latency nor fault.

    Args:
        loop: the time.
        dice: decide.
        deliver: takes what comes out.
        latency_s: how long a message takes.
        faults: what may happen to one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        dice: Random,
        deliver: Callable[[str], object],
        *,
        latency_s: float,
        faults: Faults,
    ) -> None:
        self._loop = loop
        self._dice = dice
        self._deliver = deliver
        self._latency_s = latency_s
        self._faults = faults
        self._any = faults.any
        self._due = 0.0
        self._in_order: deque[str] = deque()

    def send(self, text: str) -> None:
        """Put a message on its way."""
        if self._any and self._dice.random() < self._any:
            self._send_badly(text)
        elif self._latency_s or self._in_order:
            self._send_at(self._loop.time() + self._latency_s, text)
        else:
            self._deliver(text)

    def _send_badly(self, text: str) -> None:
        faults, dice = self._faults, self._dice
        now = self._loop.time() + self._latency_s
        kinds = ("drop", "duplicate", "late", "overtaken", "corrupt")
        match dice.choices(kinds, [getattr(faults, kind) for kind in kinds])[0]:
            case "duplicate":
                self._send_at(now, text)
                self._send_at(now + dice.choice([0.0, dice.random() * faults.late_s]), text)
            case "late":
                self._send_at(now + dice.random() * faults.late_s, text)
            case "overtaken":
                self._loop.call_at(now + dice.random() * faults.late_s, self._deliver, text)
            case "corrupt":
                self._send_at(now, corrupted(text, dice))

    def _send_at(self, when: float, text: str) -> None:
        """In the order in which they were sent: timers of one moment go off in any."""
        self._due = max(self._due, when)
        self._in_order.append(text)
        self._loop.call_at(self._due, self._arrive)

    def _arrive(self) -> None:
        self._deliver(self._in_order.popleft())


def corrupted(text: str, dice: Random) -> str:
    """A message that was damaged, by chance or by a peer with other ideas."""
    match dice.randrange(6):
        case 0:
            return text[: dice.randrange(len(text) + 1)]
        case 1:
            at = dice.randrange(len(text))
            return text[:at] + chr(dice.choice([0, 34, 92, 125, 0x20AC, dice.randrange(32, 127)])) + text[at + 1 :]
        case 2:
            return _with_one(
                _NUMBER, 0, text, str(dice.choice([0, -1, 1, 7, 2**31, 2**63, dice.randrange(10**6)])), dice
            )
        case 3:
            return _with_one(_VALUE, 1, text, dice.choice(_ODD), dice)
        case 4:
            return _KIND.sub(rf'\1"{dice.choice(_OTHER_KINDS)}"', text, count=1)
        case _:
            return dice.choice(
                ["", "{}", "null", "[]", "\x00", '{"type":"error"}', '{"event":"media","media":{}}', "[" * 10**5]
            )


def _with_one(pattern: re.Pattern[str], group: int, text: str, other: str, dice: Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    start, end = dice.choice(found).span(group)
    return text[:start] + other + text[end:]
