"""What a response or a transcription cost in tokens, out of the `usage` of either dialect.

Input tokens that the server had cached are among the input tokens there; here each token is counted once. Source:
`openai.types.realtime.RealtimeResponseUsage` and its parts; the beta dialect has no `cached_tokens_details`.
"""

from __future__ import annotations

from typing import Any

import msgspec

MOST = 1_000_000_000
"""No response costs more: a number beyond is none."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens, each in one place only."""

    text_in: int = 0
    text_cached_in: int = 0
    audio_in: int = 0
    audio_cached_in: int = 0
    text_out: int = 0
    audio_out: int = 0


def usage_of(response: Any) -> Usage | None:  # noqa: ANN401 - whatever the server sent
    """The tokens of a response; None where it tells nothing. A shape that is not known never raises.

    Tokens that are not told apart count as sound, which costs more; cached ones as text first, for a conversation
    begins with its instructions.
    """
    fields = _table(response)
    if not fields:
        return None
    text, audio = _divided(fields, "input")
    cached_text, cached_audio = _cached(_table(fields.get("input_token_details")), text, audio)
    text_out, audio_out = _divided(fields, "output")
    return Usage(text - cached_text, cached_text, audio - cached_audio, cached_audio, text_out, audio_out)


def usage_of_transcription(usage: Any) -> Usage | None:  # noqa: ANN401 - the same
    """The tokens of a transcription, what is written being text; None where it is paid by the minute, or not told."""
    fields = _table(usage)
    if fields.get("type") != "tokens":
        return None
    text, audio = _divided(fields, "input")
    return Usage(text_in=text, audio_in=audio, text_out=_count(fields.get("output_tokens")))


def _divided(fields: dict[str, Any], side: str) -> tuple[int, int]:
    """Text and sound of a side."""
    details = _table(fields.get(f"{side}_token_details"))
    text, audio = _count(details.get("text_tokens")), _count(details.get("audio_tokens"))
    if not details:
        audio = _count(fields.get(f"{side}_tokens"))
    return text, audio


def _cached(details: dict[str, Any], text: int, audio: int) -> tuple[int, int]:
    """How much of the input was cached, never more than there was."""
    divided = _table(details.get("cached_tokens_details"))
    if divided:
        return min(text, _count(divided.get("text_tokens"))), min(audio, _count(divided.get("audio_tokens")))
    cached = _count(details.get("cached_tokens"))
    return min(text, cached), min(audio, max(0, cached - text))


def _table(value: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:  # noqa: ANN401 - the same
    return int(value) if isinstance(value, int | float) and 0 <= value <= MOST else 0
