"""What an orchestrator and Prometheus get to see, over HTTP."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import CALLER, LINE, Rehearsal


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("page", ["/healthz", "/readyz", "/metrics"])
async def test_pages_answer_by_either_method(bridge: Rehearsal, page: str, method: str) -> None:
    """Load balancers differ in how they ask; HEAD brings the status without the text."""
    async with httpx.AsyncClient(base_url=bridge.bridge.url) as client:
        answer = await client.request(method, page)

    assert (200, "no-store", method == "GET") == (
        answer.status_code,
        answer.headers["Cache-Control"],
        bool(answer.content),
    )


async def test_bridge_that_drains_is_alive_and_not_ready(bridge: Rehearsal) -> None:
    """It gets no new calls, and is not restarted for that."""
    bridge.bridge.desk.calls.is_draining = True
    async with httpx.AsyncClient(base_url=bridge.bridge.url) as client:
        answers = [(await client.get(page)).status_code for page in ("/readyz", "/healthz")]
        ready = (await client.head("/readyz")).status_code

    assert [503, 200] == answers
    assert 503 == ready


async def test_metrics_name_nobody(bridge: Rehearsal) -> None:
    """The page is open to who reaches it, so it holds no number and no word, only series that are ours."""
    call = await bridge.dial()
    call.hang_up()
    await call.ended()
    async with httpx.AsyncClient(base_url=bridge.bridge.url) as client:
        text = (await client.get("/metrics")).text

    assert not [number for number in (CALLER, LINE) if number[1:] in text]
    assert {"voicebridge"} == {family.name.partition("_")[0] for family in text_string_to_metric_families(text)}
