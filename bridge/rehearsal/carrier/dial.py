"""`<Dial>`: rings at others, whispers to whoever answers, and connects the two legs; conferences and queues too.

Source: Twilio's pages `docs/voice/twiml/dial`, `/number`, `/sip`, `/client`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.call import MAX_S, Call, StatusCallback
from bridge.rehearsal.carrier.conferences import Terms
from bridge.rehearsal.carrier.flow import Goto
from bridge.rehearsal.carrier.people import Callee
from bridge.rehearsal.carrier.queues import dial_queue
from bridge.rehearsal.carrier.recordings import Recording
from bridge.rehearsal.carrier.rooms import Room
from bridge.rehearsal.carrier.twiml import Verb
from bridge.rehearsal.sound import tone
from bridge.wire.g711 import BYTES_PER_MS, SILENCE

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.rehearsal.carrier.interpreter import Interpreter
    from bridge.rehearsal.carrier.records import Params
    from bridge.rehearsal.carrier.twiml import Document

RING_BUFFER_S = 5
"""What Twilio adds to `timeout`."""
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 5, 600
_RINGBACK = tone(440, 480, duration_ms=2000, level=0.05) + SILENCE * (4000 * BYTES_PER_MS)
"""Two seconds of tone, four of silence: the North American one."""


async def dial(interpreter: Interpreter, verb: Verb, document: Document) -> Goto | None:
    """Connect the leg as the nouns say; then the action's document takes over, or the next verb."""
    nouns = verb.children or ((Verb("Number", {}, verb.text),) if verb.text else ())
    kinds = {noun.name for noun in nouns}
    if kinds == {"Conference"}:
        return await _conference(interpreter, verb, document, nouns[0])
    if kinds == {"Queue"}:
        return await _queue(interpreter, verb, document, nouns[0])
    if not nouns or kinds & {"Conference", "Queue"}:
        interpreter.call.notice(12200, "<Dial> holds nobody to call, or a conference or queue beside others")
        return None
    return await _Dialling(interpreter, verb, document, nouns).run()


class _Attempt:
    """One noun: the leg made for it, until it is ready to be connected or gone."""

    def __init__(self, dialling: _Dialling, noun: Verb, timeout_s: float) -> None:
        parent = dialling.interpreter.call
        self.to = _address(noun)
        self.call = Call(
            parent.carrier,
            dialling.callee(self.to),
            direction="outbound-dial",
            from_=dialling.verb.get("callerId") or parent.from_,
            to=self.to,
            parent_sid=parent.sid,
            callback=StatusCallback(
                dialling.document.resolve(noun.get("statusCallback")) if noun.get("statusCallback") else "",
                noun.get("statusCallbackMethod", "POST"),
                noun.get("statusCallbackEvent", "completed").split(),
            ),
        )
        self.ready = asyncio.Event()
        self._noun = noun
        self._dialling = dialling
        self._timeout_s = timeout_s

    def start(self) -> None:
        """Begin to ring."""
        self.call.carrier.keep(self.call)
        self.call.begin(self._live)

    async def outcome(self) -> bool:
        """Wait until the leg is ready (True) or over (False). Raises what its person's script raised."""
        ready, ended = asyncio.ensure_future(self.ready.wait()), asyncio.ensure_future(self.call.ended())
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
                return False
            return True
        finally:
            ready.cancel()
            ended.cancel()

    async def _live(self) -> None:
        if not await self.call.ring(self._timeout_s):
            return
        self.call.digits_received += self._noun.get("sendDigits").replace("w", "").replace("W", "")
        whisperer = type(self._dialling.interpreter)(self.call)
        if await whisperer.whisper(self._noun, self._dialling.document):
            self.ready.set()
            await asyncio.get_running_loop().create_future()  # connected by the other leg, until one of them hangs up


class _Dialling:
    """One `<Dial>` with numbers, SIP addresses or clients."""

    def __init__(self, interpreter: Interpreter, verb: Verb, document: Document, nouns: Collection[Verb]) -> None:
        self.interpreter = interpreter
        self.verb = verb
        self.document = document
        timeout_s = min(MAX_TIMEOUT_S, max(MIN_TIMEOUT_S, verb.number("timeout", 30))) + RING_BUFFER_S
        self._caller = interpreter.call
        self._attempts = [_Attempt(self, noun, timeout_s) for noun in nouns]
        self._connected: _Attempt | None = None
        self._recording: Recording | None = None

    def callee(self, to: str) -> Callee:
        """Who answers there; a call to nobody known fails, and so does one under a number that is not the account's."""
        caller, carrier = self._caller, self._caller.carrier
        shown = self.verb.get("callerId")
        own = set(carrier.numbers) | (set() if caller.from_.startswith("sip:") else {caller.from_, caller.to})
        if shown and shown not in own:
            caller.notice(13214, f"<Dial callerId> is no number of this account or call: {shown!r}")
            return Callee(result="failed", after_s=0)
        if to not in carrier.destinations:
            caller.notice(13224, f"<Dial> leads to nobody: {to!r} is no destination of this rehearsal")
            return Callee(result="failed", after_s=0)
        return carrier.destinations[to]

    async def run(self) -> Goto | None:
        is_silent = self.verb.flag("answerOnBridge") and self._caller.answered_s is None
        if not is_silent:
            self._caller.answer()
        ringing = None if is_silent else asyncio.ensure_future(self._caller.phone.play_again_and_again(_RINGBACK))
        try:
            self._connected = await self._find()
            if ringing is not None:
                ringing.cancel()
                await asyncio.wait((ringing,))
            if self._connected is not None:
                await self._talk(self._connected.call)
        except asyncio.CancelledError:
            self._hang_up_all()
            self.interpreter.action(self.verb, self.document, self._result("canceled"))
            raise
        finally:
            self._hang_up_all()
            if ringing is not None:
                ringing.cancel()
        return self.interpreter.action(self.verb, self.document, self._result(self._attempts[-1].call.status))

    async def _find(self) -> _Attempt | None:
        """Ring, at all at once or one after the other; returns the first that is ready."""
        groups = [[each] for each in self._attempts] if self.verb.flag("sequential") else [self._attempts]
        for group in groups:
            for attempt in group:
                attempt.start()
            outcomes = {asyncio.ensure_future(attempt.outcome()): attempt for attempt in group}
            try:
                while outcomes:
                    done, _ = await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
                    for outcome, attempt in [(each, outcomes.pop(each)) for each in done]:
                        if outcome.result():
                            return attempt
            finally:
                for outcome in outcomes:
                    outcome.cancel()
        return None

    async def _talk(self, callee: Call) -> None:
        for attempt in self._attempts:
            if attempt.call is not callee:
                attempt.call.hang_up("carrier")
        self._caller.answer()
        if self.verb.get("record", "do-not-record") != "do-not-record":
            callback = self.verb.get("recordingStatusCallback")
            url = self.document.resolve(callback) if callback else ""
            self._recording = Recording(callee, source="DialVerb", callback=url)
        room = Room()
        seats = room.enter(self._caller), room.enter(callee)
        if self.verb.flag("hangupOnStar"):
            seats[0].on_key = lambda digit: callee.hang_up("caller's *") if digit == "*" else None
        callee.limit(self.verb.number("timeLimit", MAX_S))
        self._caller.event("call.bridged", callee.to)
        try:
            await callee.ended()
        finally:
            for seat in seats:
                room.leave(seat)

    def _hang_up_all(self) -> None:
        for attempt in self._attempts:
            attempt.call.hang_up("carrier")

    def _result(self, failure: str) -> Params:
        attempt = self._connected or self._attempts[-1]
        params: Params = {
            "DialCallStatus": "completed" if self._connected is not None else failure,
            "DialCallSid": attempt.call.sid,
            "DialBridged": str(self._connected is not None).lower(),
        }
        if attempt.call.answered_s is not None:
            params["DialCallDuration"] = str(attempt.call.duration_s)
        if self._recording is not None:
            params["RecordingUrl"] = self._recording.url
        return params


async def _conference(interpreter: Interpreter, verb: Verb, document: Document, noun: Verb) -> Goto | None:
    call = interpreter.call
    call.answer()
    conference = call.carrier.conference(noun.text)
    try:
        await conference.hold(interpreter, terms_of(noun, document))
    except asyncio.CancelledError:
        interpreter.action(verb, document, {"DialCallStatus": "answered"})
        raise
    return interpreter.action(verb, document, {"DialCallStatus": "answered"})


def terms_of(noun: Verb, document: Document) -> Terms:
    """How `<Conference>` lets a leg take part."""
    url = noun.get("waitUrl")
    return Terms(
        starts=noun.flag("startConferenceOnEnter", default=True),
        ends=noun.flag("endConferenceOnExit"),
        is_muted=noun.flag("muted"),
        wait=Goto("wait", document.resolve(url), noun.get("waitMethod", "POST")) if url else None,
        is_quiet="waitUrl" in noun.attributes and not url,
        callback=document.resolve(noun.get("statusCallback")) if noun.get("statusCallback") else "",
        events=tuple(noun.get("statusCallbackEvent").split()),
        label=noun.get("participantLabel"),
    )


async def _queue(interpreter: Interpreter, verb: Verb, document: Document, noun: Verb) -> Goto | None:
    interpreter.call.answer()
    queue = interpreter.call.carrier.queue(noun.text)
    status = await dial_queue(interpreter.call, queue, verb.number("timeout", 30))
    return interpreter.action(verb, document, {"DialCallStatus": status})


def _address(noun: Verb) -> str:
    """What is dialled, spelled as Twilio's `To`: a number, `sip:…` or `client:…`."""
    if noun.name != "Client":
        return noun.text
    identity = next((child.text for child in noun.children if child.name == "Identity"), noun.text)
    return f"client:{identity}"
