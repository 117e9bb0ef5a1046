"""Operators' requests about calls that another process owns: passed on to it, and its answer passed back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Response, request

from bridge.edge.in_process import ask
from bridge.edge.shared import NOBODY
from bridge.switchboard import Replied, RequestAsked

if TYPE_CHECKING:
    from quart import Blueprint, Quart

    from bridge.api import OperatorApi
    from bridge.switchboard import Switchboard

PASSED_ON = ("authorization", "content-type", "accept")


def connect(api: OperatorApi, routes: Blueprint, app: Quart, switchboard: Switchboard) -> None:
    """Let the routes of the operator API reach every call; their own check of the token comes before."""

    async def pass_on() -> Response | None:
        call_sid = str((request.view_args or {}).get("call_sid", ""))
        owner = await switchboard.elsewhere(call_sid) if call_sid else NOBODY
        if owner == NOBODY:
            return None
        headers = [(name, value) for name, value in request.headers if name.lower() in PASSED_ON]
        asked = RequestAsked(request.method, request.path, headers, await api.read())
        replied = await switchboard.request(owner, call_sid, asked)
        if replied is None:
            return None
        return Response(replied.body, status=replied.status, headers=dict(replied.headers))

    async def perform(asked: RequestAsked) -> Replied:
        return Replied(*await ask(app, asked.method, asked.path, asked.headers, asked.body))

    routes.before_request(pass_on)
    switchboard.perform_by(perform)
