"""What a check of the doctor says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Calls work, and something should be known."""
    FAILED = "failed"
    """Calls fail, or will."""
    SKIPPED = "skipped"
    """Not checked, and why."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: how bad it is.
        message: what was seen; without numbers of callers, and without secrets.
        way_out: what to do about it; empty when there is nothing to do.
        facts: what was measured, for machines.
    """

    level: Level
    message: str
    way_out: str = ""
    facts: dict[str, object] = field(default_factory=dict)


def ok(message: str, **facts: object) -> Finding:
    """It is as it should be."""
    return Finding(Level.OK, message, "", facts)


def warning(message: str, way_out: str, **facts: object) -> Finding:
    """Calls work, and something should be known."""
    return Finding(Level.WARNING, message, way_out, facts)


def failed(message: str, way_out: str, **facts: object) -> Finding:
    """Calls fail, or will."""
    return Finding(Level.FAILED, message, way_out, facts)


def skipped(message: str) -> Finding:
    """Not checked."""
    return Finding(Level.SKIPPED, message)
