"""A user's own test of an agent: a phone call in ten lines."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFIG = """
[agents.reception]
instructions = "Be brief."
greeting_message = "Good morning, this is the bakery."
"""
SCENARIO = """
title = "Hears the greeting and hangs up"
[[step]]
hang_up = true
after = "greeting"
[expect]
ended_by = "caller"
"""
USERS_TEST = """
def test_caller_is_greeted(rehearsal):
    call = rehearsal("greeted.toml", config="bakery.toml")
    assert call.passed, call.failures
    assert call.heard("good morning, this is the bakery")
    assert not call.was_cut_at(1)
    assert call.ended("caller_hung_up")
"""


def test_users_test_rehearses_a_call(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bridge, carrier and model run inside the test, faster than real time."""
    pytest.importorskip("pocketsphinx")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # installed or not, the plugin is loaded once
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makefile(".toml", bakery=CONFIG, greeted=SCENARIO)
    pytester.makepyfile(USERS_TEST)
    result = pytester.runpytest_subprocess("-p", "bridge.testing", "-p", "no:cacheprovider", timeout=50)

    result.assert_outcomes(passed=1)
