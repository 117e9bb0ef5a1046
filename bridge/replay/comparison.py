"""What the core does now against what the tape holds: actions, their order, their times, the ending.

An action that comes at another moment but within the tolerance is the same. One line that the other side has not, or
has at another time or with other values, is a difference; each is kept with the steps before it.
"""

from __future__ import annotations

from collections import deque
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

import msgspec

from bridge.call.actions import Ended, PlayAudio
from bridge.replay.redaction import Redactor
from bridge.replay.words import action_words, input_words
from bridge.wire.commands import AppendAudio
from bridge.wire.g711 import size_of
from bridge.wire.scrubbing import Scrubber
from bridge.wire.tape import SAME, action_fields, action_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.replay.player import Played
    from bridge.wire.tape import Header, Step, Tape

MAX_DIFFERENCES = 200
CONTEXT_STEPS = 6
_AUDIO_KINDS = (PlayAudio, AppendAudio)
_PASSED_ON = [action_line(AppendAudio(SAME), passed=SAME)]
_scrub = Scrubber().scrub


class Difference(msgspec.Struct):
    """One action that differs.

    `recorded` and `replayed` are its lines on the tape and now, where there are such; `context` are the steps before,
    for people.
    """

    kind: Literal["missing", "extra", "changed", "moved"]
    at: float
    recorded: bytes = b""
    replayed: bytes = b""
    moved_s: float = 0.0
    context: tuple[str, ...] = ()


class Outcome(msgspec.Struct):
    """What a replay came to. It is the recorded call again when there are no `differences`."""

    differences: list[Difference]
    steps: int = 0
    actions: int = 0
    call_s: float = 0.0
    """How long the call on the tape is."""
    lost: int = 0
    """Lines that the tape has lost; behind the first of them nothing is compared."""
    recorded_ending: str = ""
    replayed_ending: str = ""
    is_whole: bool = False
    omitted: int = 0
    """Differences beyond those that are kept."""

    @property
    def is_same(self) -> bool:
        """Whether the core did what is on the tape."""
        return not self.differences


def compare(tape: Tape, played: Iterable[Played], *, tolerance_s: float = 0.05) -> Outcome:
    """Run a replay to its end and say what differs. `played` must read `tape`.

    Args:
        tape: the tape that is being played.
        played: what `bridge.replay.player.play` makes of it.
        tolerance_s: how much earlier or later the same action may come.
    """
    comparison = _Comparison(tape.header, tolerance_s=tolerance_s)
    feed = comparison.feed
    for moment in played:
        if not feed(moment):
            break
    for _ in tape:  # to its end, to know whether it is whole
        pass
    return comparison.outcome(is_whole=tape.is_whole)


class _Comparison:
    def __init__(self, header: Header, *, tolerance_s: float) -> None:
        self._began = header.at
        self._has_sound = header.sound != "lengths"
        self._tolerance_s = tolerance_s
        self._redact = Redactor(header, renames_ids=False).action_line if header.is_redacted else None
        self._recent: deque[Played] = deque(maxlen=CONTEXT_STEPS)
        self._open: list[Difference] = []
        self._closed: list[Difference] = []
        self._outcome = Outcome([])
        self._now = header.at

    def feed(self, moment: Played) -> bool:
        """Compare one moment; False when nothing after it can be compared."""
        step, actions = moment.step, moment.actions
        recorded: list[bytes] = step.actions if step is not None else []
        self._now = moment.at
        outcome = self._outcome
        outcome.steps += 1
        if recorded == _PASSED_ON and _is_passed_on(moment):  # most of them
            outcome.actions += 1
            return not self._is_lost(step)
        if actions or recorded:
            outcome.actions += len(actions)
            has_sound = self._has_sound and not (step and step.input and step.input.size_bytes is not None)
            sound = moment.sound
            replayed = [action_line(action, passed=sound, has_sound=has_sound) for action in actions]
            if replayed != recorded:
                self._align(moment, recorded, replayed)
            if actions and isinstance(last := actions[-1], Ended):
                outcome.replayed_ending = last.ending.value
            if recorded and recorded[-1].startswith(b'{"do":"ended"'):
                outcome.recorded_ending = str(action_fields(recorded[-1]).get("ending"))
        if moment.sound is None or actions[1:] or recorded[1:]:
            self._recent.append(moment)
        return not self._is_lost(step)

    def _is_lost(self, step: Step | None) -> bool:
        """Whether lines are missing behind a step."""
        if step is None or not step.lost:
            return False
        self._outcome.lost += step.lost
        return True

    def outcome(self, *, is_whole: bool) -> Outcome:
        self._closed += self._open
        self._closed.sort(key=lambda difference: difference.at)
        outcome = self._outcome
        outcome.differences = self._closed[:MAX_DIFFERENCES]
        outcome.omitted = len(self._closed) - len(outcome.differences)
        outcome.call_s = self._now - self._began
        outcome.is_whole = is_whole
        return outcome

    def _align(self, moment: Played, recorded: list[bytes], replayed: list[bytes]) -> None:
        matcher = SequenceMatcher(
            None, [_key(line) for line in recorded], [_key(line) for line in replayed], autojunk=False
        )
        for what, i, i_end, j, j_end in matcher.get_opcodes():
            if what == "equal":
                for old, new in zip(recorded[i:i_end], replayed[j:j_end], strict=True):
                    if not self._same(old, new, moment.sound):
                        self._differ(moment, old, new)
                continue
            for old in recorded[i:i_end]:
                self._differ(moment, old, b"")
            for new in replayed[j:j_end]:
                self._differ(moment, b"", new)

    def _differ(self, moment: Played, old: bytes, new: bytes) -> None:
        kind: Literal["changed", "missing", "extra"] = "changed" if old and new else "missing" if old else "extra"
        difference = Difference(kind, moment.at, old, new)
        if kind == "changed":
            difference.context = self._context(moment)
            self._closed.append(difference)
            return
        for other in self._open:  # the same one, at another time?
            if other.kind != kind and self._same(other.recorded or old, other.replayed or new, None):
                self._open.remove(other)
                moved_s = moment.at - other.at if new else other.at - moment.at
                if abs(moved_s) > self._tolerance_s or moved_s == 0:
                    first = min(other.at, moment.at)
                    moved = Difference(
                        "moved", first, other.recorded or old, other.replayed or new, moved_s, other.context
                    )
                    self._closed.append(moved)
                return
        if len(self._open) < MAX_DIFFERENCES:
            difference.context = self._context(moment)
            self._open.append(difference)
        else:
            self._outcome.omitted += 1

    def _same(self, recorded: bytes, replayed: bytes, sound: str | None) -> bool:
        """Whether two lines are the same action: key by key, for those that both have; secrets are as on the tape."""
        if recorded == replayed:
            return True
        replayed = _scrub(replayed.decode()).encode()
        if self._redact is not None:
            recorded, replayed = self._redact(recorded), self._redact(replayed)
        old, new = action_fields(recorded), action_fields(replayed)
        if "bytes" in old or "bytes" in new:
            return _size(old, sound) == _size(new, sound)
        if SAME in (old.get("payload"), new.get("payload")):
            return _payload(old, sound) == _payload(new, sound)
        return all(value == new[name] for name, value in old.items() if name in new)

    def _context(self, moment: Played) -> tuple[str, ...]:
        lines: list[str] = []
        for earlier in [*self._recent, moment]:
            leg = earlier.step.input.leg if earlier.step is not None and earlier.step.input is not None else "core"
            lines.append(f"{earlier.at - self._began:9.3f}  {input_words(leg, earlier.message)}")
            if earlier is not moment:
                done = [
                    action_words(action_line(action)) for action in earlier.actions if type(action) not in _AUDIO_KINDS
                ]
                lines += [f"{'':9}    {words}" for words in done]
        return tuple(lines)


def _is_passed_on(moment: Played) -> bool:
    """Whether the only thing done was to pass the input's sound on to the model."""
    actions = moment.actions
    return len(actions) == 1 and type(first := actions[0]) is AppendAudio and first.audio == moment.sound


def _key(line: bytes) -> tuple[str, str]:
    """What makes two lines one action, whatever their values are; on a damaged tape they may be no texts."""
    fields = action_fields(line)
    return str(fields.get("do")), str(fields.get("event"))


def _size(fields: dict[str, object], sound: str | None) -> object:
    if "bytes" in fields:
        return fields["bytes"]
    return size_of(str(_payload(fields, sound)))


def _payload(fields: dict[str, object], sound: str | None) -> object:
    payload = fields.get("payload")
    return (sound or "") if payload == SAME else payload
