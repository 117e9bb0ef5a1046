"""How a document hands over: to another one, to the end of the call, or out of a queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.records import Params


@dataclass(frozen=True, slots=True)
class Goto:
    """The document that takes over: where it is, and what is asked with."""

    kind: str
    url: str
    method: str = "POST"
    params: Params = field(default_factory=dict)


class HangUp(Exception):  # noqa: N818 - no error: the document's own end of the call
    """The leg is over, with that status."""

    def __init__(self, status: str = "completed") -> None:
        self.status = status
        super().__init__(status)


class Leave(Exception):  # noqa: N818 - no error either
    """`<Leave>`: the waiting caller leaves the queue."""
