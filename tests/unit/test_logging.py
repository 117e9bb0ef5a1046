"""The list of log events and endings in the docs, held against the code."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("POST /2010-04-01/Calls.json?To=%2B15557654321", "POST /2010-04-01/Calls.json?To=[masked]"),
        ("to +15557654321 from +44 1632 960001", "to [masked] from [masked]"),
        ("sip:alice@pbx.example.com rang", "sip:[masked]@pbx.example.com rang"),
        ("client:alice", "client:[masked]"),
        ("tel:5557654321", "tel:[masked]"),
        ("2026-11-28T11:30:09.123+00:00 MZ00000000000000000000000000000001", None),
        ("https://bot.example.com:8080/media took 1234567 ms", None),
    ],
)
def test_number_is_masked_wherever_it_stands(written: str, shown: str | None) -> None:
    """A line of somebody else's library may hold an address; times, ids and figures stay as they are."""
    assert (written if shown is None else shown) == log.masked(written)


def test_line_of_anybody_has_no_number_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Other people's loggers are heard from warning on, and what they say is masked: so is an exception's text."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        log.set_up(level=logging.DEBUG, secrets=["a-secret-of-ours"])
        logging.getLogger("twilio.http_client").info("To +15557654321")
        logging.getLogger("websockets.client").debug("what was said")
        error = ValueError("no route to +15557654321 with a-secret-of-ours")
        logging.getLogger("asyncio").error("task failed", exc_info=error)
        logging.getLogger("bridge").debug("caller.speech_started")
    finally:
        root.handlers = handlers
        root.setLevel(level)
        for name in log.OWN:
            logging.getLogger(name).setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert ["task failed", "caller.speech_started"] == [line["event"] for line in lines]
    assert "no route to [masked] with ****" in lines[0]["exception"]


def test_docs_tell_the_level_of_each_fact() -> None:
    """Whoever sets `log.level` knows what is left out."""
    levels = DOCS.partition("## Levels")[2].partition("\n## ")[0]
    debug, _, warning = levels.partition("`warning`:")

    assert set(log.DETAILS) == set(re.findall(r"`(\w+\.\w+)`", debug))
    assert set(log.TROUBLES) == set(re.findall(r"`(\w+\.\w+)`", warning))
