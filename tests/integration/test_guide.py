"""The files and commands of `docs/guide.md` work as they stand there, in one folder, from the first to the last."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(?:`(?P<file>[\w-]+\.(?:py|toml))`[^\n]*:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
NEEDS_AN_ACCOUNT = re.compile(r"voicebridge (serve|doctor|number) ")


@pytest.mark.timeout(240)
def test_guide_works_as_it_stands(tmp_path: Path) -> None:
    """Each command succeeds; those that need an account or the internet are the only ones that are left out."""
    pytest.importorskip("pocketsphinx")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    done = 0
    for block in _BLOCK.finditer(GUIDE):
        if block["kind"] == "sh":
            for line in block["text"].splitlines():
                if not NEEDS_AN_ACCOUNT.match(line):
                    run(line, tmp_path)
                    done += 1
        elif block["file"] and not block["text"].startswith("# for the real line"):
            (tmp_path / block["file"]).write_text(block["text"], encoding="utf-8")

    assert 5 == done


def run(line: str, folder: Path) -> None:
    """Run a command as a reader would; calls that do not say how fast go faster than in real time."""
    program, *words = shlex.split(line, comments=True)
    rate = ["--rate", "4"] if words[0] == "call" and "--rate" not in words else []
    ran = subprocess.run(
        [sys.executable, "-m", "bridge", *words, *rate],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert ("voicebridge", 0) == (program, ran.returncode), f"{line}\n{ran.stdout}\n{ran.stderr}"


def test_page_that_the_guide_names_is_there() -> None:
    """No link leads nowhere."""
    links = re.findall(r"\]\(([\w./-]+)\)", GUIDE)

    assert [] == [link for link in links if not (ROOT / "docs" / link).exists()]
