"""What happens during a call, and when: drawn from the dice of its world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.call.controls import (
    Answered,
    CalleeAnswered,
    CallOver,
    Control,
    HangUp,
    MachineDetected,
    Say,
    Shutdown,
    Transfer,
    TransferOver,
)
from tests.chaos.drawn import error_drawn
from tests.chaos.faults import corrupted

if TYPE_CHECKING:
    from tests.chaos.world import World

ENDS: list[dict[str, bool] | None] = [
    {},
    {},
    {"says_stop": False},
    {"tells": False},
    {"says_stop": False, "tells": False},
    {"says_stop": False, "closes": False},
    {"says_stop": False, "closes": False, "tells": False},
    {"closes": False, "tells": False},
    None,
]
"""How a caller may go: with a `stop`, a closed socket and a callback, or without one or all of them; or not at all."""
SUDDENLY: list[Control] = [
    CalleeAnswered(),
    TransferOver("busy"),
    TransferOver("connected"),
    CallOver("completed"),
    CallOver("no-answer"),
]
"""Callbacks that come out of the blue."""


class Happenings:
    """The events of one call."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = world.dice
        self._carrier = world.carrier
        self._control = world.driver.control
        self._planned: list[asyncio.TimerHandle] = []

    def plan(self) -> None:
        """Draw them."""
        dice, carrier = self._dice, self._carrier
        last_s = 3 + dice.random() * 14
        if self._world.plan.outgoing is not None:
            self._at(dice.random() * 3, lambda: self._control(Answered()))
            for _ in range(dice.choice([0, 1, 2])):
                self._at(dice.random() * 6, self._detect)
        if dice.random() < 0.97:
            self._at(dice.choice([0.05, 0.3, 2.0, 4.0]), carrier.connect)
        for _ in range(dice.choice([0, 1, 2, 3, 4, 6])):
            begins = carrier.loop.time() + dice.random() * last_s
            carrier.speech.append((begins, begins + dice.choice([0.2, 0.6, 1.5, 3.0])))
        for happens in dice.sample(self._all(), dice.choice([0, 0, 1, 2, 3])):
            for _ in range(dice.choice([1, 1, 2])):
                self._at(dice.random() * last_s, happens)
        end = dice.choice(ENDS)
        if end is not None:
            stays_s = dice.choice([0, 0, 0, 0, 0, 100])
            self._at(last_s + stays_s, lambda: carrier.hang_up(**end))

    def cancel(self) -> None:
        """Nothing further happens."""
        for handle in self._planned:
            handle.cancel()

    def _at(self, delay_s: float, do: Callable[[], object]) -> None:
        self._planned.append(self._carrier.loop.call_later(delay_s, do))

    def _all(self) -> list[Callable[[], object]]:
        return [
            self._say,
            self._say,
            self._transfer,
            lambda: self._control(HangUp()),
            lambda: self._control(Shutdown()),
            self._press,
            self._press,
            self._caller_talks_nonsense,
            self._model_talks_nonsense,
            self._model_repeats_itself,
            self._model_complains,
            self._model_is_lost,
            self._carrier.break_socket,
            self._carrier.connect,
            lambda: self._carrier.tell(self._dice.choice(SUDDENLY)),
        ]

    def _say(self) -> None:
        self._control(Say(f"Announcement {self._dice.randrange(3)}."))

    def _transfer(self) -> None:
        self._control(Transfer(self._dice.choice(["sales", "desk"])))

    def _detect(self) -> None:
        found = ["human", "machine", "machine_listening", "fax", "unknown"]
        self._control(MachineDetected(self._dice.choice(found)))

    def _press(self) -> None:
        for number in range(self._dice.randint(1, 4)):
            self._at(number * 0.2, self._press_one)

    def _press_one(self) -> None:
        if self._carrier.stream is not None:
            self._carrier.stream.press(self._dice.choice("123#*"))

    def _caller_talks_nonsense(self) -> None:
        if self._carrier.stream is not None:
            self._carrier.stream.inject(corrupted(self._said_before("caller"), self._dice))

    def _model_talks_nonsense(self) -> None:
        for link in self._world.model.links[-1:]:
            link.inject(corrupted(self._said_before("model"), self._dice))

    def _model_repeats_itself(self) -> None:
        for link in self._world.model.links[-1:]:
            link.inject(self._said_before("model"))

    def _model_complains(self) -> None:
        for link in self._world.model.links[-1:]:
            link.inject(error_drawn(self._dice))

    def _model_is_lost(self) -> None:
        for link in self._world.model.links[-1:]:
            link.drop()

    def _said_before(self, leg: str) -> str:
        texts = [str(what[1]) for kind, what in self._world.judge.entries if kind == leg]
        return self._dice.choice(texts) if texts else "{}"
