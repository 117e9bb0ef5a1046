"""Function calls: each is dispatched once and answered once, in the order asked."""

from __future__ import annotations

import json

import pytest

from bridge.call.actions import Outbox
from bridge.call.functions import MAX_CALLS, Functions
from bridge.call.memory import Memory
from bridge.wire.commands import CreateItem
from bridge.wire.model import Item
from tests.unit.call.rig import of


def call(call_id: str, arguments: str | None = "{}", status: str | None = "completed") -> Item:
    """A function call of the model."""
    return Item("function_call", f"item_{call_id}", status=status, name="lookup", call_id=call_id, arguments=arguments)


def outputs(outbox: Outbox) -> list[tuple[str, str]]:
    """What the model was given since the last time."""
    return [(action.item["call_id"], action.item["output"]) for action in of(CreateItem, outbox.take())]


def test_outputs_go_together_in_the_order_asked() -> None:
    """When the response is over and the last of them is there."""
    outbox = Outbox()
    functions = Functions(outbox, Memory())
    for call_id in ("a", "b"):
        assert functions.announce("resp", call(call_id)) is not None
    functions.answer("b", "2")
    functions.response_over("resp")
    assert (False, []) == (functions.deliver(0), outputs(outbox))

    functions.answer("a", "1")

    assert (True, [("a", "1"), ("b", "2")]) == (functions.deliver(0), outputs(outbox))
    assert (False, False) == (functions.deliver(0), functions.is_busy)


def test_outputs_wait_for_the_end_of_their_response() -> None:
    """An answer cannot be asked for before."""
    outbox = Outbox()
    functions = Functions(outbox, Memory())
    functions.announce("resp", call("a"))
    functions.answer("a", "1")

    assert not functions.deliver(0)
    functions.response_over("resp")
    assert functions.deliver(0)


def test_call_is_announced_more_than_once() -> None:
    """The events that announce it are several; it is one call."""
    functions = Functions(Outbox(), Memory())

    assert functions.announce("resp", call("a")) is not None
    assert functions.announce("resp", call("a")) is None


def test_call_was_interrupted() -> None:
    """Its arguments may be a fragment, and the server does not wait for an output."""
    functions = Functions(Outbox(), Memory())

    assert functions.announce("resp", call("a", '{"n', "incomplete")) is None
    assert not functions.is_busy


@pytest.mark.parametrize("arguments", ["", None, "{}", '{"a": 1}'])
def test_arguments_are_an_object(arguments: str | None) -> None:
    """None at all are an empty one."""
    request = Functions(Outbox(), Memory()).announce("resp", call("a", arguments))

    assert request is not None
    assert json.loads(arguments or "{}") == request.arguments


@pytest.mark.parametrize("arguments", ["{", "[]", "5", "null", "[" * 100_000, '"x"', "9" * 5000])
def test_arguments_are_no_object(arguments: str) -> None:
    """The model is told so."""
    outbox = Outbox()
    functions = Functions(outbox, Memory())

    assert functions.announce("resp", call("a", arguments)) is None
    functions.response_over("resp")
    assert functions.deliver(0)
    assert [("a", '{"error": "the arguments are not a JSON object"}')] == outputs(outbox)


def test_model_asks_for_too_much_at_once() -> None:
    """What is beyond the bound is answered with an error; the rest runs."""
    functions = Functions(Outbox(), Memory())

    requests = [functions.announce("resp", call(str(number))) for number in range(MAX_CALLS + 2)]

    assert [None, None] == requests[MAX_CALLS:]
    assert None not in requests[:MAX_CALLS]


def test_result_is_given_twice() -> None:
    """The first one counts."""
    functions = Functions(Outbox(), Memory())
    functions.announce("resp", call("a"))

    assert [True, False, False] == [functions.answer("a", "1"), functions.answer("a", "2"), functions.answer("b", "3")]


def test_declined_call_wants_no_answer() -> None:
    """The caller who interrupted is answered anyway; beside another output it takes part in that answer."""
    outbox = Outbox()
    functions = Functions(outbox, Memory())
    functions.announce("resp", call("a"))
    functions.decline("a", "no")
    functions.response_over("resp")
    assert (False, [("a", "no")]) == (functions.deliver(0), outputs(outbox))

    functions.announce("resp_2", call("b"))
    functions.announce("resp_2", call("c"))
    functions.decline("b", "no")
    functions.answer("c", "yes")
    functions.response_over("resp_2")
    assert functions.deliver(0)


def test_call_that_ends_the_conversation_is_dropped() -> None:
    """Nobody waits for its output."""
    functions = Functions(Outbox(), Memory())
    functions.announce("resp", call("a"))

    functions.drop("a")

    assert not functions.is_busy
