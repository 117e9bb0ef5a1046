"""What an operator watches with, against the real thing: a Prometheus that scraped a bridge under rehearsed calls."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from bridge import children
from bridge.rehearsal.carrier import Call, Callee, Caller
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.support import CALLER, PUBLIC, Rehearsal, free_port, program, speech, start

ALERTS = Path("ops/prometheus/alerts.yml").resolve()
DASHBOARD = json.loads(Path("ops/grafana/voicebridge.json").read_text(encoding="utf-8"))
WATCHING = Path("docs/watching.md").read_text(encoding="utf-8")
SALES, BLOCKED, BROKEN = "+15557654321", "+15550100009", "+15551230009"
LONG = 4 * "So let me tell you about every violin that ever left Cremona, and what became of it. "
RATE = 4
"""How fast the load goes: slow enough for a machine that has other things to do."""
WINDOW = "60s"
"""What Grafana makes of `$__rate_interval`; here the whole load is within it."""
RARE = {
    "Length of calls A",
    "Length of calls B",
    "Replacing takes (p90) A",
    "Event loop is late (p99) A",
    "Callers are heard late (p99) A",
}
"""Times of what need not happen within seconds: no session is lost in the load."""


def queries() -> list[tuple[str, str]]:
    """Title and expression of everything that the dashboard asks."""
    return [
        (f"{panel['title']} {target['refId']}", target["expr"])
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    ]


async def greeted(call: Call) -> None:
    """Wait for the greeting to end."""
    await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)


async def load(run: Rehearsal) -> None:
    """Calls with what the dashboard shows: an interruption, functions, a transfer that fails, a refusal, a fault."""

    async def asks_and_interrupts(call: Call) -> None:
        await greeted(call)
        await call.say(speech(1.5))
        await call.until(lambda: call.phone.listened_s > 4)
        await call.say(speech(1.5))
        await call.until(lambda: "As you like." in run.seen.bot_words())
        call.hang_up()

    async def asks_for_sales(call: Call) -> None:
        await greeted(call)
        await call.say(speech(1.5))
        await call.until(lambda: "Nobody is there." in run.seen.bot_words())
        call.hang_up()

    async with httpx.AsyncClient(base_url=run.bridge.url) as client:
        await client.post("/twiml/answer", data={"CallSid": "CA" + "1" * 32, "From": CALLER})  # not signed
    for script in (asks_and_interrupts, asks_for_sales):
        await (await run.dial(script)).ended()
    await (await run.dial(from_=BLOCKED)).ended()  # blocked
    await (await run.carrier.dial(from_=CALLER, to=BROKEN, caller=Caller())).ended()
    await run.carrier.settled()


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus on loopback that scrapes the target twice a second and evaluates our rules."""
    binary, port = program("prometheus"), free_port()
    settings = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "voicebridge", "static_configs": [{"targets": [target]}]}],
    }
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await until(lambda: answers(client, "/-/ready"))
            yield client
    finally:
        children.send_signal(process, signal.SIGTERM)
        await process.wait()


async def answers(client: httpx.AsyncClient, path: str) -> bool:
    """Whether the page is there."""
    try:
        return (await client.get(path)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def until(holds: Callable[[], Any]) -> None:
    """Wait, in real time, for a server of another process."""
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - nothing here tells when
            await asyncio.sleep(0.1)


async def ask(client: httpx.AsyncClient, expression: str) -> list[str]:
    """The values of an expression now."""
    answer = (await client.get("/api/v1/query", params={"query": expression})).json()
    assert "success" == answer["status"], (expression, answer.get("error"))
    return [result["value"][1] for result in answer["data"]["result"]]


@pytest.fixture
def lookup(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Functions of the operator's: one that answers and one that fails."""
    module = ModuleType("violins")

    def fails() -> str:
        raise RuntimeError

    vars(module).update(lookup=lambda: "it left", fails=fails)
    monkeypatch.setitem(sys.modules, "violins", module)
    return {name: {"python": f"violins:{name}"} for name in ("lookup", "fails")}


@pytest.mark.timeout(180)
async def test_every_query_of_the_dashboard_has_data_and_every_alert_is_healthy(
    tmp_path: Path, lookup: dict[str, object]
) -> None:
    """A panel that stays empty, or an alert with an error in it, is found here and not at night."""
    program("prometheus")
    async with AsyncExitStack() as stack:
        run = await start(
            stack,
            [
                Reply(speech="Hello there."),
                Reply(calls=(FunctionCall("lookup"), FunctionCall("fails"))),
                Reply(speech=LONG),
                Reply(speech="As you like."),
                Reply(speech="Hello there."),
                Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "A violin."}),)),
                Reply(speech="I will put you through."),
                Reply(speech="Nobody is there."),
            ],
            heard=["where is it", "stop", "sales please"],
            rate=RATE,
            people={SALES: Callee(result="busy", after_s=1)},
            destinations={"sales": {"to": SALES, "announce": "I will put you through.", "timeout_s": 10}},
            functions=lookup,
            storage={"url": f"sqlite:///{tmp_path / 'calls.db'}"},
            agents={
                "reception": {"greeting_message": "Hello there.", "tools": ["lookup", "fails", "transfer_call"]},
                "broken": {"url": f"ws://127.0.0.1:{free_port()}/v1/realtime", "api_key": "k"},
            },
            lines={"default": {"agent": "reception", "block": [BLOCKED]}, BROKEN: {"agent": "broken"}},
        )
        server = await stack.enter_async_context(prometheus(tmp_path, run.bridge.url.removeprefix("http://")))
        await until(lambda: ask(server, "voicebridge_ready"))
        await load(run)
        scraped = "count_over_time((sum(voicebridge_calls_ended_total) >= 3)[20s:500ms]) >= 3"  # a rate needs several
        await until(lambda: ask(server, scraped))
        empty, odd = [], []
        for title, expression in queries():
            filled = expression.replace("$__rate_interval", WINDOW).replace("$instance", ".*")
            values = await ask(server, filled)
            if not values:
                empty.append(title)
            elif "NaN" in values:
                odd.append(title)
        rules = (await server.get("/api/v1/rules")).json()["data"]["groups"][0]["rules"]

    assert [] == empty
    assert set() == set(odd) - RARE
    assert [] == [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"]
    assert len(rules) > 20


def test_each_alert_fires_when_it_should_and_not_in_a_quiet_hour() -> None:
    """Prometheus's own tool runs a fault for each of them."""
    promtool = program("promtool")
    for command in (("check", "rules", str(ALERTS)), ("test", "rules", str(ALERTS.with_name("alerts_test.yml")))):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False, timeout=60)

        assert 0 == done.returncode, done.stdout + done.stderr


def test_each_alert_is_tested_and_explained() -> None:
    """Whoever is woken finds what to do in the docs."""
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8")))
    tests = ALERTS.with_name("alerts_test.yml").read_text(encoding="utf-8")

    assert alerts == set(re.findall(r"^\| `(Voicebridge\w+)` \|", WATCHING, re.MULTILINE))
    assert alerts == set(re.findall(r"- name: (Voicebridge\w+)", tests))


def test_each_metric_is_on_the_dashboard() -> None:
    """What is counted is also seen."""
    names = re.findall(r"^\| `(\w+)` \|", WATCHING.partition("## Metrics")[2].partition("\n## ")[0], re.MULTILINE)
    asked = " ".join(expression for _, expression in queries())

    assert [] == [name for name in names if f"voicebridge_{name}" not in asked]


def test_dashboard_names_the_public_address_of_nobody() -> None:
    """It is imported anywhere: no data source and no host of ours is in it."""
    assert PUBLIC not in json.dumps(DASHBOARD)
    assert {"${datasource}"} == {
        target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())
    }
