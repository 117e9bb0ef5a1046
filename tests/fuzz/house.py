"""A bridge's HTTP side in one process, for the webhooks' target: the real application and desk, in virtual time.

There is no socket: the carrier and the model, who are the other ends, are the smallest that let a call happen.
"""

from __future__ import annotations

import asyncio
import re

from quart import Quart
from werkzeug.exceptions import HTTPException

from bridge.api import OperatorApi, http_error
from bridge.desk import FrontDesk
from bridge.edge.driver import Driver
from bridge.edge.functions import FunctionRunner
from bridge.past import Calls
from bridge.recent import RecentCalls
from bridge.rules import RuleBook
from bridge.settings import Settings
from bridge.wire import caller
from tests.chaos.virtual import VirtualLoop
from tests.fuzz.ends import Carrier, Model, Stream
from twiml.webhooks import Webhooks

PUBLIC_URL = "https://bot.example.test"
AUTH_TOKEN, ADMIN_TOKEN = "12345", "an-admin-token"
BETWEEN_S = 2.0
"""From a request to the next one: what is said meanwhile is heard."""
OVER_WITHIN_S = 300.0
"""A call whose caller has left is over by then, and so is everything that limits an address."""
_ATTEMPT = re.compile(r"attempt=(\d+)")
_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_TABLES: dict[str, object] = {
    "model": {"provider": "compatible", "url": "wss://model.example.test"},
    "agents": {"reception": {"greeting_message": "Hello."}},
    "lines": {"default": {"agent": "reception"}, "+15551230000": {"agent": "reception"}},
    "destinations": {
        "sales": {"to": "+15557654321", "whisper": True, "on_failure": "return"},
        "repairs": {"to": "+15557654322", "kind": "warm", "on_failure": "sales"},
    },
    "records": {"keep": False},
    "limits": {"calls_per_minute_per_caller": 10_000},
}


class House:
    """One of two: it believes signatures, or every request (`insecure`)."""

    def __init__(self, loop: VirtualLoop, *, insecure: bool) -> None:
        self._loop = loop
        self._carrier = Carrier()
        self._streams: list[Stream] = []
        self._token = ""
        self.attempt = b"1"
        """The transfer that the carrier was told to make last."""
        self._crashed: list[str] = []
        twilio = {"insecure": True} if insecure else {"account_sid": "AC" + "0" * 32, "auth_token": AUTH_TOKEN}
        server = {"public_url": PUBLIC_URL, "admin_token": ADMIN_TOKEN}
        settings = Settings.model_validate(_TABLES | {"twilio": twilio, "server": server})
        self._rules = RuleBook(settings, lambda settings: FunctionRunner(settings.functions, loop.clock))
        asyncio.run(self._rules.__aenter__())  # which takes threads, and none has a part in virtual time
        recent = RecentCalls()
        observers = (recent, self)
        self.desk = FrontDesk(self._rules, loop.clock, control=self._carrier, model_leg=Model, observers=observers)
        self.client = self._app(recent).test_client()

    def _app(self, recent: RecentCalls) -> Quart:
        app = Quart("voicebridge")
        app.config["PROPAGATE_EXCEPTIONS"] = True
        hooks = Webhooks(
            self.desk,
            validator=self.desk.validator,
            fallback=self.desk.fallback_document,
            clock=self.desk.clock,
            refused=self.desk.refused,
            failed=_raise,
            insecure=self.desk.validator is None,
        )
        app.register_blueprint(hooks.blueprint())
        app.register_blueprint(OperatorApi(self.desk, Calls(recent, None), ADMIN_TOKEN).blueprint())
        app.register_error_handler(HTTPException, http_error)
        return app

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:  # noqa: ARG002 - the desk's signature
        """A call whose code has failed ends like any other; here it shall be seen."""
        if fields.get("ending") == "bridge_failed":
            self._crashed.append(event)

    def said(self, driver: Driver, line: object) -> None:
        """Whatever it is."""

    def meet(self, call_sid: str) -> None:
        """From now on calls that are placed have this name."""
        self._carrier.call_sid = call_sid

    def offered(self, document: str) -> None:
        """The carrier has been given this document: what may be in it can follow, a stream or the end of a transfer."""
        if token := _TOKEN.search(document):
            self._token = token[1]
        if attempt := _ATTEMPT.search(document):
            self.attempt = attempt[1].encode()

    def stream(self, call_sid: str, messages: list[str], *, token: str | None) -> bool:
        """The stream that was offered last comes and says this; whether it was let in. `token`: one that it made up."""
        start = Stream.start(call_sid, self._token if token is None else token)
        started = caller.parse(start)
        assert isinstance(started, caller.StreamStarted)
        driver = self.desk.claim(started)
        if driver is None:
            return False
        stream = Stream(driver)
        self._streams.append(stream)
        driver.attach(stream, started, start)
        for message in messages:
            stream.receive(message)
        return True

    def wait(self) -> None:
        """Let a moment pass."""
        self._loop.run_until_complete(asyncio.sleep(BETWEEN_S))

    def leave(self) -> None:
        """The caller hangs up, and time passes. Raises AssertionError when something is left, or has failed."""
        for stream in self._streams:
            stream.hang_up()
        self._streams.clear()
        self._token, self.attempt = "", b"1"
        self._loop.run_until_complete(asyncio.sleep(OVER_WITHIN_S))
        assert not len(self.desk.calls), "a call never ends"
        assert not asyncio.all_tasks(self._loop), "a task is left"
        assert not self._loop.faults, self._loop.faults
        assert not self._crashed, "the code of a call has failed"

    def close(self) -> None:
        """Let go of everything."""
        self._loop.run_until_complete(self.desk.close())
        asyncio.run(self._rules.__aexit__(None, None, None))


def _raise() -> None:
    """The desk has failed, which a caller would not notice: here it shall be seen."""
    raise  # noqa: PLE0704 - the one that is being handled
