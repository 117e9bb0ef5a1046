"""What the model wants done, by function calls: each is carried out or answered, and answered once.

Built in are the acts on the call itself and the hand-over to another agent; all others are the operator's, which run
beside the call. One of those may ask for digits that nobody else sees: until they are keyed in, the caller's sound is
silence to the model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bridge.call import outcome, prompts
from bridge.call.actions import Order, PauseRecording, ResumeRecording, RunFunction
from bridge.call.acts import Act
from bridge.call.ending import Ending
from bridge.call.errands import Errands
from bridge.call.functions import Functions, Request, error
from bridge.call.responses import Kind, Wish
from bridge.settings import Collect

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.errands import Errand
    from bridge.call.parts import Parts
    from bridge.call.plan import Plan

FILLER_AFTER_S = 1.5
"""How long a function may run before the caller, on a quiet line, is told that it takes a moment."""


AFTER_KEYS_S = 1.0
"""How long after the last key of a secret its tone may still be heard, and a key too many be pressed."""


class _Entry(msgspec.Struct):
    """Digits that are being keyed in for a function."""

    request: Request
    collect: Collect
    digits: str = ""
    is_complete: bool = False
    """The function has the digits; what follows at once is still the caller's secret, and nobody's."""


class Requests:
    """The requests of one call.

    Args:
        plan: what there is to be asked for.
        outbox: where actions go.
        deadlines: `secret.keyed` and `function.filler` are set here.
        responses: where answers are wished for.
        memory: told what came of functions.
        announce: begins an act.
        change_agent: hands the conversation to another agent, by name.
    """

    def __init__(
        self,
        parts: Parts,
        plan: Plan,
        *,
        announce: Callable[[Act, float], None],
        change_agent: Callable[[str], None],
    ) -> None:
        self.functions = Functions(parts.outbox, parts.memory)
        self.errands = Errands(plan.destinations)
        self._plan = plan
        self._outbox = parts.outbox
        self._deadlines = parts.deadlines
        self._responses = parts.responses
        self._announce = announce
        self._change_agent = change_agent
        self._agent = plan.info.agent
        self._hands_over_to = plan.agent.hand_over_to
        self._entry: _Entry | None = None
        self._filler = ""
        self._then: list[outcome.EndCall | outcome.TransferCall] = []
        self._running: dict[str, tuple[str, float]] = {}

    @property
    def is_secret(self) -> bool:
        """Whether the caller is keying in what nobody may hear: keys can be heard in the sound, too."""
        return self._entry is not None

    def carry_out(self, request: Request, now: float, *, is_announced: bool) -> None:
        """Do what a function call asks for, or answer why not. `is_announced`: its response speaks to the caller."""
        plan, name = self._plan, request.name
        if name in plan.functions and name in plan.collects:
            self._collect(request, plan.collects[name], now)
        elif name in plan.functions:
            self._run(request, now)
        elif name not in ("end_call", "transfer_call", "send_digits", "hand_over"):
            self._outbox.happened("function.unknown", call_id=request.call_id)
            self.functions.answer(request.call_id, error("there is no such function"))
        else:
            self._outbox.happened("function.called", function=name, call_id=request.call_id)
            if name == "end_call":
                self._announce(_end(None if is_announced else prompts.GOODBYE, request.call_id), now)
            elif name == "hand_over":
                self._hand_over(request)
            else:
                self._send_off(request, now, is_announced=is_announced)

    def done(self, call_id: str, output: str, now: float) -> None:
        """One of the operator's functions has given its result, which may also end or transfer the call."""
        result = outcome.parse(output, self._plan.destinations)
        name, since = self._running.pop(call_id, ("", now))
        if not self.functions.answer(call_id, result.output):
            return
        took_ms = round((now - since) * 1000)
        self._outbox.happened("function.answered", function=name, call_id=call_id, took_ms=took_ms)
        if result.flaw:
            self._outbox.happened("function.misanswered", call_id=call_id, flaw=result.flaw)
        if result.then is not None:
            self._then.append(result.then)
        if not self.functions.is_running:
            self._deadlines.clear("function.filler")

    def settle(self, now: float) -> None:
        """Give the model the outputs that are complete, have them answered, and then do what they ask for."""
        if not self.functions.deliver(now):
            return
        self._responses.want(Wish(Kind.ANSWER))
        acts, self._then = self._then, []
        for then in acts[:1]:  # one act is all that a call can do next
            if isinstance(then, outcome.EndCall):
                self._announce(_end(prompts.GOODBYE), now)
            else:
                self.transfer(then.destination, then.summary, now)

    def transfer(self, destination: str, summary: str, now: float) -> None:
        """The operator wants the caller handed over: announced and done as if the model had asked for it."""
        arguments: dict[str, object] = {"destination": destination, "summary": summary}
        self._send_off(Request("", "transfer_call", arguments), now, is_announced=False)

    def filler_due(self, now: float, *, is_quiet: bool) -> None:
        """A function is slow: say so when nothing else is being said."""
        if not self.functions.is_running:
            return
        if is_quiet:
            self._responses.want(Wish(Kind.SAY, prompts.word_for_word(self._filler)))
        else:
            self._deadlines.set("function.filler", now + FILLER_AFTER_S)

    # Digits that nobody else sees

    @property
    def is_entered(self) -> bool:
        """Whether the digits are complete, though what the caller does may still give them away."""
        return self._entry is not None and self._entry.is_complete

    def key(self, key: str, now: float) -> bool:
        """A key was pressed. True when it belongs to digits that a function has asked for, and to nobody else."""
        entry = self._entry
        if entry is None:
            return False
        if not entry.is_complete:
            self._responses.withdraw(_prompt(entry.collect))
            if key != entry.collect.terminator:
                entry.digits += key
            if key == entry.collect.terminator or len(entry.digits) >= entry.collect.max_digits:
                self._complete(entry, now)
        self._deadlines.set("secret.keyed", now + (AFTER_KEYS_S if entry.is_complete else entry.collect.timeout_s))
        return True

    def keyed(self, now: float) -> None:
        """No further key came: what was keyed in is the entry, and the caller is heard again."""
        entry, self._entry = self._entry, None
        if entry is None:
            return
        if not entry.is_complete:
            self._complete(entry, now)
        self._outbox.do(ResumeRecording())

    def _complete(self, entry: _Entry, now: float) -> None:
        """The function gets the digits, the model only its answer."""
        entry.is_complete = True
        self._outbox.happened("secret.collected")
        if len(entry.digits) < entry.collect.min_digits:
            self.functions.answer(entry.request.call_id, error("the caller has not keyed in enough digits"))
        else:
            self._run(entry.request, now, secrets={entry.collect.argument: entry.digits})

    def _collect(self, request: Request, collect: Collect, now: float) -> None:
        if self._entry is not None and not self._entry.is_complete:
            self.functions.answer(request.call_id, error("the caller is keying in digits for another function already"))
            return
        self._entry = _Entry(request, collect)
        self._outbox.do(PauseRecording())
        self._outbox.happened("secret.asked", function=request.name)
        self._await_keys(now)
        if collect.prompt:
            self._responses.want(_prompt(collect))

    def restored(self, now: float) -> None:
        """There is a session again, which may have to ask for the digits first."""
        if self._entry is not None and not self._entry.digits:
            self._await_keys(now)

    def _await_keys(self, now: float) -> None:
        """The caller has so long for the first key, or for the next one after an errand; the prompt is spoken first."""
        entry = self._entry
        if entry is not None:
            within_s = entry.collect.timeout_s + len(entry.collect.prompt) / 10
            self._deadlines.set("secret.keyed", now + (AFTER_KEYS_S if entry.is_complete else within_s))

    # Acts

    def came_back(self, errand: Errand, now: float) -> str | None:
        """The call has a stream again. What the model must be told in a message, if no function call waits for it."""
        self._await_keys(now)
        if errand.is_last_word:
            self.functions.drop(errand.call_id)
            self._announce(Act(Ending.TRANSFER_FAILED, Order("hang_up"), prompts.NOBODY_REACHED), now)
            return None
        if errand.order.kind == "resume":
            return None
        if errand.order.kind == "keys":
            output = json.dumps({"sent": errand.order.digits})
        else:
            place, how = errand.order.destination, errand.outcome or "unknown"
            output = error(prompts.CAME_BACK.format(destination=place, outcome=how))
        return None if self.functions.answer(errand.call_id, output) else output

    def undone(self, act: Act) -> str | None:
        """The caller went on speaking, so an act does not happen. What to tell the model, if no call waits for it."""
        reason = prompts.NOT_TRANSFERRED if act.order.kind == "transfer" else prompts.NOT_ENDED
        return None if act.call_id and self.functions.answer(act.call_id, error(reason)) else reason

    def _send_off(self, request: Request, now: float, *, is_announced: bool) -> None:
        """Announce a transfer, or send keys when what is being said is heard."""
        order = self.errands.order_for(request.name, request.arguments)
        if isinstance(order, str):
            self.functions.answer(request.call_id, error(order))
            return
        announcement = None
        if text := self.errands.announcement(order):
            announcement = prompts.word_for_word(text)
        elif order.kind == "transfer" and not is_announced:
            announcement = prompts.PUTTING_THROUGH
        self._announce(Act(None, order, announcement, request.call_id), now)

    def _hand_over(self, request: Request) -> None:
        name = request.arguments.get("agent")
        if not isinstance(name, str) or name not in self._hands_over_to:
            names = ", ".join(self._hands_over_to) or "nobody"
            self.functions.answer(request.call_id, error(f"agent must be one of: {names}"))
            return
        self._agent = name
        self._hands_over_to = self._plan.colleagues[name].agent.hand_over_to
        self._change_agent(name)
        self._outbox.happened("agent.changed", agent=name)
        self.functions.answer(request.call_id, json.dumps({"agent": name, "note": prompts.HANDED_OVER}))

    def _run(self, request: Request, now: float, secrets: dict[str, str] | None = None) -> None:
        self._outbox.happened("function.called", function=request.name, call_id=request.call_id)
        self._running[request.call_id] = (request.name, now)
        self._outbox.do(RunFunction(request.call_id, request.name, request.arguments, self._agent, secrets or {}))
        if filler := self._plan.fillers.get(request.name):
            self._filler = filler
            self._deadlines.set("function.filler", now + FILLER_AFTER_S)


def _end(announcement: str | None, call_id: str = "") -> Act:
    return Act(Ending.BOT_HUNG_UP, Order("hang_up"), announcement, call_id)


def _prompt(collect: Collect) -> Wish:
    return Wish(Kind.SAY, prompts.word_for_word(collect.prompt))
