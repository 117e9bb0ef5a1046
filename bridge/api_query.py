"""What a list of calls is asked with: times, state, ending, and where the last page ended."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.call.ending import Ending
from bridge.records.reading import Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from werkzeug.datastructures import MultiDict

    from bridge.recent import Summary

MOST, USUAL = 200, 100
"""How many calls a page holds at most, and when nothing is said."""
STATES = ("ringing", "live", "ended", "interrupted")
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
"""RFC 3339, section 5.6."""


def parse(arguments: MultiDict[str, str]) -> tuple[Wanted, int]:
    """Which calls are wanted, and how many at once. ValueError says what is wrong, without what was sent."""
    values = dict(arguments)
    for name in values:
        if name not in ("since", "until", "state", "ending", "limit", "cursor"):
            raise ValueError("only since, until, state, ending, limit and cursor are known")
        if len(arguments.getlist(name)) > 1:
            raise ValueError(f"{name}: may be given once")
    wanted = Wanted(
        since=_time("since", values),
        until=_time("until", values),
        state=_one_of("state", values, STATES),
        ending=_one_of("ending", values, [ending.value for ending in Ending]),
        before=_cursor(values["cursor"]) if "cursor" in values else None,
    )
    return wanted, _limit(values.get("limit", str(USUAL)))


def cursor_of(call: Summary) -> str:
    """What leads to the calls after this one."""
    return base64.urlsafe_b64encode(f"{call.began_at.isoformat()} {call.call_sid}".encode()).decode()


def _cursor(text: str) -> tuple[datetime, str]:
    try:
        moment, _, call_sid = base64.b64decode(text, altchars=b"-_", validate=True).decode("ascii").partition(" ")
        began_at = datetime.fromisoformat(moment)
    except (binascii.Error, ValueError):
        raise ValueError("cursor: must be the `next` of another page") from None
    if began_at.tzinfo is None or not re.fullmatch(r"[A-Za-z0-9]{1,64}", call_sid):
        raise ValueError("cursor: must be the `next` of another page")
    return began_at, call_sid


def _limit(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text) or int(text) > MOST:
        raise ValueError(f"limit: must be a whole number from 1 to {MOST}")
    return int(text)


def _time(name: str, values: Mapping[str, str]) -> datetime | None:
    if name not in values:
        return None
    try:
        if re.fullmatch(TIME, values[name]):
            return datetime.fromisoformat(values[name]).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: must be a time with its zone, such as 2026-11-21T09:00:00Z")


def _one_of(name: str, values: Mapping[str, str], known: Collection[str]) -> str:
    text = values.get(name, "")
    if name in values and text not in known:
        raise ValueError(f"{name}: must be one of {', '.join(known)}")
    return text
