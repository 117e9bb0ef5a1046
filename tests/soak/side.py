"""What stands around one bridge of a soak: who calls it, its model, its operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from bridge.rehearsal.carrier import Call, Caller, Carrier, Script
from bridge.rehearsal.carrier.webhooks import Webhooks
from tests.client import ADMIN
from tests.support import LINE, TOKEN

if TYPE_CHECKING:
    from bridge.clock import Clock
    from bridge.rehearsal.model import EmbeddedModel

KEPT_FOR_S = 2.0
"""Shorter than the bridge keeps a connection, or a request is sent into one that is just being closed."""


class Side:
    """See the module. Close it after use.

    Args:
        carrier: calls the bridge.
        model: its model.
        url: where the bridge listens.
    """

    def __init__(self, carrier: Carrier, model: EmbeddedModel, url: str) -> None:
        self.carrier = carrier
        self.model = model
        self._url = url
        self._operator = self._sign_in()

    @property
    def clock(self) -> Clock:
        """Of the calls."""
        return self.carrier.clock

    async def dial(self, number: str, script: Script) -> Call:
        """Have somebody call the bridge."""
        return await self.carrier.dial(from_=number, to=LINE, caller=Caller(script=script))

    async def hang_up(self, call: Call) -> None:
        """Have the operator end a call."""
        await self._operator.post(f"/api/calls/{call.sid}/hang-up")

    async def ending_of(self, call: Call) -> str | None:
        """How a call ended, as the operator is told; None as long as it has not."""
        answer = await self._operator.get(f"/api/calls/{call.sid}")
        ending: str | None = answer.json().get("ending")
        return ending

    async def calm_down(self) -> None:
        """Forget what was, and close the connections that are kept open for the next request."""
        carrier = self.carrier
        await carrier.settled()
        for book in (carrier.calls, carrier.record, carrier.events, carrier.warnings, carrier.conferences):
            book.clear()
        self.model._sessions.clear()  # noqa: SLF001 - what it remembers has a bound, which is far away here
        await carrier.webhooks.aclose()
        carrier.webhooks = Webhooks(
            auth_token=TOKEN, clock=carrier.clock, record=carrier.record, addresses=carrier.addresses
        )
        await self.close()
        self._operator = self._sign_in()

    async def close(self) -> None:
        """Ask nothing any more."""
        await self._operator.aclose()

    def _sign_in(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        limits = httpx.Limits(keepalive_expiry=KEPT_FOR_S)
        return httpx.AsyncClient(base_url=self._url, headers=headers, limits=limits, trust_env=False, timeout=30)
