"""Answers the carrier's questions about calls, and is what surrounds each of them: where both planes meet.

For the signalling plane it is the `Desk`: a call comes in, a stream is over, a call has ended. For each call's driver
it is its `Surroundings`: a session to open, an order to keep. For the media doors it says who may come in.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from msgspec import structs

from bridge.breaker import Health
from bridge.call.controls import Answered, CallOver, HangUp, MachineDetected, Shutdown, StreamOver, TransferOver
from bridge.carrier_requests import CarrierRequests
from bridge.doorkeeper import Doorkeeper, info_of
from bridge.edge.admission import Admission
from bridge.edge.driver import Driver
from bridge.log import level_of
from bridge.metrics import Metrics
from bridge.observing import Observers
from bridge.orders import Orders
from bridge.outbound import Outbound, answered_by
from bridge.recordings import Recordings
from bridge.refusals import Refusals
from bridge.streaming import stream_of, url_of
from bridge.transfers import Transfers
from twiml import documents
from twiml.signature import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.actions import Order, RunFunction, Said
    from bridge.call.ending import Ending
    from bridge.call.plan import EndpointName, Plan
    from bridge.clock import Clock
    from bridge.edge.admission import Place
    from bridge.edge.model_leg import ModelLeg
    from bridge.edge.ports import ModelLink
    from bridge.edge.recorder import Tapes
    from bridge.observing import Observer
    from bridge.rules import RuleBook
    from bridge.settings import Settings
    from bridge.wire.caller import StreamStarted
    from twiml import parameters
    from twiml.calls import CallControl
    from twiml.transfers import TransferResult, Whisper

_log = logging.getLogger("bridge")


class FrontDesk:
    """See the module.

    Args:
        clock: of all calls.
        rules: the configuration, with every address filled in, and what runs by it.
        model_leg: the client that opens sessions.
        control: the carrier's REST interface; None without credentials, or when calls leave their stream by `action`.
        metrics: counts what happens; by default for itself alone.
        tapes: records calls; None when they are not to be.
        calls: where they have their places; by default this bridge's own.
        observers: told what happens.
    """

    def __init__(
        self,
        rules: RuleBook,
        clock: Clock,
        *,
        model_leg: type[ModelLeg],
        control: CallControl | None = None,
        tapes: Tapes | None = None,
        metrics: Metrics | None = None,
        calls: Admission[Driver] | None = None,
        observers: tuple[Observer, ...] = (),
    ) -> None:
        self.rules = rules
        settings = rules.settings
        self.clock = clock
        self.metrics = metrics or Metrics()
        self.calls: Admission[Driver] = Admission(settings.limits) if calls is None else calls
        self.metrics.watch(self.calls, limit=settings.limits.max_calls)
        self.validator = _validator(settings)
        self._control, self._tapes = control, tapes
        self.health = Health(rules, clock, self.metrics.breaker_turned)
        self._refusals = Refusals(clock, self.metrics.refused)
        self._model_leg = model_leg
        self.recordings = Recordings(settings.recording, control, url_of(settings, "recording-status"))
        watching: tuple[Observer, ...] = (self.metrics, self.health, self.recordings, *observers)
        self._observers = Observers(watching, lambda: self.metrics.survived("observer"))
        self._orders = Orders(self._document)
        self._transfers = Transfers(settings, control)
        self.outbound = Outbound(control, rules, self.calls, self.health, self.begin_call)
        self._answering: dict[str, asyncio.Task[str]] = {}
        self._requests = CarrierRequests(control, clock, url_of(settings, "after-stream"))
        self._doorkeeper = Doorkeeper(
            clock,
            calls=self.calls,
            health=self.health,
            requests=self._requests,
            metrics=self.metrics,
            refused=self.refused,
        )

    @property
    def settings(self) -> Settings:
        """The configuration that holds for new calls."""
        return self.rules.settings

    async def adopt(self, settings: Settings) -> None:
        """Have new calls go by other settings, live ones by theirs. Raises ConfigurationError, and changes nothing."""
        old, new = self.settings.twilio.auth_token, settings.twilio.auth_token
        await self.rules.replace(settings)
        self.health.reloaded()
        if self._tapes is not None:
            self._tapes.adopt(settings)
        self.calls.limit(settings.limits)
        self.metrics.watch(self.calls, limit=settings.limits.max_calls)
        if self.validator is not None and old != new:  # what is under way was signed with the old one
            self.validator.renew([new.get_secret_value(), old.get_secret_value()])
            if self._control is not None:
                self._control.renew(new.get_secret_value())

    # What the carrier asks

    async def answer(self, call: parameters.IncomingCall) -> str:
        """A call comes in: begin it and have its media stream opened, or say why not. Asked twice, it begins once."""
        answering = self._answering.get(call.call_sid)
        if answering is None:
            answering = self._answering[call.call_sid] = asyncio.get_running_loop().create_task(self._answer(call))
            answering.add_done_callback(lambda _: self._answering.pop(call.call_sid))
        return await asyncio.shield(answering)

    async def _answer(self, call: parameters.IncomingCall) -> str:
        asked_at = self.clock.now()
        place = self.outbound.find(call.placed, call.call_sid)
        if place is not None:  # asked again: the same answer, as long as nobody has used it
            return self._connect(self._picked_up(place))
        if call.placed:  # it was called off just now
            return documents.hang_up()
        rules = self.rules.begin(call.call_sid)  # whatever is reloaded while this is being answered
        try:
            line = rules.settings.lines.get(call.to) or rules.settings.lines["default"]
            way = await self._doorkeeper.admit(call, line, rules)
            if isinstance(way, str):
                self.rules.end(call.call_sid)
                return way
            info = info_of(call, line)
            variables = await rules.planner.variables(info)
            by_sip = bool(call.sip_call_id)
            plan = rules.planner.plan(info, variables, by_sip=by_sip, is_primary_down=way.is_primary_down)
            place = self.begin_call(plan, "call.answered", since=asked_at)
        except BaseException:
            self.calls.leave(call.call_sid)
            self.rules.end(call.call_sid)
            raise
        if way.is_trial:
            await self.health.settled(call.call_sid)
        return self._connect(place)

    async def after_stream(self, ended: parameters.StreamEnded) -> str:
        """A media stream is over: what was ordered, the same to a repeated question.

        The question may be the first that we hear of it. Then it is the call that leaves the order.
        """
        place = self.calls.find(ended.call_sid)
        if ended.is_over:
            self._orders.call_over(ended.call_sid)
            if place is not None:
                place.held.control(CallOver(ended.status))
            return documents.hang_up()
        if place is not None and self._is_news(ended, place):
            place.held.control(StreamOver())
        return self._ordered(ended.call_sid)

    def _is_news(self, ended: parameters.StreamEnded, place: Place[Driver]) -> bool:
        """Whether it is about the call's present stream, and not asked again about one before."""
        return ended.stream == place.streams if ended.stream else ended.call_sid not in self._orders

    async def transfer_result(self, result: TransferResult) -> str:
        """A transfer is over: the core says what now. Asked again about the same attempt, the answer is the same."""
        place = self.calls.find(result.call_sid)
        transfer = self._transfers.of(result.call_sid)
        if result.is_over or place is None:
            return documents.hang_up()
        if transfer is not None and transfer.attempt == result.attempt:
            transfer.attempt = ""  # this result is taken
            outcome = self._transfers.outcome(result.call_sid, result.outcome.value)
            place.held.control(TransferOver(outcome))
        return self._ordered(result.call_sid)

    async def whisper(self, callee: Whisper) -> str:
        """The human of a transfer has picked up, or has pressed a key."""
        return await self._transfers.whisper(callee)

    async def fallback(self, notice: parameters.FallbackNotice) -> None:
        """The carrier could not use an answer of ours."""
        self.metrics.fell_back()
        _log.warning("webhook.fell_back", extra={"call_sid": notice.call_sid, "error_code": notice.error_code})

    async def call_status(self, status: parameters.CallStatus) -> None:
        """A call moved on or ended: one of ours, or the leg to the human of a transfer."""
        if status.caller_sid:
            await self._transfers.callee_status(status)
            return
        place = self.outbound.find(status.placed, status.call_sid)
        if status.is_terminal and place is not None:
            place.held.control(CallOver(status.status))

    async def stream_status(self, status: parameters.StreamStatus) -> None:
        """A media stream started, stopped or failed."""
        fields = {"call_sid": status.call_sid, "stream_event": status.event}
        if status.error:
            fields["error"] = status.error
        _log.log(logging.WARNING if status.error else logging.INFO, "stream.reported", extra=fields)

    async def recording_status(self, status: parameters.RecordingStatus) -> None:
        """The carrier tells how a recording of its own went."""
        self.recordings.reported(status)

    async def machine_detection(self, detection: parameters.MachineDetection) -> None:
        """Who answered an outbound call."""
        _log.info("machine.detected", extra={"call_sid": detection.call_sid, "answered_by": detection.answered_by})
        place = self.outbound.find(detection.placed, detection.call_sid)
        if place is not None:
            place.held.control(MachineDetected(answered_by(detection)))

    def fallback_document(self) -> str:
        """What the caller hears when the model cannot be used."""
        return self.rules.standing.fallback

    def refused(self, reason: str) -> None:
        """A request was turned away."""
        self._refusals.refused(reason)

    # Who may come in

    def is_signed(self, target: str, signature: str, settings: str) -> bool:
        """Whether a media handshake was signed by the carrier."""
        if self.validator is None:
            return True  # `insecure`, on loopback only
        return bool(self.validator.check_handshake(target, signature=signature, settings=settings))

    def claim(self, started: StreamStarted) -> Driver | None:
        """The call whose token a stream shows."""
        place = self.calls.find(started.call_sid)
        if place is None or not place.claim(started.parameters.get("token", ""), self.clock.now()):
            return None
        return place.held

    def knows(self, name: str) -> bool:
        """Whether a call by this name, the carrier's or ours, is or was this process's, as far as is remembered."""
        is_ours = name in self._answering or name in self._orders or self.outbound.is_dialling(name)
        return is_ours or self.calls.find(name) is not None

    # What surrounds a call

    def connect_model(self, driver: Driver, endpoint: EndpointName, *, is_successor: bool = False) -> ModelLink:
        """Open a session for a call."""
        agent = driver.plan.agent
        site = self.rules.of(driver.plan.call_sid).planner.endpoints.of(agent, endpoint)
        self.health.connecting(driver, endpoint, site.address, is_successor=is_successor)
        return self._model_leg(
            driver,
            site.address,
            connect_timeout_s=site.settings.connect_timeout_s,
            input_format=agent.input_audio_format,
            output_format=agent.output_audio_format,
            is_successor=is_successor,
        )

    def leave_order(self, driver: Driver, order: Order) -> None:
        """Keep what the carrier must be told when it asks about a call without a stream."""
        if order.kind == "transfer":
            self.happened(driver, "transfer.begun", {"destination": order.destination})
        self._orders.leave(driver, order)

    def leave_stream(self, driver: Driver, close: Callable[[], object]) -> None:
        """Have the carrier ask for the order: by REST, or by closing the socket, which is left when that fails."""
        call_sid = driver.plan.call_sid
        place = self.calls.find(call_sid)
        self._requests.leave_stream(call_sid, place.streams if place is not None else 0, close)

    def hang_up(self, driver: Driver) -> None:
        """Have the carrier end a call that has no stream; without REST it is told to when it asks."""
        self._requests.hang_up(driver.plan.call_sid)

    def park(self, driver: Driver) -> None:
        """The call is with a human and takes up no place."""
        self.calls.park(driver.plan.call_sid)

    async def run_function(self, plan: Plan, function: RunFunction) -> str:
        """Run an operator's function; it is told who speaks to the caller now."""
        if function.agent:
            plan = structs.replace(plan, info=structs.replace(plan.info, agent=function.agent))
        secrets = function.secrets or None
        return await self.rules.of(plan.call_sid).functions.run(
            plan, function.call_id, function.name, function.arguments, secrets=secrets
        )

    def record(self, driver: Driver, *, is_on: bool) -> None:
        """Pause or resume the carrier's own recording of a call."""
        self.recordings.pause(driver.plan.call_sid, is_on=is_on)

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        _log.log(level_of(event), event, extra={"call_sid": driver.plan.call_sid, **fields})
        self._observers.happened(driver, event, fields)

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript."""
        self._observers.said(driver, line)

    def ended(self, driver: Driver, ending: Ending) -> None:  # noqa: ARG002 - whoever wants it hears `call.ended`
        """A call is over."""
        self._doorkeeper.bygone.add(driver.plan.call_sid)
        self.calls.leave(driver.plan.call_sid)
        self._orders.ended(driver)
        self.rules.end(driver.plan.call_sid)
        self._transfers.caller_left(driver.plan.call_sid)

    async def close(self) -> None:
        """Wait for the requests to the carrier that are under way; each has its limit."""
        await self.outbound.close()
        await self._requests.close()
        await self.recordings.close()
        await self._transfers.close()

    @property
    def is_owing(self) -> bool:
        """Whether a caller waits for what only this bridge can give: a call lives, or its order is not told yet."""
        return bool(len(self.calls)) or self._orders.are_awaited(self.clock.now())

    def hang_up_all(self, *, politely: bool) -> None:
        """End every call: with the fallback's words, or at once. Callers who speak with a human are left to do so."""
        for driver in self.calls:
            if not driver.call.is_away:
                driver.control(Shutdown() if politely else HangUp())

    def begin_call(self, plan: Plan, fact: str, *, since: float | None = None) -> Place[Driver]:
        """Begin a call, and tell with this fact; `since` is when its webhook came, if that is why."""
        driver = Driver(plan, self, self._tapes.open if self._tapes is not None else None)
        place = self.calls.place(plan.call_sid, driver, self.clock.now())
        took = {} if since is None else {"took_ms": round((self.clock.now() - since) * 1000)}
        self.happened(driver, fact, {"agent": plan.info.agent, "direction": plan.info.direction, **took})
        driver.start()
        return place

    def _picked_up(self, place: Place[Driver]) -> Place[Driver]:
        """The place of a call that is there already; of one that rang, the token is valid from now on."""
        driver = place.held
        if not driver.call.is_ringing:
            return place
        self.happened(driver, "call.answered", {"agent": driver.plan.info.agent, "direction": "outbound"})
        driver.control(Answered())
        self.calls.renew(driver.plan.call_sid, self.clock.now())
        return place

    def _ordered(self, call_sid: str) -> str:
        """The document of the order that stands."""
        return self._orders.document(call_sid) or documents.hang_up()

    def _document(self, driver: Driver, order: Order) -> str:
        call_sid = driver.plan.call_sid
        match order.kind:
            case "hang_up":
                return documents.hang_up()
            case "transfer":
                return self._transfers.document(driver, order)
            case "resume" | "keys":
                place = self.calls.renew(call_sid, self.clock.now())
                if place is None:
                    return documents.hang_up()
                stream = stream_of(self.settings, place)
                return (
                    documents.connect_stream(stream)
                    if order.kind == "resume"
                    else documents.play_digits(order.digits, stream)
                )
            case _:
                return self.fallback_document()

    def _connect(self, place: Place[Driver]) -> str:
        return documents.connect_stream(stream_of(self.settings, place), self.recordings.consent)


def _validator(settings: Settings) -> Validator | None:
    """What checks the carrier's signatures; None without the account's token."""
    token, server = settings.twilio.auth_token.get_secret_value(), settings.server
    return Validator([token], server.public_url, server.media_url) if token else None
