"""Who is on the telephone: the person who calls, and the persons whom a call can be passed on to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bridge.rehearsal.line import Line

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.call import Call

Script = Callable[["Call"], Awaitable[object]]
"""What a person does, from the moment the telephone is in the hand: an async function of the call.

It is cancelled when the call ends; when it returns, the call goes on."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A person with a telephone.

    Attributes:
        script: what the person does; None: says nothing and stays on the line.
        line: how the person's line is.
        audible_keys: whether the tones of pressed keys can be heard in the sound too, as on an old telephone.
    """

    script: Script | None = None
    line: Line = field(default_factory=Line)
    audible_keys: bool = False


@dataclass(frozen=True, kw_only=True)
class Callee(Caller):
    """A person who is called.

    Attributes:
        result: what comes of ringing there.
        after_s: how long it rings before that; a `no-answer` rings until the carrier gives up.
        answered_by: what machine detection finds: `human`, `machine_start`, `machine_end_beep`, `machine_end_silence`,
            `machine_end_other`, `fax` or `unknown`.
        detected_after_s: how long after the answer machine detection knows.
    """

    result: Literal["answer", "busy", "no-answer", "failed"] = "answer"
    after_s: float = 2.0
    answered_by: str = "human"
    detected_after_s: float = 3.0
