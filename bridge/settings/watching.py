"""`[log]` and `[otel]`: how the bridge is watched, besides `/metrics`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bridge.settings.addresses import HttpUrl
from bridge.settings.agent import Frozen


class Log(Frozen):
    """`[log]`: what is written about calls, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on; `debug` adds lines for each turn. Of other people's code only warnings are written."""
    format: Literal["auto", "json", "text"] = "auto"
    """`text` for people, `json` for machines; `auto`: text on a terminal."""
    words: bool = False
    """Whether what is said is written, too: the log is then as private as a recording."""


class Otel(Frozen):
    """`[otel]`: traces by OpenTelemetry, one span for each call; needs the extra `otel`."""

    endpoint: HttpUrl = ""
    """Where they go, by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`; empty: nowhere."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers of the export, such as a key."""
    service_name: Annotated[str, Field(min_length=1)] = "voicebridge"
    """What this bridge is called there."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the calls that are traced."""
