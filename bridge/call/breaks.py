"""A stream that is lost in the middle of a conversation, and what is taken up again when the call has another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.call.acts import Act
from bridge.call.responses import Kind, Wish

if TYPE_CHECKING:
    from bridge.call.announcements import Announcements
    from bridge.call.memory import Memory
    from bridge.call.parts import Parts

OF_THE_STREAM = ("playout.overdue", "silence", "keys.pause", "secret.keyed")
"""Deadlines of a conversation that make no sense without a caller; they are set again when there is one."""


class Unfinished(msgspec.Struct):
    """What a lost stream has left."""

    is_cut: bool
    """Whether the bot was speaking, or about to."""
    wish: Wish | None
    """What it was saying by the operator's wish."""
    act: Act | None
    """What was to happen when the caller had heard the announcement."""


class Breaks:
    """The breaks of one call. Between the two methods, `is_on` tells that nobody hears the bot."""

    def __init__(self, parts: Parts, acts: Announcements) -> None:
        self._deadlines = parts.deadlines
        self._playout = parts.playout
        self._responses = parts.responses
        self._turns = parts.turns
        self._answering = parts.answering
        self._acts = acts
        self._unfinished: Unfinished | None = None

    @property
    def is_on(self) -> bool:
        """Whether the stream is lost, and no other has come yet."""
        return self._unfinished is not None

    def begin(self, clock_ms: int, now: float) -> None:
        """The stream is lost: what is not heard yet never will be, and the model is told what was."""
        active = self._responses.active
        is_cut = self._playout.is_playing or active is not None
        wish = active.wish if active is not None and not active.cancelled else None
        self._turns.stop_bot(clock_ms, now)
        self._turns.restart()
        self._answering.broken_off()
        act = self._acts.break_off()
        is_said_again = wish is not None and wish.kind is Kind.SAY
        self._unfinished = Unfinished(is_cut, wish if is_said_again else None, act)
        for name in OF_THE_STREAM:
            self._deadlines.clear(name)

    def response_created(self, now: float) -> None:
        """The server has begun a response that nobody hears: it is stopped, and asked for again later."""
        if self._unfinished is not None:
            self._unfinished.is_cut = True
            self._responses.interrupt(now, by_server=False)

    def end(self, now: float) -> bool:
        """There is a stream again, perhaps after a break: what was asked for word for word is said again.

        True when the bot was cut in words of its own: then the model must be told, and go on.
        """
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is None:
            return False
        if unfinished.act is not None:
            self._acts.begin_again(unfinished.act, now)
        elif unfinished.wish is not None:
            self._responses.want(unfinished.wish)
        else:
            return unfinished.is_cut
        return False


def has_heard(memory: Memory) -> bool:
    """Whether the caller has heard anything of the bot so far."""
    return any(line.heard_ms for line in memory if line.role == "bot")
