"""What the bot says, on its way to the caller's ear: played, heard, and asked for again where nobody could hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.call.actions import PlayAudio, SetMark
from bridge.call.responses import Kind, Wish
from bridge.wire.g711 import RATE_HZ, size_of

if TYPE_CHECKING:
    from bridge.call.parts import Parts
    from bridge.wire import model as wire

OVERDUE_S = 3.0
"""How long after its end a piece of audio may still wait for its mark."""
STANDS_STILL_S = 10.0
"""How much longer it may take by the stream's clock than by ours, before that one is not believed any more."""


class Speaking:
    """The bot's speech of one call."""

    def __init__(self, parts: Parts) -> None:
        self._outbox = parts.outbox
        self._deadlines = parts.deadlines
        self._inbound = parts.inbound
        self._playout = parts.playout
        self._memory = parts.memory
        self._transcript = parts.transcript
        self._responses = parts.responses
        self._turns = parts.turns
        self._hold = parts.hold
        self._answers = parts.answers
        self._waits = parts.waits
        self._ends_at = 0.0
        """When all that was sent will have been played, in call seconds."""

    def made(self, event: wire.AudioDelta, now: float) -> None:
        """A piece of speech: played at once, unless nobody may hear it any more. Needs no `settle`."""
        payload = event.delta
        size_bytes = size_of(payload)
        if not size_bytes:
            return
        if self._responses.is_muted(event.response_id):
            self._memory.unheard_audio(event.item_id, size_bytes)
            return
        if not self._answers.is_audible and self._answers.listen(payload):
            self._is_silent(now)
            return
        if self._hold.is_on:
            self._hold.stop()
        self._memory.bot_audio(event.item_id, event.response_id, size_bytes, now)
        self._responses.progressed(now)
        playout = self._playout
        clock_ms = starts_ms = self._inbound.clock_ms
        if playout.is_playing:
            starts_ms = playout.ends_at_ms
        else:
            self._ends_at = now
            self._deadlines.clear("silence")
            self._deadlines.set("playout.overdue", now + size_bytes / RATE_HZ + OVERDUE_S)
            self._waits.sent(self._responses.active_kind, size_bytes, now)
        self._ends_at += size_bytes / RATE_HZ
        self._turns.play(payload, starts_ms)
        mark = playout.send(event.item_id, event.content_index, size_bytes, clock_ms)
        self._outbox.do(PlayAudio(payload))
        self._outbox.do(SetMark(mark))

    def mark_reached(self, name: str, now: float) -> bool:
        """The carrier returned a mark. True when with it all that was sent is heard: needs a `settle` then."""
        playout = self._playout
        if not playout.reach(name, self._inbound.clock_ms):
            return False
        if self._waits.is_sounding:
            self._waits.confirmed(now)
        if playout.is_playing:
            return False
        self.heard_out(now)
        return True

    def overdue(self, now: float) -> None:
        """Marks should have come back by now: wait for what the stream's clock says is left, then wait no more."""
        playout = self._playout
        if not playout.is_playing:
            return
        by_stream_s = (playout.ends_at_ms - self._inbound.clock_ms) / 1000
        left_s = min(by_stream_s, self._ends_at + STANDS_STILL_S - now)
        if left_s > 0:
            self._deadlines.set("playout.overdue", now + left_s + OVERDUE_S)
            return
        playout.give_up(self._inbound.clock_ms)
        self._waits.forget()
        self._outbox.happened("playout.marks_lost", marks=playout.lost_marks)
        self.heard_out(now)

    def heard_out(self, now: float) -> None:
        """All that was sent is heard."""
        self._deadlines.clear("playout.overdue")
        self._hold.heard_out(now)
        self._turns.heard_out()
        self._transcript.settle(except_items=self._memory.items_of(self._responses.active_id))

    def again(self, flaw: str, wish: Wish | None, now: float) -> None:
        """A response has failed: it is asked for again, and what was sent of it is taken back where that is silence."""
        if flaw == "silent":
            self._turns.stop_bot(self._inbound.clock_ms, now)
            self._deadlines.clear("playout.overdue")
        self._responses.want(wish or Wish(Kind.ANSWER))

    def _is_silent(self, now: float) -> None:
        """The response that is being made says nothing: it is stopped, and asked for again."""
        active = self._responses.active
        self._answers.failed()
        self._outbox.happened("response.failed", status="silent", code=None)
        self.again("silent", active.wish if active is not None else None, now)
