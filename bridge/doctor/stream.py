"""Whether the media stream's WebSocket comes through, and whether it stays open while the bot only listens."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from bridge.doctor.arrival import NotReachedError, answered, is_proved, proof_headers
from bridge.doctor.context import unchecked_tls
from bridge.doctor.findings import Finding, failed, ok, skipped, warning
from bridge.edge.straight import Straight
from bridge.probe import ECHO, SOCKET_PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from bridge.doctor.context import Context

_ECHOES = 5
_FRAME = "x" * 290
"""As long as a frame of sound."""
_FRAME_EVERY_S = 0.5
_SLOW_S = 0.3
_UPGRADE = (
    "let it pass WebSockets on: HTTP/1.1 with the headers Upgrade and Connection (nginx: proxy_set_header Upgrade)"
)
_TIMEOUT = (
    "raise the idle timeout of what lies between to an hour for /media: HAProxy's timeout tunnel, nginx's"
    " proxy_read_timeout, a load balancer's or a tunnel's own"
)


async def upgrade(context: Context) -> list[Finding]:
    """Open the socket as Twilio would, through the public address, and send something there and back."""
    if why := _why_not(context):
        return [skipped(why)]
    try:
        if context.settings.server.media_port:
            return [await _fast_door(context)]
        async with _opened(context) as (socket, seen):
            times = [await _echo(context, socket) for _ in range(_ECHOES)]
    except NotReachedError as error:
        return [failed(str(error), error.way_out)]
    if seen.get("signature") != "valid":
        message = f"a handshake for {SOCKET_PATH} is not believed: it arrives for {seen.get('target')}"
        return [failed(message, "let it pass paths on as they are, less the path of server.public_url")]
    took_s = min(times)
    took_ms = round(took_s * 1000)
    message = f"the media stream's socket opens, and a message comes back in {took_ms} ms"
    if took_s > _SLOW_S:
        return [warning(message, "bring the bridge nearer to Twilio's region: callers wait that long", took_ms=took_ms)]
    return [ok(message, took_ms=took_ms)]


async def idle(context: Context) -> list[Finding]:
    """Keep the socket open as a bot does that listens: the caller's sound comes in, and nothing goes out."""
    if why := _why_not(context):
        return [skipped(why)]
    if not context.hold_s:
        return [skipped("left out by --quick")]
    if context.settings.server.media_port:
        return [skipped("the fast door keeps no stream without a call: let nothing in front of it cut silent ones")]
    opened_at: float | None = None
    try:
        async with _opened(context) as (socket, _):
            opened_at = context.clock.now()
            while context.clock.now() - opened_at < context.hold_s:
                await socket.send(_FRAME)
                await context.clock.sleep(_FRAME_EVERY_S)
            await _echo(context, socket)
    except NotReachedError as error:
        if opened_at is None:
            return [skipped("the socket does not open: see media stream")]
        lasted_s = context.clock.now() - opened_at
        message = f"a socket over which the bot says nothing is closed after {lasted_s:.0f} s: calls end there"
        return [failed(message, _TIMEOUT, lasted_s=round(lasted_s), reason=str(error))]
    return [ok(f"a socket over which the bot says nothing stays open ({context.hold_s:g} s tried)")]


def _why_not(context: Context) -> str:
    if not context.auth_token or not context.settings.server.public_url:
        return "there is no server.public_url: only rehearsed calls from this machine are taken"
    return "" if context.identity else "nobody listens here: see what was said above"


@asynccontextmanager
async def _opened(context: Context) -> AsyncIterator[tuple[ClientConnection, dict[str, object]]]:
    """The socket of the probe, and how its handshake arrived; raises NotReachedError, also for what is done inside."""
    public = context.public
    place = f"{public.netloc}{public.path}{SOCKET_PATH}"
    # Signed as `<Stream url>` says it, which is wss also where a rehearsal's bridge is reached without TLS.
    nonce, headers = proof_headers(context, f"wss://{place}")
    async with _socket(context, f"{'wss' if public.scheme == 'https' else 'ws'}://{place}", nonce, headers) as socket:
        seen = json.loads(await socket.recv())
        if not is_proved(context, nonce, seen):
            raise NotReachedError("something else accepts WebSockets there", _UPGRADE)
        yield socket, seen


async def _fast_door(context: Context) -> Finding:
    """The fast door has no probe: that it opens to a signed handshake must do."""
    if not context.is_running:
        return skipped("the fast door cannot be stood in for: ask again when the bridge runs")
    server = context.settings.server
    url = server.media_url.replace("{worker}", "0") or f"wss://{context.public.hostname}:{server.media_port}"
    url = f"{url.rstrip('/')}/media"
    nonce, headers = proof_headers(context, url)
    async with _socket(context, url, nonce, headers):
        return ok(f"the fast door at {url} opens to a signed handshake")


@asynccontextmanager
async def _socket(context: Context, url: str, nonce: str, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
    try:
        async with Straight(
            url,
            additional_headers=headers,
            user_agent_header=None,
            ssl=unchecked_tls() if url.startswith("wss:") else None,
            compression=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=1,
            proxy=None,
        ) as socket:
            yield socket
    except InvalidStatus as error:
        raise _not_opened(context, nonce, error) from error
    except ConnectionClosed as error:
        raise NotReachedError(f"the socket was closed: {error}", _UPGRADE) from error
    except (InvalidHandshake, OSError, ValueError) as error:
        raise NotReachedError(f"the socket does not open: {type(error).__name__}", _UPGRADE) from error


def _not_opened(context: Context, nonce: str, error: InvalidStatus) -> NotReachedError:
    response = error.response
    status = response.status_code
    try:
        is_ours = is_proved(context, nonce, json.loads(response.body))
    except ValueError:
        is_ours = False
    if is_ours or status in (400, 405, 426):
        return NotReachedError(f"what lies between takes the Upgrade header off (HTTP {status})", _UPGRADE)
    other = answered(status, response.headers.get("Location", ""))
    return NotReachedError(f"the media stream's socket does not open: {other}", other.way_out)


async def _echo(context: Context, socket: ClientConnection) -> float:
    """How long a message takes there and back."""
    begun = context.clock.now()
    await socket.send(ECHO + _FRAME)
    await asyncio.wait_for(socket.recv(), 10)
    return context.clock.now() - begun
