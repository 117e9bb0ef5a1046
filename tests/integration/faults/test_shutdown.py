"""The bridge is told to leave in the middle of its work: by a signal, in a process of its own, whatever sockets do."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.clock import Clock
from bridge.rehearsal.carrier import Call, Callee, Caller, Carrier
from bridge.rehearsal.conversation import Reply
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel
from bridge.rehearsal.realtime.scripted import ScriptedMind, ScriptedSpeech
from tests.peers import Model, Twilio
from tests.processes import Served, Table, serve_to_its_end
from tests.shop import asks
from tests.support import ACCOUNT, CALLER, LINE, MEDIA, PUBLIC, TOKEN

SID, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
SORRY = "Sorry, our assistant is unavailable."
HUMAN = "+15557654321"
SIGNED = "X-Twilio-Signature: anything"
ELSEWHERE = 'provider = "compatible"\nurl = "ws://127.0.0.1:9/v1/realtime"\napi_key = "a-key"\n'
AT_ONCE_S = 8.0
"""Enough for a slow machine; without any limit a process would stay for minutes, or for ever."""
IN_TIME_S = 25.0


class Phones:
    """A bridge in its process, a carrier that calls it, and the script of a model."""

    def __init__(self, served: Served, carrier: Carrier) -> None:
        self.served = served
        self.carrier = carrier

    async def dial(self, script: Callable[[Call], Awaitable[object]] | None = None) -> Call:
        """Call the bridge."""
        return await self.carrier.dial(from_=CALLER, to=LINE, caller=Caller(script=script))


@asynccontextmanager
async def phones(
    folder: Path, *replies: str, door: str = "plain", control: str = "action", tables: dict[str, Table] | None = None
) -> AsyncIterator[Phones]:
    """A bridge in its process, under rehearsal in real time."""
    clock = Clock()
    mind = ScriptedMind(Reply(speech=words) for words in replies)
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(
            EmbeddedModel(
                speech=ScriptedSpeech(["hello"] * 5), dialogue=Dialogue.default(), clock=clock, mind=lambda _: mind
            )
        )
        carrier = await stack.enter_async_context(
            Carrier(
                account_sid=ACCOUNT,
                auth_token=TOKEN,
                clock=clock,
                public_url=PUBLIC,
                numbers=[LINE],
                destinations={HUMAN: Callee()},
            )
        )
        settings: dict[str, Table] = {
            "model": {"provider": "compatible", "url": model.url, "api_key": "a-rehearsed-key"},
            "twilio": {"api_url": carrier.api_url, "control": control},
            "fallback": {"say": SORRY},
            "agents.reception": {"greeting_message": "Hello there."},
        }
        served = await stack.enter_async_context(Served(folder, settings | (tables or {}), door=door))
        carrier.route(PUBLIC, served.url)
        if door == "fast":
            carrier.route(MEDIA, f"http://127.0.0.1:{served.media_port}")
        yield Phones(served, carrier)


@pytest.mark.parametrize("door", ["plain", "fast"])
async def test_caller_in_a_call_notices_nothing_of_sigterm(tmp_path: Path, door: str) -> None:
    """The call goes on to its end, a new caller hears the fallback, nobody is sent here any more, and the code is 0."""

    async def asks_later(call: Call) -> None:
        await asks(call)
        await call.until(lambda: call.phone.hearing.stretches > 1 and call.phone.silent_s > 0.5)
        call.hang_up()

    async with phones(tmp_path, "Hello there.", "We are open.", door=door) as run:
        call = await run.dial(asks_later)
        await call.until(lambda: call.phone.listened_s > 0.2)
        run.served.signal(signal.SIGTERM)
        await run.served.logged("bridge.draining")
        ready, alive = (await run.served.get("/readyz")), (await run.served.get("/healthz"))
        another = await run.dial()
        await another.ended()
        await call.ended()

        assert (503, 200) == (ready.status_code, alive.status_code)
        assert [SORRY] == another.told
        assert 2 == call.phone.hearing.stretches
        assert 0 == await run.served.exit_code(within_s=IN_TIME_S)
        assert ["caller_hung_up"] == run.served.endings()


@pytest.mark.parametrize("control", ["action", "rest"])
async def test_caller_whose_call_lasts_too_long_is_told_and_transferred(tmp_path: Path, control: str) -> None:
    """After `drain_s` the call is ended; the bridge stays until the carrier has fetched what the caller hears then."""
    async with phones(
        tmp_path,
        "Hello there. " * 20,
        control=control,
        tables={
            "server": {"drain_s": 0.5},
            "fallback": {"say": SORRY, "destination": "sales"},
            "destinations.sales": {"to": HUMAN},
        },
    ) as run:
        call = await run.dial(lambda call: call.until(lambda: call.is_over))
        await call.until(lambda: call.phone.listened_s > 0.2)
        run.served.signal(signal.SIGTERM)

        assert 0 == await run.served.exit_code(within_s=IN_TIME_S)
        await call.until(lambda: len(run.carrier.calls) > 1)
        call.hang_up()
        await call.ended()

        assert [SORRY] == call.told
        assert ["drained"] == run.served.endings()
        assert [HUMAN] == [leg.to for leg in run.carrier.calls if leg is not call]


async def test_caller_whose_stream_is_still_to_come_hears_the_apology(tmp_path: Path) -> None:
    """The webhook was answered before, the stream comes after: it is refused, and the carrier asks what now."""
    async with (
        Model() as model,
        Served(tmp_path, _settings(model) | {"server": {"drain_s": 0}, "fallback": {"say": SORRY}}) as served,
        Twilio(served.url, served.media_url) as twilio,
    ):
        url, token = await twilio.ring(SID)
        served.signal(signal.SIGTERM)
        await served.logged("call.ended")
        stream = await twilio.connect(url, SID)
        await stream.start(SID, token)
        refused = await stream.closed()
        told = await twilio.post("/twiml/after-stream", CallSid=SID, AccountSid=ACCOUNT, CallStatus="in-progress")

        assert 1008 == refused
        assert SORRY in told.text
        assert 0 == await served.exit_code(within_s=IN_TIME_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_bridge_told_twice_ends_its_calls_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """The second signal waits for nobody: the stream is closed, the session too, and the code is 0."""
    async with (
        Model() as model,
        Served(tmp_path, _settings(model)) as served,
        Twilio(served.url, served.media_url) as twilio,
    ):
        stream = await twilio.call(SID)
        session = await model.session()
        served.signal(number)
        await served.logged("bridge.draining")
        served.signal(number)

        assert 0 == await served.exit_code(within_s=AT_ONCE_S)
        assert 1000 == await stream.closed()
        await session.closed.wait()
        assert ["operator_hung_up"] == served.endings()


@pytest.mark.parametrize("door", ["plain", "fast"])
async def test_peers_that_hold_their_connections_do_not_hold_the_process(tmp_path: Path, door: str) -> None:
    """Whatever a peer has begun and does not finish, the process leaves in time, by itself and with 0."""
    async with (
        AsyncExitStack() as stack,
        Model() as model,
        Served(tmp_path, _settings(model) | {"server": {"drain_s": 0.5}}, door=door) as served,
        Twilio(served.url, served.media_url) as twilio,
    ):
        port, media_port = urlsplit(served.url).port, urlsplit(served.media_url).port
        _hold(stack, media_port, b"GET /media HTTP/1.1\r\nHost: bridge.test\r\nUpgrade: webso")
        _hold(
            stack,
            port,
            f"POST /twiml/answer HTTP/1.1\r\nHost: a\r\n{SIGNED}\r\nContent-Length: 900\r\n\r\nCall".encode(),
        )
        _hold(stack, port, b"GET /healthz HTTP/1.1\r\nHost: bridge.test\r\n\r\n")
        _hold(stack, port, b"")
        url, _ = await twilio.ring(OTHER)
        await twilio.connect(url, OTHER)  # and never says whose stream it is
        await model.session(0)
        await _never_reads(model, twilio)
        served.signal(signal.SIGTERM)

        assert 0 == await served.exit_code(within_s=IN_TIME_S)
        assert 2 == len(served.endings())
        assert [] == served.of("bridge.cut_short")


def test_bridge_whose_port_is_taken_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """One sentence with the key, exit code 1, and no credential for rehearsals that would mislead `call --to`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "own.toml").write_text(f"[server]\nport = {port}\n[model]\n{ELSEWHERE}")
        run = serve_to_its_end(tmp_path, "own.toml")

    assert 1 == run.returncode
    assert 1 == len(run.stderr.splitlines())
    assert "server.port" in run.stderr
    assert ["own.toml"] == [path.name for path in tmp_path.iterdir()]


def _settings(model: Model) -> dict[str, Table]:
    return {"model": {"provider": "compatible", "url": model.url, "api_key": "a-rehearsed-key"}}


def _hold(stack: AsyncExitStack, port: int | None, sent: bytes) -> None:
    """Open a connection, say something, and neither read nor close."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port or 0)))
    connection.sendall(sent)


async def _never_reads(model: Model, twilio: Twilio) -> None:
    """A call whose carrier takes nothing any more: megabytes of the bot's voice wait in the bridge."""
    number = len(model.sessions)
    stream = await twilio.call(SID)
    session = await model.session(number)
    await stream.speak(b"\x01" * 160)
    await session.first("input_audio_buffer.append")
    stream.stop_reading()
    await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    for _ in range(80):
        await session.speak("item_1", b"\x02" * 100_000, delta_bytes=100_000)
