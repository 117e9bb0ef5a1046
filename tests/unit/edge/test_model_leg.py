"""What both clients of the model's leg share: conversion for endpoints that do not speak mu-law."""

from __future__ import annotations

import pytest

from bridge.edge.model_leg import converted
from bridge.settings import AudioFormat
from bridge.wire.commands import AppendAudio
from bridge.wire.g711 import converter


@pytest.mark.parametrize("form", ["pcm16", "g711_alaw"])
@pytest.mark.parametrize("payload", ["aaaaa", "€€€€"])
def test_caller_sends_no_base64_and_the_endpoint_wants_another_format(form: AudioFormat, payload: str) -> None:
    """It goes as it is, for the server to refuse like anything else that is wrong; the next piece is converted."""
    to_model = converter(form, to_model=True)
    assert to_model is not None

    assert AppendAudio(payload) == converted(AppendAudio(payload), to_model)
    assert AppendAudio("////") != converted(AppendAudio("////"), to_model)
