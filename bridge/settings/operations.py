"""What is kept of calls: `[storage]`, `[records]`, `[recording]`, `[tape]`; and `[shared]` and `[rehearsal]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bridge.settings.addresses import HttpUrl, SharedUrl, StorageUrl
from bridge.settings.agent import Frozen


class Storage(Frozen):
    """`[storage]`: where call records go."""

    url: StorageUrl = SecretStr("sqlite:///calls.db")
    """`sqlite:///FILE`, or `postgresql://…` where several bridges run."""


class Shared(Frozen):
    """`[shared]`: where bridges keep what they must agree on."""

    url: SharedUrl = SecretStr("memory://")
    """`memory://`, or `redis://…` where several bridges run."""


class Tape(Frozen):
    """`[tape]`: recordings of what went through the call core."""

    record: bool = False
    """Whether calls are recorded."""
    directory: Path = Path("tapes")
    """Where the tapes go."""
    audio: bool = True
    """Whether they hold the sound."""


class ModelFault(Frozen):
    """`[[rehearsal.faults]]`: something that the embedded model does wrong, to see what callers hear then."""

    kind: Literal[
        "refuse",
        "unconfirmed",
        "formats",
        "drop",
        "stall",
        "fail",
        "empty",
        "silent",
        "nonsense",
        "expire",
    ]
    """What goes wrong; see the embedded server's own page."""
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many connections, one after the other, have this fault."""
    status: Annotated[int, Field(ge=400, le=599)] = 503
    """`refuse`: the HTTP status."""
    code: str = ""
    """`refuse`, `fail`: the error's code; `drop`: the reason of the close."""
    response: Annotated[int, Field(ge=1, le=1000)] = 1
    """From which response of the connection on."""
    responses: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many responses."""
    deltas: Annotated[int, Field(ge=0, le=1000)] = 3
    """`drop`: after how many pieces of an answer; a function call is cut at once."""
    after_s: Annotated[float, Field(gt=0, le=3600)] = 60
    """`expire`: how long a session may last."""


class Rehearsal(Frozen):
    """`[rehearsal]`: the embedded model."""

    dialogue: Path | None = None
    """What it says, a dialogue file; unset: the one that is shipped."""
    faults: tuple[ModelFault, ...] = ()
    """What it does wrong, in the order of its connections; after the last all is well."""


class Records(Frozen):
    """`[records]`: what is kept of calls in `storage.url`, for how long, and who is told when one is over."""

    keep: bool = True
    """Whether records are kept at all."""
    words: bool = True
    """Whether they hold what was said."""
    numbers: Literal["full", "masked", "none"] = "full"
    """Whether they hold who called whom: `masked` keeps the last two digits."""
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = 90
    """How old a record becomes before it is deleted; 0: for ever."""
    webhook_url: HttpUrl = ""
    """Where the record of each call is posted when it is over; empty: nowhere."""
    webhook_secret: SecretStr = SecretStr("")
    """Signs these requests, so that the receiver can trust them."""
    webhook_allow_private: bool = False
    """Whether the receiver may be in a private network."""
    webhook_retry_h: Annotated[float, Field(gt=0, le=720)] = 24
    """How long, in hours, a receiver that does not take a record is asked again."""


class Recording(Frozen):
    """`[recording]`: recordings of calls that the carrier makes and keeps."""

    on: bool = False
    """Whether calls are recorded; needs `twilio.control = "rest"`."""
    consent: str = "This call is recorded."
    """What the carrier tells the caller before anything is recorded; empty: nothing."""
    channels: Literal["dual", "mono"] = "dual"
    """Caller and bot each on a channel of their own, or both on one."""
