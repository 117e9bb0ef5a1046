"""Whether a webhook that is sent to the public address arrives here, in time, and as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.doctor.arrival import QUERY, Arrival, NotReachedError, ask, client
from bridge.doctor.findings import Finding, failed, ok, skipped, warning
from bridge.probe import HTTP_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.doctor.context import Context

SLOW_S, TOO_SLOW_S = 1.0, 5.0
"""Twilio waits 15 s for an answer, and callers hear ringing meanwhile."""


async def address(context: Context) -> list[Finding]:
    """Send a signed webhook twice, the second time over the connection of the first, and look at what came of it."""
    if not context.auth_token or not context.settings.server.public_url:
        return [skipped("there is no server.public_url: only rehearsed calls from this machine are taken")]
    if not context.identity:
        return [skipped("nobody listens here: see what was said above")]
    async with client() as http:
        try:
            await ask(context, context.settings.server.public_url, http)
            arrival = await ask(context, context.settings.server.public_url, http)
        except NotReachedError as error:
            return [failed(str(error), error.way_out)]
    found = [*_changed(context, arrival), *_slow(arrival), *_elsewhere(context, arrival)]
    took_ms = round(arrival.took_s * 1000)
    reached = f"a webhook arrives here as it was sent, in {took_ms} ms"
    if arrival.host and arrival.host != context.public.netloc:
        reached += f" (as Host: {arrival.host}, which does no harm: signatures are checked for server.public_url)"
    return found or [ok(reached, took_ms=took_ms)]


def _changed(context: Context, arrival: Arrival) -> Iterator[Finding]:
    if arrival.public_url.rstrip("/") != context.settings.server.public_url.rstrip("/"):
        yield failed(
            f"the bridge there takes itself for {arrival.public_url}",
            "restart it with these settings: signatures are checked for server.public_url",
        )
        return
    path, _, query = arrival.target.partition("?")
    changes = [
        ("the path", HTTP_PATH, path, "let it pass paths on as they are, less the path of server.public_url"),
        ("the query", QUERY, query, "let it pass queries on as they are, without sorting, decoding or dropping"),
        ("the method", "POST", arrival.method, "let it pass the method on; a redirect inside may have changed it"),
    ]
    for what, sent, got, way_out in changes:
        if got != sent:
            yield failed(f"what lies between changes {what}: {sent} arrives as {got or 'nothing'}", way_out)
            return
    if not arrival.is_same_body:
        yield failed("what lies between changes the form of a webhook", "let it pass bodies on byte by byte")
    elif arrival.signature != "valid":
        yield failed(
            f"the bridge does not believe a webhook that is signed with this auth token ({arrival.signature})",
            "restart it with these settings, and see whether a header X-Twilio-Signature is passed on",
        )
    if arrival.encoding:
        yield warning(
            f"what lies between compresses answers that nobody asked to be ({arrival.encoding})",
            "switch that off for /twiml: TwiML is short",
        )


def _slow(arrival: Arrival) -> Iterator[Finding]:
    took_ms = round(arrival.took_s * 1000)
    if arrival.took_s >= TOO_SLOW_S:
        yield failed(
            f"a webhook takes {took_ms} ms on its way: Twilio gives up after 15 s (11205)",
            "see what lies between: a tunnel, a machine that sleeps, a firewall that inspects",
            took_ms=took_ms,
        )
    elif arrival.took_s >= SLOW_S:
        yield warning(
            f"a webhook takes {took_ms} ms on its way: callers hear ringing meanwhile",
            "bring the bridge nearer to Twilio's region, or see what lies between",
            took_ms=took_ms,
        )


def _elsewhere(context: Context, arrival: Arrival) -> Iterator[Finding]:
    server = context.settings.server
    if arrival.identity != context.identity and server.workers == 1:
        yield warning(
            "the public address leads to another bridge with the same auth token",
            "nothing, if several bridges share it; else let it pass on to this one",
        )
