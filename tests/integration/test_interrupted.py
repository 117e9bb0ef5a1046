"""A bridge that is killed in mid-call: what is kept of the call, and what becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from bridge.records import reading
from bridge.records.database import open_engine
from bridge.records.reading import CallRecord
from tests.integration.test_commands import HOURS, serving

WITHIN_S = 50.0


def recorded(database: str, *, when: Callable[[CallRecord], bool]) -> CallRecord:
    """The one record there is, as soon as it is as wanted."""
    engine = open_engine(database, is_reader=True)
    until = time.monotonic() + WITHIN_S
    try:
        while time.monotonic() < until:
            with suppress(DBAPIError), engine.connect() as connection:  # there may be no tables yet
                records = list(reading.each(connection, reading.Wanted()))
                if len(records) == 1 and when(records[0]):
                    return records[0]
            time.sleep(0.1)  # another process is waited for
    finally:
        engine.dispose()
    raise AssertionError("the record did not come")


@pytest.mark.timeout(180)
def test_record_of_a_call_whose_bridge_is_killed_has_all_that_was_known(tmp_path: Path, database: str) -> None:
    """It is on the disk when SIGKILL comes; the bridge that starts next closes it, without an ending."""
    config = tmp_path / "own.toml"
    config.write_text(f'[server]\nport = 0\ninstance = "a"\n[storage]\nurl = "{database}"\n')
    with serving("--config", config, cwd=tmp_path) as (bridge, url):
        caller = subprocess.Popen(
            [sys.executable, "-m", "bridge", "call", str(HOURS), "--to", url],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "XDG_RUNTIME_DIR": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            live = recorded(database, when=lambda record: bool(record.transcript))
            bridge.kill()
            bridge.wait(10)
        finally:
            caller.kill()
            caller.wait(10)
    left = recorded(database, when=lambda _: True)
    with serving("--config", config, cwd=tmp_path):
        closed = recorded(database, when=lambda record: record.state != "live")

    assert ("live", None) == (left.state, left.ending)
    assert live.transcript[0] == left.transcript[0]
    assert left.transcript[0].words
    assert ("interrupted", None) == (closed.state, closed.ending)
    assert left.transcript == closed.transcript
    assert closed.ended_at is not None
    assert closed.began_at < closed.ended_at
