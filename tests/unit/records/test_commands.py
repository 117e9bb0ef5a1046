"""`voicebridge records`: what is exported, what is pruned, and what a user who is wrong is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge import cli
from bridge.records.database import migrate, open_engine
from tests.databases import keep_call

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command against a database: its exit code, the lines it prints, and what it complains of."""

    def run(database: str, *arguments: str) -> tuple[int, list[str], str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BRIDGE_STORAGE__URL", database)
        code = cli.main(["records", *arguments])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


@pytest.fixture
def filled(database: str) -> str:
    """A database with three calls: of today, of a week ago, and of a hundred days ago."""
    engine = open_engine(database)
    now = datetime.now(UTC)
    with engine.begin() as connection:
        migrate(connection)
        for name, days, ending in (("today", 0, "bot_hung_up"), ("week", 7, "no_input"), ("old", 100, "no_input")):
            keep_call(connection, name, "a", "ended", now - timedelta(days=days), ending=ending)
    engine.dispose()
    return database


def names(lines: list[str]) -> list[str]:
    """The calls of an export."""
    return [json.loads(line)["id"] for line in lines]


def test_export_prints_a_line_for_each_call_of_a_time(filled: str, run: Run) -> None:
    """The earliest first; each line is the whole record."""
    week_ago = (datetime.now(UTC) - timedelta(days=8)).date().isoformat()

    assert ["old", "week", "today"] == names(run(filled, "export")[1])
    assert ["week", "today"] == names(run(filled, "export", "--since", week_ago)[1])
    assert ["old"] == names(run(filled, "export", "--until", week_ago)[1])
    code, lines, _ = run(filled, "export", "--ending", "bot_hung_up")
    record = json.loads(lines[0])
    assert (0, "CAtoday", "ended", "bot_hung_up") == (code, record["call_sid"], record["state"], record["ending"])
    assert [{"role": "bot", "words": "Hello.", "at_s": 1.0, "heard_ms": 500, "is_cut": False}] == record["transcript"]
    assert record["began_at"].endswith("Z")


def test_prune_deletes_what_is_too_old(filled: str, run: Run) -> None:
    """It says first what it would do, if that is asked."""
    assert ["old", "week", "today"] == names(run(filled, "export")[1])
    said = run(filled, "prune", "--dry-run")[1]
    assert "would delete 1 calls" in said[0]
    assert "deleted 1 calls" in run(filled, "prune")[1][0]
    assert "deleted 1 calls" in run(filled, "prune", "--keep-days", "3")[1][0]
    assert ["today"] == names(run(filled, "export")[1])


def test_records_that_are_not_there_are_no_traceback(tmp_path: Path, run: Run) -> None:
    """Nothing is made by looking; exit code 1."""
    missing = tmp_path / "missing.db"
    code, _, complaint = run(f"sqlite:///{missing}", "export")

    assert 1 == code
    assert "does not exist" in complaint
    assert not missing.exists()
    (tmp_path / "empty.db").touch()
    assert (1, "voicebridge: there are no call records yet: the bridge makes their tables when it starts\n") == run(
        f"sqlite:///{tmp_path / 'empty.db'}", "export"
    )[::2]
    code, _, complaint = run("postgresql://nobody@127.0.0.1:9/calls", "prune")
    assert 1 == code
    assert "the call records cannot be used (OperationalError" in complaint


def test_a_time_that_is_none_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as for every wrong argument."""
    with pytest.raises(SystemExit) as refusal:
        run("sqlite:///calls.db", "export", "--since", "yesterday")

    assert 2 == refusal.value.code
    assert "--since" in capsys.readouterr().err
    code, _, complaint = run("sqlite:///calls.db", "prune", "--keep-days", "0")
    assert (2, "records.keep_days") == (code, complaint.partition(":")[0])
