"""Whether calls may be transferred where `[destinations]` says, and under the numbers that are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.doctor.account import NO_CREDENTIALS, refused
from bridge.doctor.findings import Finding, failed, ok, skipped
from twiml.calls import CallRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.doctor.context import Context
    from bridge.settings import Destination
    from twiml.account import Country
    from twiml.calls import CallControl


async def destinations(context: Context) -> list[Finding]:
    """Each destination's country against the account's permissions, and each number that is shown against its owner."""
    wanted = context.settings.destinations
    if not wanted:
        return [ok("there are no destinations: calls are transferred nowhere")]
    if context.control is None:
        return [skipped(NO_CREDENTIALS)]
    return [*await _callees(context.control, wanted), *await _caller_ids(context.control, wanted.values())]


async def _callees(control: CallControl, wanted: dict[str, Destination]) -> list[Finding]:
    try:
        countries = await control.countries()
    except CallRefusedError as error:
        return [refused(error, "where the account may call")]
    return [_callee(name, one, countries) for name, one in wanted.items()]


def _callee(name: str, destination: Destination, countries: Collection[Country]) -> Finding:
    to = destination.to
    if not to.startswith("+"):
        kind = to.partition(":")[0]
        return skipped(f"{name} is a {kind} address: only a call tells whether somebody answers there")
    named = [(prefix, country) for country in countries for prefix in country.prefixes if to.startswith(prefix)]
    longest = max((len(prefix) for prefix, _ in named), default=0)
    nearest = [country for prefix, country in named if len(prefix) == longest]
    if not nearest:
        return failed(f"{name}: no country's numbers begin like that", f"correct destinations.{name}.to")
    if not any(country.is_allowed for country in nearest):
        return failed(
            f"{name}: the account may not call {nearest[0].name}",
            "allow it in Twilio's console: Voice, Settings, Geo permissions",
        )
    return ok(f"{name}: the account may call {' or '.join(country.name for country in nearest[:2])}")


async def _caller_ids(control: CallControl, wanted: Collection[Destination]) -> list[Finding]:
    shown = {one.name: one.caller_id for one in wanted if one.caller_id.startswith("+")}
    if not shown:
        return []
    try:
        own = {number.phone_number for number in await control.numbers()} | set(await control.verified_numbers())
    except CallRefusedError as error:
        return [refused(error, "the numbers that may be shown")]
    return [
        failed(
            f"{name}: its caller_id is neither a number of the account nor a verified one",
            f"correct destinations.{name}.caller_id, or leave it out: such a transfer fails (13214)",
        )
        for name, caller_id in shown.items()
        if caller_id not in own
    ]
