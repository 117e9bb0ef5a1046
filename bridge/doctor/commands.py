"""What `voicebridge doctor` does: looks for the bridge that runs, or stands in for it, has all checks made, prints."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config
from quart import Quart

from bridge.app import call_control
from bridge.clock import Clock
from bridge.configuration import load
from bridge.doctor.arrival import NotReachedError, ask, client
from bridge.doctor.checks import examine
from bridge.doctor.codes import explain
from bridge.doctor.context import Context
from bridge.doctor.findings import Finding, Level, failed, ok, skipped
from bridge.edge.window import BoundedReceive
from bridge.errors import BridgeError
from bridge.probe import Probe
from bridge.several import listen, url_of
from twiml.signature import Validator

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

HEALTHY, FINDINGS = 0, 1
_MARKS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.FAILED: "FAILED ", Level.SKIPPED: "skipped"}
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - not listened on, but asked


async def doctor(file: Path | None, environ: Mapping[str, str], options: argparse.Namespace) -> int:
    """Check everything, or explain one of Twilio's codes; 0, or 1 when something failed."""
    code = options.code or options.explain
    if code:
        print(explain(code))
        return HEALTHY
    loaded = load(file, environ)
    async with AsyncExitStack() as stack:
        clock = Clock()
        control = None
        if loaded.settings.twilio.account_sid and loaded.settings.twilio.auth_token.get_secret_value():
            control = await stack.enter_async_context(call_control(loaded.settings, clock))
        hold_s = 0.0 if options.quick else options.hold
        context = Context(loaded.settings, clock, control, loaded.warnings, hold_s=hold_s)
        listening = await stack.enter_async_context(listener(context))
        findings = await _print(listening, as_json=options.json)
    return FINDINGS if any(one.level is Level.FAILED for one in findings) else HEALTHY


async def _print(listening: Listening, *, as_json: bool) -> list[Finding]:
    results = [("bridge", [listening.finding])]
    if not as_json:
        _print_check(*results[0])
    async for name, findings in examine(listening.context):
        results.append((name, findings))
        if not as_json:
            _print_check(name, findings)
    found = [finding for _, findings in results for finding in findings]
    if as_json:
        checks = [_as_json(name, finding) for name, findings in results for finding in findings]
        print(json.dumps({"checks": checks}, indent=2))
    else:
        print(_summary(found))
    return found


def _print_check(name: str, findings: list[Finding]) -> None:
    for finding in findings:
        print(f"{_MARKS[finding.level]}  {name}: {finding.message}")
        if finding.way_out:
            print(f"           -> {finding.way_out}")
    sys.stdout.flush()


def _as_json(name: str, finding: Finding) -> dict[str, object]:
    told = {"check": name, "level": finding.level.value, "message": finding.message, "way_out": finding.way_out}
    return told | {"facts": finding.facts}


def _summary(found: list[Finding]) -> str:
    counts = {level: sum(one.level is level for one in found) for level in Level}
    parts = [f"{counts[level]} {level.value}" for level in Level if counts[level]]
    return "\n" + ", ".join(parts)


# --- the bridge that is asked -------------------------------------------------------------------------------------


class Listening(NamedTuple):
    """Who listens on the bridge's port, and a context that knows it."""

    context: Context
    finding: Finding


@asynccontextmanager
async def listener(context: Context) -> AsyncIterator[Listening]:
    """Find the bridge on this machine's port; where nobody listens, stand in for it: it answers the probe alone."""
    settings = context.settings
    if not context.auth_token or not settings.server.public_url:
        yield Listening(context, skipped("there is no public address and no auth token: nobody is asked"))
        return
    found = await _running(context)
    if isinstance(found, Finding):
        yield Listening(context, found)
    elif found:
        yield Listening(_with(context, found, is_running=True), ok("a bridge with these settings runs here"))
    else:
        async with _standing_in(context) as (identity, finding):
            yield Listening(_with(context, identity, is_running=False), finding)


async def _running(context: Context) -> str | Finding:
    """The identity of the bridge that runs here; nothing when nobody listens; a finding when somebody else does."""
    server = context.settings.server
    host = _EVERYWHERE.get(server.host, server.host)
    if not server.port:
        return ""
    url = url_of(host, server.port)
    try:
        async with client() as http, context.clock.timeout(5):
            return (await ask(context, url, http)).identity
    except NotReachedError as error:
        if isinstance(error.__cause__, OSError) or "nobody listens" in str(error):
            return ""
        return failed(
            f"port {server.port} is taken by something that is no bridge with this auth token",
            "stop it, set server.port, or give doctor the settings that the bridge runs with",
        )
    except TimeoutError:
        return failed(f"what listens on port {server.port} does not answer", "restart the bridge")


@asynccontextmanager
async def _standing_in(context: Context) -> AsyncIterator[tuple[str, Finding]]:
    settings = context.settings
    server = settings.server
    try:
        listening = listen(server.host, server.port)
    except BridgeError as error:
        yield "", failed(str(error), "free the port, or set server.port")
        return
    probe = Probe(
        lambda: context.auth_token,
        server.public_url,
        Validator([context.auth_token], server.public_url, server.media_url),
        context.clock,
    )
    app = Quart("doctor")
    app.register_blueprint(probe.blueprint())
    stop = asyncio.Event()
    serving = asyncio.create_task(_serve(app, listening.detach(), stop), name="doctor")
    try:
        yield probe.identity, ok("no bridge runs here: doctor listens in its place, and calls hear the fallback URL")
    finally:
        stop.set()
        await serving


async def _serve(app: Quart, descriptor: int, stop: asyncio.Event) -> None:
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.graceful_timeout = 1
    config.accesslog = config.errorlog = None
    await serve_http(BoundedReceive(app), config, shutdown_trigger=stop.wait)


def _with(context: Context, identity: str, *, is_running: bool) -> Context:
    return dataclasses.replace(context, identity=identity, is_running=is_running)
