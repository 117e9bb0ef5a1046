"""Makes the plan of a call: the agent with the call's variables, its functions, and where it may be transferred to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bridge.call.plan import Colleague, Plan, Tariff
from bridge.call.tools import tools_of
from bridge.endpoints import Endpoints
from bridge.template import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.call.plan import CallInfo, Outgoing
    from bridge.edge.functions import FunctionRunner
    from bridge.settings import Agent, Json, Settings


class Planner:
    """Makes plans by the settings; for each, first `variables`, which may take seconds, then `plan`.

    Args:
        settings: the configuration.
        functions: runs `before_call`, and knows what the operator's functions take.
        hold_clip: what a caller hears while a lost session is replaced: see `Plan`.

    Attributes:
        endpoints: where these calls open their sessions.
    """

    def __init__(self, settings: Settings, functions: FunctionRunner, hold_clip: str = "") -> None:
        self.endpoints = Endpoints(settings.model)
        self._settings = settings
        self._functions = functions
        self._hold_clip = hold_clip
        self._schemas = functions.schemas
        self._outlines: dict[tuple[str, bool], Plan] = {}

    async def variables(self, info: CallInfo) -> dict[str, str]:
        """What the agent's `before_call` knows about the call; nothing when there is none, or it fails."""
        before_call = self._settings.agents[info.agent].before_call
        return await self._functions.run_before_call(info, before_call) if before_call else {}

    def plan(
        self,
        info: CallInfo,
        variables: Mapping[str, str],
        *,
        by_sip: bool = False,
        outgoing: Outgoing | None = None,
        is_primary_down: bool = False,
    ) -> Plan:
        """The plan of one call.

        Args:
            info: who, whom, and which agent.
            variables: fill instructions and greeting in, besides `from`, `to` and the call's own parameters.
            by_sip: whether the other side came, or is called, by SIP: only then it can be referred.
            outgoing: of a call that the bridge places.
            is_primary_down: whether its session is to be opened at the standby first.
        """
        values = {**info.parameters, "from": info.from_number, "to": info.to_number, **variables}
        key = info.agent, by_sip
        outline = self._outlines.get(key)
        if outline is None:
            outline = self._outlines[key] = self._outline(info.agent, by_sip=by_sip)
        colleagues = {
            name: Colleague(_filled(one.agent, values), one.tools) for name, one in outline.colleagues.items()
        }
        return msgspec.structs.replace(
            outline,
            call_sid=info.call_sid,
            agent=_filled(outline.agent, values),
            colleagues=colleagues,
            info=info,
            outgoing=outgoing,
            is_primary_down=is_primary_down,
        )

    def _outline(self, name: str, *, by_sip: bool) -> Plan:
        """What is the same in the plans of all calls that begin with this agent: worked out for the first of them."""
        settings, standby = self._settings, self._settings.model.standby
        agent = settings.agents[name]
        own = self.endpoints.of(agent, "primary").settings
        colleagues = {
            other: Colleague(settings.agents[other], self._tools(settings.agents[other], by_sip=by_sip))
            for other in _reachable(settings.agents, name)
        }
        tools = {tool for one in (agent, *(colleague.agent for colleague in colleagues.values())) for tool in one.tools}
        transcription = agent.input_audio_transcription
        return Plan(
            call_sid="",
            agent=agent,
            dialect=own.dialect,
            standby_dialect=standby.dialect if standby is not None else None,
            restore_within_s=settings.model.restore_within_s,
            hold_clip=self._hold_clip,
            tools=self._tools(agent, by_sip=by_sip),
            functions=frozenset(tools & settings.functions.keys()),
            destinations=settings.destinations,
            fillers={name: function.filler for name, function in settings.functions.items() if function.filler},
            collects={name: f.collect for name, f in settings.functions.items() if f.collect is not None},
            colleagues=colleagues,
            claim_within_s=settings.limits.token_ttl_s,
            max_call_s=settings.limits.max_call_s,
            warn_before_s=settings.limits.warn_before_s,
            price=_price(settings, own.name),
            transcription_price=_price(settings, transcription.model if transcription is not None else ""),
            max_cost=settings.limits.max_cost,
        )

    def adopted(self, plan: Plan) -> Plan:
        """A plan that another bridge has made, with what it does not tell: keys and destinations are our own."""
        settings = self._settings
        colleagues = {
            name: Colleague(_with_key(one.agent, settings.agents.get(name)), one.tools)
            for name, one in plan.colleagues.items()
        }
        return msgspec.structs.replace(
            plan,
            agent=_with_key(plan.agent, settings.agents.get(plan.info.agent)),
            colleagues=colleagues,
            destinations=settings.destinations,
        )

    def _tools(self, agent: Agent, *, by_sip: bool) -> tuple[Json, ...]:
        return tools_of(agent, self._settings, self._schemas, caller_by_sip=by_sip)


def _price(settings: Settings, model: str) -> Tariff | None:
    price = settings.prices.get(model)
    return Tariff(**price.model_dump()) if price is not None else None


def _reachable(agents: Mapping[str, Agent], first: str) -> list[str]:
    """Whom a conversation that begins with this agent may get to, over however many others; perhaps back to them."""
    found = list(agents[first].hand_over_to)
    for name in found:  # grows meanwhile
        found += [other for other in agents[name].hand_over_to if other not in found]
    return found


def _with_key(agent: Agent, own: Agent | None) -> Agent:
    return agent if own is None else agent.model_copy(update={"name": own.name, "api_key": own.api_key})


def _filled(agent: Agent, values: Mapping[str, str]) -> Agent:
    """The agent with its variables filled in for one call."""
    texts = {key: fill(getattr(agent, key), values) for key in ("instructions", "greeting_message")}
    return agent.model_copy(update=texts)
