"""Faults on purpose: what a Realtime endpoint does wrong, put between a session of the embedded server and its client.

A plan is a list of faults; each connection takes the next one, as often as it says, and after the last all is well.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.rehearsal.realtime.door import Denied
from bridge.wire.g711 import SILENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.rehearsal.realtime.session import Sink
    from bridge.settings import ModelFault

CLOSE_INTERNAL_ERROR: Final = 1011
NONSENSE: Final = 25
"""Events without a type that are sent in a row."""
_AUDIO: Final = ("response.output_audio.delta", "response.audio.delta")
_ARGUMENTS: Final = "response.function_call_arguments.delta"
_KEPT: Final = ("response.created", "response.done", "rate_limits.updated")
"""What is left of a response that says nothing."""


class FaultPlan:
    """Deals the faults out."""

    def __init__(self, faults: Iterable[ModelFault] = ()) -> None:
        self._left: deque[ModelFault] = deque(fault for fault in faults for _ in range(fault.times))

    def next(self) -> ModelFault | None:
        """The fault of the next connection; None when all is well.

        Raises Denied when it is to be refused.
        """
        if not self._left:
            return None
        fault = self._left.popleft()
        if fault.kind == "refuse":
            raise Denied(HTTPStatus(fault.status), fault.code or "rehearsed", "This refusal was asked for.")
        return fault


class FaultySink:
    """Takes a session's events and does to them what the fault says, in its `response`th response.

    Args:
        sink: where they go then.
        fault: what goes wrong.
    """

    def __init__(self, sink: Sink, fault: ModelFault) -> None:
        self._sink = sink
        self._fault = fault
        self._responses = 0
        self._deltas = 0

    def put(self, event: dict[str, object]) -> None:
        """Take an event."""
        kind = event["type"]
        if kind == "session.updated":
            self._confirm(event)
            return
        if kind == "response.created":
            self._responses += 1
            self._deltas = 0
        if not self._is_affected(kind):
            self._sink.put(event)
            return
        self._spoil(str(kind), event)

    def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        self._sink.close(code, reason)

    def _is_affected(self, kind: object) -> bool:
        first = self._fault.response
        within = first <= self._responses < first + self._fault.responses
        return within and (str(kind).startswith(("response.", "conversation.item.")))

    def _confirm(self, event: dict[str, object]) -> None:
        if self._fault.kind == "unconfirmed":
            return
        session = event["session"]
        if self._fault.kind == "formats" and isinstance(session, dict):
            if "audio" in session:
                pcm = {"format": {"type": "audio/pcm", "rate": 24000}}
                audio = {side: {**own, **pcm} for side, own in session["audio"].items()}
                session = {**session, "audio": audio}
            else:
                session = {**session, "input_audio_format": "pcm16", "output_audio_format": "pcm16"}
            event = {**event, "session": session}
        self._sink.put(event)

    def _spoil(self, kind: str, event: dict[str, object]) -> None:
        match self._fault.kind:
            case "drop":
                self._drop(kind, event)
            case "silent":
                self._sink.put(_silenced(event) if kind in _AUDIO else event)
            case "empty" | "fail":
                if kind in _KEPT:
                    self._sink.put(self._bare(event) if kind == "response.done" else event)
            case "stall":
                if kind == "response.created":
                    self._sink.put(event)
            case "nonsense":
                self._sink.put(event)
                if kind == "response.created":
                    for _ in range(NONSENSE):
                        self._sink.put({"event_id": "", "kind": "this makes no sense"})
            case _:
                self._sink.put(event)

    def _drop(self, kind: str, event: dict[str, object]) -> None:
        """Close in the middle of an answer, after so much of it, or of a function call."""
        is_piece = kind in _AUDIO or kind == _ARGUMENTS
        if is_piece and self._deltas >= (self._fault.deltas if kind in _AUDIO else 0):
            self._sink.close(CLOSE_INTERNAL_ERROR, self._fault.code)
            return
        self._deltas += is_piece
        self._sink.put(event)

    def _bare(self, event: dict[str, object]) -> dict[str, object]:
        """The end of a response that has made nothing."""
        response = event["response"]
        assert isinstance(response, dict)  # noqa: S101 - the session made it
        bare = {**response, "output": []}
        if self._fault.kind == "fail":
            error = {"type": "server_error", "code": self._fault.code or "server_error", "message": "as asked for"}
            bare |= {"status": "failed", "status_details": {"type": "failed", "error": error}}
        return {**event, "response": bare}


def _silenced(event: dict[str, object]) -> dict[str, object]:
    sound = b64decode(str(event["delta"]))
    return {**event, "delta": b64encode(SILENCE * len(sound)).decode()}
