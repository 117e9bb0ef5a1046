"""All checks, in the order in which they are shown, and how they are made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from bridge.doctor import account, certificate, destinations, machine, model, public, signatures, stream
from bridge.doctor.findings import Finding, failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bridge.doctor.context import Context


class Check(NamedTuple):
    """Something to look at."""

    name: str
    run: Callable[[Context], Awaitable[list[Finding]]]
    limit_s: float = 20.0
    """How long it may take, beside the time for which a socket is held on purpose."""


CHECKS: tuple[Check, ...] = (
    Check("configuration", machine.configuration),
    Check("extras", machine.extras),
    Check("time zones", machine.time_zones),
    Check("files", machine.files),
    Check("storage", machine.storage),
    Check("shared", machine.shared),
    Check("signatures", signatures.self_test),
    Check("certificate", certificate.certificate),
    Check("public address", public.address),
    Check("media stream", stream.upgrade),
    Check("idle connection", stream.idle),
    Check("account", account.credentials),
    Check("numbers", account.numbers),
    Check("destinations", destinations.destinations),
    Check("alerts", account.alerts),
    Check("clock", account.skew),
    Check("model", model.endpoints, limit_s=60.0),
)


async def examine(context: Context, checks: Sequence[Check] = CHECKS) -> AsyncIterator[tuple[str, list[Finding]]]:
    """Make all checks side by side; yields their names and findings, in order, each as soon as it may be shown."""
    tasks = [asyncio.create_task(_make(check, context)) for check in checks]
    try:
        for check, task in zip(checks, tasks, strict=True):
            yield check.name, await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _make(check: Check, context: Context) -> list[Finding]:
    limit_s = check.limit_s + context.hold_s
    try:
        async with asyncio.timeout(limit_s / context.clock.rate):
            return await check.run(context)
    except TimeoutError:
        return [failed(f"no answer within {limit_s:g} s", "see whether this machine may connect to it: DNS, firewall")]
    except Exception as error:  # noqa: BLE001 - the other checks are wanted whatever became of this one
        return [failed(f"the check itself broke down: {type(error).__name__}: {error}", "please report this")]
