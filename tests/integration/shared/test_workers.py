"""`voicebridge serve --workers N`, as processes: what holds over all of them, and what follows when one dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from bridge.settings import Settings
from bridge.workers import Workers
from tests.peers import Model, Stream, Twilio
from tests.serving import ADMIN, Served
from tests.support import LINE, free_port

MAX_CALLS = 20
pytestmark = pytest.mark.timeout(240)  # each starts several processes, beside whatever else the machine does


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """A Realtime server."""
    async with Model() as model:
        yield model


class Carrier(Twilio):
    """Reaches the worker whose number stands in the stream's host."""

    def __init__(self, served: Served, media_port: int) -> None:
        super().__init__(served.url, "")
        self._media_port = media_port
        self.workers: list[int] = []

    async def connect(self, url: str, call_sid: str, **how: str) -> Stream:
        """Open the socket of a media stream at the worker that the URL names."""
        number = int(url.removeprefix("wss://media-").partition(".")[0])
        self.workers.append(number)
        self._media_url = f"ws://127.0.0.1:{self._media_port + number}"
        return await super().connect(url, call_sid, **how)


class Bridge(Served):
    """A bridge of several workers."""

    def __init__(self, folder: Path, model: Model, workers: int) -> None:
        self.media_port = free_port()
        server = {
            "port": 0,
            "media_port": self.media_port,
            "media_url": "wss://media-{worker}.bridge.test",
            "instance": "here",
        }
        limits = f"[limits]\nmax_calls = {MAX_CALLS}\n"
        super().__init__(folder, model.url, "--workers", str(workers), server=server, tables=limits)

    def carrier(self) -> Carrier:
        """The carrier that calls it."""
        return Carrier(self, self.media_port)

    async def ask(self, path: str) -> httpx.Response:
        """An operator's question, by whichever worker."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as client:
            return await client.get(path)

    def pid_of(self, instance: str) -> int:
        """The process that runs as that worker now."""
        return int([line["pid"] for line in self.of("worker.started") if line["instance"] == instance][-1])


def sid(number: int) -> str:
    """A call's name."""
    return f"CA{number:032}"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; whoever calls says for how long."""
    while not condition():  # noqa: ASYNC110 - processes are waited for
        await asyncio.sleep(0.05)


async def test_calls_are_divided_between_workers_and_told_as_those_of_one_bridge(tmp_path: Path, model: Model) -> None:
    """Each stream goes to the worker that prepared it; list and numbers are of all, whichever worker is asked."""
    async with Bridge(tmp_path, model, workers=2) as bridge, bridge.carrier() as carrier:
        streams = [await carrier.call(sid(number)) for number in range(6)]
        await bridge.told("model.readied", times=6)
        lists = [(await bridge.ask("/api/calls")).json()["calls"] for _ in range(4)]
        numbers = (await bridge.ask("/metrics")).text
        shown = [(await bridge.ask(f"/api/calls/{sid(number)}")).status_code for number in range(6)]
        for stream in streams:
            await stream.hang_up()
        await bridge.told("call.ended", times=6)

    assert {0, 1} == set(carrier.workers)
    assert [{sid(number) for number in range(6)}] * 4 == [{call["call_sid"] for call in found} for found in lists]
    assert "voicebridge_calls_live 6.0" in numbers
    assert [200] * 6 == shown
    assert {"here-0", "here-1"} == {line["instance"] for line in bridge.of("call.ended")}
    assert {"caller_hung_up"} == {line["ending"] for line in bridge.of("call.ended")}


async def test_places_are_exact_over_three_workers_under_200_webhooks_at_once(tmp_path: Path, model: Model) -> None:
    """As many callers get a stream as there are places, the others hear the fallback."""
    async with Bridge(tmp_path, model, workers=3) as bridge, bridge.carrier() as carrier:
        form = {"To": LINE, "CallStatus": "ringing"}
        asked = [
            carrier.post("/twiml/answer", CallSid=sid(number), From=f"+1555010{number:04}", **form)
            for number in range(200)
        ]
        answers = [answer.text for answer in await asyncio.gather(*asked)]

    assert MAX_CALLS == sum("<Stream" in answer for answer in answers)
    assert 200 - MAX_CALLS == sum("<Say" in answer for answer in answers)


async def test_worker_that_is_killed_is_started_again_and_its_callers_hear_the_fallback(
    tmp_path: Path, model: Model
) -> None:
    """Its places are free, the other's calls go on, and the next call finds both."""
    async with Bridge(tmp_path, model, workers=2) as bridge, bridge.carrier() as carrier:
        streams = [await carrier.call(sid(number)) for number in range(4)]
        await bridge.told("stream.started", times=4)  # a killed process logs nothing more
        await bridge.told("model.readied", times=4)
        dying = carrier.workers[0]
        os.kill(bridge.pid_of(f"here-{dying}"), signal.SIGKILL)
        await streams[0].closed()
        await bridge.told("worker.died")
        after = await carrier.post("/twiml/after-stream", CallSid=sid(0), CallStatus="in-progress")
        await bridge.told("worker.started", times=3)
        going_on = [stream for stream, worker in zip(streams, carrier.workers, strict=True) if worker != dying]
        closed = [stream for stream in going_on if stream.socket.close_code is not None]
        numbers = (await bridge.ask("/metrics")).text
        new = [await carrier.call(sid(10 + number)) for number in range(2)]
        await bridge.told("stream.started", times=6)

    assert "<Say" in after.text
    assert -signal.SIGKILL == bridge.of("worker.died")[0]["exit_code"]
    assert going_on
    assert not closed
    assert 2 == len(new)
    assert f"voicebridge_calls_live {len(going_on)}.0" in numbers


async def test_worker_that_cannot_be_started_again_is_tried_until_it_can(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An update may have moved Python away for a moment; the place is not left empty for ever."""
    monkeypatch.setattr("bridge.workers.FIRST_PAUSE_S", 0.1)
    endpoint = {"provider": "compatible", "url": model.url, "api_key": "a-rehearsed-key"}
    settings = Settings.model_validate({"server": {"port": 0, "workers": 2}, "model": endpoint})
    async with Workers(settings, None, {"XDG_RUNTIME_DIR": str(tmp_path)}) as workers, asyncio.timeout(90):
        killed, other = workers.pids
        with monkeypatch.context() as moved:
            moved.setattr(sys, "executable", str(tmp_path / "nothing"))
            os.kill(killed, signal.SIGKILL)
            await until(lambda: "worker.failed" in [record.message for record in caplog.records])
        await until(lambda: len(workers.pids) == 2)

        assert {other} == {killed, other} & set(workers.pids)
        workers.leave()  # the new one may not even have begun to listen to signals
        assert 0 == await workers.wait_left()


async def test_settings_are_read_anew_by_all_workers_on_sighup(tmp_path: Path, model: Model) -> None:
    """New limits hold over all of them, and whichever answers says the new words."""
    async with Bridge(tmp_path, model, workers=2) as bridge, bridge.carrier() as carrier:
        await carrier.ring(sid(1))
        config = tmp_path / "bridge.toml"
        old = config.read_text()
        config.write_text(old.replace(f"max_calls = {MAX_CALLS}", 'max_calls = 1\n[fallback]\nsay = "Call later."'))
        bridge.signal(signal.SIGHUP)
        await bridge.told("config.reloaded", times=2)
        form = {"To": LINE, "CallStatus": "ringing"}
        answers = [
            await carrier.post("/twiml/answer", CallSid=sid(number), From=f"+155501000{number}", **form)
            for number in range(2, 6)
        ]

    assert [True] * 4 == ["Call later." in answer.text for answer in answers]
    assert {"here-0", "here-1"} == {line["instance"] for line in bridge.of("config.reloaded")}


async def test_sigterm_lets_the_calls_of_all_workers_end_and_exits_with_0(tmp_path: Path, model: Model) -> None:
    """A new caller hears the fallback meanwhile; when the last call is over, nobody is left."""
    async with Bridge(tmp_path, model, workers=2) as bridge, bridge.carrier() as carrier:
        streams = [await carrier.call(sid(number)) for number in range(4)]
        await bridge.told("model.readied", times=4)
        bridge.signal(signal.SIGTERM)
        await bridge.told("bridge.draining", times=2)
        late = await carrier.post("/twiml/answer", CallSid=sid(9), From="+15550100009", To=LINE, CallStatus="ringing")
        for stream in streams:
            await stream.hang_up()
        code = await bridge.ended()

    assert "<Say" in late.text
    assert 0 == code
    assert {"caller_hung_up"} == {line["ending"] for line in bridge.of("call.ended")}


async def test_second_signal_ends_all_workers_at_once(tmp_path: Path, model: Model) -> None:
    """The call that goes on is ended; the exit code stays 0."""
    async with Bridge(tmp_path, model, workers=2) as bridge, bridge.carrier() as carrier:
        await carrier.call(sid(1))
        await bridge.told("model.readied")
        bridge.signal(signal.SIGTERM)
        await bridge.told("bridge.draining", times=2)
        bridge.signal(signal.SIGTERM)
        code = await bridge.ended()

    assert 0 == code


async def test_workers_whose_parent_is_killed_do_not_stay(tmp_path: Path, model: Model) -> None:
    """They let their calls end and leave, so that the bridge can be started again."""
    async with Bridge(tmp_path, model, workers=2) as bridge:
        bridge.signal(signal.SIGKILL)
        code = await bridge.ended()  # when the last of those that write to the log has left

    assert -signal.SIGKILL == code
    assert 2 == len(bridge.of("bridge.draining"))


async def test_bridge_whose_port_is_taken_says_so_and_leaves_nothing_behind(tmp_path: Path, model: Model) -> None:
    """Also when the other one would divide the port with us: two bridges on one port is a mistake."""
    async with Bridge(tmp_path / "first", model, workers=2) as bridge:
        server = {"port": int(bridge.url.rpartition(":")[2]), "media_port": free_port()}
        other = Served(tmp_path / "second", model.url, "--workers", "2", server=server)
        with pytest.raises(AssertionError):
            await other.__aenter__()
        code = await other.ended()

    assert 1 == code
    assert any("cannot listen on" in line["event"] for line in other.lines)
