"""Brings each request to the process whose call it is about, where several processes answer for one line.

A webhook, a media stream or an operator's request may land on any of them. The one that answered the call's first
webhook owns the call, and is asked; for the rest of the program nothing is different. Whoever is gone cannot be asked:
then the caller, if there is one on the line, hears the fallback.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from bridge.call.controls import Answered, Moved
from bridge.edge.shared import NOBODY, GoneError, SharedLostError
from bridge.recent import Summary
from bridge.replay.plans import plan_of
from bridge.wire import tape
from twiml import documents
from twiml.parameters import CallStatus, IncomingCall, MachineDetection, RecordingStatus, StreamEnded
from twiml.transfers import TransferOutcome, TransferResult, Whisper

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from bridge.call.plan import Plan
    from bridge.desk import FrontDesk
    from bridge.edge.driver import Driver
    from bridge.edge.shared import Shared
    from bridge.recent import RecentCalls
    from bridge.snapshots import Snapshot
    from bridge.wire.caller import StreamStarted
    from twiml.parameters import FallbackNotice, StreamStatus

_log = logging.getLogger("bridge")


class WebhookAsked(msgspec.Struct, tag="webhook"):
    """What a webhook says, for the owner of its call."""

    method: str
    request: dict[str, object]


class StreamAsked(msgspec.Struct, tag="stream"):
    """A media stream has come to another process than its call's owner, and shows this token."""

    call_sid: str
    token: str


class RequestAsked(msgspec.Struct, tag="request"):
    """An operator's request about a call, as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes


class CallsAsked(msgspec.Struct, tag="calls"):
    """Which calls are there?"""


class NumbersAsked(msgspec.Struct, tag="numbers"):
    """What is counted there?"""


Question = WebhookAsked | StreamAsked | RequestAsked | CallsAsked | NumbersAsked
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Question] = msgspec.msgpack.Decoder(Question).decode
_summaries = msgspec.msgpack.Decoder(list[Summary]).decode


class Replied(msgspec.Struct, array_like=True):
    """The answer to an operator's request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


_replied = msgspec.msgpack.Decoder(Replied).decode


class Switchboard:
    """Stands before the desk of one process: a `twiml.ports.Desk` for webhooks, and the way to the other processes.

    Args:
        desk: of this process.
        recent: the calls of this process.
        numbers: what this process has counted.
        shared: the register.
    """

    def __init__(self, desk: FrontDesk, recent: RecentCalls, numbers: Callable[[], Snapshot], shared: Shared) -> None:
        self._desk = desk
        self._recent = recent
        self._numbers = numbers
        self._shared = shared
        self._perform: Callable[[RequestAsked], Awaitable[Replied]] | None = None
        self._kinds: dict[str, tuple[type[Any], Callable[[Any], Awaitable[str | None]]]] = {
            "answer": (IncomingCall, desk.answer),
            "after_stream": (StreamEnded, desk.after_stream),
            "transfer_result": (TransferResult, desk.transfer_result),
            "whisper": (Whisper, desk.whisper),
            "call_status": (CallStatus, desk.call_status),
            "machine_detection": (MachineDetection, desk.machine_detection),
            "recording_status": (RecordingStatus, desk.recording_status),
        }
        shared.serve(self._answer)

    # What the carrier asks

    async def answer(self, call: IncomingCall) -> str:
        """A call comes in: it belongs to whoever owns it already, or from now on."""
        owner = self._here
        if not self._desk.knows(call.call_sid):
            owner = await self._owner(call.placed, call.call_sid) if call.placed else await self._claim(call.call_sid)
        answer = await self._bring(owner, "answer", call)
        return await self._desk.answer(call) if answer is None else answer  # nobody has said anything to the caller yet

    async def after_stream(self, ended: StreamEnded) -> str:
        """A media stream is over."""
        answer = await self._bring(await self._owner(ended.call_sid), "after_stream", ended)
        return self._left_alone(is_over=ended.is_over) if answer is None else answer

    async def transfer_result(self, result: TransferResult) -> str:
        """A transfer is over."""
        answer = await self._bring(await self._owner(result.call_sid), "transfer_result", result)
        is_over = result.is_over or result.outcome is TransferOutcome.CONNECTED
        return self._left_alone(is_over=is_over) if answer is None else answer

    async def whisper(self, callee: Whisper) -> str:
        """The human of a transfer has picked up, or has pressed a key."""
        answer = await self._bring(await self._owner(callee.caller_sid), "whisper", callee)
        return documents.hang_up() if answer is None else answer

    async def fallback(self, notice: FallbackNotice) -> None:
        """The carrier could not use an answer of ours."""
        await self._desk.fallback(notice)

    async def call_status(self, status: CallStatus) -> None:
        """A call moved on or ended."""
        names = (status.caller_sid,) if status.caller_sid else (status.placed, status.call_sid)
        await self._bring(await self._owner(*names), "call_status", status)

    async def stream_status(self, status: StreamStatus) -> None:
        """A media stream started, stopped or failed."""
        await self._desk.stream_status(status)

    async def machine_detection(self, detection: MachineDetection) -> None:
        """Who answered an outbound call."""
        owner = await self._owner(detection.placed, detection.call_sid)
        await self._bring(owner, "machine_detection", detection)

    async def recording_status(self, status: RecordingStatus) -> None:
        """A recording of a call is done, or has failed."""
        await self._bring(await self._owner(status.call_sid), "recording_status", status)

    # What others ask for

    async def fetch(self, started: StreamStarted) -> Driver | None:
        """The call of a stream that has come here, and that nobody here knows: from its owner, who lets go of it.

        None when its token is wrong, or when caller and bot have spoken with each other: that lives with its owner.
        """
        owner = await self._owner(started.call_sid)
        if owner in (NOBODY, self._here):
            return None
        question = StreamAsked(started.call_sid, started.parameters.get("token", ""))
        answer = await self._ask(owner, question, call_sid=started.call_sid)
        if not answer:
            return None
        return self._take_over(plan_of(tape.Header(tape=tape.VERSION, plan=msgspec.msgpack.decode(answer))))

    async def elsewhere(self, call_sid: str) -> str:
        """The owner of a call, if that is another process; otherwise nobody."""
        if self._desk.knows(call_sid) or self._recent.find(call_sid) is not None:
            return NOBODY
        owner = await self._owner(call_sid)
        return NOBODY if owner == self._here else owner

    async def request(self, owner: str, call_sid: str, asked: RequestAsked) -> Replied | None:
        """The answer of a call's owner to an operator's request; None when it is gone."""
        answer = await self._ask(owner, asked, call_sid=call_sid)
        return None if answer is None else _replied(answer)

    async def calls(self) -> list[Summary]:
        """The calls of all other processes."""
        answers = await self._shared.ask_others(_encode(CallsAsked()))
        return [summary for answer in answers for summary in _summaries(answer)]

    async def numbers(self) -> list[Snapshot]:
        """What all processes of this bridge have counted."""
        answers = await self._shared.ask_others(_encode(NumbersAsked()))
        return [self._numbers(), *(msgspec.msgpack.decode(answer) for answer in answers)]

    def perform_by(self, perform: Callable[[RequestAsked], Awaitable[Replied]]) -> None:
        """Have operators' requests that others bring performed."""
        self._perform = perform

    # Between the processes

    @property
    def _here(self) -> str:
        return self._shared.address

    async def _claim(self, name: str) -> str:
        try:
            return await self._shared.claim(name)
        except SharedLostError:
            return self._here

    async def _owner(self, *names: str) -> str:
        """Whose call it is that has one of these names; ours where nobody can be asked."""
        if any(self._desk.knows(name) for name in names):
            return self._here
        try:
            for name in filter(None, names):
                if (owner := await self._shared.owner(name)) != NOBODY:
                    return owner
        except SharedLostError:
            return self._here
        return NOBODY

    async def _bring(self, owner: str, method: str, request: IncomingCall | StreamEnded | Any) -> str | None:  # noqa: ANN401 - see `_kinds`
        """Have a webhook answered by the owner of its call, or by this process; None when the owner is gone."""
        if owner in (NOBODY, self._here):
            _, perform = self._kinds[method]
            return await perform(request) or ""
        question = WebhookAsked(method, msgspec.to_builtins(request))
        answer = await self._ask(owner, question, call_sid=request.call_sid)
        return None if answer is None else answer.decode()

    async def _ask(self, owner: str, question: Question, *, call_sid: str) -> bytes | None:
        try:
            return await self._shared.ask(owner, _encode(question))
        except GoneError as error:
            what = question.method if isinstance(question, WebhookAsked) else type(question).__name__
            extra = {"call_sid": call_sid, "question": what, "reason": str(error)}
            _log.warning("request.not_forwarded", extra=extra)
            return None

    def _left_alone(self, *, is_over: bool) -> str:
        """For a caller whose call's owner is gone."""
        return documents.hang_up() if is_over else self._desk.fallback_document()

    async def _answer(self, question: bytes) -> bytes:
        """Answer what another process asks."""
        match _decode(question):
            case WebhookAsked(method=method, request=request):
                kind, perform = self._kinds[method]
                return (await perform(msgspec.convert(request, kind)) or "").encode()
            case StreamAsked(call_sid=call_sid, token=token):
                return self._hand_over(call_sid, token)
            case RequestAsked() as asked:
                if self._perform is None:
                    raise GoneError("the process is not ready")
                return _encode(await self._perform(asked))
            case CallsAsked():
                return _encode([view.summary() for view in self._recent])
            case NumbersAsked():
                return _encode(self._numbers())

    def _take_over(self, plan: Plan) -> Driver:
        """Go on with a call that another process has let go of: its stream is here."""
        desk = self._desk
        place = desk.begin_call(desk.rules.begin(plan.call_sid).planner.adopted(plan), "call.answered")
        place.claim(place.token, desk.clock.now())
        if plan.outgoing is not None:  # whoever was called has picked up there
            place.held.control(Answered())
        return place.held

    def _hand_over(self, call_sid: str, token: str) -> bytes:
        """Let go of a call whose stream has come elsewhere, and say what it goes by; nothing when it cannot move."""
        place = self._desk.calls.find(call_sid)
        if place is None or not place.held.call.may_move or not place.claim(token, self._desk.clock.now()):
            return b""
        driver = place.held
        driver.control(Moved())
        return _encode(tape.plain(driver.plan))
