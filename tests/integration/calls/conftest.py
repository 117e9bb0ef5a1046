"""A rehearsal for each test that asks for one."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest

from bridge.log import OWN, set_up
from bridge.rehearsal.realtime.session import Session
from bridge.rehearsal.sound import read_wav
from bridge.replay.commands import replay_one
from bridge.replay.report import report
from tests.peers import Model, Twilio
from tests.shop import Wire
from tests.support import Rehearsal, Start, start


@pytest.fixture(params=["plain", "fast"])
def door(request: pytest.FixtureRequest) -> str:
    """The door through which the media streams of a test come: each test goes through both."""
    return str(request.param)


@pytest.fixture
async def rehearsal(door: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts rehearsals, and ends them after the test; then each of their calls is replayed, without a difference."""
    async with AsyncExitStack() as stack:
        yield partial(start, stack, door=door, tapes=tmp_path / "tapes")
    for tape in sorted(tmp_path.rglob("*.tape")):  # noqa: ASYNC240 - the calls are over
        outcome = replay_one(tape)
        assert outcome.is_same, report(tape.name, outcome)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """A Realtime server that says what the test says."""
    async with Model() as model:
        yield model


@pytest.fixture
async def bridge(rehearsal: Start, model: Model) -> Rehearsal:
    """A bridge whose model is `model`, and whose caller speaks first."""
    return await rehearsal(model={"url": model.url}, agent={"greeting_message": ""})


@pytest.fixture
async def twilio(bridge: Rehearsal) -> AsyncIterator[Twilio]:
    """The carrier of `bridge`, request by request."""
    async with Twilio(bridge.bridge.url, bridge.media_url) as twilio:
        yield twilio


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What the bridge says to the embedded model."""
    wire = Wire()
    receive = Session.receive

    def listen_in(self: Session, message: str | bytes) -> None:
        wire.put(message)
        receive(self, message)

    monkeypatch.setattr(Session, "receive", listen_in)
    return wire


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """Puts Python functions into a module, and gives the table of them; `keys` are settings of each."""

    def put(*, keys: dict[str, object] | None = None, **functions: object) -> dict[str, object]:
        module = ModuleType("shop")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, "shop", module)
        return {name: {"python": f"shop:{name}"} | (keys or {}) for name in functions}

    return put


@pytest.fixture
def voice() -> bytes:
    """Somebody who goes on speaking for seconds, as mu-law."""
    return read_wav(Path(__file__).parents[3] / "fixtures" / "calls" / "slt" / "long.wav")


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Everything the bridge writes into its log, with the most verbose setting."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    written = StringIO()
    set_up(stream=written, level=logging.DEBUG)
    yield written
    root.handlers = handlers
    for name in (None, *OWN):
        logging.getLogger(name).setLevel(level if name is None else logging.NOTSET)
