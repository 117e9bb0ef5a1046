"""What the embedded model says: a dialogue file and the session's functions instead of thoughts.

It answers what it was told in this order: text to be said word for word, other instructions for one response
(`cues`), what its functions returned, what the caller said or pressed. It has no randomness and no memory of its own:
the same conversation gets the same reply. The dialogue file is described in `bridge.rehearsal.dialogue`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bridge.rehearsal import abilities
from bridge.rehearsal.conversation import FunctionCall, FunctionCallOutput, Heard, Message, Reply
from bridge.rehearsal.dialogue import FIELD, Dialogue, fill
from bridge.rehearsal.domain import Domain
from bridge.rehearsal.repertoire import Repertoire, Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bridge.rehearsal.abilities import Tool

__all__ = ["Dialogue", "Domain", "FunctionCall", "FunctionCallOutput", "Heard", "Message", "Mind", "Reply"]

_WORD_FOR_WORD: Final = re.compile(r'^\s*Say exactly this\b[^"]*"(.*)"\s*$', re.DOTALL | re.IGNORECASE)
_LONGEST_CUE: Final = 30
"""Words: where a session's own instructions are not known, longer ones are taken for them."""


class Mind:
    """Decides what a session says; one per session."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._standing: str | None = None
        self._repertoire: tuple[str, Repertoire] | None = None

    def domain(self, instructions: str, tools: Sequence[Tool]) -> Domain:
        """Return what a caller may be expected to say, for the recogniser.

        `instructions` are the session's. Others that `reply` is given are meant for that response alone.
        """
        self._standing = instructions
        return Domain.of(self._known(tools).sentences())

    def reply(
        self,
        history: Sequence[Heard],
        *,
        instructions: str,
        tools: Sequence[Tool],
        tool_choice: str | Mapping[str, object] = "auto",
    ) -> Reply:
        """Return what to say and which functions to call; `history` is the conversation, newest last."""
        if told := self._obey(instructions, history):
            return Reply(told)
        known = self._known(tools)
        turn = known.follow(history)
        offered = frozenset() if tool_choice == "none" else known.tools.keys()
        reply = self._respond(history, turn, known, offered=offered)
        return _forced(reply, tool_choice, turn, known)

    def _known(self, tools: Sequence[Tool]) -> Repertoire:
        """Return what can be talked about with these functions; it is made anew only when they change."""
        key = json.dumps(tools, sort_keys=True, default=str)
        if self._repertoire is None or self._repertoire[0] != key:
            self._repertoire = key, Repertoire(self._dialogue, tools)
        return self._repertoire[1]

    def _obey(self, instructions: str, history: Sequence[Heard]) -> str | None:
        """Return what instructions for this one response ask for; None where they are the session's own."""
        if exactly := _WORD_FOR_WORD.match(instructions):
            return exactly[1]
        is_standing = instructions == self._standing
        if is_standing or (self._standing is None and len(instructions.split()) > _LONGEST_CUE):
            return None
        return self._cued(instructions, history)

    def _cued(self, told: str, history: Sequence[Heard]) -> str | None:
        for cue in self._dialogue.all_cues:
            if any(words.casefold() in told.casefold() for words in cue.words):
                times = sum(1 for item in history if _spoken_by(item, "assistant") in cue.reply)
                return cue.reply[times % len(cue.reply)]
        return None

    def _respond(self, history: Sequence[Heard], turn: Turn, known: Repertoire, *, offered: Collection[str]) -> Reply:
        news = _news(history)
        is_asked = any(_spoken_by(item, "user") is not None for item in news)
        outputs = [item for item in news if isinstance(item, FunctionCallOutput)]
        told = [self._result(output, history, known, is_asked=is_asked) for output in outputs]
        if is_asked:
            answer = self._answer(turn, known, offered=offered, last=_last_words(history))
            return replace(answer, speech=" ".join(filter(None, [*told, answer.speech])) or None)
        if told:
            return Reply(" ".join(told))
        if len(news) == len(history):
            return Reply(self._dialogue.agent.greeting_message)
        note = _spoken_by(news[-1], "system") if news else None
        return Reply((note and self._cued(note, history)) or self._dialogue.noted)

    def _answer(self, turn: Turn, known: Repertoire, *, offered: Collection[str], last: str) -> Reply:
        """Answer the caller's turn."""
        values = {**turn.slots, "said": turn.said, "keys": turn.keys, "last": last}
        if turn.topic is None:
            texts = (self._dialogue.keys_pressed,) if turn.keys else self._dialogue.not_understood
            return Reply(fill(texts[turn.times % len(texts)], values))
        if missing := known.missing(turn):
            return Reply(known.topics[turn.topic].ask[missing[0]])
        topic = known.topics[turn.topic]
        if topic.function is not None and topic.function in offered:
            arguments = {
                name: fill(value, values) if isinstance(value, str) else value
                for name, value in topic.arguments.items()
            }
            call = FunctionCall(topic.function, abilities.typed(known.tools[topic.function], arguments))
            return Reply(topic.before and fill(topic.before, values), (call,))
        if not topic.reply:
            return Reply(self._dialogue.cannot)
        return Reply(fill(topic.reply[turn.times % len(topic.reply)], values))

    def _result(
        self, returned: FunctionCallOutput, history: Sequence[Heard], known: Repertoire, *, is_asked: bool
    ) -> str:
        """Put into words what a function returned; nothing for an end of the call that the caller has talked away."""
        calls = (item for item in history if isinstance(item, FunctionCall) and item.call_id == returned.call_id)
        call = next(calls, FunctionCall(""))
        if is_asked and call.name == "end_call":
            return ""
        topic = known.topic_called(call)
        result = _parsed(returned.output)
        values = {**call.arguments, **(result if isinstance(result, dict) else {"result": result})}
        if isinstance(result, dict) and result.get("error"):
            return (topic and topic.failed) or self._dialogue.failed
        if topic and topic.result and values.keys() >= set(FIELD.findall(topic.result)):
            return fill(topic.result, values)
        return _read_out(result) or self._dialogue.done


def _forced(reply: Reply, tool_choice: str | Mapping[str, object], turn: Turn, known: Repertoire) -> Reply:
    """Return the reply, with the call that `tool_choice` demands if the caller's words led to none."""
    if isinstance(tool_choice, str):
        wanted = set(known.tools) if tool_choice == "required" else set()
    else:
        wanted = {abilities.name_of(tool_choice)} & known.tools.keys()
    if not wanted or any(call.name in wanted for call in reply.calls):
        return reply
    name = next(name for name in known.tools if name in wanted)
    return Reply(calls=(FunctionCall(name, abilities.invented(known.tools[name], turn.said)),))


def _news(history: Sequence[Heard]) -> Sequence[Heard]:
    """Return what has come since the model last spoke or called a function."""
    own = [isinstance(item, FunctionCall) or _spoken_by(item, "assistant") is not None for item in history]
    return history[max((at for at, is_own in enumerate(own, start=1) if is_own), default=0) :]


def _last_words(history: Sequence[Heard]) -> str:
    spoken = (text for item in reversed(history) if (text := _spoken_by(item, "assistant")))
    return next(spoken, "")


def _spoken_by(item: Heard, role: str) -> str | None:
    return item.text if isinstance(item, Message) and item.role == role else None


def _parsed(output: str) -> object:
    try:
        return json.loads(output)
    except ValueError:
        return output


def _read_out(result: object) -> str:
    """Say a value; "" where there is nothing to say."""
    match result:
        case dict():
            said = (f"{name.replace('_', ' ')}: {text}" for name, value in result.items() if (text := _read_out(value)))
            return ". ".join(said)
        case list():
            return ", ".join(text for value in result if (text := _read_out(value)))
        case None | True | False:
            return {None: "", True: "yes", False: "no"}[result]
        case _:
            return str(result)
