"""One leg of a phone call, from ringing to its end: Twilio's call resource, and the telephone at its far end.

Sources: Twilio's pages `docs/voice/api/call-resource` (statuses, callbacks), `docs/voice/twiml` (request parameters).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.rehearsal.carrier.handset import Handset
from bridge.rehearsal.carrier.people import Callee
from bridge.rehearsal.carrier.records import Event, Notice, Params, new_sid, rfc2822_now

if TYPE_CHECKING:
    from bridge.clock import Timer
    from bridge.rehearsal.carrier.carrier import Carrier
    from bridge.rehearsal.carrier.people import Caller
    from bridge.rehearsal.carrier.recordings import Recording
    from bridge.rehearsal.carrier.stream import MediaStream

API_VERSION = "2010-04-01"
Direction = Literal["inbound", "outbound-api", "outbound-dial"]
Flow = Callable[[], Awaitable[object]]
"""What the carrier does with a leg, from some point on to the end."""
MAX_S = 14400.0
"""How long a call may be up, unless somebody says otherwise. Source: `docs/voice/twiml/dial`, attribute timeLimit."""
_STATUS_OF = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}


@dataclass(frozen=True, slots=True)
class StatusCallback:
    """Where a leg's progress is reported, and which events of it."""

    url: str
    method: str = "POST"
    events: Collection[str] = ("completed",)


class Call:
    """A leg. `carrier.dial` makes the caller's; transfers and the REST interface make others.

    Attributes:
        sid, direction, from_, to, parent_sid: as in Twilio's call resource.
        status: `queued`, `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `failed` or `canceled`.
        phone: the telephone at the far end; `phone.mouth` and `phone.ear` are what was said and heard.
        params: further parameters of its webhooks.
        streams: the media streams it has had.
        told: the texts that the carrier itself spoke to this leg (`<Say>`).
        digits_received: the keys the far end was sent (`<Play digits>`, `sendDigits`).
        max_s: how long it may be up, from the answer.
        answered_by: what machine detection found; None: it has not, or was not asked.
        ended_by: `caller` (the person hung up), `carrier` (no verb was left, or `<Hangup>`), `rest` or `time limit`.
    """

    def __init__(
        self,
        carrier: Carrier,
        person: Caller,
        *,
        direction: Direction,
        from_: str,
        to: str,
        parent_sid: str | None = None,
        params: Params | None = None,
        callback: StatusCallback | None = None,
        fallback: tuple[str, str] | None = None,
    ) -> None:
        self.carrier, self.person = carrier, person
        self.sid = new_sid("CA")
        self.direction = direction
        self.from_, self.to = from_, to
        self.parent_sid = parent_sid
        self.fallback = fallback
        self.status = "queued"
        self.phone = Handset(carrier.clock, person.line, audible_keys=person.audible_keys)
        self.phone.on_speech = lambda kind, at: self.event(kind, at_s=self.phone.time_of(at))
        self.streams: list[MediaStream] = []
        self.recordings: list[Recording] = []
        self.told: list[str] = []
        self.digits_received = ""
        self.max_s = MAX_S
        self.answered_by: str | None = None
        self.ended_by = "carrier"
        self.started_s = carrier.clock.now()
        self.answered_s: float | None = None
        self.ended_s: float | None = None
        self.params = dict(params or {})
        self._callback = callback
        self._callbacks_made = 0
        self._orders: asyncio.Queue[Flow | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit: Timer | None = None
        self._answered, self._ended = asyncio.Event(), asyncio.Event()
        self._error: BaseException | None = None

    # What a person does

    def say(self, sound: bytes) -> asyncio.Future[None]:
        """Speak mu-law sound, after what is being said; the future is done when it has been said."""
        return self.phone.say(sound)

    def press(self, digits: str) -> asyncio.Future[None]:
        """Press keys, a quarter of a second apart; the future is done with the last one. Raises ValueError."""
        return self.phone.press(digits)

    def hang_up(self, by: str = "caller") -> None:
        """End this leg now; `await call.ended()` waits until everything is put away."""
        if not self.is_over:
            self.ended_by = by
            self.status = "completed" if self.answered_s is not None else "canceled"
            self._orders.put_nowait(None)

    # What can be waited for and asked

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self.status in {"completed", "busy", "no-answer", "failed", "canceled"}

    @property
    def stream(self) -> MediaStream | None:
        """The media stream it has now or had last."""
        return self.streams[-1] if self.streams else None

    @property
    def heard(self) -> bytes:
        """All the ear has heard until now, as mu-law from the moment the phone was picked up; gaps are silence."""
        return self.phone.heard()

    def until(self, condition: Callable[[], bool]) -> asyncio.Future[None]:
        """A future that is done when the condition, looked at every 20 ms, holds, or when the call is over."""
        return self.phone.until(condition)

    async def answered(self) -> None:
        """Wait until somebody picks up, or the call is over."""
        await self._answered.wait()

    async def ended(self) -> None:
        """Wait until the call is over and put away. Raises what the person's script raised."""
        await self._ended.wait()
        if self._error is not None:
            raise self._error

    @property
    def duration_s(self) -> int:
        """How long it has been or was up, in whole seconds; 0 if it was never answered."""
        end_s = self.carrier.clock.now() if self.ended_s is None else self.ended_s
        return 0 if self.answered_s is None else int(end_s - self.answered_s)

    def parameters(self) -> Params:
        """The parameters that each of its webhooks carries."""
        params: Params = {
            "AccountSid": self.carrier.account_sid,
            "ApiVersion": API_VERSION,
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Direction": self.direction,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
        }
        if self.parent_sid is not None:
            params["ParentCallSid"] = self.parent_sid
        return params | self.params

    # What the carrier does

    def begin(self, flow: Flow) -> None:
        """Start to live: run `flow`, and whatever it is replaced by, until one ends or the leg is hung up."""
        self._start(self._live(flow))

    def pick_up(self) -> None:
        """Take the telephone in the hand: from now on the person speaks and hears."""
        self.phone.origin_s = self.carrier.clock.now()
        self._start(self.phone.run())
        if self.person.script is not None:
            self._start(self._act(self.person.script(self)))

    def answer(self) -> None:
        """Mark the leg as answered; a second time nothing happens."""
        if self.answered_s is None and not self.is_over:
            self.answered_s = self.carrier.clock.now()
            self.status = "in-progress"
            if self._limit is None:
                self.limit(self.max_s)
            self._answered.set()
            self.event("call.answered", self.to)
            self.report("answered")

    async def ring(self, timeout_s: float) -> bool:
        """Ring at a callee's; returns whether it was answered, and if not, the status says why."""
        callee = self.person if isinstance(self.person, Callee) else Callee()
        self.report("initiated")
        self.status = "ringing"
        self.event("call.dialled", self.to)
        self.report("ringing")
        will_answer_in_time = callee.result != "no-answer" and callee.after_s <= timeout_s
        await self.carrier.clock.sleep(callee.after_s if will_answer_in_time else timeout_s)
        if callee.result == "answer" and will_answer_in_time:
            self.pick_up()
            self.answer()
            return True
        self.status = callee.result if will_answer_in_time else "no-answer"
        return False

    def replace(self, flow: Flow) -> None:
        """Abandon what is being done with this leg and do that instead."""
        self._orders.put_nowait(flow)

    def limit(self, seconds: float) -> None:
        """Hang up that long from now; replaces a limit set before."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.carrier.clock.call_at(self.carrier.clock.now() + seconds, lambda: self.hang_up("time limit"))

    def event(self, kind: str, text: str = "", *, at_s: float | None = None) -> None:
        """Put a moment on the timeline."""
        self.carrier.happened(Event(self.carrier.clock.now() if at_s is None else at_s, self.sid, kind, text))

    def notice(self, code: int, text: str, *, is_routine: bool = False) -> None:
        """Write an error or warning into the account's log."""
        self.carrier.notice(Notice(code, text, self.sid, self.carrier.clock.now(), is_routine))

    def report(self, event: str) -> None:
        """Make the status callback of an event, if it is wanted; nobody waits for it."""
        callback = self._callback
        if callback is None or not callback.url or event not in callback.events:
            return
        params = self.parameters() | {
            "CallStatus": _STATUS_OF.get(event, self.status),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._callbacks_made),
            "Timestamp": rfc2822_now(),
        }
        if event == "completed":
            params |= {"CallDuration": str(self.duration_s), "Duration": str(math.ceil(self.duration_s / 60))}
        self._callbacks_made += 1
        self.carrier.report("status", callback.url, params, callback.method, self.sid)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(self, script: Awaitable[object]) -> None:
        try:
            await script
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the call is waited for
            self._error = error
            self.hang_up()

    async def _live(self, flow: Flow | None) -> None:
        try:
            while flow is not None:
                flow = await self._follow(flow)
        except Exception as error:  # noqa: BLE001 - the same
            self._error = self._error or error
        finally:
            await self._finish()

    async def _follow(self, flow: Flow) -> Flow | None:
        """Run a flow until it ends or an order comes; returns what is to be run next, None at the end of the call."""
        work, order = asyncio.ensure_future(flow()), asyncio.ensure_future(self._orders.get())
        try:
            await asyncio.wait((work, order), return_when=asyncio.FIRST_COMPLETED)
            if not order.done():
                await work
                return None
            work.cancel()
            await asyncio.wait((work,))
            if not work.cancelled():
                work.result()
            return order.result()
        finally:
            work.cancel()
            order.cancel()

    async def _finish(self) -> None:
        self.ended_s = self.carrier.clock.now()
        if not self.is_over:
            self.status = "completed"
        if self._limit is not None:
            self._limit.cancel()
        for recording in self.recordings:
            recording.stop()
        self.event("call.ended", f"{self.status}, by {self.ended_by}")
        self.report("completed")
        others = self._tasks - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)
        self.phone.put_down()
        self._answered.set()
        self._ended.set()
