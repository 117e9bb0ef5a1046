"""The composition root: puts the parts together, starts them in order, and lets them go in the reverse order.

The only module that sees every other. Nothing here decides anything about a call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr
from quart import Quart, request
from werkzeug.exceptions import HTTPException

from bridge import elsewhere, health, reloading, several
from bridge.api import OperatorApi, http_error
from bridge.clock import Clock
from bridge.desk import FrontDesk
from bridge.edge import lag
from bridge.edge.admission import Admission
from bridge.edge.admission_shared import SharedAdmission
from bridge.edge.caller import MediaDoor
from bridge.edge.entrance import Entrance
from bridge.edge.functions import FunctionRunner
from bridge.edge.http import HttpServer, peer_of
from bridge.edge.model_client import model_client, require_picows
from bridge.edge.model_leg import shared_tls
from bridge.edge.recorder import Tapes
from bridge.edge.window import BoundedReceive
from bridge.log import Words
from bridge.metrics import Metrics
from bridge.past import Calls
from bridge.probe import Probe
from bridge.recent import RecentCalls
from bridge.records.keeper import Records
from bridge.records.webhook import Webhook
from bridge.rules import RuleBook
from bridge.settings import Twilio
from bridge.several import listen
from bridge.switchboard import Switchboard
from bridge.traces import Traces
from twiml.calls import CallControl
from twiml.webhooks import Webhooks

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from bridge.edge.caller_fast import FastDoor
    from bridge.edge.driver import Driver
    from bridge.edge.model_leg import ModelLeg
    from bridge.edge.shared import Shared
    from bridge.observing import Observer
    from bridge.settings import Settings
    from bridge.snapshots import Snapshot

REHEARSED_URL = "https://voicebridge.test"
"""What a bridge without a public address is called in rehearsals; the domain is reserved (RFC 6761)."""
REHEARSED_MEDIA_URL = "wss://worker-{worker}.voicebridge.test"
LEAVE_WITHIN_S = 10.0
"""How long calls that were told to end may take to do so."""
STOP_WITHIN_S = 3.0
_log = logging.getLogger("bridge")


class Bridge:
    """A running bridge, as an async context manager: everything listens once entered.

    Args:
        settings: the configuration; what it leaves open for a rehearsal on this machine is filled in (see `complete`).
        clock: shared with the carrier and the model of a rehearsal; by default the wall's.
        observers: told what happens in calls.
        model_leg: the client that opens sessions; by default picows's where it is installed, else `websockets`'s.
        runner: runs the operator's functions.
        keeps_records: whether calls are written to `storage.url`, if the settings want it; not those of a rehearsal.
        shared: the register of a worker's parent; by default the one that the settings name, or none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        observers: tuple[Observer, ...] = (),
        model_leg: type[ModelLeg] | None = None,
        runner: type[FunctionRunner] = FunctionRunner,
        keeps_records: bool = True,
        shared: Shared | None = None,
    ) -> None:
        self.given = settings
        """What it was given when it started, or was last reloaded."""
        self.settings = complete(settings)
        self.clock = clock or Clock()
        self.recent = RecentCalls()
        self.metrics = Metrics()
        self.metrics.expect_functions(settings.functions)
        self.records: Records | None = None
        self._observers = (self.recent, *observers)
        self._model_leg = model_leg
        self._runner = runner
        self._keeps_records = keeps_records and settings.records.keep
        self._stack = AsyncExitStack()
        self._is_in_haste = False
        self._shared = shared
        self._switchboard: Switchboard | None = None
        self.desk: FrontDesk
        self.model_leg: type[ModelLeg]
        """Opens sessions."""
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens on this machine."""
        return several.url_of(self.settings.server.host, self.port)

    async def __aenter__(self) -> Self:
        """Start the embedded model, if that is the model, and listen."""
        async with AsyncExitStack() as stack:
            settings = self.settings
            if settings.model.provider == "embedded" and not settings.model.url:  # else a parent has started it
                settings = self.settings = await start_embedded_model(settings, self.clock, stack)
            server = settings.server
            listener = listen(server.host, server.port, is_divided=server.workers > 1)
            stack.callback(listener.close)  # in case that nobody comes to serve it
            self.port = listener.getsockname()[1]
            if self._keeps_records:
                self.records = await records(settings, self.port, self.clock, self.metrics, stack)
                self._observers = (self.records.observer, *self._observers)
            rules = await stack.enter_async_context(RuleBook(settings, self._functions_of))
            control = await stack.enter_async_context(call_control(settings, self.clock)) if by_rest(settings) else None
            self._observers += watchers(settings, stack)
            self.model_leg = self._client()
            self.desk = FrontDesk(
                rules,
                self.clock,
                control=control,
                tapes=tapes(settings, stack, self.metrics),
                metrics=self.metrics,
                calls=await self._places(stack),
                model_leg=self.model_leg,
                observers=self._observers,
            )
            stack.push_async_callback(self._close_desk)
            if self.records is not None:
                self.desk.recordings.told = self.records.observer.recording
            if self._shared is not None:
                self._switchboard = Switchboard(self.desk, self.recent, self.metrics.snapshot, self._shared)
            if settings.server.media_port:
                await stack.enter_async_context(fast_door(settings, self._entrance(), self.clock))
            probing = asyncio.create_task(lag.probe(self.desk.calls, self.metrics), name="lag")
            stack.callback(probing.cancel)
            http = await stack.enter_async_context(await self._http_server(listener))
            stack.push_async_callback(self._stop, http)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every call that is left, and let go of everything."""
        await self._stack.aclose()

    async def adopt(self, settings: Settings) -> None:
        """Have new calls go by other settings; live ones keep theirs.

        Raises:
            ConfigurationError: they cannot be adopted, and nothing has changed.
        """
        adopted = reloading.adopted(self.given, self.desk.settings, settings)
        await self.desk.adopt(adopted)
        self.settings, self.given = adopted, settings
        if self.records is not None:
            self.records.observer.lines = adopted.lines

    async def drain(self) -> None:
        """Take no new calls, and return when the live ones have ended: by themselves within `drain_s`, or told to.

        A call that is told to ends with the carrier's question what now: it is waited for, or the caller would hear an
        error instead of the apology.
        """
        calls = self.desk.calls
        calls.is_draining = True
        _log.info("bridge.draining", extra={"calls": len(calls), "drain_s": self.settings.server.drain_s})
        if not await self._empty_within(self.settings.server.drain_s):
            self.desk.hang_up_all(politely=True)
        await self._until(lambda: not self.desk.is_owing, LEAVE_WITHIN_S)

    def hurry(self) -> None:
        """Leave at once: calls are ended where they are, and nothing that is under way is waited for."""
        self._is_in_haste = True

    async def _empty_within(self, seconds: float) -> bool:
        return await self._until(lambda: not len(self.desk.calls), seconds)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        ends_at = self.clock.now() + seconds
        while not condition() and self.clock.now() < ends_at:
            await self.clock.sleep(min(0.2, seconds))
        return condition()

    async def _stop(self, http: HttpServer) -> None:
        self.desk.calls.is_draining = True
        self.desk.hang_up_all(politely=False)
        await self._empty_within(STOP_WITHIN_S)
        await http.close(within_s=0 if self._is_in_haste else STOP_WITHIN_S)

    async def _close_desk(self) -> None:
        with suppress(TimeoutError):  # what is asked of the carrier by then is not waited for
            async with asyncio.timeout(0 if self._is_in_haste else LEAVE_WITHIN_S):
                await self.desk.close()

    async def _http_server(self, listener: socket.socket) -> HttpServer:
        app = self._app()
        await app.startup()
        limits = self.settings.limits
        return HttpServer(
            BoundedReceive(app), listener, max_message_bytes=limits.max_message_bytes, refused=self.desk.refused
        )

    def _app(self) -> Quart:
        app = Quart("voicebridge")
        desk = self.desk
        hooks = Webhooks(
            self._switchboard or desk,
            validator=desk.validator,
            fallback=desk.fallback_document,
            clock=self.clock,
            refused=desk.refused,
            failed=self.metrics.webhook_failed,
            insecure=desk.validator is None,
            believed=lambda: peer_of(request.scope).believe(),
        )
        app.register_blueprint(hooks.blueprint())
        if desk.validator is not None:
            probe = Probe(self._auth_token, self.settings.server.public_url, desk.validator, self.clock)
            app.register_blueprint(probe.blueprint())
        admin_token = self.settings.server.admin_token.get_secret_value()
        others = None if self._switchboard is None else self._switchboard.calls
        api = OperatorApi(desk, Calls(self.recent, self.records, others), admin_token)
        routes = api.blueprint()
        if self._switchboard is not None:
            elsewhere.connect(api, routes, app, self._switchboard)
        app.register_blueprint(routes)
        app.register_error_handler(HTTPException, http_error)
        door = MediaDoor(self._entrance(), self.clock)
        app.add_websocket("/media", "media", door.serve)
        app.add_websocket("/media/<instance>", "media-of-instance", door.serve)

        app.register_blueprint(health.blueprint(desk.calls, self._numbers))
        return app

    def _client(self) -> type[ModelLeg]:
        shared_tls()  # made now, so that the first caller does not wait for it
        if self.settings.server.media_port:
            require_picows()
        return self._model_leg or model_client()

    def _functions_of(self, settings: Settings) -> FunctionRunner:
        return self._runner(settings.functions, self.clock, report=self._function_failed)

    def _auth_token(self) -> str:
        return self.desk.settings.twilio.auth_token.get_secret_value()

    def _function_failed(self, event: str, fields: dict[str, object]) -> None:
        self.metrics.function_failed(str(fields.get("function")), str(fields.get("reason")))
        if self.records is not None:
            self.records.observer.function_failed(fields)
        _log.warning(event, extra=fields)

    async def _numbers(self) -> Iterable[Snapshot]:
        """What Prometheus reads, of each process that is part of this bridge."""
        return [self.metrics.snapshot()] if self._switchboard is None else await self._switchboard.numbers()

    async def _places(self, stack: AsyncExitStack) -> Admission[Driver]:
        """Where calls have their places: among those of all processes, if there are several."""
        limits = self.settings.limits
        if self._shared is None and (register := several.register(self.settings)) is not None:
            self._shared = await stack.enter_async_context(register)
            self.metrics.watch_shared(register)
        return Admission(limits) if self._shared is None else SharedAdmission(limits, self._shared)

    def _entrance(self) -> Entrance:
        fetch = None if self._switchboard is None else self._switchboard.fetch
        return Entrance(self.desk, self.desk.refused, fetch)


def complete(settings: Settings) -> Settings:
    """Fill in what a bridge for rehearsals on this machine may leave open: its public address, and tokens."""
    server, twilio = settings.server, settings.twilio
    if not server.public_url:
        server = server.model_copy(update={"public_url": REHEARSED_URL})
        if server.workers > 1 and not server.media_url:
            server = server.model_copy(update={"media_url": REHEARSED_MEDIA_URL})
    if not server.instance and several.are_several(settings):
        server = server.model_copy(update={"instance": several.made_up_instance()})
    if not (twilio.auth_token.get_secret_value() or twilio.insecure):
        update: dict[str, object] = {"auth_token": SecretStr(secrets.token_hex(16))}
        if not twilio.account_sid:
            update["account_sid"] = f"AC{secrets.token_hex(16)}"
        if twilio.api_url == Twilio().api_url:  # the real carrier would not believe a made-up token
            update["control"] = "action"
        twilio = twilio.model_copy(update=update)
        if not server.admin_token.get_secret_value():
            server = server.model_copy(update={"admin_token": SecretStr(secrets.token_urlsafe(24))})
    return settings.model_copy(update={"server": server, "twilio": twilio})


async def start_embedded_model(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Settings:
    """Start the model that listens and speaks on this machine; the settings that lead to it.

    Where no agent is configured, the one that its dialogue brings along answers.
    """
    from bridge.rehearsal.mind import Dialogue  # noqa: PLC0415 - the extra `embedded` is needed only here
    from bridge.rehearsal.model import EmbeddedModel  # noqa: PLC0415 - as above
    from bridge.rehearsal.speech import Speech  # noqa: PLC0415 - as above

    path = settings.rehearsal.dialogue
    dialogue = Dialogue.load(path) if path else Dialogue.default()
    speech = await stack.enter_async_context(Speech())
    faults = settings.rehearsal.faults
    server = EmbeddedModel(
        speech=speech, dialogue=dialogue, clock=clock, dialects=settings.model.dialect, faults=faults
    )
    url = (await stack.enter_async_context(server)).url
    update: dict[str, object] = {"model": settings.model.model_copy(update={"url": url})}
    if "agents" not in settings.model_fields_set:
        texts = {"instructions": dialogue.agent.instructions, "greeting_message": dialogue.agent.greeting_message}
        update["agents"] = {name: agent.model_copy(update=texts) for name, agent in settings.agents.items()}
    return settings.model_copy(update=update)


def fast_door(settings: Settings, entrance: Entrance, clock: Clock) -> FastDoor:
    """The door for media streams on a port of its own."""
    from bridge.edge.caller_fast import FastDoor  # noqa: PLC0415 - the extra `fast` is needed only here

    server = settings.server
    listener = listen(server.host, server.media_port, key="server.media_port")
    return FastDoor(entrance, clock, listener, max_message_bytes=settings.limits.max_message_bytes)


def watchers(settings: Settings, stack: AsyncExitStack) -> tuple[Observer, ...]:
    """Who else watches calls, because the settings say so: traces, and the log where it may have words."""
    watching: list[Observer] = [Words()] if settings.log.words else []
    if settings.otel.endpoint:
        traces = Traces(settings.otel)
        stack.push_async_callback(asyncio.to_thread, traces.close)
        watching.append(traces)
    return tuple(watching)


def tapes(settings: Settings, stack: AsyncExitStack, metrics: Metrics) -> Tapes | None:
    """What records the calls, if they are to be recorded."""
    if not settings.tape.record:
        return None

    def failed(error: OSError) -> None:
        metrics.tape_failed()
        _log.error("tape.failed", extra={"reason": error.strerror})

    recorders = Tapes(settings, failed=failed, lost=lambda entries: metrics.bound_hit("tape", entries))
    stack.push_async_callback(asyncio.to_thread, recorders.close)
    return recorders


async def records(settings: Settings, port: int, clock: Clock, metrics: Metrics, stack: AsyncExitStack) -> Records:
    """What keeps a record of each call, and tells about it where that is wanted."""
    kept = Records(settings, port, clock)
    stack.push_async_callback(asyncio.to_thread, kept.close)
    if settings.records.webhook_url:
        telling = Webhook(settings.records, kept, clock, lambda: metrics.survived("webhook"))
        webhook = await stack.enter_async_context(telling)
        kept.observer.told = webhook.look
    kept.start()
    metrics.watch_records(kept.writer)
    return kept


def by_rest(settings: Settings) -> bool:
    """Whether calls are controlled through the carrier's REST interface."""
    twilio = settings.twilio
    return twilio.control == "rest" and bool(twilio.account_sid and twilio.auth_token.get_secret_value())


def call_control(settings: Settings, clock: Clock) -> CallControl:
    """The carrier's REST interface, with the account's credentials."""
    twilio = settings.twilio
    return CallControl(twilio.account_sid, twilio.auth_token.get_secret_value(), api_url=twilio.api_url, clock=clock)
