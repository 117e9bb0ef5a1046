"""Tokens, counted once, whatever the dialect and however odd the server."""

from __future__ import annotations

import pytest

from bridge.wire import model
from bridge.wire.usage import Usage, usage_of, usage_of_transcription

GA = {
    "total_tokens": 300,
    "input_tokens": 200,
    "output_tokens": 100,
    "input_token_details": {
        "text_tokens": 80,
        "audio_tokens": 120,
        "cached_tokens": 90,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 30},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 80},
}


def test_cached_tokens_of_a_ga_session_are_counted_apart_and_once() -> None:
    """They are among the input tokens there."""
    assert Usage(20, 60, 90, 30, 20, 80) == usage_of(GA)


def test_cached_tokens_of_a_beta_session_are_text_first() -> None:
    """It does not say what they were; a conversation begins with its instructions."""
    details = {"text_tokens": 80, "audio_tokens": 120, "cached_tokens": 90}

    assert Usage(0, 80, 110, 10, 20, 80) == usage_of(GA | {"input_token_details": details})


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ("a lot", None),
        ([1, 2], None),
        ({"input_tokens": 50, "output_tokens": 7}, Usage(audio_in=50, audio_out=7)),
        ({"input_tokens": "50", "output_tokens": -3}, Usage()),
        ({"input_token_details": {"text_tokens": 1e300, "audio_tokens": None}}, Usage()),
        ({"input_token_details": {"text_tokens": 5, "cached_tokens": 99}}, Usage(text_cached_in=5)),
        ({"input_token_details": {"text_tokens": float("nan"), "audio_tokens": 3.0}}, Usage(audio_in=3)),
    ],
)
def test_a_shape_that_is_not_known_costs_nothing_but_itself(usage: object, expected: Usage | None) -> None:
    """What can be read is; the rest is nothing."""
    assert expected == usage_of(usage)


def test_a_response_is_done_whatever_its_usage() -> None:
    """Else a strange number would keep the call waiting for its end."""
    event = model.parse('{"type":"response.done","response":{"id":"resp_1","status":"completed","usage":"a lot"}}')

    assert isinstance(event, model.ResponseDone)


def test_a_transcription_by_tokens_writes_text() -> None:
    """Its output is what was written down."""
    usage = {"type": "tokens", "input_tokens": 30, "output_tokens": 9, "input_token_details": {"audio_tokens": 30}}

    assert Usage(audio_in=30, text_out=9) == usage_of_transcription(usage)
    assert None is usage_of_transcription({"type": "duration", "seconds": 3.5})
