"""What is fuzzed: each target takes any bytes and raises only if there is a defect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import TypeVar

from bridge.replay import sound, timeline
from bridge.replay.comparison import compare
from bridge.replay.cutting import cut
from bridge.replay.moments import moments
from bridge.replay.plans import plan_of
from bridge.replay.player import play, play_freely
from bridge.replay.redaction import redact
from bridge.wire import caller, model, tape
from bridge.wire.g711 import size_of
from tests.fuzz import corpus
from tests.fuzz.webhooks import webhooks
from tests.unit.call.bench import Bench, make_plan

Chosen = TypeVar("Chosen")
MAX_STEPS = 2000
"""Of a tape: a mark may be hours away."""
MAX_LINES = 50


def caller_leg(data: bytes) -> None:
    """Messages of the media stream, one a line, for a call that is up and whose bot is speaking."""
    _converse(data, model_begins=False)


def model_leg(data: bytes) -> None:
    """Events of the session, the same way."""
    _converse(data, model_begins=True)


def _converse(data: bytes, *, model_begins: bool) -> None:
    """Take line by line, 20 ms apart; an empty line stands for time that passes until something is due.

    `~` stands before what the other leg says, and a line `^` for all marks that were set, which come back.
    """
    call = _call()
    for line in data.split(b"\n")[:MAX_LINES]:
        if not line:
            call.timer()
        elif line == b"^":
            call.marks(call.log)
        elif line.startswith(b"~") is model_begins:
            _caller_says(call, line.removeprefix(b"~"))
        else:
            _model_says(call, line.removeprefix(b"~"))
        if not call.endings:
            call.frame()
        if call.endings:
            break
    _record(call)


def _caller_says(call: Bench, line: bytes) -> None:
    read = caller.parse(line)
    assert isinstance(read, caller.CallerMessage)
    if isinstance(read, caller.CallerAudio):
        assert 0 <= read.timestamp_ms <= caller.MAX_TIMESTAMP_MS
        assert 0 <= size_of(read.payload)
    call.caller(line.decode(errors="replace"))


def _model_says(call: Bench, line: bytes) -> None:
    read = model.parse(line)
    assert isinstance(read, model.ModelEvent)
    call.model_text(line.decode(errors="replace"))


def _record(call: Bench) -> None:
    """What was done can be written on a tape, whatever a peer had put into it."""
    for action in call.log:
        assert tape.action_fields(tape.action_line(action))["do"]


def tapes(data: bytes) -> None:
    """A tape, for one of the commands or for all: refused in words, or read to its end.

    A first line `#` stands for a good header, which its first letter names; its second one names the command.
    """
    lines = data.splitlines(keepends=True) or [b""]
    if lines[0].startswith(b"#"):
        lines[0] = _named_by(data[1:2], _headers())
    for name in [reader_of(data)] if data.startswith(b"#") else READERS:
        with suppress(tape.TapeError):
            READERS[name](tape.Tape(lines))


def reader_of(data: bytes) -> str:
    """The command that reads a tape whose header is not its own."""
    return _named_by(data[2:3], list(READERS))


def _named_by(letter: bytes, choices: list[Chosen]) -> Chosen:
    return choices[(ord(letter or b"a") - ord("a")) % len(choices)]


def _play(recording: tape.Tape) -> None:
    for _ in islice(play_freely(recording, plan_of(recording.header)), MAX_STEPS):
        pass


def _redact(recording: tape.Tape) -> None:
    for _ in redact(recording):
        pass


def _cut(recording: tape.Tape) -> None:
    for _ in cut(recording, from_s=1.0, until_s=600.0):
        pass


READERS: dict[str, Callable[[tape.Tape], object]] = {
    "play": _play,
    "compare": lambda recording: compare(recording, play(recording, plan_of(recording.header))),
    "show": lambda recording: timeline.show(recording.header, moments(recording)),
    "wav": lambda recording: sound.stereo(moments(recording)),
    "redact": _redact,
    "cut": _cut,
}
"""What the commands do with a tape."""


TARGETS: dict[str, Callable[[bytes], object]] = {
    "caller": caller_leg,
    "model": model_leg,
    "tapes": tapes,
    "webhooks": webhooks,
}


@cache
def _headers() -> list[bytes]:
    return corpus.headers()


def _call() -> Bench:
    """A call in which much can happen: the bot is speaking, and a function runs."""
    call = Bench(make_plan(functions=("lookup",), barge_in={"mode": "confirmed"}))
    call.up()
    call.turn()
    call.respond("resp_1")
    call.speak("resp_1", "item_1", "/v7+")
    item = {"id": "item_2", "type": "function_call", "call_id": "call_1", "name": "lookup", "arguments": "{}"}
    call.model("response.output_item.done", response_id="resp_1", item=item)
    return call
