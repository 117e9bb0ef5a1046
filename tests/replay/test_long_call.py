"""An hour on the phone replays in seconds, and in little memory."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from bridge.call.plan import Plan
from bridge.replay.commands import replay_one
from bridge.replay.script import Script
from bridge.settings import Agent

CALL_S = 3600
REPLAY = """
import re, sys, time
from pathlib import Path
from bridge.replay.commands import replay_one
assert replay_one(Path(sys.argv[1])).is_same
print(time.process_time(), re.search("VmHWM:[^0-9]+([0-9]+)", Path("/proc/self/status").read_text())[1])
"""


def talk(path: Path, seconds: float) -> None:
    """A call of some length, in frames of 20 ms: turns, answers, and a barge-in in every third answer."""
    agent = Agent.model_validate({"name": "reception", "silence": {"prompt_after_s": 600}})
    script = Script(Plan("CA" + "0" * 32, agent, "ga", max_call_s=2 * CALL_S), frame_ms=20, has_sound=True)
    script.begin()
    turn = 0
    while script.now < seconds:
        turn += 1
        script.turn(f"turn_{turn}", "Tell me more.", speech_s=4)
        script.wait(0.5)
        script.respond(f"resp_{turn}", f"item_{turn}", "There is more to tell.", speech_ms=5000, by_server=True)
        script.wait(5.5 if turn % 3 else 3)
    script.hang_up()
    path.write_bytes(script.tape())


def test_minutes_replay_five_hundred_times_as_fast(tmp_path: Path) -> None:
    """Five minutes of a call take less than 0.6 s of one core, and no memory that grows with them."""
    path = tmp_path / "call.tape"
    talk(path, 300)
    began = time.process_time()
    outcome = replay_one(path)
    took_s = time.process_time() - began
    tracemalloc.start()
    replay_one(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.is_same
    assert took_s < outcome.call_s / 500
    assert peak_bytes < 5_000_000 < path.stat().st_size


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its peak memory from Linux")
def test_hour_replays_in_seven_seconds_and_200_mb(tmp_path: Path) -> None:
    """In a process of its own, so that its memory is its own too."""
    path = tmp_path / "call.tape"
    talk(path, CALL_S)
    command = [sys.executable, "-c", REPLAY, str(path)]
    told = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    took_s, peak_kb = told.stdout.split()

    assert float(took_s) < 7
    assert int(peak_kb) < 200 * 1024
