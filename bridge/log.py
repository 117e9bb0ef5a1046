"""Logging: one line per life event, JSON for machines, readable on a terminal. Events are `subject.past_participle`.

Every line has the fields it was given with `extra`; a call's lines have its `call_sid`. Numbers, words and secrets are
no fields. Behind that stands a second line of defence: whatever is written, by whomever, has its numbers and secrets
masked, and other people's loggers are heard from `warning` on only: at `debug` some print what passes through them.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from bridge.wire.scrubbing import Scrubber

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from bridge.call.actions import Said
    from bridge.call.plan import Plan

Format = Literal["auto", "json", "text"]
OWN = ("bridge", "twiml")
"""The loggers whose level the settings say."""
MASK = "[masked]"
DETAILS = frozenset(
    {
        *("caller.speech_started", "caller.speech_stopped", "caller.voice_confirmed", "reply.heard", "usage.counted"),
        *("turn.left_unanswered", "caller.message_unexpected", "model.event_unknown", "control.ignored"),
    }
)
"""Facts that come with every turn: at level `debug`."""
TROUBLES = frozenset(
    {
        *("model.lost", "model.failed", "model.command_refused", "model.event_malformed", "session.mismatched"),
        "successor.lost",
        *("response.failed", "response.missed", "response.stalled", "response.end_missed", "response.wish_dropped"),
        *("stream.refused", "caller.audio_dropped", "caller.message_malformed", "playout.marks_lost"),
        *("turn.commit_missed", "function.unknown", "function.incomplete", "function.misanswered"),
    }
)
"""Facts that somebody should know of, though the call goes on or ends in order: at level `warning`."""
_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ENCODE = json.JSONEncoder(default=str).encode
_NUMBER = re.compile(r"(?:\+|%2[Bb])\d[\d() .-]{5,18}\d")
_ADDRESS = re.compile(r"\b(sips?|tel|client)(:|%3[Aa])[^\s@\"'<>&,;]+")


class Driven(Protocol):
    """A call, as far as the log knows it."""

    plan: Plan


def level_of(event: str) -> int:
    """How much a fact of a call matters to whoever reads the log."""
    if event in DETAILS:
        return logging.DEBUG
    return logging.WARNING if event in TROUBLES else logging.INFO


def masked(text: str) -> str:
    """The text without telephone numbers and SIP or client addresses."""
    if "+" in text or "%2" in text:
        text = _NUMBER.sub(MASK, text)
    if "sip" in text or "tel" in text or "client" in text:
        text = _ADDRESS.sub(rf"\1\2{MASK}", text)
    return text


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What was given with `extra`, in order."""
    return {key: value for key, value in vars(record).items() if key not in _RECORD}


class Masking(logging.Formatter):
    """Masks what another formatter makes of a record.

    Args:
        inner: makes the line.
        secrets: what must not be in any line, besides what looks like a secret.
    """

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._inner = inner
        self._scrubber = Scrubber(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line that may be shown to anybody."""
        return masked(self._scrubber.scrub(self._inner.format(record)))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _ENCODE(line)


class PlainFormatter(logging.Formatter):
    """Time, event, and the fields that follow; for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of text."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{key}={_word(value)}" for key, value in fields_of(record).items())
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        line = f"{time} {level}{record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Words:
    """Writes what is said into the log; an observer, for those who have switched it on with `log.words`."""

    def __init__(self) -> None:
        self._log = logging.getLogger("bridge")

    def happened(self, driver: Driven, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life: the desk writes it."""

    def said(self, driver: Driven, line: Said) -> None:
        """A line of a call's transcript."""
        said = {"role": line.role, "words": line.words, "is_cut": line.is_cut}
        self._log.info("words.said", extra={"call_sid": driver.plan.call_sid, **said})


def set_up(
    *,
    stream: TextIO | None = None,
    level: int = logging.INFO,
    form: Format = "auto",
    secrets: Iterable[str] = (),
    instance: str = "",
) -> None:
    """Log to standard error, or to `stream`; `auto` is text on a terminal, JSON otherwise. For programs, not libraries.

    Args:
        stream: where to.
        level: of this program's own lines.
        form: of the lines.
        secrets: what is masked wherever it turns up.
        instance: which of several processes writes; stands in every line, if it is not empty.
    """
    out = stream or sys.stderr
    is_text = form == "text" or (form == "auto" and out.isatty())
    handler = logging.StreamHandler(out)
    handler.setFormatter(Masking(PlainFormatter() if is_text else JsonFormatter(), secrets))
    if instance:
        handler.addFilter(partial(_signed, instance))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in OWN:
        logging.getLogger(name).setLevel(level)


def _signed(instance: str, record: logging.LogRecord) -> bool:
    record.instance = instance
    return True


def _word(value: object) -> str:
    """A value for people; one with spaces is quoted, so that fields can be told apart."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
