"""The commands `replay` and `tape` as functions: arguments in, text and exit code out; the console prints."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bridge.replay import cutting, redaction, sound, timeline, whatif
from bridge.replay.comparison import Outcome, compare
from bridge.replay.moments import moments
from bridge.replay.plans import plan_of, plan_under
from bridge.replay.player import play
from bridge.replay.report import report, summary
from bridge.wire.tape import Tape, TapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from bridge.settings import Settings

DONE, DIFFERENT, WRONG = 0, 1, 2


class Answer(NamedTuple):
    """What a command has to say, and its exit code: 0 done, 1 a replay differs, 2 a file or an argument is wrong."""

    text: str
    exit_code: int


def replay(
    tapes: Sequence[Path], *, under: Settings | None = None, tolerance_s: float = 0.05, as_json: bool = False
) -> Answer:
    """Replay tapes and compare what the core does with what it did then; `under` other settings: say what would change.

    A folder stands for the tapes in it.
    """
    texts: list[str] = []
    worst = DONE
    results: list[dict[str, object]] = []
    for path in tapes_in(tapes):
        try:
            answer, result = _what_if(path, under) if under is not None else _replay(path, tolerance_s)
        except (TapeError, OSError) as error:
            answer, result = Answer(f"{path}: {reason_of(error)}", WRONG), {"error": reason_of(error)}
        texts.append(answer.text)
        results.append({"tape": str(path), **result})
        worst = max(worst, answer.exit_code)
    if not texts:
        return Answer("no tape was named: name files, or a folder that holds files ending in .tape", WRONG)
    return Answer(msgspec.json.format(msgspec.json.encode(results)).decode() if as_json else "\n".join(texts), worst)


def replay_one(path: Path, *, tolerance_s: float = 0.05) -> Outcome:
    """Replay one tape of the core and compare. Raises TapeError, OSError."""
    with opened(path) as tape:
        if tape.header.scope == "wire":
            raise TapeError(
                "holds messages only, so there is nothing to compare with: see what it does with `tape show`"
            )
        return compare(tape, play(tape, plan_of(tape.header)), tolerance_s=tolerance_s)


def show(path: Path) -> Answer:
    """The timeline of a tape."""
    return _about(path, lambda tape: timeline.show(tape.header, moments(tape)))


def wav(path: Path, to: Path) -> Answer:
    """Write a tape's sound: left the caller, right what the caller heard."""

    def write(tape: Tape) -> str:
        if tape.header.sound == "lengths":
            raise TapeError("was recorded without sound: set tape.audio = true for the next one")
        to.write_bytes(sound.stereo(moments(tape)))
        return f"{to}: left the caller, right what the caller heard"

    return _about(path, write)


def redact(path: Path, to: Path) -> Answer:
    """Write a tape without numbers, words and voice, and make sure that it still replays as the original does."""
    return _rewrite(path, to, redaction.redact)


def cut(path: Path, to: Path, *, from_s: float = 0.0, until_s: float | None = None) -> Answer:
    """Write the seconds of a tape that matter, and make sure that they still replay as in the original."""
    if from_s < 0 or (until_s is not None and until_s <= from_s):
        return Answer(
            "the last second must come after the first, and both are counted from the call's beginning", WRONG
        )
    return _rewrite(path, to, lambda tape: cutting.cut(tape, from_s=from_s, until_s=until_s))


@contextmanager
def opened(path: Path) -> Iterator[Tape]:
    """A tape, to be read once. Raises TapeError, OSError."""
    with path.open("rb") as lines:
        yield Tape(lines)


def tapes_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The tapes themselves; a folder stands for those in it."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.tape"))
        else:
            yield path


def _replay(path: Path, tolerance_s: float) -> tuple[Answer, dict[str, object]]:
    outcome = replay_one(path, tolerance_s=tolerance_s)
    answer = Answer(report(str(path), outcome), DONE if outcome.is_same else DIFFERENT)
    kinds = [difference.kind for difference in outcome.differences]
    return answer, {"summary": summary(outcome), "differences": kinds, "ending": outcome.replayed_ending}


def _what_if(path: Path, settings: Settings) -> tuple[Answer, dict[str, object]]:
    with opened(path) as tape:
        plan = plan_of(tape.header)
        before = whatif.run(tape, plan)
    with opened(path) as tape:
        after = whatif.run(tape, plan_under(plan, settings))
    lines = whatif.changes(before, after)
    endings = whatif.ending(before), whatif.ending(after)
    ends = f"it ends {endings[1]}" + ("" if endings[0] == endings[1] else f" instead of {endings[0]}")
    head = f"{path}: {f'{len(lines)} actions change' if lines else 'nothing changes'}; {ends}"
    answer = Answer("\n".join([head, *lines, *(whatif.LIMITS if lines else ())]), DONE)
    return answer, {"changes": lines, "ending": endings[1]}


def _about(path: Path, tell: Callable[[Tape], str]) -> Answer:
    try:
        with opened(path) as tape:
            return Answer(tell(tape), DONE)
    except (TapeError, OSError) as error:
        return Answer(f"{path}: {reason_of(error)}", WRONG)


def _rewrite(path: Path, to: Path, rewrite: Callable[[Tape], Iterable[bytes]]) -> Answer:
    if to.exists() and to.samefile(path):
        return Answer(f"{to} is the tape itself: name another file", WRONG)

    def write(tape: Tape) -> str:
        size = 0
        with to.open("wb") as file:
            for line in rewrite(tape):
                size += file.write(line)
        return f"{to}: {size} bytes"

    answer = _about(path, write)
    if answer.exit_code != DONE:
        return answer
    with opened(path) as tape:
        if tape.header.scope == "wire":
            return answer
    try:
        before, after = replay_one(path), replay_one(to)
    except TapeError as error:
        return Answer(f"{answer.text}; but what is on it cannot be replayed: {error}", WRONG)
    if before.is_same and not after.is_same:
        return Answer(
            f"{answer.text}; but it does not replay as the original does\n{report(str(to), after)}", DIFFERENT
        )
    return Answer(f"{answer.text}; it replays as the original does", DONE)


def reason_of(error: TapeError | OSError) -> str:
    """What is wrong with a tape, for people."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
