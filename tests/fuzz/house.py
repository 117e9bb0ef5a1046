"""A bridge's HTTP side in one process, for the webhooks' target: the real application and desk, in virtual time.

There is no socket: the carrier and the model, who are the other ends, are the two smallest that do.
"""

from __future__ import annotations

import asyncio
import json

from pydantic import SecretStr
from quart import Quart
from werkzeug.exceptions import HTTPException

from bridge.api import OperatorApi, http_error
from bridge.desk import FrontDesk
from bridge.edge.functions import FunctionRunner
from bridge.edge.model_leg import ModelLeg
from bridge.past import Calls
from bridge.recent import RecentCalls
from bridge.rules import RuleBook
from bridge.settings import Settings
from tests.chaos.virtual import VirtualLoop
from twiml.calls import CallControl, Number, OutboundCall
from twiml.webhooks import Webhooks

PUBLIC_URL = "https://bot.example.test"
AUTH_TOKEN, ADMIN_TOKEN = "12345", "an-admin-token"
CALL_SID = "CA0123456789abcdef0123456789abcdef"
"""Stands for the call of an input: each input has a call of its own."""
OVER_WITHIN_S = 300.0
"""A call whose stream never comes is over by then, and so is everything that limits an address."""
_TABLES: dict[str, object] = {
    "model": {"provider": "compatible", "url": "wss://model.example.test"},
    "agents": {"reception": {"greeting_message": "Hello."}},
    "lines": {"default": {"agent": "reception"}, "+15551230000": {"agent": "reception"}},
    "destinations": {"sales": {"to": "+15557654321", "whisper": True}},
    "records": {"keep": False},
    "limits": {"calls_per_minute_per_caller": 10_000},
}


class House:
    """Two doors to the same kind of bridge: one believes signatures, one every request (`insecure`)."""

    def __init__(self, loop: VirtualLoop, *, insecure: bool) -> None:
        self._loop = loop
        self._carrier = _Carrier()
        twilio = {"insecure": True} if insecure else {"account_sid": "AC" + "0" * 32, "auth_token": AUTH_TOKEN}
        server = {"public_url": PUBLIC_URL, "admin_token": SecretStr(ADMIN_TOKEN)}
        settings = Settings.model_validate(_TABLES | {"twilio": twilio, "server": server})
        self._rules = RuleBook(settings, lambda settings: FunctionRunner(settings.functions, loop.clock))
        loop.run_until_complete(self._rules.__aenter__())
        recent = RecentCalls()
        self.desk = FrontDesk(self._rules, loop.clock, control=self._carrier, model_leg=_Model, observers=(recent,))
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

    def meet(self, call_sid: str) -> None:
        """From now on calls that are placed have this name."""
        self._carrier.call_sid = call_sid

    def leave(self) -> None:
        """Time passes, until whatever was begun is over. Raises AssertionError when it is not."""
        self._loop.run_until_complete(asyncio.sleep(OVER_WITHIN_S))
        assert not len(self.desk.calls), "a call never ends"
        assert not asyncio.all_tasks(self._loop), "a task is left"
        assert not self._loop.faults, self._loop.faults

    def close(self) -> None:
        """Let go of everything."""
        self._loop.run_until_complete(self.desk.close())
        self._loop.run_until_complete(self._rules.__aexit__(None, None, None))


def _raise() -> None:
    """The desk has failed, which a caller would not notice: here it shall be seen."""
    raise  # noqa: PLE0704 - the one that is being handled


class _Model(ModelLeg):
    """A session that confirms what it is asked for, and never says a word."""

    async def _open(self) -> None:
        self._over = asyncio.Event()

    async def _carry(self) -> None:
        self._connected()
        await self._over.wait()

    def _leave(self) -> None:
        self._over.set()

    def _put(self, text: bytes) -> None:
        command = json.loads(text)
        if command["type"] == "session.update":
            confirmed = json.dumps({"type": "session.updated", "session": command["session"]})
            asyncio.get_running_loop().call_soon(self._receive, confirmed)


class _Carrier(CallControl):
    """A carrier that does whatever it is told, at once."""

    def __init__(self) -> None:
        self.call_sid = CALL_SID

    async def redirect(self, call_sid: str, *, url: str = "", twiml: str = "") -> None:
        """Nobody is on the line."""

    async def complete(self, call_sid: str) -> None:
        """Nobody is on the line."""

    async def cancel(self, call_sid: str) -> None:
        """Nobody is on the line."""

    async def status(self, call_sid: str) -> str:  # noqa: ARG002 - of any
        """As far as it knows, the call goes on."""
        return "in-progress"

    async def create(self, call: OutboundCall) -> str:  # noqa: ARG002 - whoever is called
        """It rings."""
        return self.call_sid

    async def numbers(self, phone_number: str = "") -> list[Number]:  # noqa: ARG002
        """The account has none but those of lines."""
        return []
