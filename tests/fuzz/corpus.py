"""The inputs that fuzzing begins with, and those it found: every one of them runs in CI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOUND = Path(__file__).parent / "corpus"
"""A folder for each target."""
MAX_SEED_BYTES = 8192


def entries(target: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each."""
    for path in sorted((FOUND / target).glob("*")):
        yield path.name, path.read_bytes()
    head = b"\0\1\n\n" if target == "webhooks" else b""
    for path in _seeds(target):
        yield path.name, head + path.read_bytes()[:MAX_SEED_BYTES]


def _seeds(target: str) -> list[Path]:
    folders = {"caller": "caller/*", "model": "model/**", "tapes": "tapes", "webhooks": "twiml/*"}
    kinds = (".json", ".jsonl", ".tape", ".form")
    return sorted(path for path in (ROOT / "fixtures").glob(f"{folders[target]}/*") if path.suffix in kinds)
