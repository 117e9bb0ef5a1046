"""No fault at all, but everything at once, against the embedded server: answers, functions, greeting, operator, keys.

Never are two responses active, each function is answered once, and so is each wish. A wish that was granted before the
caller took the floor is granted, however little of it was heard; one that was asked for in vain is asked for again, and
so is one whose response nobody could hear.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bridge.call.answering import Answering
from bridge.call.controls import Say
from bridge.call.plan import Plan
from bridge.call.responses import Active, Kind, Responses, Wish
from bridge.rehearsal.conversation import FunctionCall
from bridge.rehearsal.realtime.items import Item
from bridge.rehearsal.realtime.performance import Pacing
from bridge.wire.commands import CreateItem
from tests.chaos.faults import Faults
from tests.chaos.model import Habits, ModelLink
from tests.chaos.run import in_virtual_time
from tests.chaos.test_judge import changed
from tests.chaos.world import World
from tests.unit.call.bench import make_plan

Patch = pytest.MonkeyPatch
RUNS = min(1000, int(os.environ.get("CHAOS_CALLS", "1000")))
BATCH = 100
TEXTS = 3
"""How many things an operator wants said at most; each of them once."""
BUSY_S, QUIET_S = 12.0, 22.0
"""How long things happen, and how long it takes at most until all of them are done with; no function is called then."""
FACTS = {"response_cancel_not_active", "conversation_already_has_active_response", "item_delete_invalid_item_id"}
"""What the server may refuse where messages cross."""


class Crowded(World):
    """A call in which nothing goes wrong and everything happens at once."""

    def draw_plan(self) -> Plan:
        """No silence prompt: the caller is quiet in the end."""
        dice = self.dice
        return make_plan(
            dice.choice(["ga", "beta"]),
            functions=("lookup", "book"),
            greeting_message=dice.choice(["", "Hello, who is there?"]),
            greeting_protected=dice.random() < 0.5,
            barge_in={"mode": dice.choice(["instant", "instant", "confirmed", "off"]), "confirm_ms": 200},
            silence={"prompt_after_s": 600},
            keys={"pause_s": 0.5},
            turn_detection={"silence_duration_ms": dice.choice([200, 500])},
        )

    def draw_habits(self) -> Habits:
        """A sound model that calls functions, one or several."""
        dice = self.dice
        return Habits(
            calls=(FunctionCall("lookup"), FunctionCall("book", {"n": 1})),
            call_share=dice.choice([0.2, 0.5]),
            longest_words=dice.choice([3, 20]),
            connect_s=dice.choice([0.05, 1.0]),
            pacing=Pacing(pace=dice.choice([1.5, 4.0, 50.0]), delta_ms=dice.choice([100, 200]), think_ms=150),
        )

    def draw_faults(self) -> list[Faults]:
        """None."""
        return [Faults()] * 4

    async def play(self) -> None:
        """Let everything happen, and wait until it is done with."""
        dice, loop = self.dice, self.carrier.loop
        self.carrier.frame_ms = dice.choice([100, 200, 200])
        self.driver.start()
        loop.call_later(dice.choice([0.05, 0.5, 2.0]), self.carrier.connect)
        for _ in range(dice.randint(1, 5)):
            begins = loop.time() + dice.random() * BUSY_S
            self.carrier.speech.append((begins, begins + dice.choice([0.2, 0.8, 2.5])))
        self.texts = [f"Announcement {number}." for number in range(dice.randint(0, TEXTS))]
        for text in self.texts:
            loop.call_later(dice.random() * BUSY_S, self.driver.control, Say(text))
        for _ in range(dice.randint(0, 2)):
            loop.call_later(3 + dice.random() * BUSY_S, self._press, dice.choice("12#"))
        await asyncio.sleep(BUSY_S)
        self.model.habits.call_share = 0.0
        await asyncio.sleep(QUIET_S)
        self.judge_wishes()
        self.carrier.hang_up()
        await self.end()

    def _press(self, key: str) -> None:
        if self.carrier.stream is not None:
            self.carrier.stream.press(key)

    def judge_wishes(self) -> None:
        """What holds when all is done with."""
        (link,) = self.model.links
        breaks = partial(self.judge.breaks, 5)
        refusals = {str(refused.code) for refused in link.session.refusals} - FACTS
        if refusals:
            breaks(f"the server refused: {refusals}")
        called = [item.call_id for item in link.session.items if item.type == "function_call" and is_whole(item)]
        answered = [item.call_id for item in link.session.items if item.type == "function_call_output"]
        if sorted(called) != sorted(answered):
            breaks(f"{len(called)} functions were called and {len(answered)} answered")
        begun, done = responses(link.events, "response.created"), responses(link.events, "response.done")
        if [response["id"] for response in begun] != [response["id"] for response in done]:
            breaks("two responses are active, or one is for ever")
        refused = {str(event["error"]["event_id"]) for event in link.events if event["type"] == "error"}
        if self.judge.asked.keys() - {wish_of(response) for response in done} - refused:
            breaks("a response that was asked for is neither made nor refused")
        granted = [response for response in done if response["id"] not in self.judge.in_vain]
        self._judge_words(granted, link.voiced)
        self._judge_answers(granted, link)

    def _judge_words(self, granted: list[dict[str, Any]], voiced: set[str]) -> None:
        """What is to be said word for word is said once; a greeting that the caller forestalls need not be."""
        agent = self.plan.agent
        wanted = dict.fromkeys(self.texts, 1)
        if agent.greeting_message:
            wanted[agent.greeting_message] = 1 if agent.greeting_protected else 0
        for text, least in wanted.items():
            made = [response for response in granted if text in self.judge.asked.get(wish_of(response), "")]
            final = [response for response in made if response["status"] == "cancelled" or response["id"] in voiced]
            if len(made) < least or len(final) > 1:
                self.judge.breaks(5, f"{text!r} was made {len(made)} times, {len(final)} of them for good")

    def _judge_answers(self, granted: list[dict[str, Any]], link: ModelLink) -> None:
        """No turn is forgotten, and nothing is answered twice: neither turns, nor keys, nor functions."""
        kinds, facts = [event["type"] for event in link.events], self.judge.facts
        commits = kinds.count("input_audio_buffer.committed")
        unanswered = facts.get("turn.left_unanswered", 0)
        whole = [response for response in granted if response["status"] == "completed"]
        calling = [
            response for response in whole if any(item["type"] == "function_call" for item in response["output"])
        ]
        useful = [response for response in whole if response in calling or response["id"] in link.voiced]
        answers = [response for response in useful if not self.judge.asked.get(wish_of(response))]
        groups = sum("function_call" in {item["type"] for item in made["output"]} for made in granted)
        if len(answers) > commits - unanswered + groups + facts.get("keys.collected", 0):
            self.judge.breaks(5, f"{len(answers)} answers to {commits} turns and {groups} groups of functions")
        if (
            commits
            and not unanswered
            and "response.created" not in kinds[last(kinds, "input_audio_buffer.committed") :]
        ):
            self.judge.breaks(8, "the last turn is not answered")


def responses(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """What the server said about its responses, in order."""
    return [event["response"] for event in events if event["type"] == kind]


def wish_of(response: dict[str, Any]) -> str:
    """The command that asked for a response; the server's own have none."""
    return str((response["metadata"] or {}).get("wish", response["id"]))


def is_whole(item: Item) -> bool:
    """Whether the model came to the end of an item."""
    return item.status == "completed"


def last(kinds: list[str], kind: str) -> int:
    """Where an event came for the last time."""
    return len(kinds) - 1 - kinds[::-1].index(kind)


def crowded(seed: int) -> Crowded:
    """A call that has been played."""
    return in_virtual_time(partial(Crowded, seed=seed))


@pytest.mark.parametrize("first", range(0, RUNS, BATCH))
def test_everything_happens_at_once(first: int) -> None:
    """In virtual time: what the caller says, functions that end, keys, and what the operator wants said."""
    for seed in range(first, min(first + BATCH, RUNS)):
        assert [] == crowded(seed).broken, f"seed {seed}"


def output_is_lost(patch: Patch) -> None:
    """The server gets none."""
    changed(patch, lambda action: [] if isinstance(action, CreateItem) and "output" in action.item else [action])


def text_is_forgotten(patch: Patch) -> None:
    """Nothing comes of what an operator wants said."""
    want = Responses.want
    patch.setattr(Responses, "want", lambda owner, wish: wish.kind is Kind.SAY or want(owner, wish))


def text_is_wished_twice(patch: Patch) -> None:
    """Once more for good measure."""
    want = Responses.want

    def twice(owner: Responses, wish: Wish) -> bool:
        return want(owner, wish) and (wish.kind is not Kind.SAY or want(owner, wish))

    patch.setattr(Responses, "want", twice)


def turn_is_answered_twice(patch: Patch) -> None:
    """The bridge asks for what the server makes by itself."""
    done = Responses.done

    def again(owner: Responses, response_id: str) -> Active | None:
        active = done(owner, response_id)
        if active is not None and active.wish is None:
            owner.want(Wish(Kind.ANSWER))
        return active

    patch.setattr(Responses, "done", again)


def turn_is_forgotten(patch: Patch) -> None:
    """A turn that the bridge is to answer."""
    patch.setattr(Answering, "settle", lambda *_, **__: None)


@pytest.mark.parametrize(
    ("put_in", "found"),
    [
        (output_is_lost, "functions were called and 0 answered"),
        (text_is_forgotten, "was made 0 times"),
        (text_is_wished_twice, "2 of them for good"),
        (turn_is_answered_twice, "answers to"),
        (turn_is_forgotten, "the last turn is not answered"),
    ],
)
def test_wish_that_is_not_granted_once_is_found_out(
    put_in: Callable[[Patch], None], found: str, monkeypatch: Patch
) -> None:
    """What is looked for is seen within some calls, when it is there."""
    put_in(monkeypatch)

    assert any(found in what for seed in range(50) for what in crowded(seed).broken)
