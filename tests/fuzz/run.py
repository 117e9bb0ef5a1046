"""Fuzzes one target, guided by coverage: `python -m tests.fuzz.run TARGET [SECONDS]`; see `docs/testing.md`.

What is found is put into the target's corpus, where CI runs it from then on. Linux only: `atheris` has no other wheels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bridge.wire", "bridge.call", "bridge.replay", "twiml"]):
    from tests.fuzz import corpus
    from tests.fuzz.targets import TARGETS

WORK = corpus.ROOT / "build" / "fuzz"
MAX_BYTES = 4096
HANGS_AFTER_S = 10
MAX_MEMORY_MB = 1024


def main(target: str, seconds: int) -> None:
    """Fuzz; ends the process, with 0 when nothing was found."""
    work, found = WORK / target, corpus.FOUND / target
    for folder in (work, found):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in corpus.entries(target):
        Path(work, name).write_bytes(data)
    limits = [f"-timeout={HANGS_AFTER_S}", f"-rss_limit_mb={MAX_MEMORY_MB}", f"-max_len={MAX_BYTES}"]
    arguments = [sys.argv[0], str(work), f"-max_total_time={seconds}", *limits, f"-artifact_prefix={found}/"]
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 600)
