"""The model's side in virtual time: the embedded server's own sessions, whose mind has whims."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bridge.call.controls import ModelConnected, ModelLost, SuccessorConnected, SuccessorLost
from bridge.call.plan import EndpointName
from bridge.edge.driver import Driver
from bridge.rehearsal.conversation import FunctionCall, Heard, Reply
from bridge.rehearsal.domain import Domain
from bridge.rehearsal.realtime.beta import BetaDialect
from bridge.rehearsal.realtime.ga import GaDialect
from bridge.rehearsal.realtime.performance import Pacing
from bridge.rehearsal.realtime.scripted import TONE
from bridge.rehearsal.realtime.session import Limits, Session
from bridge.rehearsal.realtime.settings import Tool, ToolChoice
from bridge.settings import Dialect
from bridge.wire.commands import AppendAudio, Command, encode
from tests.chaos.faults import Faults, Wire
from tests.chaos.virtual import VirtualLoop

CALLER_WORDS = "sesame"
"""In every transcript of the caller; no fact may hold it."""
_WORD_FOR_WORD = re.compile(r'"(.*)"', re.DOTALL)
_WORD_MS = 150
_SILENCE = "/8w="
"""The digits of silence in base64."""


@dataclass
class Habits:
    """How the model of one call behaves; drawn from a seed."""

    calls: tuple[FunctionCall, ...] = ()
    """What it may call."""
    call_share: float = 0.2
    longest_words: int = 30
    fault_share: float = 0.0
    """How often its voice or its ears break, which fails the response."""
    connects: tuple[str, ...] = ("",)
    """How each attempt to connect ends, the last one for all further ones: "" or the reason of a `ModelLost`."""
    connect_s: float = 0.1
    drops_after_s: tuple[float, ...] = ()
    """How long each session lasts before its socket breaks; further ones last."""
    never_says: tuple[str, ...] = ()
    """Beginnings of the types of events that never arrive."""
    pacing: Pacing = field(default_factory=Pacing)
    limits: Limits = field(default_factory=Limits)


class Whims:
    """Mouth, ears and mind of one call's sessions."""

    def __init__(self, loop: VirtualLoop, dice: Random, habits: Habits) -> None:
        self._loop = loop
        self._dice = dice
        self._habits = habits
        self._standing = ""

    async def recognise(self, ulaw: bytes, domain: Domain) -> str:  # noqa: ARG002 - whatever was said
        """Take a while."""
        await self._think()
        return f"{CALLER_WORDS} {len(ulaw)}"

    async def speak(self, text: str, voice: str) -> bytes:  # noqa: ARG002 - a tone has no voice
        """Speak a tone as long as the text takes to say; now and then nothing at all."""
        await self._think()
        sound = b"\xff" * 8 if self._dice.random() < 0.02 else TONE
        return sound * (_WORD_MS * len(text.split()))

    def domain(self, instructions: str, tools: Sequence[Tool]) -> Domain:  # noqa: ARG002 - nothing is expected
        """Keep the instructions that hold for the whole session."""
        self._standing = instructions
        return Domain(())

    def reply(
        self,
        history: Sequence[Heard],  # noqa: ARG002 - whims have no memory
        *,
        instructions: str,
        tools: Sequence[Tool],  # noqa: ARG002 - what it calls need not be there
        tool_choice: ToolChoice,
    ) -> Reply:
        """Say what it is told to say, or anything."""
        dice, habits = self._dice, self._habits
        if instructions != self._standing:
            told = _WORD_FOR_WORD.search(instructions)
            return Reply(told[1] if told else " ".join(instructions.split()[:8]))
        calls: tuple[FunctionCall, ...] = ()
        if habits.calls and tool_choice != "none" and dice.random() < habits.call_share:
            calls = tuple(dice.choice(habits.calls) for _ in range(dice.choice([1, 1, 2, 3])))
        words = "word " * dice.randint(1, habits.longest_words)
        return Reply(None if calls and dice.random() < 0.5 else words.strip(), calls)

    async def _think(self) -> None:
        await self._loop.clock.sleep(self._dice.choice([0, 0.05, 0.3]))
        if self._dice.random() < self._habits.fault_share:
            raise RuntimeError("something broke in the model")


class ModelSide:
    """The endpoint of one call: every session that the bridge opens."""

    def __init__(self, loop: VirtualLoop, dice: Random, habits: Habits, *, up: Faults, down: Faults) -> None:
        self.loop = loop
        self.dice = dice
        self.habits = habits
        self.up = up
        self.down = down
        self.latency_s = dice.choice([0.005, 0.02, 0.2])
        self.links: list[ModelLink] = []

    def connect(self, driver: Driver, endpoint: EndpointName, *, is_successor: bool) -> ModelLink:
        """Begin to open a session."""
        dialect = driver.plan.dialect_of(endpoint)
        link = ModelLink(self, driver, len(self.links), dialect, is_successor=is_successor)
        self.links.append(link)
        return link

    async def close(self) -> None:
        """Everything the server has begun is over."""
        for link in self.links:
            link.leave()
            await link.session.close()


class _Sink:
    """Where a session's events go."""

    def __init__(self, link: ModelLink) -> None:
        self._link = link

    def put(self, event: dict[str, object]) -> None:
        self._link.say(event)

    def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - the core is told the code alone
        self._link.drop(str(code))


class ModelLink:
    """One session and its socket: what `bridge.edge.model` is to the driver, without a wait and without a socket."""

    def __init__(self, side: ModelSide, driver: Driver, number: int, dialect: Dialect, *, is_successor: bool) -> None:
        habits, loop = side.habits, side.loop
        self._side = side
        self._driver = driver
        self._is_successor = is_successor
        self._is_open = self._is_left = False
        self.events: list[dict[str, Any]] = []
        """Everything the server said, but for sound and words, whether it arrived or not."""
        self.voiced: set[str] = set()
        """Responses that somebody could hear."""
        whims = Whims(loop, side.dice, habits)
        self.session = Session(
            _Sink(self),
            GaDialect() if dialect == "ga" else BetaDialect(),
            model="gpt-realtime-2.1",
            deployments=False,
            speech=whims,
            mind=whims,
            clock=loop.clock,
            pacing=habits.pacing,
            limits=habits.limits,
        )
        self._up = Wire(loop, side.dice, self._receive, latency_s=0, faults=side.up)
        self._down = Wire(loop, side.dice, self._deliver, latency_s=side.latency_s, faults=side.down)
        self._loop = loop
        loop.call_later(habits.connect_s, self._open, habits.connects[min(number, len(habits.connects) - 1)])
        if number < len(habits.drops_after_s):
            loop.call_later(habits.connect_s + habits.drops_after_s[number], self.drop)

    # What the driver sees

    def send(self, command: Command) -> None:
        """Send a command."""
        text = encode(command)
        self._up.send(text.decode() if type(command) is not AppendAudio else text.decode("ascii", "replace"))

    def succeed(self) -> None:
        """Report as the call's session from now on."""
        self._is_successor = False

    def close(self) -> None:
        """Close the socket: nothing is reported any more."""
        self.leave()

    # What the session sees, and the world

    def say(self, event: dict[str, object]) -> None:
        """Send an event of the session."""
        kind = str(event["type"])
        if not kind.endswith("delta"):
            self.events.append(event)
        elif kind.endswith("audio.delta") and str(event["delta"]).strip(_SILENCE):
            self.voiced.add(str(event["response_id"]))
        if self._side.habits.never_says and kind.startswith(self._side.habits.never_says):
            return
        self._down.send(json.dumps(event))

    def drop(self, code: str = "1006") -> None:
        """The socket is closed from the server's side, when what was sent has arrived."""
        self._loop.call_later(self._side.latency_s, self._lose, "closed", code)

    def inject(self, text: str) -> None:
        """Say something that no server would."""
        self._deliver(text)

    def leave(self) -> None:
        """The socket is closed, by whichever side."""
        self._is_left, self._is_open = True, False

    def _open(self, fault: str) -> None:
        if self._is_left:
            return
        if fault:
            self._lose(fault, "")
            return
        self._is_open = True
        self.session.open()
        unix_s = self.events[0]["session"]["expires_at"] - self._side.habits.limits.max_session_s
        self._driver.control(SuccessorConnected(unix_s) if self._is_successor else ModelConnected(unix_s))

    def _receive(self, text: str) -> None:
        if self._is_open:
            self.session.receive(text)

    def _deliver(self, text: str) -> None:
        if not self._is_left:
            receive = self._driver.receive_successor if self._is_successor else self._driver.receive_model
            receive(text)

    def _lose(self, reason: str, code: str) -> None:
        if not self._is_left:
            self.leave()
            self._driver.control(SuccessorLost(reason, code) if self._is_successor else ModelLost(reason, code))
