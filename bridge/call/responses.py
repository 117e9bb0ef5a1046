"""The sole owner of responses: at most one is active, and one that is wanted waits its turn and is asked for once.

```
            ask                created               done
   NONE ──────────> REQUESTED ─────────> ACTIVE ──────────────> NONE
    │                   │ interrupt         │ interrupt           ^
    │ created by the    v                   v                     │
    └─ server: ACTIVE   (cancelled when it is created)  CANCELLING ───┘
```

The server may make a response by itself for a turn of the caller. Then that is the active one: it grants the wish for
a plain answer, and a create of ours that crossed it is refused and asked for again after its end.
`response_cancel_not_active` and `conversation_already_has_active_response` are facts, not faults.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from bridge.wire import session as dialects
from bridge.wire.commands import CancelResponse, CreateResponse

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.deadlines import Deadlines
    from bridge.settings import Dialect
    from bridge.wire.model import Response

CREATED_WITHIN_S = 6.0
"""How long the server may take to begin a response that was asked for."""
PROGRESS_WITHIN_S = 10.0
"""How long an active response may show no sign of life."""
CANCELLED_WITHIN_S = 5.0
RETRY_AFTER_S = 0.5
"""A create was refused for a response that we never saw: how long until it is tried again."""
MAX_WISHES = 32
MAX_MUTED = 64


class Kind(Enum):
    """Why a response is wanted."""

    GREETING = "greeting"
    ANSWER = "answer"
    """To what the conversation now holds: the caller's turn, keys, outputs of functions. Merges with its like."""
    NUDGE = "nudge"
    """Nobody speaks: ask whether the caller is there."""
    SAY = "say"
    """What the operator wants said."""
    ANNOUNCEMENT = "announcement"
    """What must be heard before the call is handed over or ended."""


class Wish(msgspec.Struct, frozen=True):
    """A response that is wanted. Without instructions it is a plain answer; with them the model is told what to say."""

    kind: Kind
    instructions: str | None = None


class Active(msgspec.Struct):
    """The response that is being made. `wish` is None when the server began it by itself."""

    response_id: str
    wish: Wish | None
    cancelled: bool = False


class Refusal(Enum):
    """What became of a create that the server refused."""

    NOT_OURS = "not ours"
    LATER = "later"
    """Another response was active: it will be asked for again."""
    FAILED = "failed"
    """It failed, and is wished for again; who counts the failures may give up."""


_AGAIN = frozenset({Kind.ANSWER, Kind.SAY, Kind.ANNOUNCEMENT})
"""Wishes that stay wished when the caller takes the floor before they were begun."""


class Responses:
    """Keeps the wishes of one call and asks for one response at a time.

    After each call that may change something, call `ask`.
    """

    def __init__(self, outbox: Outbox, deadlines: Deadlines, dialect: Dialect) -> None:
        self.active: Active | None = None
        self._outbox = outbox
        self._deadlines = deadlines
        self.dialect: Dialect = dialect
        """Of the session."""
        self._wishes: deque[Wish] = deque()
        self._only: Wish | None = None
        self._asked: Wish | None = None
        self._asked_id = ""
        self._asked_in_vain = False
        self.server_may_create = False
        """Whether a turn was committed for which the server makes the response by itself, and has not yet."""
        self._blocked = False
        self._muted: deque[str] = deque(maxlen=MAX_MUTED)
        self._progress_at = 0.0

    @property
    def active_id(self) -> str:
        """The id of the active response; empty when there is none."""
        return self.active.response_id if self.active is not None else ""

    @property
    def active_kind(self) -> Kind | None:
        """Why the active response is wanted; None when the server began it by itself, or there is none."""
        return self.active.wish.kind if self.active is not None and self.active.wish is not None else None

    @property
    def is_busy(self) -> bool:
        """Whether a response is active, asked for or wanted."""
        return self.active is not None or self._asked is not None or bool(self._wishes)

    @property
    def asked_kind(self) -> Kind | None:
        """Why the response that is asked for, or active on our wish, is wanted."""
        if self._asked is not None and not self._asked_in_vain:
            return self._asked.kind
        return self.active_kind

    @property
    def next_kind(self) -> Kind | None:
        """Why the response that is asked for next is wanted."""
        return self._wishes[0].kind if self._wishes else None

    def wants(self, kind: Kind) -> bool:
        """Whether a response of that kind is wanted, asked for or active."""
        return self.asked_kind is kind or any(wish.kind is kind for wish in self._wishes)

    def is_muted(self, response_id: str) -> bool:
        """Whether what this response still says must not be heard."""
        return response_id in self._muted

    def mute(self, response_id: str) -> None:
        """Whatever this response still says must not be heard."""
        if response_id in self._muted:
            return
        self._muted.append(response_id)

    @property
    def is_closing(self) -> bool:
        """Whether the last thing that is said is wished for or being said: see `want_only`."""
        return self._only is not None

    def want_only(self, wish: Wish) -> None:
        """Wish for the last response there shall be: what was wished for is forgotten, and nothing else is any more."""
        self._only = wish
        self._wishes = deque([wish])

    def want(self, wish: Wish) -> bool:
        """Wish for a response. A plain answer merges with one that is already wished.

        False when there are too many, or when something else is the last thing that is said.
        """
        if self._only is not None and wish != self._only:
            return False
        if wish.kind is Kind.ANSWER and any(w.kind is Kind.ANSWER for w in self._wishes):
            return True
        if len(self._wishes) >= MAX_WISHES:
            self._outbox.happened("response.wish_dropped", kind=wish.kind.value)
            return False
        self._wishes.append(wish)
        return True

    def forget(self, kind: Kind) -> None:
        """Give up the wishes of a kind that are not yet asked for."""
        self._wishes = deque(wish for wish in self._wishes if wish.kind is not kind)

    def withdraw(self, wish: Wish) -> None:
        """Give up one wish, if it is not yet asked for."""
        self._wishes = deque(other for other in self._wishes if other != wish)

    def ask(self, now: float) -> None:
        """Ask for the next response that is wanted, if none is active or asked for. Nobody may have the floor."""
        if self.active is not None or self._asked is not None or self._blocked or not self._wishes:
            return
        wish = self._wishes.popleft()
        self._asked, self._asked_in_vain = wish, False
        self._asked_id = self._outbox.new_id("response")
        body = dialects.response_fields(
            self.dialect,
            instructions=wish.instructions,
            tool_choice=None if wish.kind in (Kind.ANSWER, Kind.NUDGE) else "none",
            metadata={"wish": self._asked_id},
        )
        self._outbox.do(CreateResponse(body, self._asked_id))
        self._deadlines.set("response.created", now + CREATED_WITHIN_S)

    def created(self, response: Response, now: float) -> None:
        """`response.created`: ours, or the server's own."""
        if self.active is not None:
            self._outbox.happened("response.overlapped")
            self.mute(self.active.response_id)
            self._deadlines.clear("response.cancelled")
        if self._asked is not None and self._is_ours(response):
            self.active = Active(response.id, self._asked)
            self._deadlines.clear("response.created")
            in_vain, self._asked = self._asked_in_vain, None
            if in_vain:
                self._cancel(now)
                return
        else:
            self.active = Active(response.id, None)
            self.forget(Kind.ANSWER)
        self._blocked = False
        self._deadlines.clear("response.retry")
        self._progress_at = now
        self._deadlines.set("response.progress", now + PROGRESS_WITHIN_S)

    def progressed(self, now: float) -> None:
        """The active response shows a sign of life."""
        self._progress_at = now

    def done(self, response_id: str) -> Active | None:
        """`response.done`: the response that ends with it; None when it is not the active one."""
        active = self.active
        if active is None or active.response_id != response_id:
            return None
        self.active = None
        self._blocked = False
        for name in ("response.progress", "response.cancelled", "response.retry"):
            self._deadlines.clear(name)
        return active

    def refused(self, event_id: str | None, code: str | None, now: float) -> Refusal:
        """An `error` of the server: was it about the create that waits for its response?"""
        is_busy = code == "conversation_already_has_active_response"
        is_ours = event_id == self._asked_id or (is_busy and not event_id)  # not every server names the event
        if self._asked is None or not is_ours:
            return Refusal.NOT_OURS
        wish, self._asked = self._asked, None
        self._deadlines.clear("response.created")
        if not self._asked_in_vain:  # else it is wished for again already, or for no one
            self._again(wish)
        if self.active is None:  # it ended, or we never heard of it
            self._blocked = True
            self._deadlines.set("response.retry", now + RETRY_AFTER_S)
        return Refusal.LATER if is_busy else Refusal.FAILED

    def interrupt(self, now: float, *, by_server: bool) -> None:
        """The caller has the floor: nothing more of the active response is heard; what was only asked for is in vain.

        Args:
            now: the time.
            by_server: whether the server cancels by itself (`interrupt_response`), so that no cancel is sent.
        """
        self.forget(Kind.NUDGE)
        if self._asked is not None and not self._asked_in_vain:
            self._asked_in_vain = True
            if self._asked.kind in _AGAIN:
                self._again(self._asked)
        if self.active is None or self.active.cancelled:
            return
        if by_server:
            self.mute(self.active.response_id)
            self.active.cancelled = True
            self._await_cancelled(now)
        else:
            self._cancel(now)

    def overdue(self, name: str, now: float) -> bool:
        """One of the `response.*` deadlines has come. True when the server makes no sense: the session is lost."""
        if name == "response.retry":
            self._blocked = False
            return False
        if name == "response.cancelled":  # its end got lost; nobody listens to it anyway
            self._outbox.happened("response.end_missed")
            self.active = None
            return False
        if name == "response.progress" and now < self._progress_at + PROGRESS_WITHIN_S:
            self._deadlines.set(name, self._progress_at + PROGRESS_WITHIN_S)
            return False
        self._outbox.happened("response.stalled", waiting_for=name.removeprefix("response."))
        return True

    def session_over(self) -> tuple[Active | None, Wish | None]:
        """The session is gone: the response that was being made, if it was still to be heard, and what was asked for.

        What was wished for stays wished. Give back with `want_again` what is to be made by the next session.
        """
        active = self.active if self.active is not None and not self.active.cancelled else None
        asked = self._asked if not self._asked_in_vain else None
        self.active = self._asked = None
        self._blocked = self.server_may_create = False
        self._muted.clear()
        for name in ("created", "progress", "cancelled", "retry"):
            self._deadlines.clear(f"response.{name}")
        return active, asked

    def watch_again(self, now: float) -> None:
        """The call comes back from where nothing was waited for: what is under way is waited for anew."""
        if self._asked is not None:
            self._deadlines.set("response.created", now + CREATED_WITHIN_S)
        if self._blocked:
            self._deadlines.set("response.retry", now + RETRY_AFTER_S)
        if self.active is None:
            return
        if self.active.cancelled:
            self._await_cancelled(now)
        else:
            self._progress_at = now
            self._deadlines.set("response.progress", now + PROGRESS_WITHIN_S)

    def want_again(self, wish: Wish) -> None:
        """Wish for a response that was asked for or begun in a session that is gone, before all others."""
        self._again(wish)

    def _is_ours(self, response: Response) -> bool:
        metadata = response.metadata
        if isinstance(metadata, dict) and "wish" in metadata:
            return metadata["wish"] == self._asked_id
        return not self.server_may_create  # a server that does not hand metadata back

    def _again(self, wish: Wish) -> None:
        if not (wish.kind is Kind.ANSWER and self.wants(Kind.ANSWER)):
            self._wishes.appendleft(wish)

    def _cancel(self, now: float) -> None:
        if self.active is None or self.active.cancelled:
            return
        self.mute(self.active.response_id)
        self.active.cancelled = True
        self._outbox.do(CancelResponse(self.active.response_id, self._outbox.new_id("cancel")))
        self._await_cancelled(now)

    def _await_cancelled(self, now: float) -> None:
        self._deadlines.clear("response.progress")
        self._deadlines.set("response.cancelled", now + CANCELLED_WITHIN_S)
