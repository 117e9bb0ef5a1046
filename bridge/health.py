"""What an orchestrator and Prometheus ask: whether the process lives, whether it takes calls, and its numbers.

None of it needs a token, for nothing here says who calls or what is said. Keep it from the outside all the same: see
`docs/watching.md`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from quart import Blueprint, Response, jsonify

from bridge.snapshots import CONTENT_TYPE, render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bridge.snapshots import Snapshot


class Readiness(Protocol):
    """Whether new calls are taken."""

    is_draining: bool


def blueprint(calls: Readiness, numbers: Callable[[], Awaitable[Iterable[Snapshot]]]) -> Blueprint:
    """`/healthz`, `/readyz` and `/metrics`, by GET or HEAD.

    Args:
        calls: says whether new ones are taken.
        numbers: gives the snapshots of all processes that are one bridge.
    """
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    async def healthz() -> Response:
        return _fresh(jsonify(status="alive"))

    @pages.get("/readyz")
    async def readyz() -> Response:
        answer = jsonify(status="draining" if calls.is_draining else "ready")
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE if calls.is_draining else HTTPStatus.OK
        return _fresh(answer)

    @pages.get("/metrics")
    async def metrics() -> Response:
        return _fresh(Response(render(await numbers()), content_type=CONTENT_TYPE))

    return pages


def _fresh(answer: Response) -> Response:
    """Whoever stands between must ask each time."""
    answer.headers["Cache-Control"] = "no-store"
    return answer
