"""The examples of docs/functions.md do what the guide says."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pydantic import SecretStr
from quart import Quart

from bridge.call.outcome import EndCall, TransferCall, parse
from bridge.call.plan import Plan
from bridge.clock import Clock
from bridge.configuration.loading import load
from bridge.edge.functions import FunctionRunner
from bridge.settings import Function

GUIDE = (Path(__file__).parents[3] / "docs" / "functions.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def example(language: str, text: str) -> str:
    """The one code block that holds a text."""
    (found,) = (block for block in examples(language) if text in block)
    return found


def module(source: str, **names: object) -> ModuleType:
    """A module with an example in it."""
    made = ModuleType("shop")
    vars(made).update(names)
    exec(source, vars(made))  # noqa: S102 - our own guide
    return made


@pytest.mark.parametrize("text", examples("toml"))
def test_configuration_of_the_guide_is_accepted(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example is a configuration as it stands, where the operator's module is there."""
    (tmp_path / "shop.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "bridge.toml"
    file.write_text(text, encoding="utf-8")

    assert load(file, {}).warnings == ()


async def test_receiver_of_the_guide_trusts_the_bridge_and_nobody_else(plan: Plan) -> None:
    """A signed request is answered; one that is signed with another secret is not."""
    app = module(example("python", "verify_signature"), SECRET="ours").app
    assert isinstance(app, Quart)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/voice/lookup-order"
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    done = asyncio.Event()
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=done.wait))
    try:
        outputs = []
        for secret in ("ours", "other"):
            settings = Function(name="lookup_order", url=url, secret=SecretStr(secret), allow_private=True)
            async with FunctionRunner({"lookup_order": settings}, Clock()) as runner:
                outputs.append(json.loads(await runner.run(plan, "call_1", "lookup_order", {"number": "1"})))
    finally:
        done.set()
        await serving

    assert outputs == [
        {"order": "1", "state": "shipped"},
        {"error": "the function answered with HTTP status 403"},
    ]


async def test_python_functions_of_the_guide_run(plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The functions and their settings, each from its example."""
    source = example("python", "call.from_number") + example("python", "check_pin")
    monkeypatch.setitem(sys.modules, "shop", module(source))
    file = tmp_path / "bridge.toml"
    file.write_text(example("toml", "shop:lookup_order") + example("toml", "shop:check_pin"), encoding="utf-8")

    async with FunctionRunner(load(file, {}).settings.functions, Clock()) as runner:
        order = await runner.run(plan, "call_1", "lookup_order", {"number": "1"})
        pin = await runner.run(plan, "call_2", "check_pin", {}, secrets={"pin": "4711"})

    assert json.loads(order) == {"order": "1", "state": "shipped", "caller": "+15550001111"}
    assert pin == "true"


def test_results_of_the_guide_end_and_transfer_the_call() -> None:
    """What is said to happen then, happens."""
    ended = parse(example("json", "end_call"))
    transferred = parse(example("json", "transfer_call"), {"sales"})

    assert EndCall("paid") == ended.then
    assert json.loads(ended.output) == {"result": "The bill is paid."}
    assert TransferCall("sales", "Wants to renew.") == transferred.then
