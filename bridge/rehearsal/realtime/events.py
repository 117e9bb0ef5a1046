"""Client events, strictly: what both dialects share, and the parts their own shapes are built from.

Every model forbids fields it does not know, because the real server refuses the whole event for one of them (protocol
reference, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

if TYPE_CHECKING:
    from bridge.rehearsal.realtime.settings import Patch

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Of one `input_audio_buffer.append`."""

MaxTokens: TypeAlias = Annotated[StrictInt, Field(ge=1, le=4096)] | Literal["inf"]
Identifier: TypeAlias = Annotated[str, StringConstraints(max_length=32)]
CallId: TypeAlias = Annotated[str, StringConstraints(max_length=32, pattern=r"^[a-zA-Z0-9_-]+$")]
FunctionName: TypeAlias = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
Status: TypeAlias = Literal["completed", "incomplete", "in_progress"]


class Strict(BaseModel):
    """A JSON object that may hold the fields named and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ClientEvent(Strict):
    """What every client event may carry."""

    type: str
    event_id: str | None = None


class AppendAudio(ClientEvent):
    """`input_audio_buffer.append`: audio of the session's input format, base64; never acknowledged."""

    type: Literal["input_audio_buffer.append"]
    audio: str


class CommitAudio(ClientEvent):
    """`input_audio_buffer.commit`."""

    type: Literal["input_audio_buffer.commit"]


class ClearAudio(ClientEvent):
    """`input_audio_buffer.clear`."""

    type: Literal["input_audio_buffer.clear"]


class RetrieveItem(ClientEvent):
    """`conversation.item.retrieve`."""

    type: Literal["conversation.item.retrieve"]
    item_id: str


class TruncateItem(ClientEvent):
    """`conversation.item.truncate`."""

    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: Annotated[StrictInt, Field(ge=0)]
    audio_end_ms: Annotated[StrictInt, Field(ge=0)]


class DeleteItem(ClientEvent):
    """`conversation.item.delete`."""

    type: Literal["conversation.item.delete"]
    item_id: str


class CancelResponse(ClientEvent):
    """`response.cancel`."""

    type: Literal["response.cancel"]
    response_id: str | None = None


class ClearOutput(ClientEvent):
    """`output_audio_buffer.clear`; only WebRTC and SIP have such a buffer."""

    type: Literal["output_audio_buffer.clear"]


class FunctionTool(Strict):
    """A function the model may call; flat, without a `function` wrapper."""

    type: Literal["function"]
    name: FunctionName
    description: str = ""
    parameters: dict[str, object] = Field(default_factory=dict)


class ChosenFunction(Strict):
    """The function a response must call."""

    type: Literal["function"]
    name: FunctionName


class ServerVad(Strict):
    """`server_vad`: turns by silence."""

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[StrictInt, Field(ge=0)] = 300
    silence_duration_ms: Annotated[StrictInt, Field(ge=0)] = 200
    create_response: StrictBool = True
    interrupt_response: StrictBool = True


class SemanticVad(Strict):
    """`semantic_vad`: turns by meaning."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: StrictBool = True
    interrupt_response: StrictBool = True


class InputText(Strict):
    """What an operator or a user wrote."""

    type: Literal["input_text"]
    text: str


class InputAudio(Strict):
    """What a user said: audio of the session's input format, base64."""

    type: Literal["input_audio"]
    audio: str
    transcript: str | None = None


class AssistantText(Strict):
    """What the model wrote or said before, as text; assistant audio cannot be created. `text` in beta."""

    type: Literal["output_text", "text"]
    text: str


class ItemCommon(Strict):
    """What every item may carry."""

    id: Identifier | None = None
    object: Literal["realtime.item"] = "realtime.item"
    status: Status | None = None


class SystemMessage(ItemCommon):
    """A message of the operator."""

    type: Literal["message"]
    role: Literal["system"]
    content: Annotated[list[InputText], Field(min_length=1)]


class UserMessage(ItemCommon):
    """A message of the user."""

    type: Literal["message"]
    role: Literal["user"]
    content: Annotated[
        list[Annotated[InputText | InputAudio, Field(discriminator="type")]],
        Field(min_length=1),
    ]


class AssistantMessage(ItemCommon):
    """A message of the model; each dialect narrows the content's type to its own word."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: list[AssistantText]


MessageItem: TypeAlias = SystemMessage | UserMessage | AssistantMessage


class FunctionCallItem(ItemCommon):
    """A call the model made."""

    type: Literal["function_call"]
    name: FunctionName
    arguments: str
    call_id: CallId | None = None


class FunctionCallOutputItem(ItemCommon):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: CallId
    output: str


class ItemReference(Strict):
    """An item of the conversation, by its id."""

    type: Literal["item_reference"]
    id: str


SharedEvent: TypeAlias = (
    AppendAudio | CommitAudio | ClearAudio | RetrieveItem | TruncateItem | DeleteItem | CancelResponse | ClearOutput
)


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """`session.update`, in words of no dialect."""

    patch: Patch


@dataclass(frozen=True, slots=True)
class CreateItem:
    """`conversation.item.create`; `previous_item_id` is None for the end, `root` for the beginning."""

    item: MessageItem | FunctionCallItem | FunctionCallOutputItem
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """`response.create`, in words of no dialect."""

    patch: Patch = field(default_factory=dict)
    in_conversation: bool = True
    metadata: dict[str, str] | None = None
    input: tuple[MessageItem | FunctionCallItem | FunctionCallOutputItem | ItemReference, ...] | None = None
    """What to answer instead of the conversation; None: the conversation."""


ClientCommand: TypeAlias = SharedEvent | UpdateSession | CreateItem | CreateResponse
