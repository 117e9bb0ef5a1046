"""Whether the bridge can be reached safely and can reach its model: server, carrier, endpoints."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.configuration.keys import Problem
from bridge.settings import OPENAI_URL, model_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Agent, Endpoint, Model, Settings

_OPENAI_HOST = urlsplit(OPENAI_URL).hostname


def problems(settings: Settings) -> Iterator[Problem]:
    """Everything about addresses, keys and ports that keeps the bridge from starting."""
    yield from _server(settings)
    yield from _media(settings)
    yield from _twilio(settings)
    yield from _endpoints(settings)
    yield from _headers(settings.model)
    yield from _standby(settings.model)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(model: Endpoint) -> str:
    """The host of an endpoint; nowhere as long as it has no address."""
    return urlsplit(model.url or (OPENAI_URL if model.provider == "openai" else "")).hostname or "nowhere"


def _server(settings: Settings) -> Iterator[Problem]:
    url = urlsplit(settings.server.public_url)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield Problem(("server", "public_url"), "must be https: Twilio sends callers' data there")


def _media(settings: Settings) -> Iterator[Problem]:
    server = settings.server
    if server.media_port and server.media_port <= server.port < server.media_port + server.workers:
        yield Problem(("server", "media_port"), "must leave server.port free: worker i listens on media_port + i")
    if server.media_url and not server.media_port:
        yield Problem(("server", "media_url"), "is the address of a media port: set server.media_port too")
    if server.workers > 1 and not server.media_port:
        yield Problem(("server", "workers"), "need a media port each: set server.media_port, or one worker")
    if server.workers > 1 and server.media_url and "{worker}" not in server.media_url:
        yield Problem(("server", "media_url"), "must contain {worker}, so that a call's sound finds its worker")


def _twilio(settings: Settings) -> Iterator[Problem]:
    server = settings.server
    twilio = settings.twilio
    if twilio.insecure and not is_loopback(server.host):
        yield Problem(
            ("twilio", "insecure"), "is allowed on loopback only: set server.host to 127.0.0.1, or auth_token"
        )
    if twilio.insecure or twilio.auth_token.get_secret_value():
        return
    if server.public_url or not is_loopback(server.host):
        way_out = "set it (TWILIO_AUTH_TOKEN), or listen on loopback without server.public_url for rehearsals"
        yield Problem(
            ("twilio", "auth_token"), f"is missing, and without it nobody can tell Twilio from others: {way_out}"
        )


def _endpoints(settings: Settings) -> Iterator[Problem]:
    """What is wrong with `[model]` or, where an agent has an endpoint of its own, with the agent's."""
    model = settings.model
    if not all(_has_own_endpoint(agent) for agent in settings.agents.values()):
        yield from (Problem(("model", key), message) for key, message in _endpoint(model))
        if model.provider == "azure" and "name" not in model.model_fields_set:
            yield Problem(("model", "name"), "is missing: Azure needs the name of your deployment")
    for name, agent in settings.agents.items():
        if _has_own_endpoint(agent):
            for key, message in (*_own_endpoint(model, agent), *_endpoint(model_for(model, agent))):
                place = ("agents", name, key) if key in type(agent).model_fields else ("model", key)
                yield Problem(place, message)


def _standby(model: Model) -> Iterator[Problem]:
    """What is wrong with the second endpoint, and with the time that there is for both."""
    standby = model.standby
    for endpoint, path in ((model, ("model",)), (standby, ("model", "standby"))):
        if endpoint is not None and endpoint.connect_timeout_s > model.restore_within_s:
            way_out = f"lower it, or raise model.restore_within_s ({model.restore_within_s:g})"
            yield Problem((*path, "connect_timeout_s"), f"is longer than a call waits for a session at all: {way_out}")
    if standby is None:
        return
    if standby.provider == "embedded":
        yield Problem(("model", "standby", "provider"), "must be openai, azure or compatible: embedded only rehearses")
    yield from (Problem(("model", "standby", key), message) for key, message in _endpoint(standby))
    if standby.provider == "azure" and "name" not in standby.model_fields_set:
        yield Problem(("model", "standby", "name"), "is missing: Azure needs the name of your deployment")
    for found in _headers(standby):
        yield Problem(("model", "standby", *found.path[1:]), found.message)


def _headers(model: Endpoint) -> Iterator[Problem]:
    for key, value in (("organization", model.organization), ("project", model.project)):
        if not _is_header_value(value):
            yield Problem(("model", key), "must be one line without spaces")
    for key, table in (("extra_headers", model.extra_headers), ("extra_query", model.extra_query)):
        for name, secret in table.items():
            if not re.fullmatch(r"[\w.-]+", name) or not re.fullmatch(r"[\x20-\x7e]*", secret.get_secret_value()):
                yield Problem(("model", key, name), "must have a plain name and one line of ASCII text")


def _has_own_endpoint(agent: Agent) -> bool:
    return bool(agent.vendor or agent.url or agent.api_key.get_secret_value())


def _own_endpoint(model: Model, agent: Agent) -> Iterator[tuple[str, str]]:
    own = model_for(model, agent)
    if agent.url and own.provider == "embedded":
        yield "url", "needs to know who serves it: set vendor (openai, azure), or model.provider"
    elif not agent.api_key.get_secret_value() and model.api_key.get_secret_value() and host_of(own) != host_of(model):
        yield "api_key", f"is missing: that of [model] is for {host_of(model)} and goes to no other host"


def _endpoint(model: Endpoint) -> Iterator[tuple[str, str]]:
    key = model.api_key.get_secret_value()
    if model.provider == "embedded":
        return
    if not model.url and model.provider != "openai":
        yield "url", f"is missing: {model.provider} needs the address of your endpoint"
    if model.provider != "compatible" and urlsplit(model.url).scheme == "ws" and not is_loopback(host_of(model)):
        yield "url", "must begin with wss://"
    if model.dialect == "beta" and (model.provider == "openai" or host_of(model) == _OPENAI_HOST):
        yield "dialect", "OpenAI ended the beta dialect on 2026-05-12: use ga (or provider compatible, for others)"
    if not _is_header_value(key):
        yield "api_key", "must be one line without spaces"
    if model.auth_mode == "subprotocol" and model.provider == "azure":
        yield "auth_mode", "must be header: Azure takes the key nowhere else"
    if not key and model.provider in ("openai", "azure") and not _has_other_credential(model):
        yield "api_key", "is missing" + (": set it, or OPENAI_API_KEY" if model.provider == "openai" else "")


def _has_other_credential(model: Endpoint) -> bool:
    return bool({name.lower() for name in [*model.extra_headers, *model.extra_query]} & {"authorization", "api-key"})


def _is_header_value(text: str) -> bool:
    return re.fullmatch(r"[\x21-\x7e]*", text) is not None
