"""Where a Realtime endpoint is and how one proves oneself there: URL, headers, subprotocols of the handshake.

Source: the `openai` package (`resources/realtime`, `lib/azure`) and Microsoft's realtime audio reference. The beta
header goes to beta endpoints only: OpenAI's own server refuses it since 2026-05-12 and closes with 4000.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from bridge.settings import OPENAI_URL, model_for

if TYPE_CHECKING:
    from bridge.settings import Agent, Model
    from bridge.settings import Endpoint as Settings

AZURE_PREVIEW = "2025-04-01-preview"
"""The api-version of Azure's beta endpoint, unless `extra_query` names another."""

_PATHS = {"azure": {"ga": "/openai/v1/realtime", "beta": "/openai/realtime"}}
_PATH = {"ga": "/v1/realtime", "beta": "/v1/realtime"}


@dataclass(frozen=True)
class Endpoint:
    """What the handshake needs. Its `repr` shows the address without the query; nothing here belongs in a log."""

    address: str
    """The URL without its query."""
    url: str = field(repr=False)
    """The URL as it is opened."""
    headers: dict[str, str] = field(repr=False)
    subprotocols: tuple[str, ...] = field(repr=False)


def endpoint(model: Model, agent: Agent) -> Endpoint:
    """The endpoint an agent's session is opened at; its own url, key and model go before those of `[model]`."""
    return address_of(model_for(model, agent))


def address_of(model: Settings) -> Endpoint:
    """The endpoint as its settings say.

    A URL without a path gets the provider's, and one that ends in `/v1`, as the SDKs want it, `/realtime`. Parameters
    in the URL stay; `extra_query` and `extra_headers` have the last word. For `embedded`, `model.url` must have been
    set to where the embedded server listens.
    """
    parts = urlsplit(model.url or OPENAI_URL)
    path = parts.path.rstrip("/") or _PATHS.get(model.provider, _PATH)[model.dialect]
    path += "/realtime" if path.endswith("/v1") else ""
    query = _query(model) | dict(parse_qsl(parts.query, keep_blank_values=True))
    query |= {key: value.get_secret_value() for key, value in model.extra_query.items()}
    address = f"{parts.scheme}://{parts.netloc}{path}"
    return Endpoint(address, f"{address}?{urlencode(query)}", _headers(model), _subprotocols(model))


def _query(model: Settings) -> dict[str, str]:
    if model.provider == "azure" and model.dialect == "beta":
        return {"api-version": AZURE_PREVIEW, "deployment": model.name}
    return {"model": model.name}


def _headers(model: Settings) -> dict[str, str]:
    headers: dict[str, str] = {}
    key = model.api_key.get_secret_value()
    if model.provider == "azure":
        headers["api-key"] = key
    elif model.auth_mode == "header":
        headers["Authorization"] = f"Bearer {key}" if key else ""
        headers["OpenAI-Organization"] = model.organization
        headers["OpenAI-Project"] = model.project
        headers["OpenAI-Beta"] = "realtime=v1" if model.dialect == "beta" else ""
    extra = {name: value.get_secret_value() for name, value in model.extra_headers.items()}
    replaced = {name.lower() for name in extra}
    return {name: value for name, value in headers.items() if value and name.lower() not in replaced} | extra


def _subprotocols(model: Settings) -> tuple[str, ...]:
    """The browser's way: credentials as subprotocols, for gateways that look for them there."""
    if model.auth_mode == "header" or model.provider == "azure":
        return ()
    credentials = {
        "openai-insecure-api-key.": model.api_key.get_secret_value(),
        "openai-organization.": model.organization,
        "openai-project.": model.project,
        "openai-beta.": "realtime-v1" if model.dialect == "beta" else "",
    }
    return ("realtime", *(f"{prefix}{value}" for prefix, value in credentials.items() if value))
