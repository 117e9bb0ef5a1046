"""Which client carries sessions: what is installed decides, and what is broken costs no call."""

from __future__ import annotations

from pathlib import Path

import picows
import pytest

from tests.peers import Model, Twilio
from tests.processes import Served, Table, serve_to_its_end
from tests.support import MEDIA, PUBLIC, free_port

SID = "CA" + "1" * 32
BROKEN = 'raise ImportError("undefined symbol: PyFoo")'


def tables_of(url: str) -> dict[str, Table]:
    """A bridge whose caller speaks first."""
    model: Table = {"provider": "compatible", "url": url, "api_key": "a-rehearsed-key"}
    return {"model": model, "agents.reception": {"greeting_message": ""}, "records": {"keep": False}}


def installed(folder: Path, source: str | None) -> Path:
    """All that is installed here, but for picows: it is not there at all, or its package is this."""
    folder.mkdir()
    for found in Path(picows.__file__).parents[1].iterdir():
        if not found.name.startswith("picows"):
            (folder / found.name).symlink_to(found)
    if source is not None:
        (folder / "picows").mkdir()
        (folder / "picows" / "__init__.py").write_text(source)
    return folder


async def talks(served: Served, model: Model) -> None:
    """A call in which both are heard, and which the caller ends."""
    async with Twilio(served.url, served.media_url) as twilio:
        stream = await twilio.call(SID)
        session = await model.session()
        await stream.speak(b"\x01" * 160)
        await session.first("input_audio_buffer.append")
        await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
        await session.speak("item_1", b"\x02" * 1600)
        await stream.first("media")
        await stream.hang_up()
        await served.logged("call.ended")

    assert ["caller_hung_up"] == served.endings()


async def test_session_is_carried_by_picows_where_it_is_installed(tmp_path: Path) -> None:
    """Media streams come by the plain door all the same."""
    async with Model() as model, Served(tmp_path, tables_of(model.url)) as served:
        assert "picows" == served.of("bridge.started")[0]["sessions_by"]
        await talks(served, model)


async def test_bridge_needs_no_picows(tmp_path: Path) -> None:
    """`pip install voicebridge` has none."""
    packages = installed(tmp_path / "packages", None)
    async with Model() as model, Served(tmp_path, tables_of(model.url), packages=packages) as served:
        assert "websockets" == served.of("bridge.started")[0]["sessions_by"]
        assert [] == served.of("extra.failed")
        await talks(served, model)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (BROKEN, "picows cannot be imported (ImportError: undefined symbol: PyFoo)"),
        ('__version__ = "1.16.0"', "picows 1.16.0 is too old"),
        ("", "picows cannot be imported (AttributeError: module 'picows' has no attribute '__version__')"),
    ],
    ids=["broken", "old", "half"],
)
async def test_picows_that_does_not_work_costs_no_call(tmp_path: Path, source: str, says: str) -> None:
    """The log says so, and sessions go by `websockets`."""
    packages = installed(tmp_path / "packages", source)
    async with Model() as model, Served(tmp_path, tables_of(model.url), packages=packages) as served:
        (line,) = served.of("extra.failed")
        assert ("warning", "fast", says, "websockets") == tuple(
            line[key] for key in ("level", "extra", "reason", "instead")
        )
        assert "websockets" == served.of("bridge.started")[0]["sessions_by"]
        await talks(served, model)


def test_fast_door_does_not_open_with_a_picows_that_does_not_work(tmp_path: Path) -> None:
    """It cannot do without: the error says what is wrong, and the way out."""
    server = f'port = 0\npublic_url = "{PUBLIC}"\nmedia_port = {free_port()}\nmedia_url = "{MEDIA}"\n'
    model = 'provider = "compatible"\nurl = "ws://127.0.0.1:9/v1/realtime"\napi_key = "a-key"\n'
    text = f"[server]\n{server}[twilio]\ninsecure = true\n[model]\n{model}"
    (tmp_path / "own.toml").write_text(text)

    run = serve_to_its_end(tmp_path, "own.toml", packages=installed(tmp_path / "packages", BROKEN))

    assert 2 == run.returncode
    assert "server.media_port: the fast door needs picows, and picows cannot be imported" in run.stderr
    assert "pip install --force-reinstall 'voicebridge[fast]'" in run.stderr
    assert "Traceback" not in run.stderr
