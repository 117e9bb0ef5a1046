"""An operator, who asks the bridge over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.support import LINE

if TYPE_CHECKING:
    from bridge.rehearsal.carrier import Call
    from tests.support import Rehearsal

ADMIN = "an-admin-token"
CALLEE = "+15557654321"
LINES: dict[str, object] = {"default": {"agent": "reception"}, LINE: {"agent": "reception"}}
TABLES: dict[str, Any] = {"server": {"admin_token": ADMIN}, "lines": LINES}
"""Settings that an operator needs: a token, and a line to call from."""


class Operator:
    """Somebody with the admin token, or with another."""

    def __init__(self, run: Rehearsal, token: str = ADMIN) -> None:
        self._run = run
        self._headers = {b"Authorization": f"Bearer {token}".encode()} if token else {}

    async def ask(self, method: str, path: str, *, body: object = None, content: bytes | None = None) -> httpx.Response:
        """Make a request, with JSON or with bytes as they are."""
        headers = self._headers
        async with httpx.AsyncClient(base_url=self._run.bridge.url, headers=headers, trust_env=False) as client:
            if content is not None:
                json_type = {"Content-Type": "application/json"}
                return await client.request(method, path, content=content, headers=json_type)
            return await client.request(method, path, json=body)

    async def post(self, path: str, body: object = None) -> httpx.Response:
        """POST JSON."""
        return await self.ask("POST", path, body=body)

    async def get(self, path: str) -> httpx.Response:
        """GET."""
        return await self.ask("GET", path)

    async def call(self, **body: object) -> Call:
        """Have somebody called; the carrier's leg of that call."""
        answer = await self.post("/api/calls", {"to": CALLEE, "from": LINE} | body)
        assert 201 == answer.status_code, answer.text
        call = self._run.carrier.find(answer.json()["call_sid"])
        assert call is not None
        return call

    async def view(self, call: Call) -> dict[str, Any]:
        """What the bridge tells about a call."""
        answer = await self.get(f"/api/calls/{call.sid}")
        assert 200 == answer.status_code
        view: dict[str, Any] = answer.json()
        return view


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error."""
    error = answer.json()["error"]
    assert error["message"]
    return answer.status_code, error["code"]
