"""What is fuzzed: each target takes any bytes and raises only if there is a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

from bridge.replay.plans import plan_of
from bridge.replay.player import play, play_freely
from bridge.wire import caller, model, tape
from bridge.wire.g711 import size_of
from tests.fuzz import corpus
from tests.fuzz.webhooks import webhooks
from tests.unit.call.bench import Bench, make_plan

MAX_STEPS = 2000
"""Of a tape: a mark may be hours away."""
MAX_LINES = 50


def caller_leg(data: bytes) -> None:
    """Messages of the media stream, one a line: read as bytes, and taken as text by a call that is up."""
    call = _call()
    for line in _lines(call, data):
        read = caller.parse(line)
        assert isinstance(read, caller.CallerMessage)
        if isinstance(read, caller.CallerAudio):
            assert 0 <= read.timestamp_ms <= caller.MAX_TIMESTAMP_MS
            assert 0 <= size_of(read.payload)
        call.caller(line.decode(errors="replace"))


def model_leg(data: bytes) -> None:
    """Events of the session, one a line: read, and taken by a call whose bot is speaking."""
    call = _call()
    for line in _lines(call, data):
        read = model.parse(line)
        assert isinstance(read, model.ModelEvent)
        call.model_text(line.decode(errors="replace"))


def _lines(call: Bench, data: bytes) -> Iterator[bytes]:
    """The lines, a moment apart; an empty one stands for time that passes until something is due."""
    for line in data.split(b"\n")[:MAX_LINES]:
        if call.endings:
            return
        if line:
            yield line
        else:
            call.timer()
        if not call.endings:
            call.frame()


def tapes(data: bytes) -> None:
    """A tape: refused in words, or played to its end, with its own wake-ups and with the core's."""
    lines = data.splitlines(keepends=True)
    if lines and lines[0][:1] == b"#":
        lines[0] = _headers()[(lines[0][1] - ord("a")) % len(_headers())] if len(lines[0]) > 1 else b""
    for player in (play_freely, play):
        try:
            recording = tape.Tape(lines)
            for _ in islice(player(recording, plan_of(recording.header)), MAX_STEPS):
                pass
        except tape.TapeError:
            return


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
