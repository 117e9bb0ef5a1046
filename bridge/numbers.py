"""What `voicebridge number` does: shows whom the account's numbers ask, and lets them ask this bridge."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from bridge.app import call_control
from bridge.clock import Clock
from bridge.configuration import load
from bridge.errors import CarrierError, ConfigurationError
from bridge.pointing import Pointing, Target, asked, pointing, state
from bridge.settings import E164
from twiml.calls import CallRefusedError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from bridge.pointing import State
    from bridge.settings import Settings
    from twiml.account import Number
    from twiml.calls import CallControl

UNCHANGED, REFUSED, UNCONFIRMED = 0, 1, 2


# --- voicebridge number list --------------------------------------------------------------------------------------


async def list_numbers(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Show the account's numbers and whom they ask; 0."""
    settings = _settings(file, environ)
    async with call_control(settings, Clock()) as control:
        numbers = await _numbers(control)
    target = Target.of(settings)
    if options.json:
        print(_json([_as_json(pointing(number, target), target, settings) for number in numbers]))
        return UNCHANGED
    for number in numbers:
        print("\n".join(_listed(number, target, settings)))
    for line in _strangers(settings, numbers):
        print(f"{line}  stands in [lines] and is no number of this account")
    if not numbers:
        print(f"The account {settings.twilio.account_sid} has no phone numbers.")
    return UNCHANGED


_STATES: dict[State, str] = {
    "here": "answered by this bridge",
    "elsewhere": "answered by somebody else",
    "nobody": "answered by nobody",
    "application": "answered by a TwiML application",
    "trunk": "goes to a SIP trunk",
    "messages": "for messages only",
}


def _listed(number: Number, target: Target, settings: Settings) -> Iterator[str]:
    line = settings.lines.get(number.phone_number) or settings.lines.get("default")
    where = state(number, target)
    agent = f", agent {line.agent}" if where == "here" and line else ""
    name = f"  ({number.name})" if number.name not in ("", number.phone_number) else ""
    yield f"{number.phone_number}  {_STATES[where]}{agent}{name}"
    for key, url, method in (
        ("voice URL", number.voice_url, number.voice_method),
        ("fallback URL", number.fallback_url, number.fallback_method),
        ("status callback", number.status_callback, number.status_callback_method),
    ):
        yield f"    {key:<16}{asked(url, method)}"


def _strangers(settings: Settings, numbers: Collection[Number]) -> list[str]:
    known = {number.phone_number for number in numbers}
    return [line for line in settings.lines if line != "default" and line not in known]


# --- voicebridge number point -------------------------------------------------------------------------------------


async def point(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Let numbers ask this bridge, after showing what changes: those that are named, or all of `[lines]`.

    Exit codes: 0 when every number is as it should be now; 1 when somebody said no, or a number cannot be pointed; 2
    when there is something to change and nobody has said that it may be (no terminal to ask at, and no `--yes`).
    """
    settings = _settings(file, environ)
    target = Target.of(settings, _url(options.fallback_url))
    async with call_control(settings, Clock()) as control:
        found = [pointing(number, target) for number in _chosen(await _numbers(control), options.numbers, settings)]
        due = [one for one in found if one.is_due]
        if not options.json:
            print("\n".join(line for one in found for line in _shown(one)))
        verdict = _consent(options) if due else UNCHANGED
        if verdict == UNCHANGED:
            for one in due:
                await _point(control, one.number, target)
    if options.json:
        changed = verdict == UNCHANGED
        print(_json([_as_json(one, target, settings) | {"changed": changed and one.is_due} for one in found]))
    elif due and verdict == UNCHANGED:
        print(f"Changed: {', '.join(one.number.phone_number for one in due)}.")
    return verdict or (REFUSED if any(one.obstacle for one in found) else UNCHANGED)


def _chosen(numbers: Collection[Number], named: list[str], settings: Settings) -> list[Number]:
    """The numbers to point; one that is named and is not there is an error, a line's may come from elsewhere."""
    by_number = {number.phone_number: number for number in numbers}
    wanted = named or [line for line in settings.lines if line != "default"]
    if not wanted:
        raise ConfigurationError("names no number: name the numbers to point, or give each a line", key="lines")
    if bad := [one for one in named if not E164.fullmatch(one)]:
        raise ConfigurationError(f"{bad[0]!r} is not a phone number in E.164 form, such as +15551230000")
    if missing := [one for one in named if one not in by_number]:
        raise ConfigurationError(
            f"{missing[0]} is no number of {settings.twilio.account_sid}: voicebridge number list shows which are"
        )
    for line in wanted:
        if line not in by_number:
            print(f"{line}  stands in [lines] and is no number of this account: left alone", file=sys.stderr)
    return [by_number[one] for one in wanted if one in by_number]


def _shown(one: Pointing) -> Iterator[str]:
    number = one.number.phone_number
    if one.obstacle:
        yield f"{number}  cannot be pointed: {one.obstacle}"
    elif not one.changes:
        yield f"{number}  is as it should be"
    else:
        yield number
        for change in one.changes:
            yield f"  - {change.key:<18}{change.old}"
            yield f"  + {change.key:<18}{change.new}"


def _consent(options: argparse.Namespace) -> int:
    """Whether the changes may be made: 0, or the exit code."""
    if options.yes:
        return UNCHANGED
    if options.json or not sys.stdin.isatty():
        print("Nothing was changed: say --yes to change this.", file=sys.stderr)
        return UNCONFIRMED
    if input("Change this? [y/N] ").strip().lower() in ("y", "yes"):
        return UNCHANGED
    print("Nothing was changed.")
    return REFUSED


async def _point(control: CallControl, number: Number, target: Target) -> None:
    try:
        await control.point_number(number.sid, **target._asdict())
    except CallRefusedError as error:
        message = f"{number.phone_number} could not be pointed, nor those after it: {error}"
        raise CarrierError(message, status=error.status, code=error.code) from error


# --- what both need -----------------------------------------------------------------------------------------------


def _settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    settings = load(file, environ).settings
    twilio = settings.twilio
    for key, value in (
        ("twilio.account_sid", twilio.account_sid),
        ("twilio.auth_token", twilio.auth_token.get_secret_value()),
        ("server.public_url", settings.server.public_url),
    ):
        if not value:
            raise ConfigurationError(
                "is missing: an account's numbers can be pointed only at a public address", key=key
            )
    return settings


async def _numbers(control: CallControl) -> list[Number]:
    try:
        return sorted(await control.numbers(), key=lambda number: number.phone_number)
    except CallRefusedError as error:
        raise CarrierError(f"{error} voicebridge doctor tells more.", status=error.status, code=error.code) from error


def _url(given: str) -> str:
    if given and not re.fullmatch(r"https?://[^/\s]+\S*", given):
        raise ConfigurationError("--fallback-url must be an address of the form https://HOST/PATH")
    return given


def _as_json(one: Pointing, target: Target, settings: Settings) -> dict[str, object]:
    number = one.number
    line = settings.lines.get(number.phone_number)
    return {
        **{key: value for key, value in asdict(number).items() if key != "sid"},
        "state": state(number, target),
        "line": number.phone_number if line else "default",
        "obstacle": one.obstacle,
        "changes": [change._asdict() for change in one.changes],
    }


def _json(found: list[dict[str, object]]) -> str:
    return json.dumps({"numbers": found}, indent=2)
