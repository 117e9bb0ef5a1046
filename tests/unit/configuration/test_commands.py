"""`voicebridge config`: check, show and schema; and the shipped example and reference."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.configuration import commands, load
from bridge.configuration.keys import all_paths, dotted

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "bridge.example.toml"

SECRETS = """
[server]
admin_token = "s3cret"
[twilio]
auth_token = "s3cret"
[model]
provider = "compatible"
url = "wss://v.example.com/r"
api_key = "s3cret"
extra_query = { sig = "s3cret" }
extra_headers = { X-Team = "s3cret" }
[agents.a]
url = "wss://v.example.com/r"
api_key = "s3cret"
[functions.f]
url = "https://x.example.com"
secret = "s3cret"
[mcp.m]
server_url = "https://mcp.example.com"
authorization = "s3cret"
headers = { k = "s3cret" }
[storage]
url = "postgresql://user:s3cret@db.example.com/calls?sslpassword=s3cret"
[shared]
url = "redis://:s3cret@db.example.com"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file with a secret in every place for one."""
    path = tmp_path / "bridge.toml"
    path.write_text(SECRETS)
    return path


def test_operator_checks_a_good_configuration() -> None:
    """The shipped example is fine."""
    assert (f"The configuration is fine: {EXAMPLE}.", 0) == commands.check(EXAMPLE, {})
    assert ("The configuration is fine: no file, the embedded model on loopback.", 0) == commands.check(None, {})


def test_operator_checks_a_bad_configuration(tmp_path: Path) -> None:
    """Every problem is a line with file and key, and the exit code is 2; a machine gets the same as JSON."""
    path = tmp_path / "bridge.toml"
    path.write_text("[server]\nprot = 1\nport = -1\n")

    outcome = commands.check(path, {})
    assert 2 == outcome.exit_code
    assert {
        f"{path}: server.prot: unknown key: did you mean port?",
        f"{path}: server.port: must be at least 0",
    } == set(outcome.text.splitlines())
    assert 2 == len(json.loads(commands.check(path, {}, as_json=True).text)["problems"])
    assert 2 == len(json.loads(commands.show(path, {}, as_json=True).text)["problems"])
    assert commands.show(path, {}) == outcome


def test_operator_checks_a_configuration_with_warnings() -> None:
    """Warnings are shown and do not fail the check."""
    environ = {"BRIDGE_AGENTS__RECEPTION__TEMPERATURE": "0.8"}
    key = "agents.reception.temperature"

    assert f"warning: {key}: has no place in the GA dialect" in commands.check(EXAMPLE, environ).text
    (warning,) = json.loads(commands.check(EXAMPLE, environ, as_json=True).text)["warnings"]
    assert key == warning["key"]


def test_operator_sees_no_secret(file: Path) -> None:
    """What is shown, of a configuration full of secrets, holds none."""
    shown = commands.show(file, {})

    assert 0 == shown.exit_code
    assert "s3cret" not in shown.text
    assert "s3cret" not in commands.show(file, {}, as_json=True).text
    assert "s3cret" not in repr(load(file, {}))
    assert 'url = "postgresql://user:********@db.example.com/calls?********"' in shown.text


def test_operator_sees_where_a_value_comes_from() -> None:
    """A value that a variable sets is shown with the variable."""
    assert "port = 9000  # BRIDGE_SERVER__PORT" in commands.show(EXAMPLE, {"BRIDGE_SERVER__PORT": "9000"}).text


def test_what_is_shown_is_a_configuration(tmp_path: Path) -> None:
    """What is shown of the example, loaded again, gives the same settings."""
    path = tmp_path / "shown.toml"
    path.write_text(commands.show(EXAMPLE, {}).text)

    again = load(path, {}).settings
    assert load(EXAMPLE, {}).settings.model_copy(update={"tape": again.tape}) == again


texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.one_of(texts, st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@given(parameters=st.dictionaries(texts, values, min_size=1, max_size=4))
def test_any_value_is_shown_as_toml(parameters: dict[str, object]) -> None:
    """Whatever a schema of a function holds, what is shown parses to the same."""
    tree = {"functions": {"f": {"parameters": parameters}}}

    shown = "\n".join(commands._toml(tree, (), {}))  # noqa: SLF001, it is the printer that is tried

    assert tree == tomllib.loads(shown)


def test_editor_reads_the_schema() -> None:
    """The schema is valid, takes the example and a pasted session, and marks a wrong key."""
    schema = json.loads(commands.schema().text)
    Draft202012Validator.check_schema(schema)
    editor = Draft202012Validator(schema)

    assert [] == list(editor.iter_errors(tomllib.loads(EXAMPLE.read_text())))
    pasted = """
    [agents.a]
    vendor = "openai"
    audio.input.format = { type = "audio/pcmu" }
    modalities = ["text", "audio"]
    instructions_file = "shop.md"
    api_key_file = "/run/secrets/openai"
    input_audio_transcription = false
    tools = [{ type = "function", name = "end_call" }]
    speed = 1.1
    [agents.a.params]
    voice = "echo"
    max_response_output_tokens = 100
    turn_detection = { type = "server_vad", create_response = true }
    """
    assert [] == list(editor.iter_errors(tomllib.loads(pasted)))
    for wrong in ("[server]\nprot = 1\n", '[agents.a]\nname = "b"\n', "[limits]\nmax_calls = 0\n", "x = 1\n"):
        assert list(editor.iter_errors(tomllib.loads(wrong)))


def test_example_names_only_keys_there_are() -> None:
    """Every key of the example, the ones in comments too, is one of the reference."""
    text = EXAMPLE.read_text()
    commented = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and " = " in line]

    known = {path[-1] for path in all_paths()}
    assert commented
    assert [] == [line for line in commented if line.split(" = ")[0].removesuffix("_file") not in known]


def test_reference_says_what_holds() -> None:
    """The reference in the docs is what the models say today."""
    script = ROOT / "docs" / "make_settings.py"
    spec = importlib.util.spec_from_file_location("make_settings", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    written = (ROOT / "docs" / "settings.md").read_text()

    assert module.reference(written) == written, "run: python docs/make_settings.py"
    for path in all_paths():
        assert f"`{path[-1]}`" in written, dotted(path)
