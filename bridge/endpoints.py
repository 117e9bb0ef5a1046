"""Where sessions are opened by one set of settings, worked out once for all calls that go by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.settings import model_for
from bridge.wire.endpoint import address_of

if TYPE_CHECKING:
    from bridge.call.plan import EndpointName
    from bridge.settings import Agent, Endpoint, Model
    from bridge.wire.endpoint import Endpoint as Address


@dataclass(frozen=True)
class Site:
    """An endpoint as an agent uses it."""

    settings: Endpoint
    address: Address


class Endpoints:
    """The endpoints of `[model]`, with what agents have of their own in place of it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._sites: dict[tuple[object, ...], Site] = {}
        """As many as there are agents, of the settings and of what other bridges hand over."""

    def of(self, agent: Agent, name: EndpointName) -> Site:
        """Where a session of this agent is opened. The standby is the same for all; without one it is the first."""
        standby = self._model.standby if name == "standby" else None
        own = () if standby is not None else (agent.vendor, agent.url, agent.api_key, agent.params.model)
        site = self._sites.get(own)
        if site is None:
            settings = standby or model_for(self._model, agent)
            site = self._sites[own] = Site(settings, address_of(settings))
        return site
