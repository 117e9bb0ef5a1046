"""The small parts of a call, each alone: deadlines, the sound that comes in, keys, silence, acts, legs."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.actions import Order
from bridge.call.acts import ANNOUNCED_WITHIN_S, MARGIN_S, Act, Acts
from bridge.call.deadlines import Deadlines
from bridge.call.ending import Ending
from bridge.call.inbound import KEPT_MS, MAX_FILL_MS, Inbound
from bridge.call.keys import MAX_KEYS, Keys
from bridge.call.silence import Silence
from bridge.call.states import CallerLeg, ModelLeg, move_caller, move_model
from bridge.errors import LocalProtocolError
from bridge.settings import Silence as SilenceSettings
from bridge.wire.caller import CallerAudio
from bridge.wire.g711 import size_of


def audio(at_ms: int, duration_ms: int = 20) -> CallerAudio:
    """A piece of the caller's sound."""
    return CallerAudio(b64encode(b"\xff" * (8 * duration_ms)).decode(), at_ms)


def test_deadlines_come_one_by_one_and_earliest_first() -> None:
    """What follows from one may clear the others."""
    deadlines = Deadlines()
    for name, when in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
        deadlines.set(name, when)

    assert (1.0, None) == (deadlines.next, deadlines.take_due(0.9))
    assert ["early", "middle"] == [deadlines.take_due(2.5), deadlines.take_due(2.5)]
    assert (None, 3.0) == (deadlines.take_due(2.5), deadlines.next)


def test_deadline_is_moved() -> None:
    """Earlier and later; a name has one moment."""
    deadlines = Deadlines()
    deadlines.set("a", 2.0)
    deadlines.set("b", 3.0)
    deadlines.set("a", 5.0)
    assert 3.0 == deadlines.next
    deadlines.set("a", 1.0)
    assert 1.0 == deadlines.next
    deadlines.clear("a")
    deadlines.clear("never set")
    assert (3.0, False, True) == (deadlines.next, deadlines.is_set("a"), deadlines.is_set("b"))
    deadlines.clear_all()
    assert None is deadlines.next


@pytest.mark.parametrize(
    ("at_ms", "filled_ms"),
    [
        (20, 0),
        (25, 0),
        (39, 0),
        (40, 20),
        (55, 20),
        (220, 200),
        (0, 0),
        (15, 0),
        (20 + MAX_FILL_MS, MAX_FILL_MS),
        (10**8, MAX_FILL_MS),
    ],
)
def test_gap_is_filled_with_whole_frames(at_ms: int, filled_ms: int) -> None:
    """Timestamps jitter by less than a frame; of an endless gap ten seconds are filled."""
    inbound = Inbound()
    inbound.gap_before(audio(0))

    assert filled_ms == size_of(inbound.gap_before(audio(at_ms))) // 8


def test_first_piece_has_no_gap_before_it() -> None:
    """Whatever its timestamp."""
    inbound = Inbound()

    assert "" == inbound.gap_before(audio(5000))
    assert 5020 == inbound.clock_ms


def test_piece_from_the_past_moves_nothing_back() -> None:
    """The clock only goes on."""
    inbound = Inbound()
    inbound.gap_before(audio(1000))

    assert "" == inbound.gap_before(audio(500))
    assert 1020 == inbound.clock_ms


def test_clock_of_a_new_stream_begins_anew() -> None:
    """And no gap is filled between the two."""
    inbound = Inbound()
    inbound.gap_before(audio(60_000))

    inbound.restart()

    assert ("", 20) == (inbound.gap_before(audio(0)), inbound.clock_ms)


@given(st.lists(st.integers(1, 4000), max_size=40))
def test_newest_sound_is_kept(sizes_ms: list[int]) -> None:
    """Never more than the bound; what is kept is the end of what came, in order; the rest is counted."""
    inbound, sent = Inbound(), [b64encode(bytes([n % 256]) * (8 * ms)).decode() for n, ms in enumerate(sizes_ms)]
    for payload in sent:
        inbound.keep(payload)

    kept = inbound.release()

    assert sent[len(sent) - len(kept) :] == kept
    assert sum(map(size_of, kept)) <= KEPT_MS * 8
    assert sum(sizes_ms) == inbound.dropped_ms + sum(map(size_of, kept)) // 8
    assert [] == inbound.release()


def test_keys_are_collected_until_the_terminator() -> None:
    """The entry is told with it, and the next begins anew."""
    keys = Keys("#")

    assert [False, False, True] == [keys.press(key) for key in "1*#"]
    assert (True, "The caller pressed 1 * #.", False) == (keys.is_collecting, keys.take(), keys.is_collecting)


def test_no_key_is_a_terminator() -> None:
    """An entry ends by a pause, or when it is too long to be one."""
    keys = Keys("")

    assert [False] * (MAX_KEYS - 1) + [True] == [keys.press("#") for _ in range(MAX_KEYS)]


def test_silence_is_counted_from_when_the_line_became_quiet() -> None:
    """Being quiet still does not move it; any noise forgets it."""
    deadlines = Deadlines()
    silence = Silence(SilenceSettings(prompt_after_s=10, prompts=2), deadlines)
    silence.watch(1.0, quiet=True)
    silence.watch(5.0, quiet=True)
    assert 11.0 == deadlines.next
    silence.watch(6.0, quiet=False)
    assert not deadlines.is_set("silence")
    silence.watch(7.0, quiet=True)
    assert 17.0 == deadlines.next


def test_prompts_are_counted_until_the_caller_gives_a_sign() -> None:
    """Two and then no more, and after a sign two again."""
    silence = Silence(SilenceSettings(prompts=2), Deadlines())

    assert [True, True, False] == [silence.prompt() for _ in range(3)]
    silence.broken()
    assert [True, True, False] == [silence.prompt() for _ in range(3)]


def test_act_is_due_when_its_announcement_is_made_and_heard() -> None:
    """Neither before it is made, nor before it is heard; and once."""
    deadlines = Deadlines()
    acts = Acts(deadlines)
    act = Act(Ending.BOT_HUNG_UP, Order("hang_up"), None, "call_1")
    acts.begin(act, 0.0)

    assert (ANNOUNCED_WITHIN_S, None) == (deadlines.next, acts.due(1.0, is_made=False, unheard_ms=0))
    assert None is acts.due(2.0, is_made=True, unheard_ms=4000)
    assert 2.0 + 4.0 + MARGIN_S == deadlines.next
    assert None is acts.due(3.0, is_made=True, unheard_ms=3000)
    assert 2.0 + 4.0 + MARGIN_S == deadlines.next
    assert act is acts.due(6.0, is_made=True, unheard_ms=0)
    assert not acts.is_pending
    assert not deadlines.is_set("act.overdue")


@pytest.mark.parametrize("how", ["overdue", "undo"])
def test_act_is_taken_once(how: str) -> None:
    """Whoever takes it, nobody else can."""
    acts = Acts(Deadlines())
    act = Act(Ending.NO_INPUT, Order("hang_up"), "Say goodbye.")
    acts.begin(act, 0.0)

    assert act is getattr(acts, how)()
    assert (None, None) == (acts.overdue(), acts.undo())


def test_legs_move_only_as_the_tables_say() -> None:
    """A move that is in no table is our own mistake, and says so."""
    assert CallerLeg.UP is move_caller(CallerLeg.AWAITED, CallerLeg.UP)
    assert ModelLeg.READY is move_model(ModelLeg.CONFIGURING, ModelLeg.READY)
    for to in CallerLeg:
        with pytest.raises(LocalProtocolError, match="cannot go from gone"):
            move_caller(CallerLeg.GONE, to)
    with pytest.raises(LocalProtocolError, match="cannot go from connecting to ready"):
        move_model(ModelLeg.CONNECTING, ModelLeg.READY)
