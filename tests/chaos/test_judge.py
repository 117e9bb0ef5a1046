"""The judge is no fool: for each promise, code that breaks it is found out."""

# ruff: noqa: SLF001 - a fault is put where it would be: inside

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from bridge.call.actions import Action, ClearPlayout, Ended, Happened, Outbox, PlayAudio, SetMark
from bridge.call.answering import Answering
from bridge.call.conversation import Conversation
from bridge.call.deadlines import Deadlines
from bridge.call.ending import Ending
from bridge.call.life import Life
from bridge.call.playout import Playout
from bridge.edge.driver import Driver
from bridge.wire import model
from bridge.wire.commands import CreateItem, DeleteItem, TruncateItem
from tests.chaos.drawn import SILENCES
from tests.chaos.model import Habits
from tests.chaos.run import in_virtual_time
from tests.chaos.world import World
from tests.replay import test_faults as known

Patch = pytest.MonkeyPatch
CALLS = 600
"""Within so many calls each fault must have shown."""


def changed(patch: Patch, change: Callable[[Action], list[Action]]) -> None:
    """Actions come out otherwise than they were meant."""
    do = Outbox.do

    def otherwise(outbox: Outbox, action: Action) -> None:
        for other in change(action):
            do(outbox, other)

    patch.setattr(Outbox, "do", otherwise)


def sound_is_made_louder(patch: Patch) -> None:
    """1: what is played is not what came."""
    changed(patch, lambda a: [PlayAudio(a.payload.replace("n", "m"))] if isinstance(a, PlayAudio) else [a])


def caller_is_made_louder(patch: Patch) -> None:
    """1: what the model hears is not what came."""
    changed(patch, lambda a: [msgspec.structs.replace(a, audio="AAAA")] if type(a).__name__ == "AppendAudio" else [a])


def truncate_goes_first(patch: Patch) -> None:
    """3: the line is cleared after the model is told."""
    take = Outbox.take

    def late(outbox: Outbox) -> list[Action]:
        return sorted(take(outbox), key=lambda action: isinstance(action, ClearPlayout))

    patch.setattr(Outbox, "take", late)


def heard_is_deleted(patch: Patch) -> None:
    """3: what was heard is taken out of the conversation."""

    def deleted(action: Action) -> list[Action]:
        return [action, DeleteItem(action.item_id, "delete-0")] if isinstance(action, TruncateItem) else [action]

    changed(patch, deleted)


def marks_are_forgotten(patch: Patch) -> None:
    """4: no mark stands behind the sound."""
    changed(patch, lambda action: [] if isinstance(action, SetMark) else [action])


def answered_twice(patch: Patch) -> None:
    """5: a function's output is given twice."""
    changed(patch, lambda a: [a, a] if isinstance(a, CreateItem) and "output" in a.item else [a])


def announcement_is_cut(patch: Patch) -> None:
    """6: the call is handed over before the announcement is heard."""
    known.announcement_is_cut(patch)


def ends_twice(patch: Patch) -> None:
    """7: a call has two endings."""
    changed(patch, lambda action: [action, action] if isinstance(action, Ended) else [action])


def speaks_after_the_end(patch: Patch) -> None:
    """7: something is done when all is over."""
    finish = Life.finish

    def lively(life: Life, ending: Ending, reason: str = "", *, now: float) -> None:
        finish(life, ending, reason, now=now)
        life.is_over = False

    patch.setattr(Life, "finish", lively)


def timer_never_rests(patch: Patch) -> None:
    """7: a deadline stays in the past."""
    take_due = Deadlines.take_due

    def stuck(deadlines: Deadlines, now: float) -> str | None:
        name = take_due(deadlines, now)
        if name == "silence":
            deadlines.set(name, now)
            return None
        return name

    patch.setattr(Deadlines, "take_due", stuck)


def functions_go_on(patch: Patch) -> None:
    """7: a function runs for a call that is over."""
    ended = Driver._ended

    def lazy(driver: Driver, action: Ended) -> None:
        driver._running = set()
        ended(driver, action)

    patch.setitem(Driver._WAYS, Ended, lazy)


def end_is_awaited_for_ever(patch: Patch) -> None:
    """8: a turn whose end got lost is never over."""
    patch.setattr(Answering, "turn_begun", lambda self, _: self.await_server(None))


def words_are_told(patch: Patch) -> None:
    """9: what the caller says is in the log."""
    words = Conversation.receive

    def indiscreet(talk: Conversation, event: model.ModelEvent, now: float) -> None:
        if isinstance(event, model.CallerTranscript):
            talk._outbox.do(Happened("caller.understood", {"words": event.transcript}))
        words(talk, event, now)

    patch.setattr(Conversation, "receive", indiscreet)


def core_raises(patch: Patch) -> None:
    """10: a mark of nonsense is too much."""
    reach = Playout.reach
    patch.setattr(Playout, "reach", lambda ledger, mark, clock_ms: reach(ledger, str(float(mark)), clock_ms))


class Endless(World):
    """The server never says that a turn is over: of all calls one in forty is such, and few callers wait so long."""

    def draw_habits(self) -> Habits:
        """Any, but for that."""
        habits = super().draw_habits()
        habits.never_says = SILENCES[0]
        return habits


WORLDS: dict[Callable[[Patch], None], type[World]] = {end_is_awaited_for_ever: Endless}
"""Where a fault shows that seldom shows elsewhere."""
FAULTS: list[tuple[int, Callable[[Patch], None]]] = [
    (1, sound_is_made_louder),
    (1, caller_is_made_louder),
    (2, known.sound_before_confirmation),
    (3, known.late_sound_is_played),
    (3, known.unclamped_truncate),
    (3, known.clears_for_nothing),
    (3, truncate_goes_first),
    (3, heard_is_deleted),
    (4, marks_are_forgotten),
    (5, known.create_while_active),
    (5, known.function_runs_twice),
    (5, answered_twice),
    (6, announcement_is_cut),
    (7, ends_twice),
    (7, speaks_after_the_end),
    (7, timer_never_rests),
    (7, functions_go_on),
    (8, end_is_awaited_for_ever),
    (9, words_are_told),
    (10, core_raises),
]


@pytest.mark.parametrize(("promise", "put_in"), FAULTS, ids=[fault.__name__ for _, fault in FAULTS])
def test_broken_promise_is_found_out(promise: int, put_in: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """A fault shows within some calls, as what it is."""
    put_in(monkeypatch)
    world = WORLDS.get(put_in, World)
    broken = (what for seed in range(CALLS) for what in in_virtual_time(partial(world, seed=seed)).broken)

    assert any(f"promise {promise}:" in what for what in broken)
