"""Realtime server events: JSON text in, values out. Both dialects become the same values; no decisions are made here.

Eight events changed their names from beta to GA, the fields stayed; `function_call_arguments.done` has a `name` in GA
only, and items are announced by `conversation.item.created` in beta, by `.added` and `.done` in GA. Fields that no
call needs are not read.

Source: the `openai` package's types (`openai.types.realtime` and `openai.types.beta.realtime`). New kinds appear at
any time, so an unknown one is a value (`Unknown`), and so is one of the wrong shape (`Malformed`); `parse` never
raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bridge.wire.caller import MAX_NAME, UNREADABLE, Malformed, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable


class Content(msgspec.Struct, frozen=True):
    """A part of a message item."""

    type: str = ""
    text: str | None = None
    transcript: str | None = None


class Item(msgspec.Struct, frozen=True):
    """A conversation item: a `message`, a `function_call`, its output, or one of the MCP kinds."""

    type: str = ""
    id: str = ""
    role: str | None = None
    status: str | None = None
    content: list[Content] | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """What the server says is wrong."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None
    """Of our own event that caused it, if we gave it an id."""


class StatusDetails(msgspec.Struct, frozen=True):
    """Why a response did not complete."""

    type: str | None = None
    reason: str | None = None
    error: Fault | None = None


class Response(msgspec.Struct, frozen=True):
    """A response as the server describes it when it begins and when it is done."""

    id: str = ""
    status: str | None = None
    status_details: StatusDetails | None = None
    output: list[Item] | None = None
    usage: Any = None
    """As it came: `bridge.wire.usage` reads it, so that an unknown shape of it costs nothing else of the event."""
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    """What our `response.create` gave it; not every server hands it back, hence unset."""


class SessionCreated(msgspec.Struct, tag="session.created"):
    """The first event on every socket; the session runs on the server's defaults until `session.updated`."""

    session: dict[str, Any]


class SessionUpdated(msgspec.Struct, tag="session.updated"):
    """The whole session as it is now: to be compared with what was asked."""

    session: dict[str, Any]


class Failed(msgspec.Struct, tag="error"):
    """The server refused one of our events, or has a fault; the session usually lives on."""

    error: Fault


class SpeechStarted(msgspec.Struct, tag="input_audio_buffer.speech_started"):
    """The server hears the caller speak."""

    item_id: str
    audio_start_ms: int = 0


class SpeechStopped(msgspec.Struct, tag="input_audio_buffer.speech_stopped"):
    """The caller is silent again."""

    item_id: str
    audio_end_ms: int = 0


class Committed(msgspec.Struct, tag="input_audio_buffer.committed"):
    """What the caller said is an item of the conversation now."""

    item_id: str


class ItemAdded(msgspec.Struct, tag="conversation.item.added"):
    """An item is part of the conversation."""

    item: Item


class ItemCreated(ItemAdded, tag="conversation.item.created"):
    """The same in the beta dialect."""


class ItemDone(msgspec.Struct, tag="conversation.item.done"):
    """An item of the conversation is complete; GA only."""

    item: Item


class ItemTruncated(msgspec.Struct, tag="conversation.item.truncated"):
    """Our truncation was done."""

    item_id: str
    audio_end_ms: int = 0


class ItemDeleted(msgspec.Struct, tag="conversation.item.deleted"):
    """Our deletion was done."""

    item_id: str


class CallerTranscript(msgspec.Struct, tag="conversation.item.input_audio_transcription.completed"):
    """What the caller said, by the server's recogniser; may come before or after the answer."""

    item_id: str
    transcript: str
    usage: Any = None
    """As it came: see `bridge.wire.usage`."""


class CallerTranscriptFailed(msgspec.Struct, tag="conversation.item.input_audio_transcription.failed"):
    """What the caller said could not be written down."""

    item_id: str


class ResponseCreated(msgspec.Struct, tag="response.created"):
    """A response begins: ours, or one that the server made by itself for a turn of the caller."""

    response: Response


class ResponseDone(msgspec.Struct, tag="response.done"):
    """A response ends, in whatever way; it may be heard long after."""

    response: Response


class OutputItemAdded(msgspec.Struct, tag="response.output_item.added"):
    """A response begins an item."""

    response_id: str
    item: Item


class OutputItemDone(msgspec.Struct, tag="response.output_item.done"):
    """A response has ended an item; its status tells whether it is whole."""

    response_id: str
    item: Item


class AudioDelta(msgspec.Struct, tag="response.output_audio.delta", gc=False):
    """A piece of speech, in the session's output format."""

    response_id: str
    item_id: str
    delta: str
    content_index: int = 0


class BetaAudioDelta(AudioDelta, tag="response.audio.delta", gc=False):
    """The same in the beta dialect."""


class TranscriptDelta(msgspec.Struct, tag="response.output_audio_transcript.delta", gc=False):
    """A piece of the words that are being spoken."""

    response_id: str
    item_id: str
    delta: str


class BetaTranscriptDelta(TranscriptDelta, tag="response.audio_transcript.delta", gc=False):
    """The same in the beta dialect."""


class TranscriptDone(msgspec.Struct, tag="response.output_audio_transcript.done"):
    """The words of a spoken item, whole; they may be more than was spoken when the response was cut."""

    response_id: str
    item_id: str
    transcript: str


class BetaTranscriptDone(TranscriptDone, tag="response.audio_transcript.done"):
    """The same in the beta dialect."""


Event = (
    SessionCreated
    | SessionUpdated
    | Failed
    | SpeechStarted
    | SpeechStopped
    | Committed
    | ItemAdded
    | ItemCreated
    | ItemDone
    | ItemTruncated
    | ItemDeleted
    | CallerTranscript
    | CallerTranscriptFailed
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | AudioDelta
    | BetaAudioDelta
    | TranscriptDelta
    | BetaTranscriptDelta
    | TranscriptDone
    | BetaTranscriptDone
)


class Quiet(msgspec.Struct, frozen=True):
    """A known event that tells a call nothing."""

    kind: str


ModelEvent = Event | Quiet | Unknown | Malformed

_QUIET = frozenset(
    {
        "conversation.created",
        "conversation.item.retrieved",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.cleared",
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.dtmf_event_received",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_audio.done",
        "response.audio.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.text.delta",
        "response.text.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "rate_limits.updated",
        "transcription_session.created",
        "transcription_session.updated",
    }
)


class _AnyEvent(msgspec.Struct):
    type: str


_decode: Callable[[str | bytes], Event] = msgspec.json.Decoder(Event).decode
_decode_any = msgspec.json.Decoder(_AnyEvent).decode
_KNOWN = frozenset(kind.__struct_config__.tag for kind in Event.__args__)


def parse(text: str | bytes) -> ModelEvent:
    """Read one server event. Never raises: what is wrong with it is in the value."""
    try:
        return _decode(text)
    except msgspec.ValidationError:
        return _explain(text)
    except UNREADABLE:
        return Malformed("not JSON")


def _explain(text: str | bytes) -> Quiet | Unknown | Malformed:
    try:
        kind = _decode_any(text).type
    except UNREADABLE:
        return Malformed("no type")
    if kind in _QUIET:
        return Quiet(kind)
    return Malformed(f"{kind} without its fields") if kind in _KNOWN else Unknown(kind[:MAX_NAME])
