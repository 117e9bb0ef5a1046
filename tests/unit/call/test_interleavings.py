"""Whatever happens in whatever order: one response at a time, each function answered once, each wish granted once."""

from __future__ import annotations

import random
from functools import partial

import pytest

from bridge.call.actions import Action, RunFunction, Said
from bridge.call.controls import Say
from bridge.wire.commands import CancelResponse, CreateResponse
from tests.unit.call.rig import FunctionCall, Reply, Rig, Speech, facts, key_message, make_plan, of

RUNS = 40
SOAK_RUNS = 1000


class Judged(Rig):
    """A rig that also keeps an eye on the responses as the bridge sees them."""

    def check(self, actions: list[Action]) -> None:
        """Never ask for a response while one is active or asked for; no frame passes that the bridge must hear."""
        for action in actions:
            if isinstance(action, CreateResponse):
                assert self.call._talk.responses.active is None  # noqa: SLF001 - seen from inside
        call = self.call
        hears = call._talk.turns.is_eared or call._talk.requests.is_secret  # noqa: SLF001 - the same
        assert call._passes_on == (call.is_up and not hears)  # noqa: SLF001 - the same
        super().check(actions)


def play(seed: int) -> Rig:
    """A call in which everything happens at random times."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    mode = dice.choice(["instant", "instant", "confirmed", "off"])
    greeting = dice.choice(["", "Hello."])
    plan = make_plan(
        dice.choice(["ga", "beta"]),
        functions=("lookup", "book"),
        greeting_message=greeting,
        greeting_protected=dice.random() < 0.5,
        barge_in={"mode": mode},
        silence={"prompt_after_s": dice.choice([2, 600]), "prompts": 10},
        keys={"pause_s": 0.5},
    )
    rig = Judged(plan, down_ms=dice.randint(0, 60), up_ms=dice.randint(0, 60), model_ms=dice.randint(1, 200))
    rig.server.echoes_metadata = dice.random() < 0.8
    rig.server.silence_ms = dice.choice([200, 500])
    rig.ear.loses_mark = lambda: dice.random() < 0.1
    rig.ear.marks_late_ms = lambda: dice.randint(0, 100)
    rig.functions |= {"lookup": (dice.randint(0, 3000), '{"n": 1}'), "book": (dice.randint(0, 800), '{"n": 2}')}
    for _ in range(10):
        outputs: list[Speech | FunctionCall] = []
        if dice.random() < 0.8:
            outputs.append(Speech(dice.randint(50, 4000), dice.randint(20, 900), dice.choice([0, 0, 20, 100])))
        outputs += [FunctionCall(dice.choice(["lookup", "book"])) for _ in range(dice.choice([0, 0, 1, 2]))]
        rig.server.replies.append(Reply(tuple(outputs), after_ms=dice.randint(0, 600)))
    for _ in range(dice.randint(1, 5)):
        rig.phone.speak(dice.randint(100, 2500), after_ms=dice.randint(0, 20_000))
    for number in range(dice.randint(0, 3)):
        rig.timeline.after(dice.randint(0, 20_000), partial(rig.control, Say(f"Announcement {number}.")))
    for _ in range(dice.randint(0, 2)):
        rig.timeline.after(dice.randint(500, 20_000), lambda: rig.caller(key_message(dice.choice("12#"))))
    rig.begin()
    rig.run(45_000)
    rig.run_until(lambda: not rig.call._talk.responses.is_busy)  # noqa: SLF001 - seen from inside
    return rig


def judge(rig: Rig) -> None:
    """What holds of every call that was played."""
    assert [] == rig.endings
    ran = [action.call_id for action in of(RunFunction, rig.log)]
    assert len(ran) == len(set(ran))
    answered = [call_id for call_id, _ in rig.server.outputs]
    assert len(answered) == len(set(answered))
    called = [item.call_id for item in rig.server.items.values() if item.kind == "function_call"]
    assert set(called) == set(answered)
    made = {response.asked_id for response in rig.server.responses if response.asked_id}
    refused = {command["event_id"] for _, command in rig.server.refused if command["type"] == "response.create"}
    asked = {action.event_id for action in of(CreateResponse, rig.log)}
    assert asked == made | refused
    assert {"response_cancel_not_active", "conversation_already_has_active_response"} >= {
        code for code, command in rig.server.refused if command["type"].startswith("response")
    }
    assert [] == facts("response.overlapped", rig.log)
    judge_answers(rig)
    for line in of(Said, rig.log):
        assert line.role == "caller" or line.heard_ms > 0 or line.is_cut


def judge_answers(rig: Rig) -> None:
    """Nothing is answered twice, and no turn is forgotten."""
    told = {action.event_id: action.response.get("instructions", "") for action in of(CreateResponse, rig.log)}
    cut = {action.response_id for action in of(CancelResponse, rig.log)}
    said = [response for response in rig.server.responses if not response.is_empty]  # what is empty is asked for again
    complete = [response for response in said if response.status == "completed" and response.response_id not in cut]
    for number in range(3):
        assert 1 >= sum(f"Announcement {number}." in told.get(made.asked_id, "") for made in complete)
    answers = [made for made in complete if not told.get(made.asked_id)]
    unanswered = len(facts("turn.left_unanswered", rig.log))
    groups = sum(made.calls > 0 for made in rig.server.responses)
    assert len(answers) <= rig.server.commits - unanswered + groups + len(facts("keys.collected", rig.log))
    if rig.server.commits and not unanswered:
        assert rig.server.responses[-1].begun_at >= rig.server.committed_at


@pytest.mark.parametrize("seed", range(RUNS))
def test_everything_happens_at_once(seed: int) -> None:
    """A few of a thousand."""
    judge(play(seed))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_everything_happens_at_once_a_thousand_times() -> None:
    """All of them."""
    for seed in range(SOAK_RUNS):
        judge(play(seed))
