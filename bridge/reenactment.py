"""A recorded call once more, over real sockets: a bridge in the middle, carrier and model played from a tape."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec

from bridge.app import Bridge
from bridge.edge.functions import FunctionRunner
from bridge.rehearsal.carrier import Carrier
from bridge.rehearsal.reenact.caller import callee_of, caller_of
from bridge.rehearsal.reenact.likeness import Tolerance, differences
from bridge.rehearsal.reenact.model import TapedModel
from bridge.rehearsal.reenact.parts import Deeds, Line, Sent
from bridge.rendezvous import Credential
from bridge.settings import Function, Limits, Model, Server, Settings
from bridge.settings import Line as PhoneLine
from bridge.template import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.call.plan import Plan
    from bridge.clock import Clock
    from bridge.rehearsal.carrier import Call
    from bridge.rehearsal.reenact.parts import Parts
    from bridge.settings import Agent

_TOLD_TRIES, _TOLD_EVERY_S = 20, 0.1
_UNREACHED = "https://tape.invalid/"
"""Where the functions of the bridge that is started seem to be: their results are on the tape."""


class Reenacted(NamedTuple):
    """What came of it."""

    differences: list[str]
    deeds: Deeds
    tolerance: Tolerance

    def report(self, name: str) -> str:
        """For people: one line when all is as it was, else a line for each difference."""
        count = len(self.differences)
        verdict = "no difference" if not count else "1 difference" if count == 1 else f"{count} differences"
        ending = f"; ended {self.deeds.ending}" if self.deeds.ending else ""
        return "\n".join([f"{name}, over sockets: {verdict} {self.tolerance}{ending}", *self.differences])


async def reenact(
    parts: Parts,
    plan: Plan,
    clock: Clock,
    *,
    to: tuple[str, Credential] | None = None,
    model_port: int = 0,
    tolerance: Tolerance | None = None,
) -> Reenacted:
    """Play a tape's caller and model at a bridge, and compare what it does with what is on the tape.

    Args:
        parts: what there is to play.
        plan: what the call on the tape went by.
        clock: of carrier and model; shared with the bridge, if it is started here.
        to: a running bridge, and what its carrier must know; its `model.url` leads to `model_port`. None: one is
            started, with the tape's agent, and with functions that give the tape's results.
        model_port: where the model listens; 0: any free port.
        tolerance: what counts as the same.
    """
    tolerance = tolerance or Tolerance()
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(TapedModel(parts.sessions, clock=clock, port=model_port))
        if to is None:
            bridge = Bridge(
                settings_of(plan, model.url), clock=clock, runner=_TapedFunctions.of(parts), keeps_records=False
            )
            await stack.enter_async_context(bridge)
            to = bridge.url, Credential.of(bridge.settings)
        url, credential = to
        carrier = await stack.enter_async_context(_carrier(parts, plan, clock, url, credential))
        info = plan.info
        call = await carrier.dial(
            from_=info.from_number or "anonymous", to=info.to_number or "+15551230000", caller=caller_of(parts)
        )
        await call.ended()
        lines, ending = await _told(url, credential.admin_token, call.sid)
        deeds = _deeds(call, model, lines, ending)
    return Reenacted(differences(parts.done, deeds, tolerance), deeds, tolerance)


def _carrier(parts: Parts, plan: Plan, clock: Clock, url: str, credential: Credential) -> Carrier:
    """The carrier of the bridge at an address; whom the tape was handed over to does it again."""
    handed_over = [errand for errand in parts.errands if errand.destination in plan.destinations]
    destinations = [plan.destinations[errand.destination] for errand in handed_over]
    return Carrier(
        account_sid=credential.account_sid,
        auth_token=credential.auth_token,
        clock=clock,
        to=url,
        public_url=credential.public_url,
        destinations={
            destination.to: callee_of(errand, is_asked=destination.kind == "warm")
            for errand, destination in zip(handed_over, destinations, strict=True)
        },
    )


def settings_of(plan: Plan, model_url: str) -> Settings:
    """The configuration of a bridge that does what the plan says, with its model at that address."""
    first = plan.agent.name or "agent"
    agents = {first: plan.agent} | {name: colleague.agent for name, colleague in plan.colleagues.items()}
    tools = {str(tool.get("name")): tool for tools in _tools_of(plan) for tool in tools}
    return Settings(
        server=Server(port=0),
        model=Model(provider="compatible", url=model_url, dialect=plan.dialect),
        agents={name: _as_filled(agent) for name, agent in agents.items()},
        functions={name: _function(plan, name, tools.get(name, {})) for name in plan.functions},
        lines={"default": PhoneLine(agent=first)},
        destinations=dict(plan.destinations),
        limits=Limits(max_call_s=round(plan.max_call_s), token_ttl_s=plan.claim_within_s),
    )


def _tools_of(plan: Plan) -> Iterator[tuple[dict[str, object], ...]]:
    yield plan.tools
    for colleague in plan.colleagues.values():
        yield colleague.tools


def _as_filled(agent: Agent) -> Agent:
    """The agent at the endpoint of the tape; its texts are filled in already, and what looks like a name is none."""
    update: dict[str, object] = {"url": "", "vendor": "", "before_call": ""}
    update |= {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}  # so they are on the tape
    for key in ("instructions", "greeting_message"):
        text = getattr(agent, key)
        for name in names(text):
            text = text.replace(f"{{{name}}}", f"{{{{{name}}}}}")
        update[key] = text
    return agent.model_copy(update=update)


def _function(plan: Plan, name: str, tool: Mapping[str, object]) -> Function:
    parameters = tool.get("parameters")
    return Function(
        url=_UNREACHED,
        description=str(tool.get("description") or ""),
        parameters=parameters if isinstance(parameters, dict) else {},
        timeout_s=300,
        filler=plan.fillers.get(name, ""),
        collect=plan.collects.get(name),
    )


class _TapedFunctions(FunctionRunner):
    """Gives the results that are on a tape, after as long as they took then."""

    results: Mapping[str, tuple[float, str]]

    @classmethod
    def of(cls, parts: Parts) -> type[_TapedFunctions]:
        """For the functions of one tape."""
        return type(cls.__name__, (cls,), {"results": parts.results})

    async def run(
        self,
        plan: Plan,
        call_id: str,
        name: str,
        arguments: Mapping[str, object],
        secrets: Mapping[str, object] | None = None,
    ) -> str:
        """The result of that call."""
        del plan, name, arguments, secrets
        after_s, output = self.results.get(call_id, (0.0, '{"error":"the tape has no result of this"}'))
        await self._clock.sleep(after_s)
        return output


def _deeds(call: Call, model: TapedModel, lines: list[Line] | None, ending: str) -> Deeds:
    events = [event for event in call.carrier.events if event.call_sid == call.sid]
    began_s = [event.at_s for event in events if event.kind == "stream.started"]

    def since_stream(at_s: float) -> float:
        return at_s - max((began for began in began_s if began <= at_s), default=at_s + 1)

    return Deeds(
        [Sent(since_stream(sent.at), sent.fields) for sent in model.received],
        [since_stream(at_s) for stream in call.streams for at_s, _ in stream.clears],
        lines,
        ending,
    )


class _ToldLine(msgspec.Struct):
    role: str
    words: str
    is_cut: bool
    at_s: float


class _Told(msgspec.Struct):
    transcript: list[_ToldLine] = []
    ending: str | None = None


async def _told(url: str, admin_token: str, call_sid: str) -> tuple[list[Line] | None, str]:
    """The transcript and the ending, by the operator API; nothing without its token."""
    if not admin_token:
        return None, ""
    headers = {"Authorization": f"Bearer {admin_token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=5, trust_env=False) as client:
        for _ in range(_TOLD_TRIES):  # the bridge may learn a little later than the carrier that the call is over
            answer = await client.get(f"/api/calls/{call_sid}")
            if answer.status_code != httpx.codes.OK:
                break
            told = msgspec.json.decode(answer.content, type=_Told)
            if told.ending is not None:
                said = [Line(line.role, line.words, line.is_cut) for line in told.transcript if line.words]
                return said, told.ending
            await asyncio.sleep(_TOLD_EVERY_S)
    return None, ""
