"""One level: a fresh bridge, a fresh load, so many calls; and the figures."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.figures import Figures, Job
from bench.processes import free_port, pin, prefer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

PUBLIC_URL, MEDIA_URL = "https://bench.test", "wss://media.bench.test"
LISTENS_WITHIN_S = 30.0
ENDS_WITHIN_S = 5.0
LONGEST_S = 300.0
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        name: what it is called in the table.
        door: `plain` or `fast`; empty for a bridge of another make.
        tree: the checkout it runs from.
        tape: whether it writes tapes.
        function: one of `bench.functions` that runs all the time, of one of the calls.
        command: of a bridge of another make, which finds `PORT` and `REALTIME_URL` in its environment.
        path: where that one takes media streams.
    """

    name: str
    door: str = ""
    tree: Path = field(default=ROOT)
    tape: bool = False
    function: str = ""
    command: str = ""
    path: str = "/media-stream"


@dataclass(frozen=True)
class Effort:
    """How much is done at a level."""

    window_s: float = 8
    warm_s: float = 2
    new_calls_per_s: float = 20
    tls: bool = False
    nice: int = 0
    """Of both processes; below zero needs root, and helps where others use the machine."""


def measure(subject: Subject, calls: int, effort: Effort) -> Figures:
    """Run one level. Raises RuntimeError, with what the bridge said last, when it does not come to figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        certificate = _certificate(folder) if effort.tls else None
        load = stack.enter_context(
            _started(_load_command(certificate), 1, {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        )
        assert load.stdin is not None and load.stdout is not None  # noqa: PT018, S101 - pipes, as asked
        scheme = "wss" if certificate else "ws"
        model_url = f"{scheme}://127.0.0.1:{load.stdout.readline().strip()}/v1/realtime"
        ports = free_port(), free_port()
        command, environment = _command(subject, folder, ports, model_url)
        if certificate:
            environment["SSL_CERT_FILE"] = str(certificate / "cert.pem")
        log = stack.enter_context((folder / "log").open("w"))
        bridge = stack.enter_context(_started(command, 0, environment, cwd=subject.tree, stdout=log, stderr=log))
        for process in (load, bridge):
            prefer(process.pid, effort.nice)
        for port in ports if subject.door == "fast" else ports[:1]:
            _await_port(bridge, port)
        load.stdin.write(msgspec.json.encode(_job(subject, bridge.pid, ports, calls, effort)).decode() + "\n")
        load.stdin.flush()
        answer, _ = load.communicate(timeout=LONGEST_S)
        if not answer:
            raise RuntimeError(f"{subject.name} at {calls} calls: {(folder / 'log').read_text()[-1000:]}")
        return msgspec.json.decode(answer, type=Figures)


def _load_command(certificate: Path | None) -> list[str]:
    return [sys.executable, "-m", "bench.load", *([str(certificate)] if certificate else [])]


def _command(
    subject: Subject, folder: Path, ports: tuple[int, int], model_url: str
) -> tuple[list[str], dict[str, str]]:
    if subject.command:
        return shlex.split(subject.command), {"PORT": str(ports[0]), "REALTIME_URL": f"{model_url}?model=gpt-realtime"}
    configuration = folder / "bridge.toml"
    configuration.write_text(_configuration(subject, folder, ports, model_url))
    return [sys.executable, "-m", "bridge", "serve", "--config", str(configuration)], {}


def _job(subject: Subject, pid: int, ports: tuple[int, int], calls: int, effort: Effort) -> Job:
    media_url = f"ws://127.0.0.1:{ports[1] if subject.door == 'fast' else ports[0]}"
    job = Job(
        pid=pid,
        media_url=media_url + subject.path if subject.command else media_url,
        calls=calls,
        function=subject.function,
        new_calls_per_s=effort.new_calls_per_s,
        warm_s=effort.warm_s,
        window_s=effort.window_s,
    )
    if subject.command:
        return job
    webhook_url = f"http://127.0.0.1:{ports[0]}"
    return msgspec.structs.replace(job, webhook_url=webhook_url, public_url=PUBLIC_URL, auth_token=AUTH_TOKEN)


AUTH_TOKEN = secrets.token_hex(16)


def _configuration(subject: Subject, folder: Path, ports: tuple[int, int], model_url: str) -> str:
    fast = f'media_port = {ports[1]}\nmedia_url = "{MEDIA_URL}"\n' if subject.door == "fast" else ""
    tape = f'[tape]\nrecord = true\ndirectory = "{folder}/tapes"\n' if subject.tape else ""
    function = (
        f'[functions.{subject.function}]\npython = "bench.functions:{subject.function}"\ntimeout_s = 10\n'
        if subject.function
        else ""
    )
    tools = f'tools = ["{subject.function}"]\n' if subject.function else ""
    return f"""
[server]
port = {ports[0]}
public_url = "{PUBLIC_URL}"
{fast}
[twilio]
account_sid = "AC{0:032x}"
auth_token = "{AUTH_TOKEN}"
control = "action"
[model]
provider = "compatible"
url = "{model_url}"
api_key = "bench"
[agents.reception]
instructions = "You are a helpful assistant."
{tools}[lines]
default = "reception"
[limits]
max_calls = 10000
calls_per_minute_per_caller = 1000
{tape}{function}"""


@contextmanager
def _started(
    command: list[str],
    core: int,
    environment: dict[str, str],
    *,
    cwd: Path,
    stdin: int | None = None,
    stdout: int | IO[str],
    stderr: IO[str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process on a core, which is told to end after the block, and made to if it does not."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, text=True, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr
    )
    try:
        pin(process.pid, core)
        yield process
    finally:
        for wanted in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # the second ends a bridge that drains
            if process.poll() is None:
                process.send_signal(wanted)
            try:
                process.wait(ENDS_WITHIN_S)
                break
            except subprocess.TimeoutExpired:
                continue


def _await_port(process: subprocess.Popen[str], port: int) -> None:
    ends = time.monotonic() + LISTENS_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.5)
                return
        time.sleep(0.1)


def _certificate(folder: Path) -> Path:
    """A certificate for this machine, for the model's end of TLS; by the `openssl` command."""
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder
