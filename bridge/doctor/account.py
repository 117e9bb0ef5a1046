"""The carrier's account: whether its credentials are taken and its numbers ask this bridge; and what it has logged."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from bridge.doctor.arrival import client
from bridge.doctor.codes import CODES
from bridge.doctor.findings import Finding, failed, ok, skipped, warning
from bridge.pointing import Target, obstacle, pointing, state
from twiml.calls import CallRefusedError

if TYPE_CHECKING:
    from bridge.doctor.context import Context
    from twiml.account import Alert, Number

NO_CREDENTIALS = "there are no credentials of an account: set twilio.account_sid and twilio.auth_token"
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_ROUTINE = frozenset({31921, 21220})
"""What Twilio logs when calls leave their stream, or end while they are changed: nothing is wrong."""
_SKEW_S, _SKEW_MAX_S = 5, 60


def refused(error: CallRefusedError, what: str) -> Finding:
    """What a refusal of the REST interface means for a check; that of the credentials is told by their own."""
    if error.status == _UNAUTHORIZED:
        return skipped(f"{what} cannot be looked at: the credentials are not taken")
    if error.status == _FORBIDDEN:
        return skipped(f"{what} cannot be looked at: the account may not ask for that")
    return warning(f"{what} cannot be looked at: {error}", "try again later; see status.twilio.com")


async def credentials(context: Context) -> list[Finding]:
    """Ask for the account itself, which an API key may not do."""
    if context.control is None:
        return [skipped(NO_CREDENTIALS)]
    sid = context.settings.twilio.account_sid
    begun = context.clock.now()
    try:
        account = await context.control.account()
    except CallRefusedError as error:
        return [_not_taken(sid, error)]
    took_ms = round((context.clock.now() - begun) * 1000)
    if account.status != "active":
        return [failed(f"the account {sid} is {account.status}", "see Twilio's console: calls are not taken")]
    if account.kind == "Trial":
        message = (
            f"the account {sid} is a trial: callers hear Twilio's message, and only verified numbers can be called"
        )
        return [warning(message, "upgrade it before real callers come", took_ms=took_ms)]
    return [ok(f"the account {sid} takes the auth token, in {took_ms} ms", took_ms=took_ms)]


def _not_taken(sid: str, error: CallRefusedError) -> Finding:
    if error.status in (_UNAUTHORIZED, _FORBIDDEN):
        return failed(
            f"Twilio does not take the credentials of {sid} (HTTP {error.status}, code {error.code})",
            "set twilio.auth_token to the account's auth token, from the first page of the console: the secret of an"
            " API key signs nothing, and the token of another account or region is not taken",
        )
    if error.status is None:
        way_out = "let this machine connect to twilio.api_url on port 443; calls are transferred and ended by it"
        return failed(f"the REST interface cannot be had: {error}", way_out)
    return failed(f"the account {sid} cannot be had: {error}", "correct twilio.account_sid and twilio.api_url")


async def numbers(context: Context) -> list[Finding]:
    """Whether those of `[lines]`, or any where there is only a default, ask this bridge."""
    settings = context.settings
    if context.control is None or not settings.server.public_url:
        return [skipped(NO_CREDENTIALS if context.control is None else "there is no public address to ask")]
    try:
        account_numbers = {number.phone_number: number for number in await context.control.numbers()}
    except CallRefusedError as error:
        return [refused(error, "numbers")]
    target = Target.of(settings)
    lines = [line for line in settings.lines if line != "default"]
    if not lines:
        here = [number for number in account_numbers.values() if state(number, target) == "here"]
        if not here:
            way_out = "name one: voicebridge number point +15551230000"
            return [failed("no number of the account asks this bridge", way_out)]
        return [_number(number, target) for number in here]
    return [
        _number(account_numbers[line], target)
        if line in account_numbers
        else warning(
            f"{line} stands in [lines] and is no number of the account",
            "correct it, unless its calls come from elsewhere, such as a SIP domain",
        )
        for line in lines
    ]


def _number(number: Number, target: Target) -> Finding:
    name = number.phone_number
    if why := obstacle(number):
        return failed(f"{name} does not ask this bridge", why)
    way_out = f"voicebridge number point {name}"
    if state(number, target) != "here" or number.voice_method != "POST":
        asks = number.voice_application_sid or number.voice_url or "nobody"
        how = f" by {number.voice_method}" if number.voice_method != "POST" else ""
        return failed(f"{name} asks {asks}{how} when it is called, not this bridge", way_out)
    if not number.fallback_url:
        return warning(f"{name} has no fallback URL: callers hear Twilio's error when the bridge fails", way_out)
    if changes := pointing(number, target).changes:
        return warning(f"{name} asks this bridge; its {' and '.join(c.key for c in changes)} lead elsewhere", way_out)
    return ok(f"{name} asks this bridge")


async def alerts(context: Context) -> list[Finding]:
    """What Twilio has logged in the last day, each code once, with its cause and the way out."""
    if context.control is None:
        return [skipped(NO_CREDENTIALS)]
    try:
        found = await context.control.alerts(datetime.fromtimestamp(context.wall(), UTC) - timedelta(days=1))
    except CallRefusedError as error:
        return [refused(error, "alerts")]
    counts = Counter(alert.code for alert in found if alert.code not in _ROUTINE)
    if not counts:
        return [ok("Twilio has logged nothing in the last day that should be known")]
    return [_alert(code, count, found) for code, count in counts.most_common()]


def _alert(code: int, count: int, found: list[Alert]) -> Finding:
    level = next(alert.level for alert in found if alert.code == code)
    known = CODES.get(code)
    meaning = known.meaning if known else f"see https://www.twilio.com/docs/api/errors/{code}"
    way_out = known.way_out if known else "see that page"
    return warning(
        f"Twilio logged {level} {code} {count} times in the last day: {meaning}", way_out, code=code, count=count
    )


async def skew(context: Context) -> list[Finding]:
    """This machine's clock against the carrier's: signed requests to functions bear the time."""
    url = context.settings.twilio.api_url
    async with client() as http:
        try:
            begun = context.wall()
            answer = await http.get(url)
        except httpx.HTTPError:
            return [skipped("the carrier's REST interface cannot be had, which would tell the time")]
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return [skipped("the carrier's REST interface does not tell the time")]
    off_s = (begun + context.wall()) / 2 - theirs - 0.5  # the header has whole seconds
    message = f"this machine's clock is {abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} the carrier's"
    way_out = "let it be set by NTP: signatures and certificates bear the time"
    if abs(off_s) > _SKEW_MAX_S:
        return [failed(message, way_out, off_s=round(off_s, 1))]
    if abs(off_s) > _SKEW_S:
        return [warning(message, way_out, off_s=round(off_s, 1))]
    return [ok("this machine's clock agrees with the carrier's", off_s=round(off_s, 1))]
