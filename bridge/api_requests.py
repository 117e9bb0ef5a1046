"""What the operator API is sent, as checked values; `bridge.outbound.CallRequest` is another."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SayRequest(BaseModel):
    """What `POST …/say` takes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    words: Annotated[str, Field(min_length=1, max_length=2000)]


class TransferRequest(BaseModel):
    """What `POST …/transfer` takes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    destination: str
    summary: Annotated[str, Field(max_length=2000)] = ""
