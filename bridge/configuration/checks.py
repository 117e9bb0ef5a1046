"""Settings that are right one by one and wrong together, or right and worth a remark."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge import standing
from bridge.configuration import keeping, reachability, references
from bridge.configuration.keys import Problem
from bridge.settings import model_for
from bridge.wire import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Agent, Settings

_RETIRED = ("gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview", "gpt-realtime-mini-2025-10-06")
_RETIRING = ("gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-mini", "gpt-realtime-mini-2025-12-15")
_REPLACEMENT = "use gpt-realtime-2.1 or gpt-realtime-2.1-mini"


def problems(settings: Settings) -> list[Problem]:
    """Everything that keeps the bridge from starting with these settings, each with the way out."""
    return [
        *reachability.problems(settings),
        *references.problems(settings),
        *keeping.problems(settings),
        *(Problem(("twiml", situation), message) for situation, message in standing.faults(settings)),
    ]


def notices(settings: Settings) -> list[Problem]:
    """Everything that is accepted and should be known."""
    found = [*_carrier(settings), *_model(settings), *keeping.notices(settings)]
    for name, agent in settings.agents.items():
        found += [Problem(("agents", name, *one.path), one.message) for one in _agent(settings, agent)]
    return found


def _carrier(settings: Settings) -> Iterator[Problem]:
    twilio = settings.twilio
    host = urlsplit(settings.server.public_url).hostname or "localhost"
    if twilio.insecure and not reachability.is_loopback(host):
        message = "believes everybody who comes through a tunnel or a proxy, since they come from this machine"
        yield Problem(("twilio", "insecure"), message)
    if twilio.control == "rest" and twilio.auth_token.get_secret_value() and not twilio.account_sid:
        yield Problem(("twilio", "control"), "cannot be rest without account_sid: action is used")


def _model(settings: Settings) -> Iterator[Problem]:
    model = settings.model
    in_clear = model.provider == "compatible" and urlsplit(model.url).scheme == "ws"
    if in_clear and not reachability.is_loopback(reachability.host_of(model)):
        yield Problem(("model", "url"), "is not encrypted: voices and the key can be read on the way; use wss://")
    if model.provider == "openai" and (message := _age(model.name)):
        yield Problem(("model", "name"), message)


def _agent(settings: Settings, agent: Agent) -> Iterator[Problem]:
    model = model_for(settings.model, agent)
    yield from (Problem(tuple(key.split(".")), message) for key, message in session.check(agent, model))
    if model.provider == "openai" and (message := _age(agent.params.model)):
        yield Problem(("params", "model"), message)
    if model.dialect == "beta" and (servers := [tool for tool in agent.tools if tool in settings.mcp]):
        yield Problem(
            ("tools",), f"name MCP servers, which the beta dialect does not know: without {', '.join(servers)}"
        )
    if "tools" in agent.model_fields_set and "transfer_call" in agent.tools and not settings.destinations:
        yield Problem(("tools",), "name transfer_call, which is not offered as long as there are no [destinations]")


def _age(model: str) -> str:
    """What is known of a model's end. Source: OpenAI's deprecations page, September 2026."""
    if model.startswith(_RETIRED):
        return f"{model} is gone from OpenAI since 2026: {_REPLACEMENT}"
    return f"{model} ends on 2027-01-20 at OpenAI: {_REPLACEMENT}" if model in _RETIRING else ""
