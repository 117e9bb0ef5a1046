"""Fuzzes one target, guided by coverage: `python -m tests.fuzz.run TARGET [SECONDS]`; see `docs/testing.md`.

What is found is put into the target's corpus, where CI runs it from then on. With libFuzzer's own options in the place
of the seconds, it does what they say. Linux only: `atheris` has no other wheels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bridge", "twiml"]):
    from tests.fuzz import corpus
    from tests.fuzz.targets import TARGETS

HANGS_AFTER_S = 10
MAX_MEMORY_MB = 512
"""Of the process, which has some 120 at the beginning and stays there."""


def main(target: str, *options: str) -> None:
    """Do it; ends the process, with 0 when nothing was found."""
    # libFuzzer starts itself anew by its first argument where its options ask for it, through a shell.
    command = f"'{sys.executable}' -m tests.fuzz.run {target}"
    if not options or options[0].isdigit():
        options = _options(target, int(*options[:1] or (600,)))
    atheris.Setup([command, *options], TARGETS[target])
    atheris.Fuzz()


def _options(target: str, seconds: int) -> tuple[str, ...]:
    work, found = corpus.WORK / target, corpus.FOUND / target
    for folder in (work, found):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in corpus.entries(target):
        (work / name).write_bytes(data)
    return (
        str(work),
        f"-max_total_time={seconds}",
        f"-timeout={HANGS_AFTER_S}",
        f"-rss_limit_mb={MAX_MEMORY_MB}",
        f"-max_len={corpus.MAX_BYTES[target]}",
        f"-dict={_dictionary(target)}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
    )


def _dictionary(target: str) -> Path:
    """The words that mutations may put in, as libFuzzer reads them: each in quotes, with its bytes in hexadecimal."""
    path = corpus.WORK / f"{target}.words"
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in corpus.words(target))
    path.write_text("".join(lines))
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
