"""`<Gather>`: prompts, and the keys a caller presses meanwhile or after. Speech input is not simulated.

Source: Twilio's page `docs/voice/twiml/gather`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.flow import Goto
    from bridge.rehearsal.carrier.interpreter import Interpreter
    from bridge.rehearsal.carrier.twiml import Document, Verb


class _Keys:
    """Collects keys while it is the call's outlet."""

    def __init__(self, call: Call) -> None:
        self.pressed: asyncio.Queue[str] = asyncio.Queue()
        self._call = call

    def __enter__(self) -> Self:
        self._call.phone.outlet = self
        return self

    def __exit__(self, *_: object) -> None:
        if self._call.phone.outlet is self:
            self._call.phone.outlet = None

    def frame(self, sound: bytes, index: int) -> None:
        """Nobody listens to the caller's voice."""

    def key(self, digit: str) -> None:
        """Keep a key."""
        self.pressed.put_nowait(digit)


async def gather(interpreter: Interpreter, verb: Verb, document: Document) -> Goto | None:
    """Play what stands inside and collect keys; with any, or `actionOnEmptyResult`, the action takes over."""
    call = interpreter.call
    call.answer()
    if "speech" in verb.get("input", "dtmf"):
        call.notice(12200, "<Gather input> with speech is not simulated: only keys are gathered")
    with _Keys(call) as keys:
        digits = await _collect(interpreter, verb, document, keys)
    if not digits and not verb.flag("actionOnEmptyResult"):
        return None
    call.event("keys.gathered", digits)
    # Without an action the current document is asked for again.
    target = verb if verb.get("action") else _with_action(verb, document.url)
    return interpreter.action(target, document, {"Digits": digits, "msg": "Gather End"})


async def _collect(interpreter: Interpreter, verb: Verb, document: Document, keys: _Keys) -> str:
    most, timeout_s = verb.number("numDigits", float("inf")), verb.number("timeout", 5)
    prompts = asyncio.ensure_future(_prompt(interpreter, verb, document))
    digits = ""
    try:
        while len(digits) < most:
            key = await _next_key(interpreter, keys, prompts, timeout_s)
            if key is None or key == verb.get("finishOnKey", "#"):
                break
            digits += key
    finally:
        prompts.cancel()
        await asyncio.wait((prompts,))
    return digits


async def _prompt(interpreter: Interpreter, verb: Verb, document: Document) -> None:
    for each in verb.children:
        await interpreter.perform(each, document)


async def _next_key(
    interpreter: Interpreter, keys: _Keys, prompts: asyncio.Future[None], timeout_s: float
) -> str | None:
    """The next key; None when none comes in time, which runs from the end of the prompts. A key stops them."""
    key = asyncio.ensure_future(keys.pressed.get())
    try:
        await asyncio.wait((key, prompts), return_when=asyncio.FIRST_COMPLETED)
        if key.done():
            prompts.cancel()
            return key.result()
        with contextlib.suppress(TimeoutError):
            async with interpreter.call.carrier.clock.timeout(timeout_s):
                return await key
        return None
    finally:
        key.cancel()


def _with_action(verb: Verb, url: str) -> Verb:
    return type(verb)(verb.name, verb.attributes | {"action": url}, verb.text, verb.children)
