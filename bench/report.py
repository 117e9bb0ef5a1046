"""Results as a table, and as JSON."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from bench.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Results = dict[tuple[str, int], list[Figures]]
"""Name of the subject and number of calls: the figures of each run."""

NOISE_MS = 3.0
"""A load that was later than this, 1 time in 100, had not its core to itself: latencies of that run say little."""
HELD_MS = 500.0
"""A frame that took as long was held up by more than a busy machine; a function of the probe takes ten times that."""
_HEAD = (
    f"{'':<16}{'calls':>6}{'runs':>5}{'cpu %':>7}{'ms/call-s':>10}{'up p50':>8}{'p99':>7}{'max':>7}{'down p50':>9}"
    f"{'p99':>7}{'clear p99':>10}{'KB/call':>8}{'set-up ms':>10}{'webhook p99':>12}{'load late':>10}"
)


def summary(runs: Sequence[Figures]) -> Figures:
    """The median of each figure; of what must be zero, the worst."""
    worst = {"alive": min, "lost": max, "misplaced": max}
    values = {name: worst.get(name, median)([getattr(run, name) for run in runs]) for name in Figures.__struct_fields__}
    return Figures(**values)


def table(results: Results) -> str:
    """A line for each subject and level: medians, in milliseconds where nothing else is said."""
    return "\n".join([_HEAD, *(_line(name, runs) for (name, _), runs in results.items())])


def _line(name: str, runs: Sequence[Figures]) -> str:
    f = summary(runs)
    remarks = [] if f.is_sound else [f"{f.calls - f.alive} calls and {f.lost} frames lost, {f.misplaced} misplaced"]
    remarks += ["noisy"] if f.load_late_p99_ms > NOISE_MS else []
    return (
        f"{name:<16}{f.calls:>6.0f}{len(runs):>5}{f.cpu_percent:>7.1f}{f.cpu_ms_per_call_s:>10.3f}{f.up_p50_ms:>8.2f}"
        f"{f.up_p99_ms:>7.2f}{f.up_max_ms:>7.1f}{f.down_p50_ms:>9.2f}{f.down_p99_ms:>7.2f}{f.clear_p99_ms:>10.2f}{f.kb_per_call:>8.0f}"
        f"{f.setup_cpu_ms_per_call:>10.2f}{f.webhook_p99_ms:>12.1f}{f.load_late_p99_ms:>10.1f}  {', '.join(remarks)}"
    ).rstrip()


def notices_nothing(runs: Iterable[Figures]) -> bool:
    """Whether a function was answered in each run, and no frame of any call waited for it."""
    return all(run.answered and run.up_max_ms < HELD_MS for run in runs)


def as_json(results: Results, machine: dict[str, str]) -> str:
    """Every run, with the machine."""
    runs = [{"name": name, "runs": msgspec.to_builtins(figures)} for (name, _), figures in results.items()]
    return json.dumps({"machine": machine, "results": runs}, indent=1)


def ratio(ours: Iterable[Figures], theirs: Iterable[Figures]) -> float:
    """How many times the CPU of the others we take, by medians."""
    return median(f.cpu_ms_per_call_s for f in ours) / median(f.cpu_ms_per_call_s for f in theirs)
