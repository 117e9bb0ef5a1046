"""Whether each agent's endpoint takes the key, the model and the session that a call asks for; no sound is sent."""

from __future__ import annotations

import json
import socket as sockets
import ssl
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from bridge.call.plan import CallInfo
from bridge.doctor.findings import Finding, failed, ok, warning
from bridge.edge.functions import FunctionRunner
from bridge.edge.model_client import picows_fault
from bridge.edge.straight import session_at
from bridge.errors import ConfigurationError
from bridge.planning import Planner
from bridge.settings import model_for
from bridge.wire.commands import UpdateSession, encode
from bridge.wire.echo import verify
from bridge.wire.endpoint import address_of
from bridge.wire.model import Failed, SessionCreated, SessionUpdated, parse
from bridge.wire.session import TurnControl, session_fields

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from bridge.call.plan import Plan
    from bridge.doctor.context import Context
    from bridge.settings import Dialect, Settings
    from bridge.settings.model import Endpoint
    from bridge.wire.echo import Mismatch

_SLOW_S = 0.3
_PINGS = 3
_Session = TypeVar("_Session", SessionCreated, SessionUpdated)
_MASK = "********"
_EVENT_ID = "doctor"
_STATUSES = {
    401: ("does not take the key", "correct model.api_key"),
    403: ("does not let this key in", "see what the key may do, and model.project"),
    404: ("does not know the model, or has nothing at this path", "correct model.name and model.url"),
    429: ("is over its limit or quota", "see the account's limits and billing: calls hear the fallback"),
}
_CODES = {
    "invalid_api_key": _STATUSES[401],
    "model_not_found": ("does not know the model", "correct model.name"),
    "insufficient_quota": _STATUSES[429],
    "rate_limit_exceeded": _STATUSES[429],
    "beta_api_shape_disabled": ("does not speak the beta dialect any more", 'set model.dialect = "ga"'),
}


class _Trial(NamedTuple):
    """An endpoint to try, with the session of an agent."""

    place: str
    """What it is, for people."""
    model: Endpoint
    plan: Plan
    dialect: Dialect


class _Times(NamedTuple):
    """How long it took."""

    open_s: float
    round_trip_s: float


class _RefusedError(Exception):
    def __init__(self, fault: str, way_out: str) -> None:
        self.fault = fault
        self.way_out = way_out
        super().__init__(fault)


async def endpoints(context: Context) -> list[Finding]:
    """Open a session for each agent, one after the other, and close it when it is as a call wants it."""
    settings = context.settings
    if settings.model.provider == "embedded" and not any(agent.vendor for agent in settings.agents.values()):
        return [ok("the model is the embedded one, on this machine: for rehearsed calls")]
    try:
        async with FunctionRunner(settings.functions, context.clock) as functions:
            trials = _trials(settings, Planner(settings, functions))
    except ConfigurationError as error:
        return [failed(str(error), "correct the function: calls are not taken without it")]
    return [finding for trial in trials for finding in await _try(context, trial)]


def _trials(settings: Settings, planner: Planner) -> list[_Trial]:
    trials = []
    for name, agent in settings.agents.items():
        plan = planner.plan(CallInfo(agent=name), {})
        trials.append(_Trial(f"the endpoint of {name}", model_for(settings.model, agent), plan, plan.dialect))
        if (standby := settings.model.standby) is not None:
            trials.append(_Trial(f"the standby of {name}", standby, plan, standby.dialect))
    return [trial for trial in trials if trial.model.provider != "embedded"]


async def _try(context: Context, trial: _Trial) -> list[Finding]:
    place = trial.place
    begun = context.clock.now()
    try:
        async with context.clock.timeout(trial.model.connect_timeout_s):
            return await _open(context, trial, place, begun)
    except TimeoutError:
        message = f"{place} does not open a session within model.connect_timeout_s, {trial.model.connect_timeout_s:g} s"
        return [failed(message, "see whether this machine may connect to it, or give it more time")]
    except _RefusedError as error:
        return [failed(f"{place} {error.fault}", error.way_out)]


async def _open(context: Context, trial: _Trial, place: str, begun: float) -> list[Finding]:
    asked = session_fields(
        trial.plan.agent,
        dialect=trial.dialect,
        tools=trial.plan.tools,
        turn_control=TurnControl(create_response=True, interrupt_response=True),
    )
    try:
        async with session_at(address_of(trial.model)) as socket:
            opened_s = context.clock.now() - begun
            _look_at_answer(socket)
            echoed = await _configured(socket, asked, _Secret(trial.model))
            took_s = min([await _ping(context, socket) for _ in range(_PINGS)])
    except InvalidStatus as error:
        raise _by_status(error) from error
    except ConnectionClosed as error:
        raise _by_close(error) from error
    except ssl.SSLError as error:
        raise _RefusedError(f"has no certificate that is trusted here ({error.reason})", "correct model.url") from error
    except (WebSocketException, ImportError, OSError, ValueError) as error:
        cause = "its name leads nowhere" if isinstance(error, sockets.gaierror) else type(error).__name__
        raise _RefusedError(f"cannot be reached ({cause})", "correct model.url, or open the firewall") from error
    return _judged(trial, place, verify(asked, echoed, dialect=trial.dialect), _Times(opened_s, took_s))


def _look_at_answer(socket: ClientConnection) -> None:
    """picows, which carries the sessions of calls where it is installed, is stricter than what carries this one."""
    said = ", ".join(socket.response.headers.get_all("Connection")) if socket.response is not None else ""
    if not picows_fault() and said.lower() != "upgrade":
        fault = f"answers the handshake with `Connection: {said}`, which picows does not take"
        raise _RefusedError(fault, "have it say `Upgrade` alone, or do without the extra `fast`")


async def _ping(context: Context, socket: ClientConnection) -> float:
    begun = context.clock.now()
    await (await socket.ping())
    return context.clock.now() - begun


async def _configured(socket: ClientConnection, asked: dict[str, object], secret: _Secret) -> dict[str, object]:
    """The session as the endpoint says that it is, after it was asked for as a call asks."""
    await _expect(socket, SessionCreated, secret)
    await socket.send(encode(UpdateSession(asked, _EVENT_ID)), text=True)
    return (await _expect(socket, SessionUpdated, secret)).session


async def _expect(socket: ClientConnection, kind: type[_Session], secret: _Secret) -> _Session:
    while True:
        event = parse(await socket.recv())
        if isinstance(event, kind):
            return event
        if isinstance(event, Failed):
            raise _by_fault(event, secret)


class _Secret(NamedTuple):
    """What must not be shown of an endpoint's answers."""

    model: Endpoint

    def masked(self, text: str) -> str:
        """The text without the key."""
        key = self.model.api_key.get_secret_value()
        return text.replace(key, _MASK) if key else text


def _by_status(error: InvalidStatus) -> _RefusedError:
    status = error.response.status_code
    try:
        code = str(json.loads(error.response.body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        code = ""
    fault, way_out = (
        _CODES.get(code) or _STATUSES.get(status) or ("refuses the connection", "see model.url and its status page")
    )
    return _RefusedError(f"{fault} (HTTP {status}{f', {code}' if code else ''})", way_out)


def _by_close(error: ConnectionClosed) -> _RefusedError:
    closed = error.rcvd
    reason = f"{closed.code} {closed.reason}".strip() if closed else "without a word"
    known = next((known for code, known in _CODES.items() if closed and code in closed.reason), None)
    fault, way_out = known or ("closes the connection", "see its status page")
    return _RefusedError(f"{fault} ({reason})", way_out)


def _by_fault(event: Failed, secret: _Secret) -> _RefusedError:
    fault = event.error
    code, param = fault.code or fault.type, fault.param or ""
    if code in _CODES:
        said, way_out = _CODES[code]
        return _RefusedError(f"{said} ({code})", way_out)
    about = f" for {param}" if param else ""
    message = secret.masked(fault.message or "")[:200]
    return _RefusedError(
        f"refuses the session{about} ({code}): {message}",
        "leave that out of the agent, or see model.dialect: a session that is refused has no tools and no mu-law",
    )


def _judged(trial: _Trial, place: str, mismatches: tuple[Mismatch, ...], times: _Times) -> list[Finding]:
    if fatal := [one for one in mismatches if one.fatal]:
        first = fatal[0]
        return [
            failed(
                f"{place} does not take the audio format: {first.path} was asked as {first.asked} and is {first.got}",
                "set input_audio_format and output_audio_format to what it takes (pcm16): calls would be noise",
            )
        ]
    others = [
        warning(f"{place}: {one.path} was asked as {one.asked} and is {one.got}", "change it, unless that is meant")
        for one in mismatches
    ]
    facts = {"open_ms": round(times.open_s * 1000), "round_trip_ms": round(times.round_trip_s * 1000)}
    message = f"{place} takes the key, {trial.model.name} and the session; open in {facts['open_ms']} ms, "
    message += f"there and back in {facts['round_trip_ms']} ms"
    if times.round_trip_s > _SLOW_S:
        return [warning(message, "run the bridge nearer to the model: every answer waits that long", **facts), *others]
    return [ok(message, **facts), *others]
