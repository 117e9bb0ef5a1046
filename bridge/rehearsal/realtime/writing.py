"""Items that a client writes into the conversation, or hands to a single response."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from bridge.rehearsal.realtime import audio, events, refusal
from bridge.rehearsal.realtime.items import Conversation, Item, Part, new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.rehearsal.realtime.settings import AudioFormat

Written: TypeAlias = events.MessageItem | events.FunctionCallItem | events.FunctionCallOutputItem


def item_of(written: Written, audio_format: AudioFormat) -> Item:
    """Return a client's item as the conversation keeps it; its audio is in the session's input format.

    Raises:
        Refusal: its audio is not base64.
    """
    item = Item(written.id or new_id("item"), written.type, written.status or "completed")
    match written:
        case events.FunctionCallItem():
            item.name, item.arguments = written.name, written.arguments
            item.call_id = written.call_id or new_id("call")
        case events.FunctionCallOutputItem():
            item.call_id, item.output = written.call_id, written.output
        case _:
            item.role = written.role
            item.content = [_part(content, audio_format) for content in written.content]
    return item


def input_of(
    given: Sequence[Written | events.ItemReference], conversation: Conversation, audio_format: AudioFormat
) -> list[Item]:
    """Return the items a response is to answer instead of the conversation.

    Raises:
        Refusal: a reference is to no item, or audio is not base64.
    """
    return [
        _referred(entry, conversation, f"response.input[{index}].id")
        if isinstance(entry, events.ItemReference)
        else item_of(entry, audio_format)
        for index, entry in enumerate(given)
    ]


def _referred(reference: events.ItemReference, conversation: Conversation, param: str) -> Item:
    item = conversation.find(reference.id)
    if item is None:
        raise refusal.wrong(f"Item with item_id '{reference.id}' not found in conversation.", param=param)
    return item


def _part(content: events.InputText | events.InputAudio | events.AssistantText, audio_format: AudioFormat) -> Part:
    if not isinstance(content, events.InputAudio):
        return Part("text", content.text)
    wire_audio = audio.decode_base64(content.audio, param="item.content.audio")
    line_audio = audio.LineDecoder(audio_format).decode(wire_audio)
    return Part("audio", line_audio=bytearray(line_audio), transcript=content.transcript)
