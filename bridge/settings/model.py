"""`[model]`: the Realtime endpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bridge.settings.agent import Agent, Frozen, ModelUrl

Provider = Literal["embedded", "openai", "azure", "compatible"]
Dialect = Literal["ga", "beta"]

OPENAI_URL = "wss://api.openai.com/v1/realtime"


class Endpoint(Frozen):
    """`[model.standby]`: a second endpoint, for calls whose first one fails for good or does not come back in time."""

    provider: Provider = "embedded"
    """Who serves the model; `embedded`: this program, offline, for rehearsals."""
    url: ModelUrl = ""
    """WebSocket address; empty: OpenAI's, for `openai`. `azure` and `compatible` need one."""
    api_key: SecretStr = SecretStr("")
    """Key of the endpoint; `embedded` needs none."""
    name: str = "gpt-realtime-2.1"
    """Model, on Azure the deployment."""
    dialect: Dialect = "ga"
    """Shape of events: `beta` only for compatible and old Azure endpoints."""
    organization: str = ""
    """OpenAI organization the call is billed to."""
    project: str = ""
    """OpenAI project the call is billed to."""
    auth_mode: Literal["header", "subprotocol"] = "header"
    """Where the key goes; `subprotocol` for gateways that read it there."""
    extra_query: dict[str, SecretStr] = Field(default_factory=dict)
    """Further query parameters of the address, such as Azure's `api-version`."""
    extra_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Further headers of the handshake."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10
    """How long connecting may take, each time."""


class Model(Endpoint):
    """`[model]`: the Realtime endpoint."""

    restore_within_s: Annotated[float, Field(ge=1, le=120)] = 20
    """How long a call may be without a session, counting every attempt, before the caller hears the fallback."""
    standby: Endpoint | None = None
    """A second endpoint, for calls whose first one fails for good or does not come back in time."""


def model_for(model: Model, agent: Agent) -> Model:
    """The endpoint an agent uses: `[model]`, over it the agent's own `vendor`, `url`, `api_key` and `params.model`.

    A key is never taken to another host: an agent whose `url` is on one must have an `api_key` (checked at start).
    """
    own = {
        "provider": agent.vendor,
        "url": agent.url,
        "api_key": agent.api_key if agent.api_key.get_secret_value() else None,
        "name": agent.params.model,
    }
    return model.model_copy(update={key: value for key, value in own.items() if value})
