"""Who has the floor. A caller who takes it is heard at once: clear, then truncate at what was heard, then cancel.

How a caller may take it depends on what is being said:

| cutting     | the caller's speech-start              | who asks for the answer            |
|-------------|----------------------------------------|------------------------------------|
| `INSTANT`   | takes the floor                        | the server, by itself              |
| `CONFIRMED` | opens the question; the ear decides it | the bridge, if the speech counted  |
| `NEVER`     | is kept in mind                        | the bridge, when the bot was heard |

Speech *counts* when it took the floor, when it began or ended while the bot was not being heard, or when the ear found
enough voice in it. What does not count ("mm-hm") stays unanswered. The ear listens only while the bot is heard.
"""

from __future__ import annotations

from base64 import b64decode
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from bridge.call.actions import ClearPlayout
from bridge.call.voice import CallerEar
from bridge.wire.commands import DeleteItem, TruncateItem

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.memory import Memory
    from bridge.call.playout import Cut, Playout
    from bridge.call.responses import Responses
    from bridge.call.session import Session


class Cutting(Enum):
    """What it takes to cut the bot."""

    INSTANT = "instant"
    CONFIRMED = "confirmed"
    NEVER = "off"


class Ear(Protocol):
    """What the bridge itself makes of the caller's sound: `bridge.call.voice.CallerEar`, or a tape's verdicts."""

    @property
    def confirmed(self) -> bool:
        """Whether what the caller says takes the floor."""

    def play(self, ulaw: bytes, at_ms: int) -> None:
        """Sound that the caller is about to hear."""

    def hear(self, ulaw: bytes, at_ms: int) -> None:
        """The caller's sound."""

    def opened(self, at_ms: int) -> None:
        """The model hears the caller begin."""

    def closed(self, at_ms: int) -> None:
        """The model hears the caller end."""

    def cleared(self, at_ms: int) -> None:
        """What was to be played was thrown away."""


class EarMaker(Protocol):
    """Makes an ear for so many voiced milliseconds."""

    def __call__(self, *, confirm_ms: int) -> Ear:
        """A new one."""


class Turns:
    """The floor of one call.

    Args:
        outbox: where actions go.
        playout: the ledger; is cleared here.
        responses: interrupted here.
        memory: told what was heard.
        session: whether the server cancels by itself.
        confirm_ms: voiced milliseconds that make a sound a turn.
        ear: makes what listens for them.
    """

    def __init__(
        self,
        outbox: Outbox,
        playout: Playout,
        responses: Responses,
        memory: Memory,
        session: Session,
        *,
        confirm_ms: int,
        ear: EarMaker = CallerEar,
    ) -> None:
        self.caller_speaking = False
        self.is_open = False
        """Whether a turn of the caller has begun and is not yet committed."""
        self.is_guarded = False
        """Whether an announcement is being made: speech is only a question, also before and after it is heard."""
        self.is_eared = False
        """Whether the caller's sound may have to be heard here, by the bridge itself."""
        self.barge_ins = 0
        self.count = 0
        """How many turns of the caller became items of the conversation."""
        self._outbox = outbox
        self._playout = playout
        self._responses = responses
        self._memory = memory
        self._session = session
        self._make_ear = ear
        self._ear = ear(confirm_ms=confirm_ms)
        self._cutting = Cutting.INSTANT
        self._asking = False
        self._counts = False
        self._began_at = 0.0

    @property
    def cutting(self) -> Cutting:
        """What it takes to cut the bot now."""
        return self._cutting

    @cutting.setter
    def cutting(self, cutting: Cutting) -> None:
        self._cutting = cutting
        self.is_eared = cutting is not Cutting.INSTANT

    def listen_for(self, confirm_ms: int) -> None:
        """Begin anew to listen, for so many voiced milliseconds."""
        self._ear = self._make_ear(confirm_ms=confirm_ms)

    # The ear

    @property
    def is_listening(self) -> bool:
        """Whether the caller's sound must be given to `hear`: the bot is heard, and only a confirmed turn cuts it."""
        return self.is_eared and (self._playout.is_playing or self._asking)

    def play(self, payload: str, at_ms: int) -> None:
        """Audio that the caller is about to hear, from `at_ms` of the stream's clock: what may come back as an echo."""
        if self.is_eared:
            self._ear.play(_decode(payload), at_ms)

    def hear(self, payload: str, at_ms: int) -> bool:
        """The caller's sound while `is_listening`. True when this piece confirmed a turn: call `confirm`."""
        self._ear.hear(_decode(payload), at_ms)
        return self._asking and self._ear.confirmed

    # The caller's speech, as the model reports it

    def speech_started(self, clock_ms: int, now: float, *, began_at: float) -> bool:
        """The model hears that the caller began at that time. True when that took the floor."""
        self._began_at = began_at
        self.caller_speaking = self.is_open = True
        self._counts = False
        if self._cutting is Cutting.INSTANT:
            self.take_floor(clock_ms, now)
            return True
        if self._playout.is_playing or self.is_guarded:
            self._ear.opened(clock_ms)
            self._asking = not self._ear.confirmed
            return not self._asking and self.confirm(clock_ms, now)
        self._counts = True
        if self._cutting is Cutting.CONFIRMED:
            self.take_floor(clock_ms, now)
        return False

    def confirm(self, clock_ms: int, now: float) -> bool:
        """The ear has found enough voice in what the caller says. True when that took the floor."""
        self._asking = False
        self._counts = True
        takes_floor = self._cutting is Cutting.CONFIRMED
        if takes_floor:
            self.take_floor(clock_ms, now)
        self._outbox.happened("caller.voice_confirmed")
        return takes_floor

    def speech_stopped(self, clock_ms: int) -> None:
        """The model hears the caller end."""
        self.caller_speaking = False
        self._asking = False
        if self.is_eared:
            self._ear.closed(clock_ms)
        if not (self._playout.is_playing or self.is_guarded):
            self._counts = True

    def restart(self) -> None:
        """Whoever was speaking is not heard any more: stream or session is gone, or the end of the turn got lost."""
        self.caller_speaking = self.is_open = self._asking = False

    def committed(self) -> None:
        """The turn is an item of the conversation now; `counted` tells about it until the next one begins."""
        self.is_open = False
        self.count += 1

    @property
    def counted(self) -> bool:
        """Whether the turn that was committed counts."""
        return self._counts or self._cutting is Cutting.INSTANT

    def heard_out(self) -> None:
        """All that was sent is heard: speech that goes on now counts, whatever the ear has found."""
        if self.is_guarded:
            return
        self._asking = False
        if self.caller_speaking:
            self._counts = True

    # Taking the floor

    def take_floor(self, clock_ms: int, now: float, *, by_key: bool = False) -> None:
        """The caller has the floor, by speech or a key: what is not yet heard will not be; the model is told what was.

        The clear is the first thing done. Where nothing is unheard, nothing is sent but a cancel for a response that is
        being made, and that only if the server does not cancel by itself.
        """
        cuts = self._cut(clock_ms)
        if cuts:
            self.barge_ins += 1
            heard_ms, sent_ms = sum(cut.heard_ms for cut in cuts), sum(cut.sent_ms for cut in cuts)
            stop_ms = 0 if by_key else max(0, round((now - self._began_at) * 1000))
            self._outbox.happened(
                "bargein.performed", heard_ms=heard_ms, unheard_ms=sent_ms - heard_ms, stop_ms=stop_ms
            )
        self._counts = True
        is_server_aware = self._cutting is Cutting.INSTANT and self._session.server_answers
        self._responses.interrupt(now, by_server=is_server_aware and not by_key)

    def stop_bot(self, clock_ms: int, now: float) -> None:
        """Nothing that is not yet heard will be, though nobody has taken the floor: something else must be said."""
        self._cut(clock_ms)
        self._responses.interrupt(now, by_server=False)

    def _cut(self, clock_ms: int) -> tuple[Cut, ...]:
        """Throw away what is not yet heard, tell the model what was, and say what was cut where."""
        if not self._playout.is_playing:
            return ()
        self._outbox.do(ClearPlayout())
        for item_id in self._playout.items_waiting():  # also what was heard but for its mark: more of it may follow
            self._responses.mute(self._memory.response_of(item_id))
        cuts = self._playout.clear(clock_ms)
        if self.is_eared:
            self._ear.cleared(clock_ms)
        active = self._responses.active
        for cut in cuts:
            if cut.heard_ms > 0 and self._memory.is_known(cut.item_id):
                event_id = self._outbox.new_id("truncate")
                self._outbox.do(TruncateItem(cut.item_id, cut.content_index, cut.heard_ms, event_id))
        for item_id in dict.fromkeys(cut.item_id for cut in cuts):
            heard_ms = self._playout.heard_ms(item_id)
            self._memory.heard(item_id, heard_ms)
            is_being_made = active is not None and item_id in self._memory.items_of(active.response_id)
            if not (heard_ms or is_being_made) and self._memory.is_known(item_id):
                self._delete(item_id)
        return cuts

    def response_ended(self, response_id: str) -> None:
        """A response that was cut is over: what it made and nobody heard is taken out of the conversation."""
        for item_id in self._memory.items_of(response_id):
            if not self._playout.heard_ms(item_id):
                self._delete(item_id)
        self._memory.response_over(response_id)

    def _delete(self, item_id: str) -> None:
        self._memory.forget(item_id)
        self._outbox.do(DeleteItem(item_id, self._outbox.new_id("delete")))


def _decode(payload: str) -> bytes:
    try:
        return b64decode(payload)
    except ValueError:  # not base64, or not even ASCII
        return b""
