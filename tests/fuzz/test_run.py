"""The runner: what goes beyond its limits ends the run, and is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import corpus

OUT_OF_MEMORY = 71
"""libFuzzer's exit code."""


@pytest.mark.skipif(sys.platform != "linux", reason="atheris has wheels for Linux only")
def test_process_that_grows_beyond_its_limit_ends_the_run(tmp_path: Path) -> None:
    """A limit below what any Python has stands for the growth."""
    options = ["-rss_limit_mb=20", "-max_total_time=30", f"-artifact_prefix={tmp_path}/"]
    command = [sys.executable, "-m", "tests.fuzz.run", "caller", *options]

    run = subprocess.run(command, cwd=corpus.ROOT, capture_output=True, text=True, timeout=50, check=False)

    assert OUT_OF_MEMORY == run.returncode, run.stderr
    assert "out-of-memory" in run.stderr
    assert ["oom"] == [path.name.partition("-")[0] for path in tmp_path.iterdir()]
