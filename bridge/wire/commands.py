"""What the bridge tells the model: Realtime client events, typed. The same in both dialects but for the bodies.

The bodies that differ (`session`, `item`, `response`) are made by `bridge.wire.session`, which knows the dialects.
Every event that may be refused carries an `event_id`, which the server's `error` names.
"""

from __future__ import annotations

from typing import Any

import msgspec


class AppendAudio(msgspec.Struct, frozen=True, gc=False, tag="input_audio_buffer.append"):
    """The caller's sound, base64 text in the session's input format; the server never answers it."""

    audio: str


class UpdateSession(msgspec.Struct, frozen=True, tag="session.update"):
    """Merge fields into the session; one wrong field and the server refuses all of them."""

    session: dict[str, Any]
    event_id: str


class CreateItem(msgspec.Struct, frozen=True, tag="conversation.item.create"):
    """Add an item at the end of the conversation: a message, or the output of a function."""

    item: dict[str, Any]
    event_id: str


class TruncateItem(msgspec.Struct, frozen=True, tag="conversation.item.truncate"):
    """Tell the model how much of what it said was heard; `0 < audio_end_ms <= what it sent`."""

    item_id: str
    content_index: int
    audio_end_ms: int
    event_id: str


class DeleteItem(msgspec.Struct, frozen=True, tag="conversation.item.delete"):
    """Take an item that nobody heard out of the conversation."""

    item_id: str
    event_id: str


class CreateResponse(msgspec.Struct, frozen=True, tag="response.create"):
    """Ask for a response; refused while another one is active."""

    response: dict[str, Any]
    event_id: str


class CancelResponse(msgspec.Struct, frozen=True, tag="response.cancel"):
    """Stop the response that is active; `response.done` follows. Harmless when there is none."""

    response_id: str
    event_id: str


Command = AppendAudio | UpdateSession | CreateItem | TruncateItem | DeleteItem | CreateResponse | CancelResponse

encode = msgspec.json.Encoder().encode
"""Command to JSON bytes, for a text frame."""
