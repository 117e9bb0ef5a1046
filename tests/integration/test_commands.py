"""The commands as a user runs them: in a process of their own, with real speech."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import free_port

pytestmark = pytest.mark.timeout(240)
"""Each test starts a process or two, with the recogniser in them, on a machine that may be busy with other tests."""
ROOT = Path(__file__).parents[2]
DEMO = ROOT / "fixtures" / "calls" / "demo.toml"
TAPE = ROOT / "fixtures" / "tapes" / "goodbye.tape"
HOURS = ROOT / "fixtures" / "calls" / "slt" / "hours.wav"


def voicebridge(
    *arguments: object, cwd: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        cwd=cwd,
        env=_environ(cwd) | (environ or {}),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@contextmanager
def serving(*arguments: object, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A bridge in a process of its own, and its address; it is ended with SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "serve", *map(str, arguments)],
        cwd=cwd,
        env=_environ(cwd),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            started = json.loads(line)
            if started["event"] == "bridge.started":
                break
        yield process, started["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _environ(home: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(home)}


def test_demo_call_is_answered_cut_and_ended(tmp_path: Path) -> None:
    """The call of `make demo`, faster: it goes as its scenario expects, and can be heard in what is written."""
    run = voicebridge("call", DEMO, "--rate", 10, "--wav", "demo.wav", "--tape", "tapes", cwd=tmp_path)

    assert (0, "") == (run.returncode, run.stderr)
    assert "caller: what are your opening hours" in run.stdout
    assert re.search(r"bot: .*three kinds of bread.* —$", run.stdout, re.MULTILINE)
    with wave.open(str(tmp_path / "demo.wav")) as sound:
        assert (2, 8000) == (sound.getnchannels(), sound.getframerate())
        assert sound.getnframes() > 20 * 8000

    replay = voicebridge("replay", "tapes", cwd=tmp_path)

    assert 0 == replay.returncode, replay.stdout


@pytest.mark.parametrize("door", ["plain", "fast", "fast, by path"])
def test_call_in_real_time_reaches_a_bridge_that_runs(tmp_path: Path, door: str) -> None:
    """A recording is played at `serve`, whose credential the command finds by itself, through either door."""
    server = ["port = 0"]
    if door != "plain":
        server.append(f"media_port = {free_port()}")
    if door == "fast":
        server.append('media_url = "wss://media.voicebridge.test"')
    (tmp_path / "own.toml").write_text("\n".join(["[server]", *server]))
    with serving("--config", "own.toml", cwd=tmp_path) as (_, url):
        run = voicebridge("call", HOURS, "--to", url, "--json", "--config", "own.toml", cwd=tmp_path)
    result = json.loads(run.stdout)

    assert 0 == run.returncode, run.stderr
    assert any("six in the evening" in turn["words"] for turn in result["turns"])
    assert [] == result["warnings"]


def test_tape_is_played_over_sockets_at_a_bridge_of_its_own(tmp_path: Path) -> None:
    """Carrier and model from a tape, the bridge in between real; one that is different makes the exit code 1."""
    same = voicebridge("replay", TAPE, "--sockets", "--rate", 2, cwd=tmp_path)
    other = voicebridge("replay", TAPE, "--sockets", "--rate", 2, "--tolerance-s", 0, cwd=tmp_path)

    assert (0, "") == (same.returncode, same.stderr)
    assert "over sockets: no difference" in same.stdout
    assert (1, "") == (other.returncode, other.stderr)
    assert "on the tape at" in other.stdout


def test_tape_is_played_over_sockets_at_a_bridge_that_runs(tmp_path: Path, unused_tcp_port: int) -> None:
    """Its model's address is where the command listens; its own agent answers."""
    model = f'[model]\nprovider = "compatible"\nurl = "ws://127.0.0.1:{unused_tcp_port}/v1/realtime"\n'
    agent = '[agents.reception]\ngreeting_message = "Hello."\n'
    (tmp_path / "own.toml").write_text(f"[server]\nport = 0\n{model}{agent}")
    early = ROOT / "fixtures" / "tapes" / "early-session.tape"
    with serving("--config", "own.toml", cwd=tmp_path) as (_, url):
        arguments = ("--to", url, "--model-port", unused_tcp_port, "--config", "own.toml", "--tolerance-s", 1)
        run = voicebridge("replay", early, *arguments, cwd=tmp_path)

    assert (0, "") == (run.returncode, run.stderr), run.stdout
    assert "ended caller_hung_up" in run.stdout


def test_sigterm_lets_a_live_call_end_and_exits_with_0(tmp_path: Path) -> None:
    """The call that is up goes on to its end; only then does the process leave."""
    (tmp_path / "own.toml").write_text("[server]\nport = 0\n")
    with serving("--config", "own.toml", cwd=tmp_path) as (process, url):
        caller = subprocess.Popen(
            [sys.executable, "-m", "bridge", "call", str(HOURS), "--to", url, "--json"],
            cwd=tmp_path,
            env=_environ(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if '"stream.started"' in line:
                break
        process.send_signal(signal.SIGTERM)
        output, _ = caller.communicate(timeout=150)
        rest, code = process.communicate(timeout=60)[1], process.returncode

    assert 0 == code
    assert "caller" == json.loads(output)["ended_by"]
    assert "caller_hung_up" in rest


def test_sighup_reloads_the_settings_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """What is wrong is logged with its place and changes nothing; a secret's file is read anew; the process goes on."""
    settings, key = tmp_path / "own.toml", tmp_path / "key"
    model = '[model]\nprovider = "openai"\napi_key_file = "key"\n'
    key.write_text("sk-first")
    settings.write_text(f"[server]\nport = 0\n{model}")
    with serving("--config", "own.toml", cwd=tmp_path) as (process, _):
        assert process.stderr is not None
        outcomes = []
        for text, secret in (
            (f"[server]\nport = 9\n{model}", "sk-first"),
            (f"[server]\nport = 0\n{model}nam = 1\n", "sk-first"),
            (f"[server]\nport = 0\n{model}", "sk with spaces"),
            (f"[server]\nport = 0\n{model}[fallback]\nsay = 'Sorry.'\n", "sk-second"),
        ):
            settings.write_text(text)
            key.write_text(secret)
            process.send_signal(signal.SIGHUP)
            outcomes.append(next(line for line in map(json.loads, process.stderr) if line["event"][:7] == "config."))

    keys = [(line["event"], line.get("key"), line.get("problem")) for line in outcomes]
    assert [
        ("config.refused", "server.port", "cannot be changed while the bridge runs: restart it"),
        ("config.refused", "model.nam", "unknown key: did you mean name?"),
        ("config.refused", "model.api_key_file", "must be one line without spaces"),
        ("config.reloaded", None, None),
    ] == keys
    assert "own.toml" == outcomes[1]["source"]
    assert 0 == process.returncode


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("call", "nothing.wav"), "nothing.wav: cannot be read"),
        (("call", HOURS, "--to", "http://127.0.0.1:9"), "give --config with the one it runs with"),
        (("replay", "nothing.tape", "--sockets"), "nothing.tape: No such file or directory"),
        (("replay", "no.tape", "--sockets"), "no.tape: this is no tape"),
        (("serve", "--config", "wrong.toml"), "wrong.toml: server.prot: unknown key: did you mean port?"),
        (("config", "check", "--config", "missing.toml"), "missing.toml: there is no such file"),
    ],
)
def test_user_who_is_wrong_is_told_the_way_out(tmp_path: Path, arguments: tuple[object, ...], sentence: str) -> None:
    """One sentence on standard error, exit code 2, no traceback."""
    (tmp_path / "wrong.toml").write_text("[server]\nprot = 1\n")
    (tmp_path / "no.tape").write_text("nonsense")
    run = voicebridge(*arguments, cwd=tmp_path)

    assert 2 == run.returncode
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


def test_model_on_a_port_that_is_taken_says_the_way_out(tmp_path: Path) -> None:
    """One sentence and exit code 1, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = voicebridge("model", "--port", port, cwd=tmp_path)

    assert 1 == run.returncode
    assert run.stderr.startswith(f"voicebridge: cannot listen on 127.0.0.1:{port} (")
    assert run.stderr.endswith("): stop what listens there, or say --port\n")


@pytest.mark.parametrize(
    "command",
    ["serve", "call", "model", "replay", "config check", "config show", "config schema"]
    + [f"tape {name}" for name in ("show", "wav", "redact", "cut")]
    + ["number list", "number point", "records export", "records prune", "doctor"],
)
def test_every_command_shows_an_example_in_its_help(tmp_path: Path, command: str) -> None:
    """`--help` has a line that can be copied."""
    run = voicebridge(*command.split(), "--help", cwd=tmp_path)

    assert 0 == run.returncode
    assert f"examples:\n  voicebridge {command}" in run.stdout


def test_fallback_is_printed_to_be_hosted_elsewhere(tmp_path: Path) -> None:
    """The same document that the bridge would answer, and nothing around it."""
    (tmp_path / "own.toml").write_text('[fallback]\nsay = "Call later."\n')

    run = voicebridge("config", "show", "--fallback-twiml", "--config", "own.toml", cwd=tmp_path)

    assert "<Response><Say>Call later.</Say><Hangup /></Response>" in run.stdout
    assert (0, "") == (run.returncode, run.stderr)
