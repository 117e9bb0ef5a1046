"""One call, drawn from a seed: a real driver and core between a carrier and a server, in virtual time, with faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from bridge.call.actions import Order, RunFunction, Said
from bridge.call.ending import Ending
from bridge.call.plan import EndpointName, Plan
from bridge.edge.driver import Driver
from tests.chaos.carrier import Carrier
from tests.chaos.drawn import CALLER_NUMBER, PIN, habits_drawn, output_drawn, plan_drawn
from tests.chaos.faults import Faults
from tests.chaos.happenings import Happenings
from tests.chaos.judge import Judge
from tests.chaos.model import CALLER_WORDS, Habits, ModelLink, ModelSide
from tests.chaos.virtual import VirtualLoop

OVER_WITHIN_S = 6 * 3600.0
"""Longer than the carrier lets anybody speak with a human: every call is over by then."""
AFTERWARDS_S = 30.0
"""How long whatever was on its way still arrives."""


class Watched(Driver):
    """A driver that ends the call whose code has failed, as it should; `faults` are what was raised."""

    def __init__(self, world: World) -> None:
        super().__init__(world.plan, world, lambda *_: world.judge)
        self.faults: list[BaseException | str] = []

    def _abandon(self, error: Exception) -> None:
        self.faults.append(error)
        super()._abandon(error)


class World:
    """Everything around one call; the surroundings of its driver. `play` it, and look at `broken`."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.seed = seed
        self.clock = loop.clock
        self.dice = dice = Random(seed)  # noqa: S311 - nothing secret
        self.plan = self.draw_plan()
        self.judge = Judge(self.plan, (CALLER_WORDS, CALLER_NUMBER, PIN))
        faults = self.draw_faults()
        self.carrier = Carrier(loop, dice, up=faults[0], down=faults[1])
        self.model = ModelSide(loop, dice, self.draw_habits(), up=faults[2], down=faults[3])
        self._loop = loop
        self._running = 0
        self._over = asyncio.Event()
        self.driver = Watched(self)
        self.carrier.driver = self.driver

    def draw_plan(self) -> Plan:
        """How the call goes."""
        return plan_drawn(self.dice)

    def draw_habits(self) -> Habits:
        """How its model behaves."""
        return habits_drawn(self.dice)

    def draw_faults(self) -> list[Faults]:
        """Of messages to the bridge and from it, on the caller's leg and on the model's."""
        faults = [Faults()] * 4
        for way in self.dice.sample(range(4), self.dice.choice([0, 0, 1, 1, 2, 4])):
            faults[way] = Faults.drawn(self.dice)
        return faults

    @property
    def broken(self) -> list[str]:
        """What must not be."""
        return self.judge.broken + [f"promise 3: the carrier got {what}" for what in self.carrier.broken]

    async def play(self) -> None:
        """Let the call happen, to its end and a little beyond."""
        self.driver.start()
        happenings = Happenings(self)
        happenings.plan()
        try:
            async with asyncio.timeout(OVER_WITHIN_S):
                await self._over.wait()
        except TimeoutError:
            self.judge.breaks(7, "the call does not end")
        happenings.cancel()
        await self.end()

    async def end(self) -> None:
        """The call is over: whatever was on its way arrives, nothing follows, and nothing is left."""
        self.carrier.hang_up(tells=False)
        await asyncio.sleep(0.001)
        if self._running:
            self.judge.breaks(7, "a function goes on though the call is over")
        await asyncio.sleep(AFTERWARDS_S)
        await self.model.close()
        self._look_around()

    def _look_around(self) -> None:
        for fault in self._loop.faults + self.driver.faults:
            self.judge.breaks(10, f"it raised {fault!r}")
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if tasks or self._loop.planned():
            self.judge.breaks(7, f"left behind: {tasks}, {self._loop.planned()} timers")
        if not self.judge.endings or self.driver.call.deadline() is not None:
            self.judge.breaks(7, "a call that is over has no ending, or waits for something")

    # What surrounds the driver

    def connect_model(self, driver: Driver, endpoint: EndpointName, *, is_successor: bool = False) -> ModelLink:
        """Open a session."""
        return self.model.connect(driver, endpoint, is_successor=is_successor)

    def leave_order(self, driver: Driver, order: Order) -> None:  # noqa: ARG002 - there is one call
        """Keep the order for the carrier."""
        self.carrier.order = order

    def leave_stream(self, driver: Driver, close: Callable[[], object]) -> None:  # noqa: ARG002 - the driver's signature
        """Have the carrier leave the stream."""
        self.carrier.leave(close)

    def hang_up(self, driver: Driver) -> None:  # noqa: ARG002 - the driver's signature
        """Have the carrier end the call."""
        self.carrier.later(0.1, self.carrier.hang_up)

    def park(self, driver: Driver) -> None:
        """The call takes up no place."""

    async def run_function(self, plan: Plan, function: RunFunction) -> str:  # noqa: ARG002 - the driver's signature
        """Run a function."""
        self._running += 1
        try:
            await asyncio.sleep(self.dice.choice([0.0, 0.1, 0.8, 3.0, 8.0]))
        finally:
            self._running -= 1
        return output_drawn(function, self.dice)

    def record(self, driver: Driver, *, is_on: bool) -> None:
        """Nobody records."""

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """The judge has seen it."""

    def said(self, driver: Driver, line: Said) -> None:
        """The judge has seen it."""

    def ended(self, driver: Driver, ending: Ending) -> None:  # noqa: ARG002 - the driver's signature
        """The call is over."""
        self._over.set()
