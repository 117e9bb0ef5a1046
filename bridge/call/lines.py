"""When a line is open, and whose calls it refuses.

Pure: the time is an argument. Only a zone's rules are read from the system, once, when the hours are parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY_MINUTES = 24 * 60
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SPAN = re.compile(rf"({_TIME})-({_TIME}|24:00)")
_RULE = re.compile(r"(?:(?P<days>[A-Za-z,-]+)\s+)?(?P<times>off|24/7|[0-9:,-]+)")

_Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours of a week in a time zone, by a subset of OpenStreetMap's `opening_hours`.

    `Mo-Fr 08:00-12:00,13:00-18:00; Sa 09:00-13:00 Europe/Berlin`, or `24/7`. A later rule replaces an earlier one on
    the days it names; a rule without days is for all of them; `off` closes a day; a span whose end is not after its
    start runs into the next day and belongs to the day on which it began. Public holidays are refused: they are not
    known here.
    """

    zone: ZoneInfo
    week: tuple[_Spans, ...]
    """For each day from Monday: spans of minutes since midnight, the end exclusive and beyond 1440 past midnight."""

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read the hours of a line.

        Raises:
            ValueError: with one sentence that names what is wrong and what would be right.
        """
        rules, zone = _split_zone(text)
        week: list[_Spans] = [()] * len(_DAYS)
        for rule in rules.split(";"):
            days, spans = _parse_rule(rule.strip())
            for day in days:
                week[day] = spans
        return cls(zone, tuple(week))

    def is_open(self, at: datetime) -> bool:
        """Whether the line is open at a moment, by the clocks of its zone.

        Args:
            at: with a time zone, any.

        Raises:
            ValueError: `at` has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError("Opening hours need a moment with a time zone.")
        local = at.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = self.week[local.weekday()], self.week[local.weekday() - 1]
        return any(start <= minute < end for start, end in today) or any(
            start <= minute + _DAY_MINUTES < end for start, end in yesterday
        )


def _split_zone(text: str) -> tuple[str, ZoneInfo]:
    """The rules, with blanks only between days and times, and the zone that stands at the end."""
    rules, _, name = text.strip().rpartition(" ")
    if text.strip() == "24/7":
        rules, name = "24/7", "UTC"
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of zones
        raise ValueError(f"Opening hours end with a time zone such as Europe/Berlin, not with {name!r}.") from None
    return re.sub(r"\s*([,;-])\s*", r"\1", rules.strip()), zone


def _parse_rule(rule: str) -> tuple[Iterable[int], _Spans]:
    if re.search(r"\b(PH|SH)\b", rule):
        raise ValueError(f"Public and school holidays (PH, SH) are not known here: leave them out of {rule!r}.")
    match = _RULE.fullmatch(rule)
    if not match:
        raise ValueError(f"Opening hours read like Mo-Fr 08:00-18:00, not {rule!r}.")
    days = _parse_days(match["days"]) if match["days"] else range(len(_DAYS))
    return days, _parse_times(match["times"])


def _parse_days(text: str) -> list[int]:
    days: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in _DAYS:
                raise ValueError(f"A day is one of {', '.join(_DAYS)}, not {name!r}.")
        start = _DAYS.index(first)
        length = (_DAYS.index(last) - start) % 7 if dash else 0  # Fr-Mo goes round the week's end
        days += [(start + day) % 7 for day in range(length + 1)]
    return days


def _parse_times(text: str) -> _Spans:
    if text == "off":
        return ()
    if text == "24/7":
        return ((0, _DAY_MINUTES),)
    return tuple(_parse_span(part) for part in text.split(","))


def _parse_span(text: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(text)
    if not match:
        raise ValueError(f"A span of time reads 08:00-18:00, within 00:00 and 24:00, not {text!r}.")
    start, end = (int(time[:2]) * 60 + int(time[3:]) for time in match.groups())
    if start == end:
        raise ValueError(f"The span {text} is empty: write 00:00-24:00 for a whole day, off for none.")
    return start, end if end > start else end + _DAY_MINUTES


_WITHHELD_WORDS = frozenset({"", "anonymous", "restricted", "private", "unavailable", "unknown", "blocked", "withheld"})
_WITHHELD_NUMBERS = frozenset(  # the same words on a telephone's keys, as carriers put them where a number must stand
    {"266696687", "7378742833", "2562533", "8656696", "86282452253", "464"}
)


@dataclass(frozen=True, slots=True)
class BlockList:
    """Callers whom a line refuses: exact ones, beginnings of numbers (`+1900*`), and withheld numbers (`anonymous`)."""

    callers: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    anonymous: bool = False

    @classmethod
    def parse(cls, entries: Iterable[str]) -> BlockList:
        """Read the entries of a line's `block`.

        Raises:
            ValueError: with one sentence that says how an entry reads.
        """
        callers, prefixes, anonymous = set[str](), list[str](), False
        for entry in (one.strip().casefold() for one in entries):
            if entry == "anonymous":
                anonymous = True
            elif not re.fullmatch(r"\+[0-9]{1,15}\*?|(?:sips?|client):[^\s*]+\*?", entry):
                raise ValueError(
                    f"A blocked caller is anonymous, +15551230000, +1555*, sip:… or client:…, not {entry!r}."
                )
            elif entry.endswith("*"):
                prefixes.append(entry.removesuffix("*"))
            else:
                callers.add(entry)
        return cls(frozenset(callers), tuple(prefixes), anonymous)

    def blocks(self, caller: str) -> bool:
        """Whether a call from `caller` (Twilio's `From`) is refused."""
        caller = caller.strip().casefold()
        if is_withheld(caller):
            return self.anonymous
        return caller in self.callers or caller.startswith(self.prefixes)


def is_withheld(caller: str) -> bool:
    """Whether a caller does not show a number: a word that says so, its digits on a keypad, or SIP's anonymous user."""
    user = re.sub(r"^sips?:|@.*$", "", caller.strip().casefold())
    return user in _WITHHELD_WORDS or user.removeprefix("+") in _WITHHELD_NUMBERS
