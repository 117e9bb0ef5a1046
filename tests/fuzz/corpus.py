"""The inputs that fuzzing begins with, and those it found: every one of them runs in CI."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
FOUND = Path(__file__).parent / "corpus"
"""A folder for each target."""
WORK = ROOT / "build" / "fuzz"
"""Where the inputs that reached something new are, from run to run; `tests.fuzz.keep` takes from there."""
MAX_BYTES = {"caller": 4096, "model": 4096, "tapes": 8192, "webhooks": 4096}
"""Longest input of each target; of a tape it is the beginning of the call, behind a header that is not counted."""
MAX_WORDS = 300
READERS = 6
"""How many commands `tests.fuzz.targets` has for tapes."""
_ROUTES = {"after-stream": "b", "dial": "c", "enqueue": "c", "refer": "c", "whisper": "d", "fallback": "e",
           "call-status": "f", "stream-status": "g", "machine-detection": "h", "recording-status": "i"}  # fmt: skip
"""The letter by which `tests.fuzz.webhooks` knows the route of a form; the others come from a call that comes in."""


def entries(target: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each."""
    for path in sorted((FOUND / target).glob("*")):
        yield path.name, path.read_bytes()
    yield from seeds(target)


def seeds(target: str) -> Iterator[tuple[str, bytes]]:
    """Those that stand in `fixtures`, laid out as the target reads them."""
    for number, path in enumerate(_fixtures(target)):
        data = path.read_bytes()
        if target == "tapes":
            data = header_named(number) + data.partition(b"\n")[2]
        elif target == "webhooks":
            data = _signed(path.stem) + data.rstrip(b"\n")
        else:
            data = _on_one_line(data)
        name = str(path.relative_to(FIXTURES)).replace("/", "-")
        yield name, data[: MAX_BYTES[target]]


def headers() -> list[bytes]:
    """The first lines of the recorded tapes, and the shortest that there is."""
    return [path.read_bytes().partition(b"\n")[0] + b"\n" for path in _fixtures("tapes")] + [b'{"tape":1}\n']


def header_named(number: int) -> bytes:
    """What stands for one of the `headers` in an input; the command that reads it is another each time."""
    return b"#%c%c\n" % (ord("a") + number, ord("a") + number % READERS)


def words(target: str) -> list[bytes]:
    """What they are made of, most frequent first: to be put together anew."""
    pattern = rb"\n----\n|[\w.%+-]{2,40}=?" if target == "webhooks" else rb'"[^"\\\n]{1,40}":?'
    counted: dict[bytes, int] = {}
    for _, data in entries(target):
        for word in re.findall(pattern, data):
            counted[word] = counted.get(word, 0) + 1
    frequent = sorted(counted, key=lambda word: -counted[word])[:MAX_WORDS]
    return frequent + [b"\n^\n", b"\n\n", b"\n~"] * (target in ("caller", "model"))


def _fixtures(target: str) -> list[Path]:
    pattern = {
        "caller": "caller/*/*.json",
        "model": "model/**/*.json",
        "tapes": "tapes/*.tape",
        "webhooks": "twiml/*/*.form",
    }
    return sorted(FIXTURES.glob(pattern[target]))


def _on_one_line(data: bytes) -> bytes:
    """A message as it travels: fixtures are laid out for reading, and a line break ends a message."""
    try:
        return json.dumps(json.loads(data), separators=(",", ":")).encode()
    except ValueError:
        return data.replace(b"\n", b" ")


def _signed(name: str) -> bytes:
    route = next((letter for beginning, letter in _ROUTES.items() if name.startswith(beginning)), "a")
    return f"{route}A0?call=CA0123456789abcdef0123456789abcdef&stream=1\n\n".encode()
