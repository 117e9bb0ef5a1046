"""Where the handshake goes and what it carries, for every kind of endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from bridge.settings import Agent, Model, Params
from bridge.wire.endpoint import endpoint

AZURE = "wss://shop.openai.azure.com"


@pytest.mark.parametrize(
    ("model", "url", "headers"),
    [
        pytest.param(
            {"provider": "openai", "api_key": "k"},
            "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1",
            {"Authorization": "Bearer k"},
            id="OpenAI",
        ),
        pytest.param(
            {"provider": "openai", "api_key": "k", "organization": "org-1", "project": "proj_1"},
            "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1",
            {"Authorization": "Bearer k", "OpenAI-Organization": "org-1", "OpenAI-Project": "proj_1"},
            id="OpenAI with organization and project",
        ),
        pytest.param(
            {"provider": "azure", "url": AZURE, "api_key": "k", "name": "my voice"},
            f"{AZURE}/openai/v1/realtime?model=my+voice",
            {"api-key": "k"},
            id="Azure GA",
        ),
        pytest.param(
            {"provider": "azure", "url": f"{AZURE}/openai/v1/", "api_key": "k", "name": "d"},
            f"{AZURE}/openai/v1/realtime?model=d",
            {"api-key": "k"},
            id="Azure GA by the SDK's base URL",
        ),
        pytest.param(
            {"provider": "azure", "url": AZURE, "api_key": "k", "name": "d", "dialect": "beta"},
            f"{AZURE}/openai/realtime?api-version=2025-04-01-preview&deployment=d",
            {"api-key": "k"},
            id="Azure preview",
        ),
        pytest.param(
            {
                "provider": "azure",
                "url": f"{AZURE}/openai/realtime?deployment=other",
                "name": "d",
                "dialect": "beta",
                "extra_query": {"api-version": "2024-10-01-preview"},
                "extra_headers": {"authorization": "Bearer entra"},
            },
            f"{AZURE}/openai/realtime?api-version=2024-10-01-preview&deployment=other",
            {"authorization": "Bearer entra"},
            id="Azure preview with an Entra token",
        ),
        pytest.param(
            {
                "provider": "compatible",
                "url": "wss://voice.example.com",
                "api_key": "k",
                "name": "m",
                "dialect": "beta",
            },
            "wss://voice.example.com/v1/realtime?model=m",
            {"Authorization": "Bearer k", "OpenAI-Beta": "realtime=v1"},
            id="compatible beta",
        ),
        pytest.param(
            {
                "provider": "compatible",
                "url": "wss://voice.example.com/x?intent=a%20b",
                "api_key": "k",
                "name": "m",
                "extra_headers": {"AUTHORIZATION": "Token t", "X-Team": "1"},
            },
            "wss://voice.example.com/x?model=m&intent=a+b",
            {"AUTHORIZATION": "Token t", "X-Team": "1"},
            id="compatible with headers of its own",
        ),
        pytest.param(
            {"url": "ws://127.0.0.1:4000", "name": "m"},
            "ws://127.0.0.1:4000/v1/realtime?model=m",
            {},
            id="embedded",
        ),
    ],
)
def test_bridge_opens_an_endpoint(model: dict[str, Any], url: str, headers: dict[str, str]) -> None:
    """Address, query and headers are those that the provider documents."""
    found = endpoint(Model(**model), Agent())

    assert (url, headers, ()) == (found.url, found.headers, found.subprotocols)


def test_bridge_gives_its_key_as_a_subprotocol() -> None:
    """A gateway that reads credentials from subprotocols gets all of them there and none in headers."""
    model = Model(
        provider="compatible",
        url="wss://voice.example.com",
        api_key=SecretStr("k"),
        organization="org-1",
        project="proj_1",
        dialect="beta",
        auth_mode="subprotocol",
    )

    found = endpoint(model, Agent())

    assert {} == found.headers
    assert (
        "realtime",
        "openai-insecure-api-key.k",
        "openai-organization.org-1",
        "openai-project.proj_1",
        "openai-beta.realtime-v1",
    ) == found.subprotocols


def test_agent_has_an_endpoint_of_its_own() -> None:
    """An agent's vendor, url, key and model go before those of the model's table."""
    agent = Agent(vendor="openai", url="wss://other.example.com", api_key=SecretStr("own"), params=Params(model="m"))

    found = endpoint(Model(provider="azure", url=AZURE, api_key=SecretStr("k"), name="d"), agent)

    assert "wss://other.example.com/v1/realtime?model=m" == found.url
    assert {"Authorization": "Bearer own"} == found.headers


def test_nobody_reads_a_key_in_a_log() -> None:
    """What an endpoint prints of itself has neither the key nor the query."""
    model = Model(
        provider="compatible",
        url="wss://v.example.com/r",
        api_key=SecretStr("s3cret"),
        extra_query={"k": SecretStr("s3cret")},
    )

    assert "s3cret" not in repr(endpoint(model, Agent()))
