"""`[functions.*]` and `[mcp.*]`: what the model may call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bridge.settings.addresses import HttpUrl, address
from bridge.settings.agent import Frozen, Json


class Collect(Frozen):
    """`[functions.NAME.collect]`: digits that only the function gets: no model, log, tape or transcript."""

    argument: Annotated[str, address(r"\w+", "must be letters, digits and underscores")] = "digits"
    """Name under which the function gets them."""
    prompt: str = ""
    """What the caller is told first, word for word."""
    min_digits: Annotated[int, Field(ge=1, le=64)] = 1
    """Fewest digits that count."""
    max_digits: Annotated[int, Field(ge=1, le=64)] = 32
    """Digits after which no more are waited for."""
    terminator: Literal["#", "*", ""] = "#"
    """Key that ends the entry; empty: none."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20
    """How long the next key is waited for."""


class Function(Frozen):
    """`[functions.NAME]`: a function of the operator's own, by HTTP or in Python."""

    name: str = Field(default="", exclude=True)
    description: str = ""
    """What it does, for the model."""
    url: HttpUrl = ""
    """Where its arguments are posted as JSON; this or `python`."""
    python: Annotated[str, address(r"\w+(\.\w+)*:\w+", "must be of the form package.module:function")] = ""
    """The Python function that is called, `package.module:function`; this or `url`."""
    parameters: Json = Field(default_factory=dict)
    """JSON Schema of its arguments, an object's; of a Python function the type hints give it."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 8
    """How long it may take."""
    filler: str = ""
    """Said when it is slow and the line is quiet."""
    secret: SecretStr = SecretStr("")
    """Signs the request, so that the receiver can trust it."""
    allow_private: bool = False
    """Whether its address may be, or lead to, one of a private network."""
    collect: Collect | None = None
    """Digits the caller is asked for, which only the function sees."""


class Mcp(Frozen):
    """`[mcp.NAME]`: a remote MCP server that the model calls by itself; GA only."""

    name: str = Field(default="", exclude=True)
    server_url: HttpUrl = ""
    """The server's address; this or `connector_id`."""
    connector_id: str = ""
    """A connector of OpenAI's, such as `connector_gmail`; this or `server_url`."""
    description: str = ""
    """What it is for, for the model."""
    authorization: SecretStr = SecretStr("")
    """OAuth token the model's server presents to it."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers the model's server sends it."""
    allowed_tools: tuple[str, ...] = ()
    """Tools that may be used; empty: all."""
