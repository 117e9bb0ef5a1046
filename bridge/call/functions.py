"""Function calls of the model: each announced call is dispatched once and answered once, in the order asked.

A call is dispatched as soon as its item is complete, to save time; it is not when the item was interrupted. The
outputs of one response go to the model together, when the response is done and all of them are there, and one answer
is wished for then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bridge.wire import session as dialects
from bridge.wire.commands import CreateItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.call.actions import Outbox
    from bridge.call.memory import Memory
    from bridge.wire.model import Item

MAX_CALLS = 32
"""Calls of one response; further ones are answered with an error."""
REMEMBERED = 256


class Asked(msgspec.Struct):
    """A function call of the model; `output` is JSON text, None while it runs."""

    call_id: str
    name: str
    arguments: str = "{}"
    """JSON text, as far as the model keeps to that."""
    output: str | None = None
    is_moot: bool = False
    """The caller has interrupted the response that asked; what they say is answered anyway."""


class Request(msgspec.Struct, frozen=True):
    """A call whose arguments are an object, ready to be carried out."""

    call_id: str
    name: str
    arguments: dict[str, object]


class Functions:
    """The function calls of one call: a session that has replaced another is told of those that wait."""

    def __init__(self, outbox: Outbox, memory: Memory) -> None:
        self._outbox = outbox
        self._memory = memory
        self._groups: dict[str, list[Asked]] = {}
        self._over: set[str] = set()
        self._seen: dict[str, None] = {}

    @property
    def is_busy(self) -> bool:
        """Whether the model waits for an output."""
        return bool(self._groups)

    @property
    def is_running(self) -> bool:
        """Whether the output of any call is still to come."""
        return any(asked.output is None for group in self._groups.values() for asked in group)

    def announce(self, response_id: str, item: Item) -> Request | None:
        """An item of a response is complete. The request, if it is a function call that is new, whole and well-formed.

        What is returned must be carried out, or answered at once.
        """
        if item.type != "function_call" or not item.call_id or item.call_id in self._seen:
            return None
        if item.status not in (None, "completed"):
            self._outbox.happened("function.incomplete")
            return None
        self._remember(item.call_id)
        group = self._groups.setdefault(response_id, [])
        asked = Asked(item.call_id, item.name or "", item.arguments or "{}")
        group.append(asked)
        if len(group) > MAX_CALLS:
            asked.output = error("too many functions at once")
            return None
        try:
            arguments = json.loads(item.arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            asked.output = error("the arguments are not a JSON object")
            return None
        return Request(asked.call_id, asked.name, arguments)

    def answer(self, call_id: str, output: str) -> bool:
        """The output of a call is there; False when nobody waits for it (any more)."""
        for group in self._groups.values():
            for asked in group:
                if asked.call_id == call_id and asked.output is None:
                    asked.output = output
                    return True
        return False

    def decline(self, call_id: str, output: str) -> None:
        """The call is not carried out, for the caller has interrupted: it gets this output, but no answer."""
        self.answer(call_id, output)
        for group in self._groups.values():
            for asked in group:
                asked.is_moot = asked.is_moot or asked.call_id == call_id

    def drop(self, call_id: str) -> None:
        """The call needs no output: what it asked for ends the conversation."""
        for response_id, group in list(self._groups.items()):
            group[:] = [asked for asked in group if asked.call_id != call_id]
            if not group:
                del self._groups[response_id]

    @property
    def leads_to_answer(self) -> bool:
        """Whether the model will be asked for an answer when the outputs are there."""
        return any(not asked.is_moot for group in self._groups.values() for asked in group)

    @property
    def pending(self) -> Iterator[Asked]:
        """The calls whose output the model has not been given, in order."""
        return (asked for group in self._groups.values() for asked in group)

    def session_over(self) -> None:
        """The session is gone: nothing more is asked by its responses, and what was asked is still carried out."""
        self._over.update(self._groups)

    def response_over(self, response_id: str) -> None:
        """Nothing more is asked by this response."""
        if response_id in self._groups:
            self._over.add(response_id)

    def is_open(self, response_id: str) -> bool:
        """Whether a response has asked for something and may ask for more."""
        return response_id in self._groups and response_id not in self._over

    def others_over(self, response_id: str) -> None:
        """Nothing more is asked by any response but this one."""
        self._over.update(other for other in self._groups if other != response_id)

    def deliver(self, now: float) -> bool:
        """Give the model the outputs that are complete. True when an answer must be wished for."""
        wanted = False
        for response_id, group in list(self._groups.items()):
            if response_id not in self._over or any(asked.output is None for asked in group):
                continue
            self._over.discard(response_id)
            for asked in self._groups.pop(response_id):
                self._memory.function_answered(asked.call_id, asked.name, asked.arguments, asked.output or "", now)
                item = dialects.function_output_item(asked.call_id, asked.output or "")
                self._outbox.do(CreateItem(item, self._outbox.new_id("output")))
                wanted = wanted or not asked.is_moot
        return wanted

    def _remember(self, call_id: str) -> None:
        self._seen[call_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]


def error(message: str) -> str:
    """The output of a call that failed, as JSON text."""
    return json.dumps({"error": message})
