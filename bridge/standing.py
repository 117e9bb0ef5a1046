"""Documents that depend on no call, only on the settings: what a caller hears when the bot is not to be had.

They are made beforehand, from the settings or from the operator's own files, and need nothing of ours when they are
executed; so the fallback may be hosted elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from bridge.errors import ConfigurationError
from twiml import documents
from twiml.templates import TemplateError, document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.settings import Destination, Settings

Situation = Literal["fallback", "closed", "full", "blocked"]
_FIRST_ANSWERS: frozenset[Situation] = frozenset({"closed", "full", "blocked"})
"""Where the call is not answered yet, so that it may be refused."""


class Standing(NamedTuple):
    """One document for each situation."""

    fallback: str
    """The model cannot be used."""
    closed: str
    """The line's hours are over."""
    full: str
    """A limit is reached, or the bridge is shut down."""
    blocked: str
    """The line blocks the caller."""


def standing(settings: Settings) -> Standing:
    """The documents of these settings. Raises ConfigurationError when a file of the operator's cannot be used."""
    fallback = _own(settings, "fallback") or _fallback(settings)
    return Standing(
        fallback=fallback,
        closed=_own(settings, "closed") or fallback,
        full=_own(settings, "full") or fallback,
        blocked=_own(settings, "blocked") or documents.reject(),
    )


def faults(settings: Settings) -> Iterator[tuple[Situation, str]]:
    """What is wrong with each of the operator's files."""
    situations: tuple[Situation, ...] = ("fallback", "closed", "full", "blocked")
    for situation in situations:
        try:
            _own(settings, situation)
        except ConfigurationError as error:
            yield situation, error.message


def _own(settings: Settings, situation: Situation) -> str:
    """The operator's own document; nothing where there is none."""
    path: Path | None = getattr(settings.twiml, situation)
    if path is None:
        return ""
    callees = {
        name: _callee(one) for name, one in settings.destinations.items() if one.to.startswith(("+", "sip:", "client:"))
    }
    try:
        return document(path.read_text(), callees, may_reject=situation in _FIRST_ANSWERS)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"names a file that cannot be read: {reason}", key=f"twiml.{situation}") from error
    except TemplateError as error:
        raise ConfigurationError(str(error), key=f"twiml.{situation}") from error


def _fallback(settings: Settings) -> str:
    destination = settings.destinations.get(settings.fallback.destination)
    return documents.fallback(settings.fallback.say, _callee(destination) if destination is not None else None)


def _callee(destination: Destination) -> documents.Callee:
    return documents.Callee(to=destination.to, timeout_s=destination.timeout_s, caller_id=destination.caller_id)
