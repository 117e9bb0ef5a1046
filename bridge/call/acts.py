"""What happens to the call after an announcement: announced, heard in full, and then done; or undone by the caller.

An act waits for its announcement no longer than that takes, plus a margin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.call.actions import Order
from bridge.call.ending import Ending

if TYPE_CHECKING:
    from bridge.call.deadlines import Deadlines

ANNOUNCED_WITHIN_S = 30.0
"""How long the announcement may take to be made and heard, before it is known how long it is."""
MARGIN_S = 3.0


class Act(msgspec.Struct, frozen=True):
    """Something that ends the conversation, or interrupts it for an errand.

    Args:
        ending: of the call, when it is done; None for an errand, from which the call may come back.
        order: what the carrier is told then.
        announcement: instructions for the response that announces it; None when it is being announced already.
        call_id: of the function call that asked for it; it is answered only if the act is undone.
    """

    ending: Ending | None
    order: Order
    announcement: str | None
    call_id: str = ""


class Acts:
    """At most one act is pending."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._act: Act | None = None
        self._is_measured = False

    @property
    def is_pending(self) -> bool:
        """Whether an act is announced and not yet done."""
        return self._act is not None

    @property
    def pending(self) -> Act | None:
        """The act that is announced and not yet done."""
        return self._act

    def begin(self, act: Act, now: float, *, speech_s: float = 0) -> None:
        """Announce it; none may be pending. `speech_s`: how long the announcement takes, where it is a long one."""
        self._act = act
        self._is_measured = False
        self._deadlines.set("act.overdue", now + ANNOUNCED_WITHIN_S + speech_s)

    def due(self, now: float, *, is_made: bool, unheard_ms: int) -> Act | None:
        """The act, if it is to be done now.

        Args:
            now: the time.
            is_made: whether the announcement is complete, though perhaps not heard.
            unheard_ms: how much of what was sent is not heard; 0 when all of it is confirmed.
        """
        if self._act is None or not is_made:
            return None
        if unheard_ms == 0:
            return self._take()
        if not self._is_measured:
            self._is_measured = True
            self._deadlines.set("act.overdue", now + unheard_ms / 1000 + MARGIN_S)
        return None

    def overdue(self) -> Act | None:
        """The act is done now, heard or not."""
        return self._take()

    def undo(self) -> Act | None:
        """The caller goes on speaking: the act that does not happen, if there is one."""
        return self._take()

    def _take(self) -> Act | None:
        act, self._act = self._act, None
        self._deadlines.clear("act.overdue")
        return act
