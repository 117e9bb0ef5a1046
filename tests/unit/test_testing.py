"""The package's own pytest plugin: a user's test of a recorded call."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.testing import replay_call

pytest_plugins = ["pytester"]
TAPES = Path(__file__).parents[2] / "fixtures" / "tapes"

USERS_TEST = """
def test_caller_can_interrupt(replay):
    call = replay("barge-in")
    assert call.is_same, call.report
    assert call.heard("well, that is")
    assert not call.heard("so listen")
    assert call.said("tell me everything")
    assert call.was_cut_at(1.5)
    assert not call.was_cut_at(3)
    assert call.ended("caller_hung_up")

def test_tape_that_is_missing(replay):
    replay("no-such-call")
"""


def test_users_test_replays_a_tape_by_its_name(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fixture, one name; a tape that is missing is said to be so, with the places that were looked at."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # installed or not, the plugin is loaded once
    pytester.makeini(f"[pytest]\ntapes = {TAPES}")
    pytester.makepyfile(USERS_TEST)
    result = pytester.runpytest_inprocess("-p", "bridge.testing", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*there is no tape 'no-such-call'*"])


def test_call_is_told_in_the_words_of_telephony() -> None:
    """What ran, what was heard, how it ended."""
    functions = replay_call(TAPES / "functions.tape")
    goodbye = replay_call(TAPES / "goodbye.tape")

    assert ["look_up", "look_up"] == functions.functions
    assert functions.ran("look_up")
    assert goodbye.ended("bot_hung_up")
    assert goodbye.heard("Goodbye!")
    assert not goodbye.transferred_to("sales")
