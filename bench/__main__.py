"""The benchmark's command line: see `python -m bench --help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.level import ROOT, Effort, Subject, measure
from bench.picture import picture
from bench.processes import machine
from bench.report import as_json, notices_nothing, ratio, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.report import Results

PASSING_ON = Subject("passing on", command=f"{sys.executable} -m bench.passing_on", path="/")
"""What both doors are held against in the short run."""
MOST_TIMES = {"fast": 2.2, "plain": 5.2}
"""Of that bridge's CPU in the same session: half as much again as was measured, so that noise does not fail."""
MICRO = ("-q", "--benchmark-columns=min,median,iqr", "--benchmark-sort=name", "bench/test_micro.py")
EPILOG = """examples:
  python -m bench                                      both doors at 20, 100 and 200 calls, three runs each
  python -m bench --calls 100 --tls                    with TLS to the model, as in production
  python -m bench --tape --doors fast                  what tapes cost
  python -m bench --functions --calls 11               do calls notice that a function of one takes five seconds?
  python -m bench --reference 'sample=python sample.py'   another bridge beside, in the same session
  python -m bench --against main --doors fast          this tree against a commit
  python -m bench --short                              a minute: both doors beside a bridge that only passes sound on
  python -m bench --micro                              the hot path alone, without sockets
"""


def main() -> int:
    """Run what was asked; 1 when a call or a frame was lost, or this tree is slower than `--worst-ratio` allows."""
    options = _parser().parse_args()
    if options.micro:
        return subprocess.run([sys.executable, "-m", "pytest", *MICRO], cwd=ROOT, check=False).returncode
    if options.short:
        options.calls, options.runs, options.seconds = [40], 2, 3.0
    with ExitStack() as stack:
        subjects = _subjects(options, stack)
        results = _measure_all(subjects, options)
    text = table(results)
    found = machine()
    print(f"\n{text}\n\n{', '.join(f'{key} {value}' for key, value in found.items())}")
    if options.out:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.txt").write_text(text + "\n")
        (out / "bench.json").write_text(as_json(results, found))
        (out / "bench.svg").write_text(picture(results))
    return _verdict(results, options)


def _measure_all(subjects: Sequence[Subject], options: argparse.Namespace) -> Results:
    """Every level of every subject, interleaved, so that what else the machine does hits them alike."""
    results: Results = {}
    effort = Effort(window_s=options.seconds, new_calls_per_s=options.new_calls, tls=options.tls, nice=options.nice)
    for run in range(options.runs):
        for calls in options.calls:
            for subject in subjects:
                figures = measure(subject, calls, effort)
                results.setdefault((subject.name, calls), []).append(figures)
                print(
                    f"run {run + 1}: {subject.name}, {calls} calls: {figures.cpu_ms_per_call_s:.3f} ms/call-s",
                    flush=True,
                )
    return dict(sorted(results.items()))


def _verdict(results: Results, options: argparse.Namespace) -> int:
    failed = not all(figures.is_sound for runs in results.values() for figures in runs)
    failed = failed or any("()" in name and not notices_nothing(runs) for (name, _), runs in results.items())
    for (name, calls), runs in results.items():
        other = results.get((f"{name}@{options.against}", calls))
        if other is not None:
            times = ratio(runs, other)
            print(f"{name}, {calls} calls: {times:.2f} times the CPU of {options.against}")
            failed = failed or times > options.worst_ratio
        if options.short and name in MOST_TIMES:
            times = ratio(runs, results[PASSING_ON.name, calls])
            print(f"{name}: {times:.2f} times the CPU of passing sound on, {MOST_TIMES[name]} at most")
            failed = failed or times > MOST_TIMES[name]
    return int(failed)


def _subjects(options: argparse.Namespace, stack: ExitStack) -> list[Subject]:
    subjects = [Subject(door, door=door) for door in options.doors]
    if options.tape:
        subjects += [Subject(f"{door}, tape", door=door, tape=True) for door in options.doors]
    if options.functions:
        subjects += [
            Subject(f"{door}, {function}()", door=door, function=function)
            for door in options.doors
            for function in ("wait", "block", "hold")
        ]
    if options.against:
        tree = stack.enter_context(_checkout(options.against))
        subjects += [Subject(f"{door}@{options.against}", door=door, tree=tree) for door in options.doors]
    if options.short:
        subjects.append(PASSING_ON)
    for reference in options.reference:
        name, _, command = reference.partition("=")
        subjects.append(Subject(name, command=command))
    return subjects


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """A commit of this repository, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "--detach", str(tree), commit], check=True, capture_output=True
        )
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="What a call costs, and what the bridge adds to the latency.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--calls", type=_numbers, default=[20, 100, 200], help="levels, such as 20,100,200")
    parser.add_argument("--doors", type=_doors, default=["plain", "fast"], help="plain, fast, or plain,fast")
    parser.add_argument("--runs", type=int, default=3, help="of each level, interleaved; the medians are told")
    parser.add_argument("--seconds", type=float, default=8, help="that are measured of each run")
    parser.add_argument("--new-calls", type=float, default=20, help="a second, while they are set up")
    parser.add_argument("--nice", type=int, default=0, help="of bridge and load; below zero needs root")
    parser.add_argument("--tls", action="store_true", help="TLS between bridge and model; needs the openssl command")
    parser.add_argument("--tape", action="store_true", help="each door once more with tapes")
    parser.add_argument("--functions", action="store_true", help="while a function takes five seconds, too")
    parser.add_argument("--reference", action="append", default=[], metavar="NAME=COMMAND", help="another bridge")
    parser.add_argument("--against", default="", metavar="COMMIT", help="each door once more as of a commit")
    parser.add_argument("--worst-ratio", type=float, default=1.25, help="of CPU to that commit's before this fails")
    parser.add_argument("--out", default="", metavar="DIR", help="write bench.txt, bench.json and bench.svg there")
    parser.add_argument("--short", action="store_true", help="a minute, for a gate: fails when a door takes too much")
    parser.add_argument("--micro", action="store_true", help="only the hot path, without sockets")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _doors(text: str) -> list[str]:
    doors = text.split(",")
    if not set(doors) <= {"plain", "fast"}:
        raise argparse.ArgumentTypeError(f"there is no door {text!r}: say plain, fast, or plain,fast")
    return doors


if __name__ == "__main__":
    sys.exit(main())
