"""The tape of a call that was judged: by the recorder that writes all tapes, so `voicebridge replay` runs it."""

from __future__ import annotations

from pathlib import Path

from bridge.call.plan import Plan
from bridge.edge.recorder import Recorder
from bridge.replay.comparison import Outcome, compare
from bridge.replay.plans import plan_of
from bridge.replay.player import play
from bridge.wire import tape
from bridge.wire.scrubbing import Scrubber
from tests.chaos.judge import Entry
from tests.chaos.world import World

FOLDER = Path(__file__).parents[2] / "build" / "chaos"
"""Where the tapes of failing seeds are put."""


def lines_of(plan: Plan, entries: list[Entry]) -> list[bytes]:
    """A tape's lines."""
    recorder = Recorder(has_sound=True, scrubber=Scrubber())
    header = tape.Header(tape=tape.VERSION, by="chaos", scope="core", sound="full", plan=tape.plain(plan))
    lines = [tape.header_line(header)]
    for method, arguments in entries:
        getattr(recorder, method)(*arguments)
        lines += [line + b"\n" for chunk in recorder.take() for line in chunk.splitlines()]
    return lines


def write(world: World) -> Path:
    """Put a tape where it is found."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"seed-{world.seed}.tape"
    path.write_bytes(b"".join(lines_of(world.plan, world.judge.entries)))
    return path


def replayed(world: World) -> Outcome:
    """Play it again, and see whether the core does what it did."""
    recording = tape.Tape(lines_of(world.plan, world.judge.entries))
    return compare(recording, play(recording, plan_of(recording.header)))
