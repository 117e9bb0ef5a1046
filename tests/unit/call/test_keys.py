"""Keys that the caller presses reach the model as text, and nobody else."""

from __future__ import annotations

import json

from bridge.call.actions import Happened
from bridge.wire.commands import CreateItem, CreateResponse
from tests.unit.call.rig import (
    Bench,
    facts,
    key_message,
    of,
)


def told_keys(bench: Bench) -> list[str]:
    """What the model was told about keys."""
    return [a.item["content"][0]["text"] for a in of(CreateItem, bench.log) if a.item["type"] == "message"]


def test_caller_enters_a_number_with_a_terminator(bench: Bench) -> None:
    """The model is told at once, and answers."""
    bench.up()
    for key in "42#":
        bench.caller(key_message(key))

    assert ["The caller pressed 4 2 #."] == told_keys(bench)
    assert 1 == len(of(CreateResponse, bench.log))


def test_caller_enters_a_number_and_pauses(bench: Bench) -> None:
    """The model is told when the pause is long enough, not before."""
    bench.up()
    bench.caller(key_message("4"))
    bench.wait(1.5)
    bench.caller(key_message("2"))
    bench.wait(1.9)
    assert [] == told_keys(bench)

    bench.wait(0.2)

    assert ["The caller pressed 4 2."] == told_keys(bench)


def test_keys_are_never_in_a_fact(bench: Bench) -> None:
    """Facts are what logs are made of."""
    bench.up()
    for key in "4711#":
        bench.caller(key_message(key))

    assert not [fields for fields in facts("keys.collected", bench.log) if fields]
    said = json.dumps([[fact.event, fact.fields] for fact in of(Happened, bench.log)])
    assert "4711" not in said
    assert "4 7 1 1" not in said
