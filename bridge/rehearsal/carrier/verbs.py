"""What each TwiML verb does to a leg; the longer ones have modules of their own: dial, gather, queues.

A verb returns where to go on, None for the next verb. Sources: Twilio's pages `docs/voice/twiml/*`, one for each verb.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError
from bridge.rehearsal.carrier.dial import dial
from bridge.rehearsal.carrier.flow import Goto, HangUp, Leave
from bridge.rehearsal.carrier.gather import gather
from bridge.rehearsal.carrier.people import Callee
from bridge.rehearsal.carrier.queues import enqueue
from bridge.rehearsal.carrier.stream import MediaStream
from bridge.rehearsal.carrier.webhooks import WebhookError
from bridge.rehearsal.sound import decode_wav, key_tone, tone
from bridge.wire.g711 import BYTES_PER_MS, SILENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.interpreter import Interpreter
    from bridge.rehearsal.carrier.records import Params
    from bridge.rehearsal.carrier.twiml import Document, Verb

_KEY_WAIT_S = {"w": 0.5, "W": 1.0}
_UNREADABLE = tone(440, duration_ms=3000)
"""Stands for sound that Twilio can play and this carrier cannot read, such as MP3."""


async def speak(call: Call, text: str) -> None:
    """Let the carrier's voice say something to a leg."""
    call.told.append(text)
    call.event("carrier.said", text)
    await call.phone.play(await call.carrier.voice(text))


async def _say(interpreter: Interpreter, verb: Verb, _document: Document) -> None:
    interpreter.call.answer()
    for _ in range(max(1, int(verb.number("loop", 1)))):
        await speak(interpreter.call, verb.text)


async def _play(interpreter: Interpreter, verb: Verb, document: Document) -> None:
    call = interpreter.call
    call.answer()
    if verb.get("digits"):
        await _send_digits(call, verb.get("digits"))
        return
    sound = await _fetch_sound(call, document.resolve(verb.text))
    for _ in range(max(1, int(verb.number("loop", 1)))):
        await call.phone.play(sound)


async def _send_digits(call: Call, digits: str) -> None:
    call.event("keys.sent", digits)
    for digit in digits:
        if digit in _KEY_WAIT_S:
            await call.carrier.clock.sleep(_KEY_WAIT_S[digit])
        else:
            call.digits_received += digit
            await call.phone.play(key_tone(digit) + SILENCE * (100 * BYTES_PER_MS), is_voice=False)


async def _fetch_sound(call: Call, url: str) -> bytes:
    """The sound at a URL; nothing where there is none."""
    try:
        answer = await call.carrier.webhooks.request("sound", url, {}, "GET")
    except WebhookError as error:
        call.notice(error.code, str(error))
        return b""
    if not answer.content_type.startswith("audio/"):
        call.notice(12300, f"{url} answered {answer.content_type or 'no content type'}, not audio")
        return b""
    try:
        return decode_wav(answer.body, url)
    except ConfigurationError:
        return _UNREADABLE


async def _pause(interpreter: Interpreter, verb: Verb, _document: Document) -> None:
    await interpreter.call.carrier.clock.sleep(verb.number("length", 1))


async def _connect(interpreter: Interpreter, verb: Verb, document: Document) -> Goto | None:
    call = interpreter.call
    call.answer()
    if not verb.children:
        call.notice(12200, "<Connect> holds no <Stream>")
        return None
    noun = verb.children[0]
    url = noun.get("url")
    if "://" not in url:  # a relative one is the wss twin of where the document came from
        url = document.resolve(url).replace("https://", "wss://", 1)
    try:
        await MediaStream(call, noun, url).run()
    except asyncio.CancelledError:
        interpreter.action(verb, document)
        raise
    return interpreter.action(verb, document)


async def _refer(interpreter: Interpreter, verb: Verb, document: Document) -> Goto | None:
    call = interpreter.call
    call.answer()
    if not verb.children:
        call.notice(12200, "<Refer> holds no <Sip>")
        return None
    target = verb.children[0].text
    call.event("call.referred", target)
    if (call.from_ if call.direction == "inbound" else call.to).startswith(("sip:", "sips:")):
        callee = call.carrier.destinations.get(target, Callee(result="failed"))
        await call.carrier.clock.sleep(callee.after_s)
        params = _refer_result(callee)
    else:
        call.notice(13801, "<Refer> works on SIP legs only")
        params = {"ReferCallStatus": "failed"}
    return interpreter.action(verb, document, params)


def _refer_result(callee: Callee) -> Params:
    status, code = {"answer": ("in-progress", "200"), "busy": ("busy", "486"), "no-answer": ("failed", "408")}.get(
        callee.result, ("failed", "503")
    )
    return {"ReferCallStatus": status, "ReferSipResponseCode": "202", "NotifySipResponseCode": code}


async def _redirect(_interpreter: Interpreter, verb: Verb, document: Document) -> Goto:
    return Goto("redirect", document.resolve(verb.text), verb.get("method", "POST"))


async def _hang_up(interpreter: Interpreter, _verb: Verb, _document: Document) -> None:
    interpreter.call.answer()  # as Twilio does: only <Reject> leaves a call unanswered
    raise HangUp


async def _reject(interpreter: Interpreter, verb: Verb, _document: Document) -> None:
    if interpreter.call.answered_s is not None:
        raise HangUp
    raise HangUp("busy" if verb.get("reason") == "busy" else "no-answer")


async def _leave(_interpreter: Interpreter, _verb: Verb, _document: Document) -> None:
    raise Leave


VERBS: dict[str, Callable[[Interpreter, Verb, Document], Awaitable[Goto | None]]] = {
    "Connect": _connect,
    "Dial": dial,
    "Enqueue": enqueue,
    "Gather": gather,
    "Hangup": _hang_up,
    "Leave": _leave,
    "Pause": _pause,
    "Play": _play,
    "Redirect": _redirect,
    "Refer": _refer,
    "Reject": _reject,
    "Say": _say,
}
