"""The TwiML documents we answer with. Pure: values in, XML text out, built by the twilio library.

Each function is one situation of a call; `docs/twiml.md` says when each is sent. The library escapes what XML reserves
but lets through characters that XML cannot hold at all, for which Twilio refuses a document as a whole (error 12100);
they are removed here from every text that a caller or a model may have had a hand in.

Whatever breaks one of Twilio's rules raises ValueError: it is our own fault, found before the caller hears it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from twilio.twiml.voice_response import VoiceResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

INLINE_MAX_CHARACTERS = 4000
"""The longest document that may be sent inside a REST request (Twilio `docs/api/errors/32018`)."""

SAY_MAX_CHARACTERS = 3000
"""The longest text of one `<Say>` that every kind of voice speaks (Twilio `docs/api/errors/13521`)."""

_PARAMETER_MAX_CHARACTERS = 499  # name and value together: under 500 (Twilio `docs/voice/twiml/stream`)
_QUEUE_NAME_MAX_CHARACTERS = 64  # Twilio `docs/voice/twiml/enqueue`
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
_IN_ATTRIBUTES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_PLACE = "\0"
"""Stands for the value of a parameter: what is no character of XML is in no text of a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A media stream to open.

    Raises:
        ValueError: Twilio would refuse the stream or lose part of it.
    """

    url: str
    """Absolute `wss` URL without a query, which Twilio does not pass on."""

    token: str
    """Travels as the parameter `token` and arrives in `start.customParameters`."""

    action: str
    """What Twilio requests when the socket has been closed by us; its answer goes on with the call."""

    status_callback: str = ""
    """Absolute URL that is told when the stream starts, stops or fails."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """Further parameters; name and value of each together under 500 characters."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"wss://[^\s?#]+", self.url):
            raise ValueError(f"A <Stream url> must be wss:// without query or fragment, not {self.url!r}.")
        if not self.action or not self.token or "token" in self.parameters:
            raise ValueError("A stream needs an action and a token, and no other parameter may be called token.")
        for name, value in self.parameters.items() | {("token", self.token)}:
            if len(name) + len(value) > _PARAMETER_MAX_CHARACTERS:
                raise ValueError(
                    f"The stream parameter {name} is too long: name and value must stay under 500 characters."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """Somebody to dial."""

    to: str
    """An E.164 number, a `sip:` URI or `client:name`."""

    timeout_s: int | None = None
    """How long it may ring, 5 to 600; Twilio adds 5 s. None: its default, 30."""

    caller_id: str = ""
    """A number of the account, a verified one, or the call's own From or To; empty: the caller's."""

    whisper_url: str = ""
    """A document that only the callee hears, before the two are connected."""

    answered_url: str = ""
    """Told, as a call's status callback is, when the callee has picked up."""


def connect_stream(stream: Stream, say: str = "") -> str:
    """Open the media stream, after a sentence of the carrier's voice if there is one; also how a call comes back.

    Verbs after `<Connect action>` would never run.
    """
    values = {"token": stream.token, **stream.parameters}
    first, *others = _connecting(stream.url, stream.action, stream.status_callback, tuple(values), say)
    filled = (_attribute(value) + part for value, part in zip(values.values(), others, strict=True))
    return first + "".join(filled)


def play_digits(digits: str, stream: Stream) -> str:
    """Send tones to the far end, then open the stream again; `w` waits half a second (`docs/voice/twiml/play`)."""
    if not re.fullmatch(r"[0-9*#wW]+", digits):
        raise ValueError("Digits to send are 0-9, *, # and w for a pause of half a second.")
    response = VoiceResponse()
    response.play(digits=digits)
    parameters = {"token": stream.token, **stream.parameters}
    cleaned = {name: _text(value) for name, value in parameters.items()}
    _connect(response, stream.url, stream.action, stream.status_callback, cleaned)
    return _xml(response)


def dial(callee: Callee, *, action: str) -> str:
    """Hand the call over; `action` is requested when the callee's leg is over, however it went."""
    response = VoiceResponse()
    _dial(response, callee, action=action)
    return _xml(response)


def fallback(say: str, callee: Callee | None = None) -> str:
    """Speak one sentence, then dial or hang up; needs nothing else of ours, so there is no `action`."""
    response = VoiceResponse()
    _say(response, say)
    if callee:
        _dial(response, callee)
    response.hangup()
    return _xml(response)


def dial_element(callee: Callee) -> ET.Element:
    """The verb that hands a call over, without `action`: for a document that needs nothing else of ours."""
    response = VoiceResponse()
    _dial(response, callee)
    return ET.fromstring(_xml(response))[0]  # noqa: S314 - made here, just now


def hang_up(say: str = "") -> str:
    """End the call, after a last sentence if there is one."""
    response = VoiceResponse()
    _say(response, say)
    response.hangup()
    return _xml(response)


def reject(reason: Literal["rejected", "busy"] = "rejected") -> str:
    """Refuse a call without answering it, so that nobody pays for it; only as the first answer of an inbound call."""
    response = VoiceResponse()
    response.reject(reason=reason)
    return _xml(response)


def enqueue(queue: str, *, action: str) -> str:
    """Put the caller into a queue of the account, which is made if it does not exist; Twilio plays its own music."""
    if not 0 < len(queue) <= _QUEUE_NAME_MAX_CHARACTERS:
        raise ValueError(f"A queue's name has 1 to {_QUEUE_NAME_MAX_CHARACTERS} characters, not {len(queue)}.")
    response = VoiceResponse()
    response.enqueue(_text(queue), action=action)
    return _xml(response)


def enqueue_task(workflow_sid: str, attributes: Mapping[str, object], *, action: str) -> str:
    """Put the caller before the contact centre's workflow, with what was learnt so far as the task's attributes.

    Source: Twilio `docs/taskrouter/twiml-queue-calls`. Agents see the attributes; workflows route by them.
    """
    if not re.fullmatch(r"WW[0-9a-fA-F]{32}", workflow_sid):
        raise ValueError(f"A workflow is named by its SID, WW and 32 hexadecimal digits, not {workflow_sid!r}.")
    response = VoiceResponse()
    response.enqueue(None, workflow_sid=workflow_sid, action=action).task(json.dumps(attributes))
    return _xml(response)


def refer(sip_uri: str, *, action: str) -> str:
    """Send a caller who came by SIP elsewhere; any other call cannot be referred (`docs/voice/twiml/refer`)."""
    if not re.fullmatch(r"sips?:\S+", sip_uri):
        raise ValueError("Only a sip: URI can be the target of a REFER.")
    response = VoiceResponse()
    response.refer(action=action).sip(sip_uri)
    return _xml(response)


def wait_in_conference(name: str, *, action: str) -> str:
    """Let the caller of a warm transfer wait with music until the callee joins; `action` follows when it is over.

    Names are shared by the whole account, so use the CallSid.
    """
    return _conference(name, start=False, action=action)


def join_conference(name: str) -> str:
    """Bring the callee, who has accepted, to the waiting caller; when either leaves, both are done."""
    return _conference(name, start=True, action=None)


def whisper(text: str) -> str:
    """Tell the callee who is coming; the two are connected when the text ends."""
    response = VoiceResponse()
    _say(response, text)
    return _xml(response)


def ask_to_accept(text: str, *, action: str, timeout_s: int) -> str:
    """Tell the callee who is coming and wait for one key, which `action` gets as `Digits`; no key in time: hang up.

    Any key is passed on, `#` too, and a machine presses none.
    """
    response = VoiceResponse()
    gather = response.gather(input="dtmf", num_digits=1, finish_on_key="", timeout=timeout_s, action=action)
    _say(gather, text)
    response.hangup()
    return _xml(response)


def accept() -> str:
    """The callee of a `<Dial>` has accepted: an empty document, whose end connects the two."""
    return _xml(VoiceResponse())


def inline(document: str) -> str:
    """A document as a REST request may carry it.

    Raises:
        ValueError: it is longer than Twilio takes; redirect to a URL instead.
    """
    if len(document) > INLINE_MAX_CHARACTERS:
        raise ValueError(
            f"A TwiML document in a REST request has at most {INLINE_MAX_CHARACTERS} characters: redirect to a URL."
        )
    return document


@lru_cache(maxsize=64)
def _connecting(url: str, action: str, status_callback: str, names: tuple[str, ...], say: str) -> list[str]:
    """The document of a stream, cut where the values of its parameters belong.

    All calls have the same but for these values, and making one costs more than all the rest of an answer.
    """
    response = VoiceResponse()
    _say(response, say)
    _connect(response, url, action, status_callback, dict.fromkeys(names, _PLACE))
    return _xml(response).split(_PLACE)


def _connect(
    response: VoiceResponse, url: str, action: str, status_callback: str, parameters: Mapping[str, str]
) -> None:
    noun = response.connect(action=action).stream(
        url=url, track="inbound_track", status_callback=status_callback or None
    )
    for name, value in parameters.items():
        noun.parameter(name=name, value=value)


def _dial(response: VoiceResponse, callee: Callee, action: str | None = None) -> None:
    verb = response.dial(action=action, timeout=callee.timeout_s, caller_id=callee.caller_id or None)
    more = {"url": callee.whisper_url or None}
    if callee.answered_url:
        more |= {"status_callback": callee.answered_url, "status_callback_event": "answered"}
    if callee.to.startswith("sip:"):
        verb.sip(callee.to, **more)
    elif callee.to.startswith("client:"):
        verb.client(callee.to.removeprefix("client:"), **more)
    elif re.fullmatch(r"\+[0-9]{2,15}", callee.to):
        verb.number(callee.to, **more)
    else:
        raise ValueError("A callee is an E.164 number, a sip: URI or client:name.")


def _conference(name: str, *, start: bool, action: str | None) -> str:
    response = VoiceResponse()
    response.dial(action=action).conference(
        name, start_conference_on_enter=start, end_conference_on_exit=True, beep=False
    )
    return _xml(response)


def _say(parent: VoiceResponse, text: str) -> None:
    """Add what fits of `text`, cut between two words; an empty `<Say>` is an error, so it is left out."""
    if spoken := _text(text).strip():
        parent.say(spoken if len(spoken) <= SAY_MAX_CHARACTERS else spoken[:SAY_MAX_CHARACTERS].rsplit(None, 1)[0])


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("", text)


def _attribute(text: str) -> str:
    """A text as it stands between the quotes of an attribute, where XML would make a space of a line's end."""
    return escape(_text(text), _IN_ATTRIBUTES)


def _xml(response: VoiceResponse) -> str:
    return str(response.to_xml())
