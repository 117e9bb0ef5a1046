"""Who answered a call that the bridge placed, and what follows from it. The carrier's first verdict counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.ending import Ending

if TYPE_CHECKING:
    from bridge.call.plan import Outgoing


class Detection:
    """The verdict on one call.

    Args:
        outgoing: what the operator wants done; None when somebody calls, and then there is nothing to detect.
    """

    def __init__(self, outgoing: Outgoing | None) -> None:
        self._on_machine = outgoing.on_machine if outgoing is not None else "talk"
        self.message = outgoing.message if outgoing is not None else ""
        self._is_decided = self._on_machine == "talk"

    def told(self, answered_by: str) -> Ending | None:
        """The carrier's verdict, as in `MachineDetected`: the ending that the call must be given; None: it goes on.

        A message is for `MESSAGE_LEFT` to follow; it waits until the machine has finished its greeting.
        """
        is_speaking = answered_by == "machine" and self._on_machine == "leave_message"
        if self._is_decided or is_speaking:
            return None
        self._is_decided = True
        if answered_by == "fax":
            return Ending.FAX
        if not answered_by.startswith("machine"):
            return None
        return Ending.MACHINE if self._on_machine == "hang_up" else Ending.MESSAGE_LEFT
