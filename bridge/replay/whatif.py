"""What other settings would have changed: the same messages under both, and where the bridge acts differently.

Both runs are played the same way, so that only the settings differ. The loop is open: caller and model say what they
said then. A caller who was cut off would have gone on speaking, a response that would not have been cancelled has no
more sound on the tape.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import msgspec

from bridge.call.actions import Ended, PlayAudio, SetMark
from bridge.replay.player import play_freely
from bridge.replay.words import action_words
from bridge.wire.commands import AppendAudio
from bridge.wire.tape import action_fields, action_line

if TYPE_CHECKING:
    from bridge.call.actions import Action
    from bridge.call.plan import Plan
    from bridge.wire.tape import Recording

LIMITS = (
    "Caller and model say here what they said then: what they would have done about it, no tape can tell.",
    "Marks come back as on a quick line.",
)
_UNTOLD = (PlayAudio, SetMark, AppendAudio)
_SERIALS = frozenset({"event_id", "response", "session"})
_TOLERANCE_S = 0.05


class Did(msgspec.Struct):
    """An action of one run; `key` makes it comparable with those of the other run."""

    at: float
    line: bytes
    key: str


def run(recording: Recording, plan: Plan) -> list[Did]:
    """What the bridge does under a plan, without the sound that it passes on."""
    began = recording.header.at
    return [
        _did(played.at - began, action)
        for played in play_freely(recording, plan)
        for action in played.actions
        if not isinstance(action, _UNTOLD)
    ]


def _did(at: float, action: Action) -> Did:
    line = action_line(action)
    fields = {name: value for name, value in action_fields(line).items() if name not in _SERIALS}
    return Did(at, line, repr(sorted(fields.items(), key=str)))


def changes(before: list[Did], after: list[Did]) -> list[str]:
    """Lines that say what changes from one run to the other, in order of time; none when nothing does."""
    matcher = SequenceMatcher(None, [did.key for did in before], [did.key for did in after], autojunk=False)
    lines: list[tuple[float, str]] = []
    for what, i, i_end, j, j_end in matcher.get_opcodes():
        if what == "equal":
            pairs = zip(before[i:i_end], after[j:j_end], strict=True)
            moved = [(old, new) for old, new in pairs if abs(old.at - new.at) > _TOLERANCE_S]
            lines += [
                (new.at, f"~ {new.at:9.3f}  {action_words(new.line)}  (was at {old.at:.3f})") for old, new in moved
            ]
            continue
        lines += [(old.at, f"- {old.at:9.3f}  {action_words(old.line)}") for old in before[i:i_end]]
        lines += [(new.at, f"+ {new.at:9.3f}  {action_words(new.line)}") for new in after[j:j_end]]
    return [line for _, line in sorted(lines, key=lambda timed: timed[0])]


def ending(done: list[Did]) -> str:
    """How a run ended; empty when it did not."""
    name = next((did.line for did in reversed(done) if did.line.startswith(b'{"do":"ended"')), None)
    return str(action_fields(name).get(next(iter(Ended.__struct_fields__)))) if name is not None else ""
