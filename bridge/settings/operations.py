"""What is kept of calls, and what several bridges share: `[storage]`, `[shared]`, `[tape]`, and `[rehearsal]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from bridge.settings.addresses import SharedUrl, StorageUrl
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


class Rehearsal(Frozen):
    """`[rehearsal]`: the embedded model."""

    dialogue: Path | None = None
    """What it says, a dialogue file; unset: the one that is shipped."""
