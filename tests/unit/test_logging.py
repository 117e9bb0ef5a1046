"""The list of log events and endings in the docs, held against the code."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from bridge import log
from bridge.call.ending import Ending

DOCS = Path("docs/logging.md").read_text(encoding="utf-8")
_SAYS = re.compile(
    r"(?:happened|report|_begin_call|_log\.(?:debug|info|warning|error|exception|log))"
    r"\([^()\"]*\"([a-z]+\.[a-z_]+)\""
)


def events_of_the_code() -> set[str]:
    """Every name of an event that the code says."""
    sources = [*Path("bridge").rglob("*.py"), *Path("twiml").rglob("*.py")]
    return {name for source in sources for name in _SAYS.findall(source.read_text(encoding="utf-8"))}


def test_docs_name_every_event_of_the_code() -> None:
    """Whoever reads a line finds in the docs what it means."""
    missing = {name for name in events_of_the_code() if f"`{name}`" not in DOCS}

    assert set() == missing


def test_docs_name_every_ending() -> None:
    """The closed list of endings is the one in the docs, no more and no less."""
    table = DOCS.partition("## How calls end")[2].partition("##")[0]

    assert {ending.value for ending in Ending} == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_a_machine_reads_one_json_object_a_line() -> None:
    """Not on a terminal, a line is JSON with the event and its fields."""
    fields = {"msg": "call.ended", "levelname": "INFO", "call_sid": "CA1", "ending": "bot_hung_up"}

    line = json.loads(log.JsonFormatter().format(logging.makeLogRecord(fields)))

    assert {"level": "info", "event": "call.ended", "call_sid": "CA1", "ending": "bot_hung_up"}.items() <= line.items()


def test_a_person_reads_event_and_fields() -> None:
    """On a terminal, a line is the time, the event and what goes with it."""
    record = logging.makeLogRecord({"msg": "call.ended", "levelno": logging.INFO, "ending": "bot_hung_up"})

    assert log.PlainFormatter().format(record).endswith("call.ended ending=bot_hung_up")
