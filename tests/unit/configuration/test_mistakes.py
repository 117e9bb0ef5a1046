"""One deliberate mistake in each table: one sentence, with the file, the key and the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bridge.configuration import commands
from bridge.configuration.keys import Path, all_paths, annotation_at, dotted, is_secret
from bridge.settings import Settings
from tests.unit.configuration.conftest import Refuser

REQUIRED = {
    "lines": {"agent": "a"},
    "destinations": {"to": "+15557654321"},
}
"""What an entry of a table must say, so that it is right but for the mistake."""

WRONG = {
    "server": ('server.public_url = "bot.example.com"', "server.public_url: is not an address of the form https://"),
    "twilio": ('twilio.account_sid = "SK1"', "twilio.account_sid: is not an account SID, which begins with AC"),
    "model": (
        'model.provider = "opanai"',
        "model.provider: must be 'embedded', 'openai', 'azure' or 'compatible'; did",
    ),
    "agents": ('agents.a.tools = ["end_cal"]', "agents.a.tools.0: 'end_cal' is no tool: built in or in [functions]"),
    "functions": ("functions.f.timeout_s = 8", "functions.f: needs either url or python"),
    "mcp": ('mcp.m.description = "x"', "mcp.m: needs either server_url or connector_id"),
    "lines": ('lines.default = "receptoin"', "lines.default: 'receptoin' is no agent: did you mean reception?"),
    "destinations": ('destinations.d.to = "5551234"', "destinations.d.to: is none of +NUMBER in E.164 form, sip:"),
    "fallback": (
        'fallback.destination = "sales"',
        "fallback.destination: 'sales' is no destination: there is none yet",
    ),
    "limits": ("limits.max_calls = 0", "limits.max_calls: must be at least 1"),
    "prices": ("prices.m.audio_in = -1", "prices.m.audio_in: must be at least 0"),
    "twiml": ('twiml.closed = "no.xml"', "twiml.closed: names a file that cannot be read: No such file or directory"),
    "storage": ('storage.url = "mysql://x"', "storage.url: must begin with sqlite:// or postgresql://"),
    "records": ('records.numbers = "some"', "records.numbers: must be 'full', 'masked' or 'none'"),
    "recording": ('recording.channels = "three"', "recording.channels: must be 'dual' or 'mono'"),
    "shared": ('shared.url = "etcd://x"', "shared.url: must begin with memory:// or redis://"),
    "tape": ('tape.record = "yes"', "tape.record: must be true or false"),
    "log": ('log.level = "verbose"', "log.level: must be "),
    "otel": ('otel.endpoint = "collector"', "otel.endpoint: "),
    "rehearsal": ('rehearsal.dialogue = "no.toml"', "rehearsal.dialogue: names a file that is not there"),
}


def tables() -> Iterator[Path]:
    """Every table there is, also those in others; an entry of the operator's own is called NAME."""
    return iter(dict.fromkeys(path[:-1] for path in all_paths()))


def first_key(table: Path) -> str:
    """A key of the table."""
    return next(path[-1] for path in all_paths() if path[:-1] == table)


@pytest.mark.parametrize("table", [*tables()], ids=dotted)
def test_key_that_is_mistyped_is_told_with_the_nearest(problems_of: Refuser, table: Path) -> None:
    """In every table of the file, however deep."""
    key, place = first_key(table), tuple("default" if table[0] == "lines" and p == "NAME" else p for p in table)
    entry = "".join(f"{name} = {json.dumps(value)}\n" for name, value in REQUIRED.get(table[0], {}).items())
    lines = "" if table[0] == "lines" else 'lines.default = "a"\nagents.a.voice = "marin"\n'

    problems = problems_of(f"{lines}[{dotted(place)}]\n{entry if len(table) == 2 else ''}{key}_ = 1\n")

    assert any(one.startswith(f"{dotted((*place, key + '_'))}: unknown key: did you mean {key}") for one in problems)


@pytest.mark.parametrize("table", Settings.model_fields)
def test_value_that_cannot_be_is_told_with_the_way_out(problems_of: Refuser, table: str) -> None:
    """A new table needs a row here."""
    text, says = WRONG[table]

    problems = problems_of(text)

    assert 1 == len(problems)
    assert problems[0].startswith(says)


def test_schema_knows_every_key() -> None:
    """An editor takes all that the program takes: every key of every table, and a file for every secret."""
    schema = json.loads(commands.schema().text)

    unknown = [dotted(path) for path in (*all_paths(), *_files()) if not _knows(schema, schema, path)]

    assert [] == unknown


def _files() -> Iterator[Path]:
    return ((*path[:-1], f"{path[-1]}_file") for path in all_paths() if is_secret(annotation_at(path)))


def _knows(schema: dict[str, object], here: object, path: Path) -> bool:
    """Whether there is a place for a key, in any form that a table may have."""
    if not isinstance(here, dict):
        return False
    if not path:
        return True
    if "$ref" in here:
        return _knows(schema, schema["$defs"][str(here["$ref"]).rpartition("/")[2]], path)  # type: ignore[index]  # JSON
    if any(_knows(schema, form, path) for form in here.get("anyOf", ()) if isinstance(form, dict)):
        return True
    properties = here.get("properties", {})
    inner = properties.get(path[0]) if path[0] in properties else here.get("additionalProperties")
    return _knows(schema, inner, path[1:])
