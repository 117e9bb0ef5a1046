"""How what a bridge did over sockets differs from what the tape holds, within tolerances that can be said."""

from __future__ import annotations

from collections import defaultdict
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.rehearsal.reenact.parts import Deeds, Line, Sent

WORDS = 3
"""How many words more or fewer of a line that was cut may have been heard."""
_ENDS_OF_CALLER = frozenset({"caller_hung_up", "caller_lost"})


class Tolerance(msgspec.Struct, frozen=True):
    """What counts as the same."""

    heard_ms: int = 200
    """More or less of an item that was heard before it was truncated."""
    moment_s: float = 0.4
    """Earlier or later."""

    def __str__(self) -> str:
        return f"within {self.heard_ms} ms of what was heard and {self.moment_s:g} s of when"


def differences(then: Deeds, now: Deeds, tolerance: Tolerance) -> list[str]:
    """What differs, a line each: `-` is on the tape and was not done, `+` was done only now, `~` was done otherwise."""
    lines = [*_commands(then.commands, now.commands, tolerance), *_clears(then.clears, now.clears, tolerance)]
    if then.lines is not None and now.lines is not None:
        lines += _transcripts(then.lines, now.lines)
    endings = {then.ending, now.ending}
    if now.ending and len(endings) > 1 and not endings <= _ENDS_OF_CALLER:
        lines.append(f"~ ended {now.ending}, on the tape {then.ending or 'not at all'}")
    return lines


def _commands(then: Sequence[Sent], now: Sequence[Sent], tolerance: Tolerance) -> Iterable[str]:
    """Kind by kind: commands of two kinds have no order among them that a line with jitter would keep."""
    for kind in dict.fromkeys(sent.kind for sent in (*then, *now)):
        old, new = ([sent for sent in side if sent.kind == kind] for side in (then, now))
        matcher = SequenceMatcher(None, [_name(sent) for sent in old], [_name(sent) for sent in new], autojunk=False)
        for what, i, i_end, j, j_end in matcher.get_opcodes():
            if what == "equal":
                for was, is_ in zip(old[i:i_end], new[j:j_end], strict=True):
                    yield from _same_command(was, is_, tolerance)
            else:
                yield from (f"- {sent.at:9.3f}  {_words(sent)}" for sent in old[i:i_end])
                yield from (f"+ {sent.at:9.3f}  {_words(sent)}" for sent in new[j:j_end])


def _same_command(then: Sent, now: Sent, tolerance: Tolerance) -> Iterable[str]:
    was_ms, is_ms = then.fields.get("audio_end_ms"), now.fields.get("audio_end_ms")
    if isinstance(was_ms, int) and isinstance(is_ms, int) and abs(was_ms - is_ms) > tolerance.heard_ms:
        yield f"~ {now.at:9.3f}  {_words(now)}  (on the tape {was_ms} ms)"
    if min(then.at, now.at) > 0 and abs(then.at - now.at) > tolerance.moment_s:
        yield f"~ {now.at:9.3f}  {_words(now)}  (on the tape at {then.at:.3f})"


def _name(sent: Sent) -> tuple[object, ...]:
    """What makes two commands the same one."""
    item = sent.fields.get("item")
    kind = (item.get("type"), item.get("role"), item.get("call_id")) if isinstance(item, dict) else ()
    return (sent.fields.get("item_id"), *kind)


def _words(sent: Sent) -> str:
    shown = {name: value for name, value in sent.fields.items() if name in ("item_id", "audio_end_ms")}
    return " ".join([sent.kind, *(f"{name}={value}" for name, value in shown.items())])


def _clears(then: Sequence[float], now: Sequence[float], tolerance: Tolerance) -> Iterable[str]:
    left = list(now)
    for at in then:
        near = min(left, key=lambda other: abs(other - at), default=None)
        if near is None or abs(near - at) > tolerance.moment_s:
            yield f"- {at:9.3f}  the bot is cut"
        else:
            left.remove(near)
    yield from (f"+ {at:9.3f}  the bot is cut" for at in left)


def _transcripts(then: Sequence[Line], now: Sequence[Line]) -> Iterable[str]:
    spoken: dict[str, list[list[Line]]] = defaultdict(lambda: [[], []])
    for side, lines in enumerate((then, now)):
        for line in lines:
            spoken[line.role][side].append(line)
    for old, new in spoken.values():
        matcher = SequenceMatcher(None, [_first(line) for line in old], [_first(line) for line in new], autojunk=False)
        for what, i, i_end, j, j_end in matcher.get_opcodes():
            pairs = zip(old[i:i_end], new[j:j_end], strict=True) if what == "equal" else ()
            yield from (
                f"~ {now.role}: {_said(now)}  (on the tape: {_said(was)})"
                for was, now in pairs
                if not _is_same(was, now)
            )
            if what != "equal":
                yield from (f"- {line.role}: {_said(line)}" for line in old[i:i_end])
                yield from (f"+ {line.role}: {_said(line)}" for line in new[j:j_end])


def _first(line: Line) -> str:
    return line.words.partition(" ")[0]


def _is_same(then: Line, now: Line) -> bool:
    if then.words == now.words:
        return then.is_cut == now.is_cut
    is_part = then.words.startswith(now.words) or now.words.startswith(then.words)
    return is_part and (then.is_cut or now.is_cut) and abs(len(then.words.split()) - len(now.words.split())) <= WORDS


def _said(line: Line) -> str:
    return f"{line.words}{' —' if line.is_cut else ''}"
