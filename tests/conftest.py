"""What holds for every test: the same examples each time, and nothing of the developer's own environment.

Tests that need a server ask for it by a fixture below, and are left out where there is none, as those are that run a
program (`tests.support.program`); the last lines say so. `.ci/run` starts PostgreSQL and Redis, and installs programs.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.databases import database as database  # noqa: PLC0414 - a fixture for every test

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

OWN_VARIABLES = ("BRIDGE_", "OPENAI_", "TWILIO_")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings, keys or account of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(OWN_VARIABLES):
            monkeypatch.delenv(name)


@pytest.fixture
def postgresql_url() -> str:
    """A PostgreSQL that tests may fill: a database of one's own must be made in it."""
    return _server("TEST_POSTGRESQL_URL", "PostgreSQL")


@pytest.fixture
def redis_url() -> str:
    """A Redis that tests may fill: keys must be one's own."""
    return _server("TEST_REDIS_URL", "Redis")


@pytest.fixture
def young_heap() -> Iterator[None]:
    """Garbage is looked for among what the test itself makes: all that a long run has made takes a second each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _server(variable: str, name: str) -> str:
    url = os.environ.get(variable)
    return url or pytest.skip(f"no {name}: {variable} is not set")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last which tests were left out, and for want of what: a green run is not to be taken for more than it was."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        where = report.longrepr
        reasons[where[2] if isinstance(where, tuple) else str(where)] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"left out: {count} test{'s' * (count > 1)}: {reason.removeprefix('Skipped: ')}")
