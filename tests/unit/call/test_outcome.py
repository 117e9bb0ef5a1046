"""What a function gave back, taken apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.outcome import EndCall, Outcome, TransferCall, parse

PLACES = frozenset({"sales"})


@pytest.mark.parametrize("output", ["null", "[1, 2]", '"then"', '{"result": {"then": 1}}', "no JSON", "[" * 100_000])
def test_result_without_then_is_left_as_it_is(output: str) -> None:
    """Only an object's own `then` means anything."""
    assert Outcome(output) == parse(output, PLACES)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"then": {"end_call": {}}}', Outcome("{}", EndCall())),
        ('{"result": 1, "then": {"end_call": {"reason": "paid"}}}', Outcome('{"result":1}', EndCall("paid"))),
        ('{"then": {"transfer_call": {"destination": "sales"}}}', Outcome("{}", TransferCall("sales"))),
        (
            '{"state": "late", "then": {"transfer_call": {"destination": "sales", "summary": "angry"}}}',
            Outcome('{"state":"late"}', TransferCall("sales", "angry")),
        ),
        ('{"result": 1, "then": null}', Outcome('{"result":1}')),
    ],
)
def test_function_ends_or_transfers_the_call(output: str, expected: Outcome) -> None:
    """The act is taken out, and what remains is for the model."""
    assert expected == parse(output, PLACES)


@pytest.mark.parametrize(
    ("then", "flaw"),
    [
        (1, "`then` is not of the form that is documented"),
        ("end_call", "`then` is not of the form that is documented"),
        ({"hang_up": {}}, "`then` is not of the form that is documented"),
        ({"end_call": {"reason": 1}}, "`then` is not of the form that is documented"),
        ({"end_call": {"text": "x"}}, "`then` is not of the form that is documented"),
        ({"transfer_call": {}}, "`then` is not of the form that is documented"),
        ({}, "`then` must hold either `end_call` or `transfer_call`"),
        (
            {"end_call": {}, "transfer_call": {"destination": "sales"}},
            "`then` must hold either `end_call` or `transfer_call`",
        ),
        (
            {"transfer_call": {"destination": "+15550001111"}},
            "`then.transfer_call.destination` is no configured destination",
        ),
    ],
)
def test_then_that_cannot_be_done_is_told(then: object, flaw: str) -> None:
    """The model hears that nothing happens, and the log why; a number is never a destination."""
    outcome = parse(json.dumps({"result": 1, "then": then}), PLACES)

    assert outcome.then is None
    assert flaw == outcome.flaw
    assert json.loads(outcome.output)["result"] == 1
    assert "not possible" in json.loads(outcome.output)["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["then", "end_call", "reason", "x"]), inner),
)


@given(JSON)
def test_nothing_that_a_function_says_raises(result: object) -> None:
    """Whatever comes, there is an output without `then`."""
    outcome = parse(json.dumps(result), PLACES)

    left = json.loads(outcome.output)
    assert not (isinstance(left, dict) and "then" in left)
