"""What one session can talk about, and what the caller's turns so far amount to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bridge.rehearsal import abilities
from bridge.rehearsal.conversation import FunctionCall, Message
from bridge.rehearsal.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.rehearsal.abilities import Tool
    from bridge.rehearsal.conversation import Heard
    from bridge.rehearsal.dialogue import Dialogue, Topic

_PRESSED: Final = re.compile(r"^The caller pressed ([0-9*#ABCD ]+)\.?$")
"""How a client tells the model that keys were pressed."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the caller, with what earlier turns contribute to it."""

    said: str = ""
    topic: str | None = None
    """The topic's name; None where nothing was understood."""
    slots: Mapping[str, str] = field(default_factory=dict)
    keys: str = ""
    """The keys that were pressed, if keys are all there was."""
    times: int = 0
    """How often the same topic came up before."""


class Repertoire:
    """The topics of a dialogue and of a session's functions."""

    def __init__(self, dialogue: Dialogue, tools: Sequence[Tool]) -> None:
        functions = {topic.function for topic in dialogue.topics.values() if topic.function is not None}
        topics, slots = abilities.topics(tools, known=functions)
        self.topics: dict[str, Topic] = {**topics, **dialogue.topics}
        self.tools = {abilities.name_of(tool): tool for tool in tools}
        self.slots = {**slots, **dialogue.slots}
        self._matcher = Matcher({name: topic.phrases for name, topic in self.topics.items()}, self.slots)
        self._by_keys = {topic.keys: name for name, topic in self.topics.items() if topic.keys}

    def sentences(self) -> list[str]:
        """Return everything a caller may be expected to say."""
        asked = {slot for topic in self.topics.values() for slot in topic.ask}
        return [*self._matcher.sentences(), *self._matcher.answers(sorted(asked))]

    def topic_called(self, call: FunctionCall) -> Topic | None:
        """Return the topic that led to a call, or else one that calls the same function."""
        topics = [topic for topic in self.topics.values() if topic.function == call.name]
        same = (topic for topic in topics if any(call.arguments.get(k) == v for k, v in topic.arguments.items()))
        return next(same, topics[0] if topics else None)

    def missing(self, turn: Turn) -> list[str]:
        """Return the slots of a turn's topic that nothing was said for, in the order they are asked for."""
        if turn.topic is None:
            return []
        topic = self.topics[turn.topic]
        return [slot for slot in topic.ask if slot in topic.needs and slot not in turn.slots]

    def follow(self, history: Iterable[Heard]) -> Turn:
        """Return the caller's newest turn."""
        turn = Turn()
        times: dict[str | None, int] = {}
        for item in history:
            if isinstance(item, Message) and item.role == "user":
                turn = self._understand(item.text, turn)
                times[turn.topic] = times.get(turn.topic, -1) + 1
        return replace(turn, times=times.get(turn.topic, 0))

    def _understand(self, said: str, before: Turn) -> Turn:
        wanted = self.missing(before)
        if pressed := _PRESSED.match(said):
            return self._understand_keys(said, pressed[1].replace(" ", ""), before, wanted)
        match = self._matcher.match(said)
        if wanted and (match is None or match.topic == before.topic):
            return replace(before, said=said, slots={**before.slots, **self._find(wanted, said)})
        if match is None:
            return Turn(said)
        return Turn(said, match.topic, match.slots)

    def _understand_keys(self, said: str, keys: str, before: Turn, wanted: Sequence[str]) -> Turn:
        digits = keys.strip("#*")
        if wanted and self.slots[wanted[0]] == "digits" and digits.isdigit():
            return replace(before, said=said, slots={**before.slots, wanted[0]: digits})
        return Turn(said, self._by_keys.get(keys) or self._by_keys.get(digits), keys=" ".join(keys))

    def _find(self, slots: Iterable[str], said: str) -> dict[str, str]:
        found = {slot: self._matcher.find(slot, said) for slot in slots}
        return {slot: value for slot, value in found.items() if value is not None}
