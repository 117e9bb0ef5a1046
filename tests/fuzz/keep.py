"""Keeps, of what fuzzing found, the few inputs that reach what others do not: `python -m tests.fuzz.keep TARGET…`.

They go to the target's corpus, in the place of those that were kept before, by names that say what is in them and end
in a number. Other names there are defects that were mended and inputs that somebody thought of: those stay.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.targets import reader_of
from tests.fuzz.webhooks import BETWEEN, Request

WITHIN_S = 600
MAX_BYTES = 4096
"""Nobody reads a longer one."""
_KEPT = re.compile(r".*\.\d+")
_WORDS = {
    "caller": rb'"event": ?"(\w+)"',
    "model": rb'"type": ?"([\w.]+)"',
    "tapes": rb'"(?:event|type|kind)": ?"([\w.]+)"',
}
"""What an input is called by."""
_PHONE_NUMBER = re.compile(rb"(\+|%2[Bb])\d{7,}")
_NOBODYS = rb"\g<1>15551230000"
"""A mutation may have made a number that is somebody's."""


def keep(target: str) -> int:
    """Choose and keep; how many it is now."""
    needed, found = corpus.WORK / f"{target}.needed", corpus.WORK / f"{target}.found"
    for folder in (needed, found):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    folder = corpus.FOUND / target
    kept = {name: data for name, data in _read(folder).items() if _KEPT.fullmatch(name)}
    lasting = {name: data for name, data in corpus.entries(target) if name not in kept}
    candidates = kept | _read(corpus.WORK / target)
    _write(needed, lasting)
    _write(found, {name: data for name, data in candidates.items() if len(data) <= MAX_BYTES})
    _choose(target, needed, found)
    chosen = _named(target, [data for name, data in _read(needed).items() if name not in lasting])
    for name in kept:
        (folder / name).unlink()
    _write(folder, chosen)
    return len(chosen)


def _read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _write(folder: Path, inputs: dict[str, bytes]) -> None:
    for name, data in inputs.items():
        (folder / name).write_bytes(_PHONE_NUMBER.sub(_NOBODYS, data))


def _choose(target: str, needed: Path, found: Path) -> None:
    """Have libFuzzer add to one folder, of those in the other, the smallest that together reach all that they reach."""
    # Without counters: that a line is run nine times and not eight makes no input worth keeping.
    options = ["-set_cover_merge=1", "-use_counters=0", f"-max_len={corpus.MAX_BYTES[target]}", str(needed), str(found)]
    command = [sys.executable, "-m", "tests.fuzz.run", target, *options]
    subprocess.run(command, check=True, capture_output=True, timeout=WITHIN_S, cwd=corpus.ROOT)


def _named(target: str, inputs: list[bytes]) -> dict[str, bytes]:
    numbers: Counter[str] = Counter()
    named = {}
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        name = _name_of(target, data)
        numbers[name] += 1
        named[f"{name}.{numbers[name]}"] = data
    return named


def _name_of(target: str, data: bytes) -> str:
    """What is in an input, in two words: routes, or what occurs in seeds too, first and last."""
    if target == "webhooks":
        words = [_route(one) for one in data.split(BETWEEN)]
    else:
        words = [word for word in _words_in(target, data) if word in _known(target)]
    if target == "tapes":
        words[:1] = [reader_of(data)]
    return "-".join(dict.fromkeys(words[:1] + words[-1:])).lower() or "senseless"


def _route(request: bytes) -> str:
    return Request.read(request).route.replace("/{}", "").rpartition("/")[2].partition(".")[0]


def _words_in(target: str, data: bytes) -> list[str]:
    return [word.decode().replace(".", "-") for word in re.findall(_WORDS[target], data)]


@cache
def _known(target: str) -> set[str]:
    return {word for _, data in corpus.seeds(target) for word in _words_in(target, data)}


if __name__ == "__main__":
    for named in sys.argv[1:]:
        sys.stdout.write(f"fuzz: {keep(named)} inputs are kept for {named}\n")
