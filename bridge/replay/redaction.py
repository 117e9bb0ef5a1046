"""A tape without numbers, words and voice that still is the same call: lengths, times, ids and decisions stay.

What is kept is listed here, everything else goes: a letter becomes `x`, a digit `0`, sound a tone where there was
some and silence where there was none. The names of functions and destinations and the keys of their arguments stay,
since decisions hang on them. The bridge's own ear cannot judge tones, so a redacted tape is replayed by the ear's
verdicts that are on it.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from bridge.replay.inputs import message_of
from bridge.replay.plans import plan_of
from bridge.settings import BUILT_IN_TOOLS
from bridge.wire import caller, model, tape
from bridge.wire.g711 import FRAME_BYTES, SILENCE
from bridge.wire.levels import magnitude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.wire.tape import Header, Input

_AUDIBLE = 46.0
"""Of 8192: some 45 dB below full scale."""
_TONE = (b"\x9f" * 20 + b"\x1f" * 20) * 4
"""20 ms of 200 Hz."""

_NAMES = """
    type event object status role encoding track code reason kind do ending mode dialect param eagerness
    language model voice format model_name modality outcome order cause what path effort delay style vendor
    truncation tracing tool_choice scope sound input_audio_format output_audio_format terminator
    answered_by on_machine
"""
"""Fields whose values are from a vocabulary, not from people; they stay if they look like it."""
_WORDS = """
    instructions greeting_message content prompt keywords description announce say words transcript text delta
    output message metadata variables url api_key authorization headers to caller_id title summary before_call
    fillers
"""
"""Fields whose values are somebody's words or addresses, even where they look like a name from a vocabulary."""
_NAME_FIELDS, _WORD_FIELDS = frozenset(_NAMES.split()), frozenset(_WORDS.split())
_VOCABULARY = re.compile(r"(?!.*\d{4})[A-Za-z0-9_.:/#*+-]{1,64}")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_OWN_ID = re.compile(r"[a-z]+-\d{1,9}|\d{1,9}\.\d{1,9}")
"""Ids that the call core makes, of events and of marks."""
_ID_NAMES = re.compile(r"(?:.*_)?id|.*[sS]id|wish")
_ID_KIND = re.compile(r"[a-z]{2,5}_|CA|MZ|AC|")
_NUMBERS = re.compile(
    r".*(?:_ms|_s|_index|_tokens|_bytes|_at)|at|bytes|lost|timestamp|sequenceNumber|chunk|sampleRate|channels|rate"
    r"|marks|barge_ins|attempts"
)
_KEY = re.compile(r"(?!.*\d{4})[a-z_][A-Za-z0-9_.-]{0,63}")
_OWN_KEYS = frozenset({"customParameters", "metadata", "variables", "parameters"})
"""Objects whose keys are anybody's, too."""
_OWN_ARGUMENTS = ("destination", "summary", "reason", "digits", "error", "then", "end_call", "transfer_call")
"""Keys in arguments and results that the core itself reads or writes."""
_SCHEME = re.compile(r"(?:sips?|client|queue|https?|wss?):")

Fields = dict[str, object]


def redact_text(text: str) -> str:
    """The text as long as it was, without its letters and digits; a number in international form stays one in form."""
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme else 0
    hidden = re.sub(r"\d", "0", re.sub(r"[^\W\d_]|[^\x00-\x7f]", "x", text[start:]))
    hidden = hidden.replace("_", "x") if not hidden.strip("x_") else hidden
    return text[:start] + re.sub(r"^\+0", "+1", hidden)


class Redactor:
    """Redacts one tape, line by line.

    Args:
        header: the tape's, before redaction.
        renames_ids: whether the peers' ids are replaced too, by others of the same length.
    """

    def __init__(self, header: Header, *, renames_ids: bool = True) -> None:
        self._header = header
        self._names, self._keys, self._values = _vocabulary(header.plan)
        self._renames_ids = renames_ids
        self._ids: dict[str, str] = {}

    def header(self) -> Header:
        """The header of the redacted tape."""
        plan = self._fields(self._header.plan, is_settings=True)
        sound = "lengths" if self._header.sound == "lengths" else "stand-in"
        return msgspec.structs.replace(self._header, plan=plan, settings={}, sound=sound, is_redacted=True)

    def input_line(self, given: Input) -> bytes:
        """The line of an input."""
        at, leg = given.at, given.leg
        if leg == "timer":
            return tape.timer_line(at)
        if given.control is not None:
            return tape.control_fields_line(at, self._fields(given.control))
        message = message_of(given)
        size = given.size_bytes
        if type(message) is caller.CallerAudio:
            payload = "" if size is not None else stand_in(message.payload)
            media = {"timestamp": str(message.timestamp_ms), "payload": payload}
            return tape.message_line("caller", at, _json({"event": "media", "media": media}), size)
        if isinstance(message, model.AudioDelta):
            delta = "" if size is not None else stand_in(message.delta)
            event = {"item_id": self._id(message.item_id), "response_id": self._id(message.response_id), "delta": delta}
            kind = (
                "response.audio.delta" if isinstance(message, model.BetaAudioDelta) else "response.output_audio.delta"
            )
            whole = {"type": kind, "content_index": message.content_index, **event}
            return tape.message_line("model", at, _json(whole), size)
        speaker = "model" if leg == "control" else leg
        return tape.message_line(speaker, at, self._message(given.text))

    def action_line(self, line: bytes) -> bytes:
        """The line of an action."""
        fields = tape.action_fields(line)
        payload = fields.get("payload")
        if isinstance(payload, str) and payload != tape.SAME:
            return _json(fields | {"payload": stand_in(payload)}) + b"\n"
        return _json(self._fields(fields)) + b"\n"

    # Values

    def _message(self, text: str | bytes) -> bytes:
        try:
            return _json(self._value("", msgspec.json.decode(text)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            words = text if isinstance(text, str) else bytes(text).decode(errors="replace")
            return redact_text(words).encode()

    def _fields(self, fields: Fields, *, is_settings: bool = False) -> Fields:
        return {
            name
            if _KEY.fullmatch(name) or name in self._values or name in self._names
            else redact_text(name): self._value(name, value, is_settings=is_settings)
            for name, value in fields.items()
        }

    def _value(  # noqa: PLR0911 - one rule, one line
        self, name: str, value: object, *, is_settings: bool = False
    ) -> object:
        is_settings = is_settings or name in ("session", "tools", "settings")
        match value:
            case str():
                return self._text(name, value, is_settings=is_settings)
            case bool() | None:
                return value
            case int() | float():
                return value if is_settings or _NUMBERS.fullmatch(name) else 0
            case dict() if name == "arguments":
                return self._argument(value)
            case dict() if name == "fillers":
                return {key: redact_text(str(words)) for key, words in value.items()}
            case dict() if name in _OWN_KEYS and all(isinstance(own, str) for own in value.values()):
                return {
                    key if key in ("wish", "token") else redact_text(key): self._text(key, own)
                    for key, own in value.items()
                }
            case dict():
                return self._fields(value, is_settings=is_settings)
            case list() if name in ("enum", "required"):
                return value
            case list():
                return [self._value(name, each, is_settings=is_settings) for each in value]
            case _:
                return None

    def _text(  # noqa: PLR0911 - one rule, one line
        self, name: str, text: str, *, is_settings: bool = False
    ) -> str:
        if name == "hold_clip":
            return stand_in(text)
        if name in ("arguments", "output"):
            return self._arguments(text)
        if name in ("digit", "digits"):
            return _keys(text)
        if name in ("name", "function"):
            return text if text in self._names or _OWN_ID.fullmatch(text) else redact_text(text)
        if text in self._values and (is_settings or name == "destination"):
            return text
        if _ID_NAMES.fullmatch(name):
            return self._id(text)
        if name in _WORD_FIELDS:
            return redact_text(text)
        if name in _NAME_FIELDS and _VOCABULARY.fullmatch(text):
            return text
        if _NUMBERS.fullmatch(name) and text.isdecimal():
            return text
        is_known = is_settings and (text in self._names or _IDENTIFIER.fullmatch(text))
        return text if is_known else redact_text(text)

    def _id(self, text: str) -> str:
        if not text or not self._renames_ids or _OWN_ID.fullmatch(text):
            return text
        if text not in self._ids:
            kind = _ID_KIND.match(text)
            prefix = kind[0] if kind else ""
            self._ids[text] = prefix + f"{len(self._ids) + 1:x}".rjust(len(text) - len(prefix), "0")
        return self._ids[text]

    def _arguments(self, text: str) -> str:
        try:
            arguments = json.loads(text)
        except ValueError:
            return redact_text(text)
        return (
            json.dumps(self._argument(arguments), separators=(",", ":"))
            if isinstance(arguments, dict)
            else redact_text(text)
        )

    def _argument(self, value: object) -> object:
        """What a function was given: keys that its schema knows, and choices that it offers, stay."""
        match value:
            case dict():
                return {
                    key if key in self._keys else redact_text(key): self._argument(own)
                    if key != "digits"
                    else _keys(str(own))
                    for key, own in value.items()
                }
            case list():
                return [self._argument(each) for each in value]
            case str():
                return value if value in self._values else redact_text(value)
            case bool() | None:
                return value
            case _:
                return 0


def redact(recording: tape.Tape) -> Iterator[bytes]:
    """The lines of the tape without numbers, words and voice. Raises TapeError when it is damaged."""
    plan_of(recording.header)  # what cannot be read as a plan is not redacted as one
    try:
        yield from _redacted(recording)
    except RecursionError as error:
        raise tape.TapeError("is nested deeper than anything that a bridge writes, so it cannot be redacted") from error


def _redacted(recording: tape.Tape) -> Iterator[bytes]:
    redactor = Redactor(recording.header)
    yield tape.header_line(redactor.header())
    ending = ""
    for step in recording:
        if step.input is not None:
            yield redactor.input_line(step.input)
        yield from map(redactor.action_line, step.actions)
        if step.lost:
            yield tape.lost_line(step.lost)
        if step.actions and step.actions[-1].startswith(b'{"do":"ended"'):
            ending = str(tape.action_fields(step.actions[-1]).get("ending"))
    if recording.is_whole:
        yield tape.end_line(ending)


def _keys(text: str) -> str:
    """Keys of a telephone, all of them `0` but the signs."""
    return re.sub(r"[^*#wW]", "0", text)


@lru_cache(maxsize=1024)
def stand_in(payload: str) -> str:
    """A tone where a piece of sound is loud, silence where it is not; exactly as long."""
    try:
        ulaw = b64decode(payload)
    except NotBase64:
        return "A" * len(payload)
    frames = (ulaw[start : start + FRAME_BYTES] for start in range(0, len(ulaw), FRAME_BYTES))
    tones = ((_TONE if magnitude(frame) > _AUDIBLE else SILENCE * FRAME_BYTES)[: len(frame)] for frame in frames)
    return b64encode(b"".join(tones)).decode()


def _vocabulary(plan: Fields) -> tuple[set[str], set[str], set[str]]:
    """Names of functions, keys of their arguments, and the choices that they offer."""
    names, keys, values = set(BUILT_IN_TOOLS), set(_OWN_ARGUMENTS), set[str]()

    def read(schema: object) -> None:
        if isinstance(schema, dict):
            properties = schema.get("properties")
            keys.update(properties if isinstance(properties, dict) else ())
            choices = schema.get("enum")
            values.update(each for each in (choices if isinstance(choices, list) else ()) if isinstance(each, str))
            for below in schema.values():
                read(below)
        elif isinstance(schema, list):
            for below in schema:
                read(below)

    colleagues = plan.get("colleagues")
    for one in (plan, *(colleagues.values() if isinstance(colleagues, dict) else ())):
        entries = [*one.get("tools", ()), *one.get("functions", ())]
        for entry in entries:
            if isinstance(entry, dict):
                names.add(str(entry.get("name")))
                read(entry)
            else:
                names.add(str(entry))
    for offered in ("destinations", "colleagues"):
        choices = plan.get(offered)
        values.update(choices if isinstance(choices, dict) else ())
    agent = plan.get("agent")
    names.add(str(agent.get("name")) if isinstance(agent, dict) else "")
    return names, keys, values


_json = msgspec.json.Encoder().encode
