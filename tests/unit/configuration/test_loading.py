"""From a file and the environment to settings: layers, secret files, and errors that name key and place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.configuration import ConfigurationErrors, Loaded, load
from bridge.errors import ConfigurationError
from bridge.settings import Line, Settings

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]


def test_operator_starts_without_a_file() -> None:
    """Nothing at all is the embedded model on loopback, with somebody who answers."""
    loaded = load(None, {})

    assert Settings() == loaded.settings
    assert ("embedded", "127.0.0.1") == (loaded.settings.model.provider, loaded.settings.server.host)
    assert {"default": Line(agent="reception")} == loaded.settings.lines
    assert ((), {}) == (loaded.warnings, loaded.sources)


def test_operator_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is said, with the way out."""
    with pytest.raises(ConfigurationError, match=r"nobody\.toml: there is no such file: name one with --config"):
        load(tmp_path / "nobody.toml", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"x = [", "is not TOML"), (b"\xff\xfe", "cannot be read: it is not UTF-8 text")],
)
def test_operator_names_a_file_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    """What is not TOML is refused in one line."""
    path = tmp_path / "bridge.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigurationErrors, match=message):
        load(path, {})


def test_operator_names_a_directory(tmp_path: Path) -> None:
    """A directory is no file."""
    with pytest.raises(ConfigurationErrors, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_entries_know_their_names(load_text: Load) -> None:
    """Agents, functions, servers and destinations bear the key they stand under."""
    settings = load_text(
        """
        [agents.kim]
        [functions.look]
        python = "json.decoder:scanstring"
        [mcp.shop]
        server_url = "https://mcp.example.com"
        [destinations.sales]
        to = "+15557654321"
        """
    ).settings

    assert ("kim", "look", "shop", "sales") == (
        settings.agents["kim"].name,
        settings.functions["look"].name,
        settings.mcp["shop"].name,
        settings.destinations["sales"].name,
    )


def test_an_only_agent_answers_every_line(load_text: Load) -> None:
    """Where there is one agent, no line has to name it."""
    assert {"default": Line(agent="kim")} == load_text("[agents.kim]\n").settings.lines


def test_environment_goes_over_the_file(load_text: Load) -> None:
    """A variable wins over the file's key, table by table, and is remembered as the source."""
    loaded = load_text(
        '[server]\nport = 1\nhost = "127.0.0.1"\n[agents.front-desk]\nvoice = "ash"\n',
        {
            "BRIDGE_SERVER__PORT": "9000",
            "BRIDGE_AGENTS__FRONT_DESK__TURN_DETECTION": '{type = "semantic_vad"}',
            "BRIDGE_AGENTS__FRONT_DESK__TOOLS": '["end_call"]',
            "BRIDGE_AGENTS__FRONT_DESK__GREETING_PROTECTED": "False",
            "BRIDGE_AGENTS__FRONT_DESK__MAX_OUTPUT_TOKENS": "300",
            "BRIDGE_LINES__DEFAULT": "front-desk",
            "BRIDGE_SERVER__DRAIN_S": "",
        },
    )

    agent = loaded.settings.agents["front-desk"]
    assert 9000 == loaded.settings.server.port
    assert ("semantic_vad", ("end_call",), False, 300, "ash") == (
        agent.turn_detection.type,
        agent.tools,
        agent.greeting_protected,
        agent.max_output_tokens,
        agent.voice,
    )
    assert "BRIDGE_SERVER__PORT" == loaded.sources["server.port"]
    assert loaded.sources["server.host"].endswith("bridge.toml")
    assert 300 == loaded.settings.server.drain_s


def test_environment_has_the_usual_names(load_text: Load) -> None:
    """Twilio's and OpenAI's own names work, and the bridge's names are stronger."""
    environ = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t1", "OPENAI_API_KEY": "k1"}

    settings = load_text('[model]\nprovider = "openai"\n', environ).settings
    assert ("AC1", "t1", "k1") == (
        settings.twilio.account_sid,
        settings.twilio.auth_token.get_secret_value(),
        settings.model.api_key.get_secret_value(),
    )

    stronger = environ | {"BRIDGE_TWILIO__AUTH_TOKEN": "t2", "BRIDGE_MODEL__API_KEY": "k2"}
    settings = load_text('[model]\nprovider = "openai"\n', stronger).settings
    assert ("t2", "k2") == (
        settings.twilio.auth_token.get_secret_value(),
        settings.model.api_key.get_secret_value(),
    )


def test_openais_key_goes_to_openai_only(load_text: Load) -> None:
    """The usual variable fills in for OpenAI's endpoints and never for anybody else's."""
    environ = {"OPENAI_API_KEY": "k1"}

    other = load_text('[model]\nprovider = "compatible"\nurl = "wss://v.example.com"\n', environ).settings
    assert "" == other.model.api_key.get_secret_value()

    agents = load_text('[agents.a]\nvendor = "openai"\n[agents.b]\n[lines]\ndefault = "a"\n', environ).settings.agents
    assert ("k1", "") == (agents["a"].api_key.get_secret_value(), agents["b"].api_key.get_secret_value())


def test_secrets_stand_in_files(load_text: Load, tmp_path: Path) -> None:
    """Any secret may be named by a path, in the file relative to it, without the line break at the end."""
    (tmp_path / "key").write_text("from-a-file\n")
    text = """
    [model]
    provider = "openai"
    api_key_file = "key"
    [server]
    admin_token_file = "key"
    [storage]
    url_file = "url"
    """
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")

    loaded = load_text(text, {"TWILIO_AUTH_TOKEN_FILE": str(tmp_path / "key")})

    assert ["from-a-file"] * 3 == [
        loaded.settings.model.api_key.get_secret_value(),
        loaded.settings.server.admin_token.get_secret_value(),
        loaded.settings.twilio.auth_token.get_secret_value(),
    ]
    assert "postgresql://u:p@h/d" == loaded.settings.storage.url.get_secret_value()
    assert "TWILIO_AUTH_TOKEN_FILE" == loaded.sources["twilio.auth_token_file"]


def test_environment_replaces_a_secret_by_a_file_and_the_reverse(load_text: Load, tmp_path: Path) -> None:
    """A secret of the environment wins however either is given."""
    (tmp_path / "key").write_text("from-a-file")

    in_file = '[model]\nprovider = "openai"\napi_key = "plain"\n'
    by_file = '[model]\nprovider = "openai"\napi_key_file = "nowhere"\n'
    path = {"BRIDGE_MODEL__API_KEY_FILE": str(tmp_path / "key")}
    assert "from-a-file" == load_text(in_file, path).settings.model.api_key.get_secret_value()
    (tmp_path / "nowhere").write_text("x")
    assert "k" == load_text(by_file, {"BRIDGE_MODEL__API_KEY": "k"}).settings.model.api_key.get_secret_value()


def test_secret_files_that_cannot_be(problems_of: Problems, tmp_path: Path) -> None:
    """A secret given twice, an empty file, a missing one, a binary one and a number are each said with the key."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    text = """
    [server]
    admin_token_file = "missing"
    [twilio]
    auth_token = "x"
    auth_token_file = "empty"
    [model]
    api_key_file = 3
    [shared]
    url_file = "binary"
    [functions.f]
    secret_file = "empty"
    url = "https://example.com"
    """

    problems = problems_of(text)

    assert [
        "server.admin_token_file: names a file that cannot be read: No such file or directory",
        "twilio.auth_token_file: is given beside auth_token: leave one of them out",
        "model.api_key_file: must be the path of a file",
        "shared.url_file: names a file that cannot be read: it is not UTF-8 text",
        "functions.f.secret_file: names a file that is empty",
    ] == [problem for problem in problems if "must begin" not in problem]


def test_instructions_stand_in_a_file(load_text: Load, tmp_path: Path) -> None:
    """Instructions are read from beside the configuration."""
    (tmp_path / "shop.md").write_text("You are the shop's assistant.\nBe brief.\n")

    agent = load_text('[agents.a]\ninstructions_file = "shop.md"\n').settings.agents["a"]

    assert "You are the shop's assistant.\nBe brief." == agent.instructions


def test_paths_are_relative_to_the_file(load_text: Load, tmp_path: Path, clip: Path) -> None:
    """Clips, dialogues and tapes are found beside the configuration, wherever the bridge is started."""
    (tmp_path / "talk.toml").write_text("")
    text = '[fallback]\nhold_clip = "hold.wav"\n[rehearsal]\ndialogue = "talk.toml"\n[tape]\ndirectory = "kept"\n'

    settings = load_text(text).settings

    assert (clip, tmp_path / "talk.toml", tmp_path / "kept") == (
        settings.fallback.hold_clip,
        settings.rehearsal.dialogue,
        settings.tape.directory,
    )


def test_all_problems_are_said_at_once(load_text: Load) -> None:
    """One reading finds everything that is wrong with the values, each with where it stands."""
    text = '[server]\nprot = 1\nport = "80"\n[agents.a]\nvoise = "x"\nturn_detection = false\nname = "b"\n'
    environ = {"BRIDGE_LIMITS__MAX_CALLS": "many", "BRIDGE_MODEL_URL": "wss://x"}

    with pytest.raises(ConfigurationErrors) as refused:
        load_text(text, environ)

    assert {
        ("server.prot", "unknown key: did you mean port?", "bridge.toml"),
        ("server.port", "must be a whole number", "bridge.toml"),
        ("agents.a.voise", "unknown key: did you mean voice?", "bridge.toml"),
        (
            "agents.a.turn_detection",
            "cannot be off: nobody commits a turn on a phone; choose server_vad or semantic_vad",
            "bridge.toml",
        ),
        ("agents.a.name", "unknown key: the name is the table's own, a", "bridge.toml"),
        ("limits.max_calls", "must be a whole number", "BRIDGE_LIMITS__MAX_CALLS"),
        ("model_url", "unknown key: did you mean BRIDGE_MODEL__URL?", "BRIDGE_MODEL_URL"),
    } == {(one.key, one.message, Path(one.source).name) for one in refused.value.problems}
    assert len(refused.value.problems) == len(str(refused.value).splitlines())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[modle]\n", "modle: unknown key: did you mean model?"),
        ('voice = "x"\n', "voice: unknown key: voice belongs under [agents.NAME]"),
        ("[tape]\nzzz = 1\n", "tape.zzz: unknown key: known here: audio, directory, record"),
        ("[agents.a]\nparams = 3\n", "agents.a.params: must be a table"),
        ("agents = 3\n", "agents: must be a table"),
        ("[agents]\na = 3\n", "agents.a: must be a table"),
        ("lines = 3\n", "lines: must be a table"),
        ("[lines]\ndefault = 3\n", "lines.default: must be a table"),
        ('[twilio]\ncontrol = "Rest"\n', "twilio.control: must be 'rest' or 'action'; did you mean rest?"),
        ('[twilio]\ncontrol = "x"\n', "twilio.control: must be 'rest' or 'action'"),
        ("[limits]\nmax_cost = nan\n", "limits.max_cost: must be a finite number"),
        ("[limits]\nmax_calls = 0\n", "limits.max_calls: must be at least 1"),
        ("[limits]\nmax_calls = 2026-01-01\n", "limits.max_calls: must be a whole number"),
        ("[tape]\nrecord = 1\n", "tape.record: must be true or false"),
        ("[agents.a]\ntools = 'end_call'\n", "agents.a.tools: must be a list"),
        ('[agents.a]\ntool_choice = {type = "function"}\n', "agents.a.tool_choice.name: is missing"),
        ("[agents.a]\nmax_output_tokens = 0\n", "agents.a.max_output_tokens: must be at least 1, or must be 'inf'"),
        ("[destinations.x]\n", "destinations.x.to: is missing"),
        ('[server]\npublic_url = "bot.example.com"\n', "server.public_url: is not an address of the form https://"),
        ('[model]\nurl = "https://api.openai.com"\n', "model.url: is not a WebSocket address"),
        ('[model]\nurl = "wss://v.example.com?sig=x"\n', "model.url: has parameters that may be secrets: move them"),
        ('[storage]\nurl = "mysql://x"\n', "storage.url: must begin with sqlite:// or postgresql://"),
    ],
)
def test_operator_writes_a_wrong_value(problems_of: Problems, text: str, problem: str) -> None:
    """A wrong value is refused in one sentence under its key."""
    (found,) = problems_of(text)

    assert found.startswith(problem)


def test_word_that_is_like_none_is_taken_for_no_slip(problems_of: Problems) -> None:
    """The words there are stand in the sentence; a guess that is none would only mislead."""
    (found,) = problems_of('[[rehearsal.faults]]\nkind = "explode"\n')

    assert found.endswith("'nonsense' or 'expire'")


def test_errors_show_no_secret(problems_of: Problems) -> None:
    """Whatever is wrong with a secret, or beside it, its text is not repeated."""
    text = """
    [model]
    provider = "openai"
    api_key = "s3cret with spaces"
    api_kye = "s3cret"
    url = "s3cret"
    [twilio]
    account_sid = "s3cret"
    auth_token = ["s3cret"]
    [shared]
    url = "s3cret"
    """

    problems = problems_of(text, {"BRIDGE_S3CRE": "s3cret", "BRIDGE_SERVER__ADMIN_TOKEN__X": "s3cret"})

    assert 7 == len(problems)
    assert "s3cret" not in "".join(problems)
