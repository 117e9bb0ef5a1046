"""Where sessions are opened, as one set of settings says."""

from __future__ import annotations

from bridge.endpoints import Endpoints
from bridge.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "model": {
            "provider": "compatible",
            "url": "wss://one.example",
            "api_key": "k",
            "standby": {"provider": "compatible", "url": "wss://two.example", "name": "spare"},
        },
        "agents": {
            "reception": {},
            "sales": {"params": {"model": "other"}},
            "abroad": {"url": "wss://three.example", "api_key": "own"},
        },
    }
)


def address(agent: str, *, standby: bool = False) -> str:
    """Where a session of that agent is opened, asked twice."""
    endpoints = Endpoints(SETTINGS.model)
    name = "standby" if standby else "primary"
    first, again = (endpoints.of(SETTINGS.agents[agent], name) for _ in range(2))  # type: ignore[arg-type] # a literal
    assert first is again
    return first.address.url


def test_agent_s_own_endpoint_and_model_go_before_those_of_all() -> None:
    """No call is led to where another agent's sessions are."""
    urls = [address(agent) for agent in ("reception", "sales", "abroad")]

    assert [
        "wss://one.example/v1/realtime?model=gpt-realtime-2.1",
        "wss://one.example/v1/realtime?model=other",
        "wss://three.example/v1/realtime?model=gpt-realtime-2.1",
    ] == urls


def test_standby_is_the_same_for_every_agent() -> None:
    """It is told by `[model.standby]` alone."""
    urls = {address(agent, standby=True) for agent in SETTINGS.agents}

    assert {"wss://two.example/v1/realtime?model=spare"} == urls
