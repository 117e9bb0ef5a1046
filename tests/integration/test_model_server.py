"""The embedded server's socket: handshakes, closings, and clients that misbehave."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.clock import Clock
from bridge.rehearsal.conversation import Reply
from bridge.rehearsal.mind import Dialogue
from bridge.rehearsal.model import EmbeddedModel, run
from bridge.rehearsal.realtime.scripted import ScriptedMind, ScriptedSpeech
from bridge.rehearsal.realtime.session import Limits

MODEL = "?model=gpt-realtime-2.1"


def server(*, words: int = 3, **options: Any) -> EmbeddedModel:  # noqa: ANN401 - passed on
    """Return a server whose mind has one thing to say, of so many words."""
    return EmbeddedModel(
        speech=ScriptedSpeech(),
        dialogue=Dialogue.default(),
        mind=lambda _dialogue: ScriptedMind([Reply("word " * words)]),
        clock=Clock(20),
        **options,
    )


async def receive(socket: ClientConnection) -> dict[str, Any]:
    """Return the next event."""
    async with asyncio.timeout(10):
        event: dict[str, Any] = json.loads(await socket.recv())
        return event


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """Receive until the server closes; return how it did."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await receive(socket)
    return socket.close_code or 0, socket.close_reason or ""


async def test_beta_client_is_closed_by_a_ga_server() -> None:
    """The beta header gets `beta_api_shape_disabled` as the only event, then close 4000 with that reason."""
    async with (
        server() as model,
        connect(model.url + MODEL, additional_headers={"OpenAI-Beta": "realtime=v1"}) as socket,
    ):
        event = await receive(socket)

        assert ("error", "beta_api_shape_disabled") == (event["type"], event["error"]["code"])
        assert (4000, "invalid_request_error.beta_api_shape_disabled") == await closing(socket)
        assert () == model.sessions


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (f"/v1/realtime{MODEL}", {"Authorization": "Bearer sk-other"}, 401, "invalid_api_key"),
        (f"/v1/realtime{MODEL}", {}, 401, "missing_api_key"),
        ("/v1/realtime?model=gpt-9", {"api-key": "sk-local"}, 404, "model_not_found"),
        (f"/v2/realtime{MODEL}", {"api-key": "sk-local"}, 404, "not_found"),
    ],
)
async def test_handshake_is_answered_by_http(path: str, headers: dict[str, str], status: int, code: str) -> None:
    """A client without a session gets the HTTP status and a JSON error."""
    async with server(api_key="sk-local", models=["gpt-realtime-2.1"]) as model:
        with pytest.raises(InvalidStatus) as refused:
            await connect(model.url.removesuffix("/v1/realtime") + path, additional_headers=headers)

        response = refused.value.response
        assert (status, "application/json") == (response.status_code, response.headers["Content-Type"])
        assert code == json.loads(response.body or b"")["error"]["code"]


async def test_browser_gives_its_key_by_subprotocol() -> None:
    """The key in the subprotocols is taken, and `realtime` agreed upon."""
    protocols: Any = ["realtime", "openai-insecure-api-key.sk-local"]
    async with server(api_key="sk-local") as model, connect(model.url + MODEL, subprotocols=protocols) as socket:
        assert "realtime" == socket.subprotocol
        assert "session.created" == (await receive(socket))["type"]


async def test_one_client_too_many_is_turned_away() -> None:
    """Beyond `max_sessions` the handshake is answered with 429, until somebody leaves."""
    async with server(max_sessions=1) as model:
        async with connect(model.url + MODEL) as first:
            await receive(first)
            with pytest.raises(InvalidStatus) as refused:
                await connect(model.url + MODEL)
            assert 429 == refused.value.response.status_code
        async with connect(model.url + MODEL) as second:
            assert "session.created" == (await receive(second))["type"]


async def test_session_that_expires_is_closed() -> None:
    """At the end of its time the client is told `session_expired` and closed with 1001."""
    async with server(limits=Limits(max_session_s=10)) as model, connect(model.url + MODEL) as socket:
        await receive(socket)
        error = (await receive(socket))["error"]

        assert "session_expired" == error["code"]
        assert (1001, error["message"]) == await closing(socket)


async def test_binary_and_broken_messages_are_refused_and_survived() -> None:
    """What is no event is answered with `invalid_event`; the session goes on."""
    async with server() as model, connect(model.url + MODEL) as socket:
        await receive(socket)
        for message in (b"\x00", "{", "[]"):
            await socket.send(message)
            assert "invalid_event" == (await receive(socket))["error"]["code"]


async def test_message_beyond_all_bounds_closes_the_session() -> None:
    """A message of more than 20 MiB is not taken: close 1009."""
    async with server() as model, connect(model.url + MODEL) as socket:
        await receive(socket)
        await socket.send("A" * 1024 * 1024 for _ in range(21))

        assert 1009 == (await closing(socket))[0]


async def test_client_that_does_not_read_is_cut_off() -> None:
    """Events wait for a slow client up to a bound, then the connection ends; the server keeps nothing of it."""
    long_answer = server(words=5_000, pace=float("inf"), delta_ms=400, max_waiting_events=50)
    async with long_answer as model, connect(model.url + MODEL) as socket:
        await receive(socket)
        await socket.send(json.dumps({"type": "response.create"}))

        assert 1006 == (await closing(socket))[0]
        async with connect(model.url + MODEL) as another:
            assert "session.created" == (await receive(another))["type"]


async def test_server_that_stops_closes_its_sessions() -> None:
    """Leaving the server ends responses under way and closes each client with 1001."""
    model = server(words=100)
    async with model:
        socket = await connect(model.url + MODEL)
        await socket.send(json.dumps({"type": "response.create"}))
        while (await receive(socket))["type"] != "response.output_audio.delta":
            pass

    assert 1001 == (await closing(socket))[0]
    assert {"outbox", "resp"}.isdisjoint(task.get_name().split("_")[0].split()[0] for task in asyncio.all_tasks())


async def test_azure_preview_client_speaks_beta() -> None:
    """Azure's preview path takes a deployment's name and speaks beta, without any header."""
    async with server(dialects="both") as model:
        url = model.url.replace("/v1/realtime", "/openai/realtime?api-version=2025-04-01-preview&deployment=mine")
        async with connect(url) as socket:
            session = (await receive(socket))["session"]

            assert ("mine", "pcm16") == (session["model"], session["input_audio_format"])


async def test_azure_client_transcribes_with_its_own_deployment() -> None:
    """On Azure's path transcription models are the operator's deployments; on OpenAI's they must be known."""
    transcription = {"audio": {"input": {"transcription": {"model": "my-whisper"}}}}
    update = json.dumps({"type": "session.update", "session": {"type": "realtime", **transcription}})
    async with server() as model:
        answers = []
        for path in ("/openai/v1/realtime", "/v1/realtime"):
            async with connect(model.url.replace("/v1/realtime", path) + MODEL) as socket:
                await receive(socket)
                await socket.send(update)
                answers.append((await receive(socket))["type"])

        assert ["session.updated", "error"] == answers


async def test_model_command_serves_until_it_is_cancelled() -> None:
    """`run` tells its address, serves any client, and leaves nothing behind when it is cancelled."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run(dialogue=Dialogue.default(), on_ready=address.set_result))
    async with asyncio.timeout(10):
        url = await address
        async with connect(url + MODEL) as socket:
            assert "session.created" == (await receive(socket))["type"]
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    with pytest.raises(ConnectionRefusedError):
        await connect(url + MODEL)


async def test_tests_see_what_a_session_holds() -> None:
    """A session's items, truncations, refusals and counts can be looked at, also after it has ended."""
    async with server() as model:
        async with connect(model.url + MODEL) as socket:
            await socket.send(json.dumps({"type": "response.create"}))
            await socket.send(json.dumps({"type": "response.create"}))
            item_id = ""
            while (event := await receive(socket))["type"] != "response.done":
                item_id = event.get("item_id", item_id)
            truncate = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100}
            await socket.send(json.dumps({"type": "conversation.item.truncate", **truncate}))
            await receive(socket)

        (session,) = model.sessions
        assert [100] == [item.content[0].audio_ms for item in session.items]
        assert [item_id] == [truncation.item_id for truncation in session.truncations]
        assert ["conversation_already_has_active_response"] == [refused.code for refused in session.refusals]
        assert {"response.create": 1, "conversation.item.truncate": 1} == session.received


async def test_wire_audio_is_silence_where_the_caller_is_silent() -> None:
    """PCM silence at 24 kHz, the default format, is no speech."""
    async with server() as model, connect(model.url + MODEL) as socket:
        await receive(socket)
        silence = base64.b64encode(bytes(48 * 2000)).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": silence}))
        await socket.send(json.dumps({"type": "input_audio_buffer.clear"}))

        assert "input_audio_buffer.cleared" == (await receive(socket))["type"]
