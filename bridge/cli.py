"""The command `voicebridge`, the same as `python -m bridge`. Each command is a few lines; the work is elsewhere.

Exit codes: 0; 1 for a run that failed; 2 for a wrong configuration or argument, with one sentence that says the way
out.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.configuration import ConfigurationErrors, load
from bridge.configuration import commands as configuration
from bridge.errors import BridgeError, ConfigurationError
from bridge.process import run as _run
from bridge.replay import commands as tapes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

FAILED, WRONG = 1, 2
DEFAULT_FILE = Path("bridge.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except ConfigurationErrors as errors:
        for problem in errors.problems:
            print(problem, file=sys.stderr)
        return WRONG
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return WRONG
    except BridgeError as error:
        print(f"voicebridge: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voicebridge",
        description="A telephone line to a realtime speech model, and rehearsed calls without either.",
    )
    add = parser.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser
    _serve(add)
    _call(add)
    _model(add)
    _replay(add)
    _tape(add)
    _doctor(add)
    _number(add)
    _records(add)
    _config(add)
    return parser


def _serve(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = _command(
        add,
        "serve",
        "Run the bridge: webhooks, media WebSocket, health.",
        "voicebridge serve --config bridge.toml",
        "voicebridge serve                       # no file: the embedded model, on loopback",
        "voicebridge serve --workers 4           # a process per core; needs server.media_port",
    )
    parser.add_argument("--workers", metavar="N", default="", help="processes, instead of server.workers")
    parser.set_defaults(run=lambda options: _run(_commands().serve(_file(options), _with_workers(options.workers))))


def _with_workers(number: str) -> dict[str, str]:
    return {**os.environ, "BRIDGE_SERVER__WORKERS": number} if number else dict(os.environ)


def _call(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = _command(
        add,
        "call",
        "Make a rehearsed phone call: against a running bridge, or one that is started for it.",
        "voicebridge call fixtures/calls/demo.toml --wav call.wav",
        "voicebridge call question.wav --to http://127.0.0.1:8080",
    )
    parser.add_argument("audio", metavar="AUDIO-or-SCENARIO", type=Path, help="what the caller says: a WAV, or a TOML")
    parser.add_argument("--to", metavar="URL", default="", help="a running bridge; without it, one is started")
    parser.add_argument("--wav", metavar="FILE", type=Path, help="write stereo: left caller, right what was heard")
    parser.add_argument(
        "--tape", metavar="FOLDER", type=Path, help="record the call there, if this command starts the bridge"
    )
    parser.add_argument("--rate", type=float, default=1.0, help="how much faster than real time (default 1)")
    parser.add_argument("--from", dest="from_", metavar="NUMBER", default="", help="the caller's number")
    parser.add_argument("--dial", metavar="NUMBER", default="", help="the number that is dialled")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    parser.set_defaults(run=lambda options: _run(_rehearsing().call(_file(options), os.environ, options)))


def _model(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = _command(
        add,
        "model",
        "Run the embedded Realtime server alone, for any Realtime client.",
        "voicebridge model --port 8765 --api-key sk-local",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on; 0 takes a free one (default 8765)")
    parser.add_argument("--api-key", metavar="KEY", help="what clients must present; without it, anything goes")
    parser.add_argument("--dialect", choices=("ga", "beta", "both"), default="ga", help="of events (default ga)")
    parser.add_argument("--dialogue", metavar="FILE", type=Path, help="what it talks about")
    parser.set_defaults(run=lambda options: _run(_rehearsing().model(_file(options), os.environ, options)))


def _replay(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = _command(
        add,
        "replay",
        "Run recorded calls through the call core again, and say what is different.",
        "voicebridge replay tapes/",
        "voicebridge replay call.tape --with other.toml    # what would have changed under other settings",
        "voicebridge replay call.tape --sockets            # over real sockets, with a bridge that is started for it",
        "voicebridge replay call.tape --to http://127.0.0.1:8080    # the same with a running one: docs/testing.md",
    )
    parser.add_argument("tapes", metavar="TAPE", type=Path, nargs="+", help="tapes, or folders of tapes")
    parser.add_argument("--with", dest="under", metavar="CONFIG", type=Path, help="replay under other settings")
    parser.add_argument(
        "--tolerance-s", type=float, help="how much later an action may come (default 0.05, over sockets 0.4)"
    )
    parser.add_argument("--sockets", action="store_true", help="play carrier and model at a bridge, over real sockets")
    parser.add_argument("--to", metavar="URL", default="", help="a running bridge for that; without it, one is started")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="how much faster than real time (default 1; not with --to)"
    )
    parser.add_argument(
        "--model-port", type=int, default=8765, help="with --to: where its model listens (default 8765)"
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=_replay_tapes)


def _replay_tapes(options: argparse.Namespace) -> int:
    if options.sockets or options.to:
        return _run(_rehearsing().replay(_file(options), os.environ, options))
    tolerance_s = 0.05 if options.tolerance_s is None else options.tolerance_s
    under = load(options.under, os.environ).settings if options.under else None
    return _print(tapes.replay(options.tapes, under=under, tolerance_s=tolerance_s, as_json=options.json))


def _tape(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = add("tape", help="Look at a tape, hear it, cut it, or take out what is private.")
    inner = parser.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser
    show = _command(inner, "show", "Print a tape as a timeline.", "voicebridge tape show call.tape")
    show.set_defaults(run=lambda o: _print(tapes.show(o.tape)))
    wav = _command(inner, "wav", "Write a tape's sound, as it was heard.", "voicebridge tape wav call.tape call.wav")
    wav.set_defaults(run=lambda o: _print(tapes.wav(o.tape, o.to)))
    redact = _command(
        inner, "redact", "Take out numbers, words and voice.", "voicebridge tape redact call.tape public.tape"
    )
    redact.set_defaults(run=lambda o: _print(tapes.redact(o.tape, o.to)))
    cut = _command(
        inner, "cut", "Keep the seconds that matter.", "voicebridge tape cut call.tape bug.tape --from 12 --until 20"
    )
    cut.add_argument(
        "--from", dest="from_s", metavar="S", type=float, default=0.0, help="the first second that matters"
    )
    cut.add_argument("--until", dest="until_s", metavar="S", type=float, help="the last one (default: the end)")
    cut.set_defaults(run=lambda o: _print(tapes.cut(o.tape, o.to, from_s=o.from_s, until_s=o.until_s)))
    for command in (show, wav, redact, cut):
        command.add_argument("tape", metavar="TAPE", type=Path, help="a recorded call")
    for command in (wav, redact, cut):
        command.add_argument("to", metavar="FILE", type=Path, help="what is written")


def _doctor(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = _command(
        add,
        "doctor",
        "Check everything between Twilio and the model, and say what to do. Exit code 1: something failed.",
        "voicebridge doctor --config bridge.toml",
        "voicebridge doctor --quick             # without holding a socket open",
        "voicebridge doctor 31920               # what one of Twilio's error codes means here",
    )
    parser.add_argument("explain", metavar="CODE", nargs="?", type=int, help="explain one of Twilio's error codes")
    parser.add_argument("--code", metavar="CODE", type=int, help="the same")
    parser.add_argument("--quick", action="store_true", help="do not wait for idle timeouts of what lies between")
    parser.add_argument(
        "--hold", metavar="S", type=float, default=75.0, help="how long a silent socket is held open (default 75)"
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=lambda o: _run(_doctors().doctor(_file(o), os.environ, o)))


def _number(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = add("number", help="Show whom Twilio's numbers ask, and let them ask this bridge.")
    inner = parser.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser
    show = _command(
        inner, "list", "Show the account's numbers and whom they ask.", "voicebridge number list --config bridge.toml"
    )
    show.set_defaults(run=lambda o: _run(_numbers().list_numbers(_file(o), os.environ, o)))
    point = _command(
        inner,
        "point",
        "Let numbers ask this bridge; what changes is shown first. Exit code 2: there is a change and no --yes.",
        "voicebridge number point                    # the numbers of [lines]; asks before it changes them",
        "voicebridge number point +15551230000 --yes",
        "voicebridge number point --fallback-url https://static.example.com/fallback.xml",
    )
    point.add_argument("numbers", metavar="NUMBER", nargs="*", help="which (default: those of [lines])")
    point.add_argument(
        "--fallback-url", metavar="URL", default="", help="asked when the bridge fails (default: twilio.fallback_url)"
    )
    point.add_argument("--yes", action="store_true", help="change it without asking")
    point.set_defaults(run=lambda o: _run(_numbers().point(_file(o), os.environ, o)))
    for command in (show, point):
        command.add_argument("--json", action="store_true", help="for machines")


def _records(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = add("records", help="Get the call records out, or delete old ones.")
    inner = parser.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser
    export = _command(
        inner,
        "export",
        "Print the records of calls as JSON lines, the earliest first.",
        "voicebridge records export --since 2026-11-01 > calls.jsonl",
        "voicebridge records export --ending model_failed --until 2026-11-28T12:00:00+01:00",
    )
    for name, what in (("since", "began then or later"), ("until", "began before")):
        export.add_argument(f"--{name}", metavar="TIME", type=_moment, help=f"only calls that {what}; UTC by default")
    export.add_argument("--ending", metavar="ENDING", default="", help="only calls that ended so")
    export.set_defaults(run=lambda o: _kept().export(load(_file(o), os.environ).settings, o, print))
    prune = _command(
        inner,
        "prune",
        "Delete the records of calls that are older than records.keep_days.",
        "voicebridge records prune --keep-days 30 --dry-run",
    )
    prune.add_argument("--keep-days", metavar="DAYS", type=int, help="instead of records.keep_days")
    prune.add_argument("--dry-run", action="store_true", help="only say how many they are")
    prune.set_defaults(run=lambda o: _kept().prune(load(_file(o), os.environ).settings, o, print))


def _moment(text: str) -> datetime:
    """A date or a moment as ISO 8601; without a time zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _config(add: Callable[..., argparse.ArgumentParser]) -> None:
    parser = add("config", help="Check, show or describe the configuration.")
    inner = parser.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser
    check = _command(
        inner, "check", "Say what is wrong, with file and key.", "voicebridge config check --config my.toml"
    )
    check.add_argument("--json", action="store_true", help="for machines")
    check.set_defaults(run=lambda o: _print(configuration.check(_file(o), os.environ, as_json=o.json)))
    show = _command(inner, "show", "Print the effective values, secrets masked.", "voicebridge config show")
    show.add_argument("--json", action="store_true", help="for machines")
    show.add_argument(
        "--fallback-twiml", action="store_true", help="the document to host elsewhere, for twilio.fallback_url"
    )
    show.set_defaults(run=_show_configuration)
    schema = _command(inner, "schema", "Print the JSON Schema, for editors.", "voicebridge config schema > schema.json")
    schema.set_defaults(run=lambda _: _print(configuration.schema()))


def _show_configuration(options: argparse.Namespace) -> int:
    if options.fallback_twiml:
        print(_commands().fallback_document(_file(options), os.environ))
        return 0
    return _print(configuration.show(_file(options), os.environ, as_json=options.json))


def _command(
    add: Callable[..., argparse.ArgumentParser], name: str, what: str, *examples: str
) -> argparse.ArgumentParser:
    parser = add(
        name,
        help=what,
        description=what,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help=f"settings (default: {DEFAULT_FILE}, if there is one)"
    )
    return parser


def _file(options: argparse.Namespace) -> Path | None:
    named: Path | None = options.config
    return named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def _commands() -> ModuleType:
    """What runs something: it brings half of the program along, which help and configuration need not wait for."""
    from bridge import commands  # noqa: PLC0415 - see above

    return commands


def _rehearsing() -> ModuleType:
    from bridge import rehearsing  # noqa: PLC0415 - as above

    return rehearsing


def _doctors() -> ModuleType:
    from bridge.doctor import commands  # noqa: PLC0415 - as above

    return commands


def _numbers() -> ModuleType:
    from bridge import numbers  # noqa: PLC0415 - as above

    return numbers


def _kept() -> ModuleType:
    """What reads and prunes the records; it brings the database library along."""
    from bridge.records import commands  # noqa: PLC0415 - see above

    return commands


def _print(outcome: configuration.Outcome | tapes.Answer) -> int:
    print(outcome.text, file=sys.stderr if outcome.exit_code and not outcome.text.startswith("{") else sys.stdout)
    return outcome.exit_code
