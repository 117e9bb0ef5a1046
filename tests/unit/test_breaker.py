"""When an endpoint counts as down, and when it is tried again."""

from __future__ import annotations

import pytest

from bridge.breaker import LONGEST_PAUSE_S, RELAPSE_S, Breaker, State

PAUSE_S = 15.0


def breaker(after_failures: int = 3) -> Breaker:
    """A breaker as the settings make it by default."""
    return Breaker(after_failures, PAUSE_S)


def opened() -> Breaker:
    """A breaker that was opened at 0."""
    one = breaker()
    assert one.failed(0.0, is_fatal=True)
    return one


def test_calls_are_let_through_until_sessions_fail_in_a_row() -> None:
    """Two failures may be chance; the third is none."""
    one = breaker()

    assert [False, False, True] == [one.failed(float(now), is_fatal=False) for now in range(3)]
    assert "no" == one.ask(3.0)


def test_a_session_that_is_ready_makes_the_failures_before_it_forgotten() -> None:
    """Only failures in a row count."""
    one = breaker()
    for now in (0.0, 1.0):
        one.failed(now, is_fatal=False)
    one.succeeded(2.0)

    assert not one.failed(3.0, is_fatal=False)
    assert "go" == one.ask(4.0)


def test_a_reason_that_would_come_again_opens_at_once() -> None:
    """A key that is refused is refused to the next call as well."""
    assert "no" == opened().ask(0.1)


def test_one_call_tries_after_the_pause_and_the_others_do_not() -> None:
    """Nobody else is sent into the silence while it does."""
    one = opened()

    assert ["no", "try", "no"] == [one.ask(now) for now in (PAUSE_S - 0.1, PAUSE_S, PAUSE_S + 0.1)]


def test_a_trial_that_succeeds_lets_everybody_through() -> None:
    """That is what it was for."""
    one = opened()
    one.ask(PAUSE_S)

    assert one.succeeded(PAUSE_S + 1)
    assert "go" == one.ask(PAUSE_S + 1)


def test_each_trial_that_fails_doubles_the_pause_up_to_a_limit() -> None:
    """An endpoint that stays down is asked ever more seldom, and never less than that."""
    one, now, pauses = opened(), 0.0, []
    for _ in range(6):
        now += one.pause_s
        assert "try" == one.ask(now)
        one.failed(now, is_fatal=False)
        pauses.append(one.pause_s)

    assert [30, 60, 120, 240, LONGEST_PAUSE_S, LONGEST_PAUSE_S] == pauses


@pytest.mark.parametrize(("after_s", "pause_s"), [(RELAPSE_S - 1, 30.0), (RELAPSE_S + 1, PAUSE_S)])
def test_an_endpoint_that_relapses_is_left_alone_for_longer(after_s: float, pause_s: float) -> None:
    """It opens sessions and cannot answer, such as without credit; one that was well for long begins anew."""
    one = opened()
    one.ask(PAUSE_S)
    one.succeeded(PAUSE_S)
    one.failed(PAUSE_S + after_s, is_fatal=True)

    assert pause_s == one.pause_s


def test_a_trial_that_never_says_how_it_went_is_followed_by_another() -> None:
    """Its caller may have hung up in the middle."""
    one = opened()
    one.ask(PAUSE_S)

    assert ["no", "try"] == [one.ask(now) for now in (2 * PAUSE_S - 0.1, 2 * PAUSE_S)]


def test_a_breaker_that_is_switched_off_never_opens() -> None:
    """`after_failures = 0`."""
    one = breaker(0)
    for now in range(10):
        one.failed(float(now), is_fatal=True)

    assert (State.CLOSED, "go") == (one.state, one.ask(10.0))
