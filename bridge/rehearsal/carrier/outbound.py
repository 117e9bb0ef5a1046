"""Calls that the bridge places by REST: ringing, keys while dialling, machine detection, then the document.

Source: Twilio's pages `docs/voice/api/call-resource` and `docs/voice/answering-machine-detection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.interpreter import Interpreter
from bridge.rehearsal.carrier.people import Callee

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.call import Call, Flow
    from bridge.rehearsal.carrier.flow import Goto
    from bridge.rehearsal.carrier.records import Params


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How an answering machine is looked for.

    Attributes:
        is_async: the document is followed meanwhile, and `callback` hears of the result.
        timeout_s: after that long the result is `unknown`.
    """

    is_async: bool = False
    callback: str = ""
    method: str = "POST"
    timeout_s: float = 30


def placed(call: Call, then: Flow, *, timeout_s: float, digits: str = "", detection: Detection | None = None) -> Flow:
    """What the carrier does with a leg that it rings at: nothing more when nobody answers, otherwise `then`."""

    async def live() -> None:
        if not await call.ring(timeout_s):
            return
        call.digits_received += digits.replace("w", "").replace("W", "")
        if detection is not None and detection.is_async:
            _detect_later(call, detection)
        elif detection is not None:
            await call.carrier.clock.sleep(_needed_s(call, detection))
            call.params |= _found(call, detection)
        await then()

    return live


def following(call: Call, source: Goto | str) -> Flow:
    """What the carrier does with a leg that follows documents from that one on."""
    return lambda: Interpreter(call).follow(source)


def _needed_s(call: Call, detection: Detection) -> float:
    callee = call.person
    return min(callee.detected_after_s if isinstance(callee, Callee) else 0.0, detection.timeout_s)


def _found(call: Call, detection: Detection) -> Params:
    needed_s = _needed_s(call, detection)
    is_known = isinstance(call.person, Callee) and needed_s < detection.timeout_s
    call.answered_by = call.person.answered_by if isinstance(call.person, Callee) and is_known else "unknown"
    call.event("machine.detected", call.answered_by)
    return {"AnsweredBy": call.answered_by, "MachineDetectionDuration": str(int(needed_s * 1000))}


def _detect_later(call: Call, detection: Detection) -> None:
    def report() -> None:
        if not call.is_over:
            found = _found(call, detection)
            params: Params = {"AccountSid": call.carrier.account_sid, "CallSid": call.sid, **found}
            call.carrier.report("machine-detection", detection.callback, params, detection.method, call.sid)

    if not detection.callback:
        call.notice(21262, "AsyncAmd without AsyncAmdStatusCallback: nobody hears of the result")
        return
    call.carrier.clock.call_at(call.carrier.clock.now() + _needed_s(call, detection), report)
