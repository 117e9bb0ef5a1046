"""The examples of `docs/testing.md` work as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bridge.replay.commands import replay_one

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
VOICE = ROOT / "fixtures" / "calls" / "slt"
RECORDINGS = {"where-is-my-order.wav": "order", "my-order-number.wav": "order-number"}
_FILE = re.compile(r"`([\w-]+\.(?:py|toml))`[^\n]*:\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the files of the guide, and what they need."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # installed or not, the plugin is loaded once
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, text in _FILE.findall((ROOT / "docs" / "testing.md").read_text(encoding="utf-8")):
        (pytester.path / name).write_text(text, encoding="utf-8")
    for name, utterance in RECORDINGS.items():
        shutil.copy(VOICE / f"{utterance}.wav", pytester.path / name)
    shutil.copy(ROOT / "fixtures" / "tapes" / "barge-in.tape", pytester.path / "interrupted.tape")
    return pytester


def test_users_test_of_an_agent_and_its_function_passes(project: pytest.Pytester) -> None:
    """In ten lines: a call is made, the function runs, its answer is heard."""
    pytest.importorskip("pocketsphinx")
    result = project.runpytest_subprocess("-p", "bridge.testing", "-p", "no:cacheprovider", "test_order.py", timeout=55)

    result.assert_outcomes(passed=1)
    (tape,) = (path for path in project.path.rglob("*.tape") if path.name != "interrupted.tape")
    assert replay_one(tape).is_same
    assert len((project.path / "test_order.py").read_text(encoding="utf-8").splitlines()) <= 10


def test_users_test_of_a_tape_passes(project: pytest.Pytester) -> None:
    """The recorded call is the same again."""
    result = project.runpytest_subprocess("-p", "bridge.testing", "-p", "no:cacheprovider", "test_tape.py", timeout=30)

    result.assert_outcomes(passed=1)
