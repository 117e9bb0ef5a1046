"""Which settings hold for which call: a call keeps those that it began with, whatever is reloaded meanwhile.

What runs by settings goes with them: the planner and the operator's functions. Functions of settings that hold for no
call any more are let go.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from bridge.holding import hold_clip
from bridge.planning import Planner
from bridge.standing import standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from bridge.edge.functions import FunctionRunner
    from bridge.endpoints import Endpoints
    from bridge.settings import Settings
    from bridge.standing import Standing


@dataclass
class Rules:
    """Settings, and what runs by them."""

    settings: Settings
    functions: FunctionRunner
    planner: Planner
    standing: Standing
    """Documents that were made beforehand: they must not depend on anything when they are needed."""
    stack: AsyncExitStack
    calls: set[str] = field(default_factory=set)
    """The calls that go by them, by CallSid, or our own name until there is one."""


class RuleBook:
    """The rules of all calls, as an async context manager.

    Args:
        settings: the rules to begin with.
        runner: makes what runs the operator's functions of these settings.
    """

    def __init__(self, settings: Settings, runner: Callable[[Settings], FunctionRunner]) -> None:
        self.settings = settings
        """Those for new calls."""
        self._runner = runner
        self._current: Rules
        self._retired: list[Rules] = []
        self._of: dict[str, Rules] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Make the functions ready. Raises ConfigurationError when one can never run."""
        self._current = await self._made(self.settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of all functions."""
        for rules in (self._current, *self._retired):
            await rules.stack.aclose()
        await asyncio.gather(*self._leaving)

    @property
    def standing(self) -> Standing:
        """The documents for callers who do not get the bot."""
        return self._current.standing

    @property
    def endpoints(self) -> Endpoints:
        """Where new calls open their sessions."""
        return self._current.planner.endpoints

    async def replace(self, settings: Settings) -> None:
        """Have new calls go by other settings. Raises ConfigurationError, and then nothing has changed."""
        made = await self._made(settings)
        self._retired.append(self._current)
        self._current, self.settings = made, settings
        self._let_go()

    def begin(self, name: str) -> Rules:
        """A call comes in, or is to be placed: it goes by the rules of now, until `end` is told its name."""
        rules = self._of.setdefault(name, self._current)
        rules.calls.add(name)
        return rules

    def rename(self, name: str, call_sid: str) -> Rules:
        """A call that began under a name of ours has the carrier's; its rules are the same."""
        rules = self._of[call_sid] = self._of.pop(name)
        rules.calls.discard(name)
        rules.calls.add(call_sid)
        return rules

    def of(self, call_sid: str) -> Rules:
        """The rules that a call goes by."""
        return self._of.get(call_sid, self._current)

    def end(self, call_sid: str) -> None:
        """A call is over, or has not begun after all."""
        rules = self._of.pop(call_sid, None)
        if rules is not None:
            rules.calls.discard(call_sid)
            self._let_go()

    async def _made(self, settings: Settings) -> Rules:
        made = standing(settings)
        async with AsyncExitStack() as stack:
            functions = await stack.enter_async_context(self._runner(settings))
            clip = await asyncio.to_thread(hold_clip, settings.fallback.hold_clip)
            return Rules(settings, functions, Planner(settings, functions, clip), made, stack.pop_all())

    def _let_go(self) -> None:
        """Close the functions of rules that no call goes by any more."""
        unused = [rules for rules in self._retired if not rules.calls]
        self._retired = [rules for rules in self._retired if rules.calls]
        for rules in unused:
            task = asyncio.get_running_loop().create_task(rules.stack.aclose())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
