"""Calls that the bridge places: who is called, in whose name, and how what the carrier says of a call finds that call.

The carrier may ask about a call before it has told us the call's name, so each call has a name of ours first, which
stands in the URLs that the carrier asks. Whichever comes first, its answer or a question, introduces the call; from
then on it is a call like any other, which rings until somebody answers.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlencode

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bridge.call.plan import CallInfo, OnMachine, Outgoing
from bridge.errors import BridgeError
from bridge.settings import E164
from twiml.calls import CallRefusedError, OutboundCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.breaker import Health
    from bridge.call.plan import Plan
    from bridge.edge.admission import Admission, Place
    from bridge.edge.driver import Driver
    from bridge.rules import RuleBook
    from bridge.settings import Settings
    from twiml.calls import CallControl
    from twiml.parameters import MachineDetection

MAX_MESSAGE_CHARACTERS = 1000
"""About a minute and a half of speech."""
MAX_PARAMETERS = 30
CARRIER_ADDS_S = 120.0
"""How much longer than it rings a call may take to be answered: the carrier places one a second, others wait."""
_DETECTIONS: dict[OnMachine, Literal["", "Enable", "DetectMessageEnd"]] = {
    "talk": "",
    "hang_up": "Enable",
    "leave_message": "DetectMessageEnd",
}


def _form(pattern: str, sentence: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


_DIALABLE = rf"{E164.pattern}|sips?:\S+|client:\S+"
Dialable = Annotated[
    str,
    Field(max_length=255, json_schema_extra={"pattern": f"^({_DIALABLE})$"}),
    _form(_DIALABLE, "must be +NUMBER in E.164 form, sip:USER@HOST or client:NAME"),
]
OwnNumber = Annotated[
    str,
    Field(json_schema_extra={"pattern": f"^({E164.pattern})?$"}),
    _form(rf"{E164.pattern}|", "must be a phone number in E.164 form, such as +15551230000"),
]


class CallRequest(BaseModel):
    """What the operator asks for with `POST /api/calls`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    to: Dialable
    """Who is called."""
    from_: OwnNumber = Field(default="", alias="from")
    """The number that is shown: a line's, or another of the account's. Empty: the line's, if there is one only."""
    agent: str = ""
    """Who speaks; empty: whoever answers the line of `from`."""
    parameters: Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=1000)]],
        Field(max_length=MAX_PARAMETERS),
    ] = Field(default_factory=dict)
    """Custom parameters, for the operator's functions and the variables of the agent's texts."""
    ring_s: Annotated[int, Field(ge=5, le=600)] = 30
    """How long it may ring."""
    on_machine: OnMachine = "talk"
    """What follows when a machine answers."""
    message: Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS)] = ""
    """What is left on a machine."""

    @model_validator(mode="after")
    def _message_has_a_use(self) -> Self:
        if bool(self.message.strip()) is not (self.on_machine == "leave_message"):
            raise ValueError('message and on_machine "leave_message" need each other')
        return self


class NotPlacedError(BridgeError):
    """A call is not placed: `code` says why, for machines."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class _Dialled:
    """A call that the carrier is being asked for, and that has no name of the carrier's yet."""

    info: CallInfo
    variables: dict[str, str]
    outgoing: Outgoing
    is_primary_down: bool
    call_sid: str = ""


class Outbound:
    """Places calls.

    Args:
        control: the carrier's REST interface; None without credentials, and then no call can be placed.
        rules: the configuration; makes the plan of each call.
        calls: where each call must find a place.
        health: knows whether the model is down.
        begin: begins a call that has a name, and tells everybody with this event.
    """

    def __init__(
        self,
        control: CallControl | None,
        rules: RuleBook,
        calls: Admission[Driver],
        health: Health,
        begin: Callable[[Plan, str], Place[Driver]],
    ) -> None:
        self._control = control
        self._rules = rules
        self._calls = calls
        self._health = health
        self._begin = begin
        self._dialled: dict[str, _Dialled] = {}
        self._placing: set[asyncio.Task[str]] = set()

    async def place(self, request: CallRequest) -> str:
        """Place a call; its CallSid, as soon as the carrier has taken the order. It rings then, or waits to.

        Raises:
            NotPlacedError: it cannot be placed as it was asked for, not now, or not by this bridge.
        """
        if self._control is None:
            message = 'Set twilio.account_sid, twilio.auth_token and twilio.control = "rest": calls are placed by REST.'
            raise NotPlacedError("no_credentials", message)
        # Once asked for, a call is placed or not, whether or not whoever asked still waits for the answer.
        task = asyncio.get_running_loop().create_task(self._place(request, self._control))
        self._placing.add(task)
        task.add_done_callback(self._placing.discard)
        return await asyncio.shield(task)

    def find(self, name: str, call_sid: str) -> Place[Driver] | None:
        """The call that the carrier speaks of, by our name of it where there is one, and by its own."""
        return self._calls.find(call_sid) or self._introduce(name, call_sid)

    def is_dialling(self, name: str) -> bool:
        """Whether this bridge is asking the carrier for a call that it named so."""
        return name in self._dialled

    async def close(self) -> None:
        """Wait for the calls that are being asked for; the requests have their limits."""
        await asyncio.gather(*self._placing, return_exceptions=True)

    async def _place(self, request: CallRequest, control: CallControl) -> str:
        name = secrets.token_urlsafe(12)
        if (refusal := await self._calls.book(name)) is not None:
            raise NotPlacedError(refusal.value, "The bridge takes no further call at the moment.")
        try:
            rules = self._rules.begin(name)  # whatever is reloaded until the call has the carrier's name
            own_number = await self._own_number(request.from_, rules.settings, control)
            info = CallInfo(
                from_number=own_number,
                to_number=request.to,
                direction="outbound",
                agent=_agent(request.agent, own_number, rules.settings),
                parameters=request.parameters,
                idempotency_key=name,
            )
            way = self._health.way(rules.settings.agents[info.agent], rules)
            if way is None:
                raise NotPlacedError("model_down", "The model is known to be down: try again in a few minutes.")
            outgoing = Outgoing(request.ring_s + CARRIER_ADDS_S, request.on_machine, request.message)
            dialled = _Dialled(info, await rules.planner.variables(info), outgoing, way.is_primary_down)
            self._dialled[name] = dialled
            return await self._dial(control, self._order(request, own_number, name), name, dialled)
        finally:
            self._dialled.pop(name, None)
            self._rules.end(name)
            self._calls.leave(name)

    async def _dial(self, control: CallControl, order: OutboundCall, name: str, dialled: _Dialled) -> str:
        try:
            call_sid = await control.create(order)
        except CallRefusedError as error:
            if dialled.call_sid:  # the answer got lost, but the carrier speaks of the call
                return dialled.call_sid
            raise NotPlacedError("carrier_refused", str(error)) from error
        self._introduce(name, call_sid)
        return call_sid

    def _introduce(self, name: str, call_sid: str) -> Place[Driver] | None:
        """The carrier's name of a call is known: the call begins. None for one that never was, or that is over."""
        dialled = self._dialled.pop(name, None)
        if dialled is None:
            return None
        dialled.call_sid = call_sid
        info = msgspec.structs.replace(dialled.info, call_sid=call_sid, idempotency_key="")
        by_sip = info.to_number.startswith("sip")
        plan = self._rules.rename(name, call_sid).planner.plan(
            info,
            dialled.variables,
            by_sip=by_sip,
            outgoing=dialled.outgoing,
            is_primary_down=dialled.is_primary_down,
        )
        place = self._begin(plan, "call.placed")
        self._calls.leave(name)  # after it has its place by its own name: never is there one too few
        return place

    def _order(self, request: CallRequest, own_number: str, name: str) -> OutboundCall:
        return OutboundCall(
            to=request.to,
            from_=own_number,
            url=self._url("answer", name),
            fallback_url=self._url("fallback", name),
            status_callback=self._url("call-status", name),
            timeout_s=request.ring_s,
            machine_detection=_DETECTIONS[request.on_machine],
            machine_detection_callback=self._url("machine-detection", name),
        )

    def _url(self, route: str, name: str) -> str:
        return f"{self._rules.settings.server.public_url.rstrip('/')}/twiml/{route}?{urlencode({'placed': name})}"

    async def _own_number(self, given: str, settings: Settings, control: CallControl) -> str:
        """The number that is shown. It must be ours: the carrier would refuse another, with a less helpful sentence."""
        ours = [number for number in settings.lines if number != "default"]
        if given in ours:
            return given
        if not given:
            if len(ours) == 1:
                return ours[0]
            raise NotPlacedError("unknown_number", "Say which number calls, in from: there is not one line only.")
        try:
            numbers = await control.numbers()
        except CallRefusedError as error:
            raise NotPlacedError("carrier_refused", str(error)) from error
        if all(given != number.phone_number for number in numbers):
            raise NotPlacedError("unknown_number", "from must be the number of a line in [lines], or of the account.")
        return given


def _agent(name: str, own_number: str, settings: Settings) -> str:
    """Who speaks: whoever was asked for, or who answers the line of the number that is shown."""
    if not name:
        return (settings.lines.get(own_number) or settings.lines["default"]).agent
    if name not in settings.agents:
        raise NotPlacedError("unknown_agent", f"agent must be one of: {', '.join(settings.agents)}.")
    return name


def answered_by(detection: MachineDetection) -> str:
    """The carrier's verdict on who answered, as `MachineDetected` has it."""
    if detection.is_machine:
        return "machine_listening" if detection.may_leave_message else "machine"
    return detection.answered_by if detection.answered_by in ("human", "fax") else "unknown"
