"""Who is let in, and what a stream may say: the same at both doors."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.errors import ConfigurationError
from tests.peers import Model, Twilio
from tests.support import Rehearsal, Start, by_every_client

SID = "CA" + "1" * 32
OTHER = "CA" + "2" * 32


async def test_a_webhook_with_a_wrong_signature_is_refused_and_opens_no_session(
    bridge: Rehearsal, model: Model, twilio: Twilio
) -> None:
    """403, and nothing happens: no place taken, no session with the model."""
    answer = await twilio.post("/twiml/answer", auth_token="another", CallSid=SID)

    assert 403 == answer.status_code
    assert bridge.is_empty()
    assert 0 == model.handshakes


async def test_a_handshake_with_a_wrong_signature_is_refused_before_the_socket_opens(
    bridge: Rehearsal, model: Model, twilio: Twilio
) -> None:
    """403 for a wrong and for a missing signature; the call's token stays good."""
    url, token = await twilio.ring(SID)
    for auth_token in ("another", ""):
        with pytest.raises(InvalidStatus) as refused:
            await twilio.connect(url, SID, auth_token=auth_token)

        assert 403 == refused.value.response.status_code

    assert 2 == bridge.refusals["handshake_signature"]
    assert 1 == model.handshakes
    stream = await twilio.connect(url, SID)
    await stream.start(SID, token)
    await stream.speak(b"\x01" * 160)
    await (await model.session()).first("input_audio_buffer.append")


async def test_a_path_that_is_no_stream_is_not_found(twilio: Twilio) -> None:
    """404, however well it is signed."""
    with pytest.raises(InvalidStatus) as refused:
        await twilio.connect("wss://bridge.test/elsewhere", SID)

    assert 404 == refused.value.response.status_code


async def test_an_instance_in_the_path_leads_to_the_same_door(rehearsal: Start, model: Model) -> None:
    """`/media/{instance}` is for load balancers that route by path."""
    run = await rehearsal(model={"url": model.url}, server={"instance": "one"})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        url, token = await twilio.ring(SID)
        stream = await twilio.connect(url, SID)
        await stream.start(SID, token)
        await (await model.session()).first("response.create")

        assert url.endswith("/media/one")


async def test_a_token_opens_one_stream_and_no_second(bridge: Rehearsal, twilio: Twilio) -> None:
    """The second stream that shows it is closed with 1008, and the first goes on."""
    url, token = await twilio.ring(SID)
    first = await twilio.connect(url, SID)
    await first.start(SID, token)
    second = await twilio.connect(url, SID)
    await second.start(SID, token)

    assert 1008 == await second.closed()
    assert {"stream_token": 1} == bridge.refusals
    assert 1 == len(bridge.bridge.desk.calls)
    assert first.socket.close_code is None


async def test_a_token_of_another_call_opens_nothing(bridge: Rehearsal, twilio: Twilio) -> None:
    """A token is good for its own CallSid alone."""
    url, _ = await twilio.ring(SID)
    _, token = await twilio.ring(OTHER)
    stream = await twilio.connect(url, SID)
    await stream.start(SID, token)

    assert 1008 == await stream.closed()
    assert {"stream_token": 1} == bridge.refusals


async def test_a_call_that_is_not_claimed_is_given_up_with_its_session(rehearsal: Start, model: Model) -> None:
    """No stream within the token's time: the session is closed, the place is free, the token opens nothing."""
    run = await rehearsal(model={"url": model.url}, limits={"token_ttl_s": 5})
    async with Twilio(run.bridge.url, run.media_url) as twilio:
        url, token = await twilio.ring(SID)
        session = await model.session()
        async with asyncio.timeout(5):
            await session.closed.wait()
        stream = await twilio.connect(url, SID)
        await stream.start(SID, token)

        assert 1008 == await stream.closed()
        assert ["not_claimed"] == run.seen.endings()
        assert run.is_empty()


async def test_a_stream_that_never_starts_is_closed(bridge: Rehearsal, twilio: Twilio) -> None:
    """Whoever opens a socket must say whose it is, within ten seconds of the clock."""
    url, _ = await twilio.ring(SID)
    stream = await twilio.connect(url, SID)

    assert 1008 == await stream.closed()
    assert {"stream_start": 1} == bridge.refusals


async def test_a_stream_that_talks_without_starting_is_closed(bridge: Rehearsal, twilio: Twilio) -> None:
    """After sixteen messages without a `start`."""
    url, _ = await twilio.ring(SID)
    stream = await twilio.connect(url, SID)
    await stream.speak(b"\x01" * 160 * 20)

    assert 1008 == await stream.closed()
    assert {"stream_start": 1} == bridge.refusals


async def test_a_webhook_that_is_repeated_gets_the_same_answer(bridge: Rehearsal, model: Model, twilio: Twilio) -> None:
    """One call, one place, one session."""
    first = await twilio.ring(SID)
    second = await twilio.ring(SID)
    await model.session()

    assert first == second
    assert 1 == len(bridge.bridge.desk.calls)
    assert 1 == model.handshakes


async def test_messages_that_make_no_sense_are_counted_and_survived(
    bridge: Rehearsal, model: Model, twilio: Twilio
) -> None:
    """Malformed, unknown, binary, repeated: each is a fact, and the sound after it arrives."""
    stream = await twilio.call(SID)
    for message in ("no json", '{"event":"media"}', '{"event":"new"}', b"\x00\x01", "[]", '{"event":"connected"}'):
        await stream.send(message)
    await stream.start(SID, "again")
    await stream.speak(b"\x01" * 160)
    await (await model.session()).first("input_audio_buffer.append")

    assert 4 == len(bridge.seen.of("caller.message_malformed"))
    assert [{"kind": "new"}] == bridge.seen.of("caller.message_unknown")
    assert [{"kind": "StreamStarted"}] == bridge.seen.of("caller.message_unexpected")


@by_every_client
async def test_events_that_make_no_sense_are_counted_and_survived(
    bridge: Rehearsal, model: Model, twilio: Twilio
) -> None:
    """The same for the model's."""
    stream = await twilio.call(SID)
    session = await model.session()
    await stream.speak(b"\x01" * 160)
    await session.first("input_audio_buffer.append")
    for message in ("no json", '{"type":"new"}', b"\x00\x01", "{}"):
        await session.send(message)
    await session.speak("item_1", b"\x02" * 1600)
    await stream.first("media")

    assert 3 == len(bridge.seen.of("model.event_malformed"))
    assert [{"kind": "new"}] == bridge.seen.of("model.event_unknown")


async def test_a_message_in_fragments_arrives_whole(model: Model, twilio: Twilio) -> None:
    """WebSocket messages may be cut anywhere (RFC 6455, section 5.4), on either leg."""
    stream = await twilio.call(SID)
    session = await model.session()
    media = '{"event":"media","media":{"track":"inbound","timestamp":"0","payload":"AQEB"},"streamSid":"MZ"}'
    await stream.socket.send([media[:20], media[20:50], media[50:]])

    assert "AQEB" == (await session.first("input_audio_buffer.append"))["audio"]


@pytest.mark.parametrize("pieces", [1, 8])
async def test_a_message_that_is_too_long_ends_the_call_in_order(
    bridge: Rehearsal, model: Model, twilio: Twilio, pieces: int
) -> None:
    """In one frame or in several: the stream is given up, the session closed, and nothing is left."""
    stream = await twilio.call(SID)
    session = await model.session()
    piece = "x" * (80_000 // pieces)
    await stream.socket.send([piece] * pieces if pieces > 1 else piece)
    async with asyncio.timeout(10):
        await session.closed.wait()
        await bridge.seen.until("call.ended")

    assert ["caller_lost"] == bridge.seen.endings()
    assert bridge.is_empty()


async def test_a_ping_of_the_carrier_is_answered(twilio: Twilio) -> None:
    """Any WebSocket peer may ask whether we are there."""
    stream = await twilio.call(SID)
    async with asyncio.timeout(5):
        await (await stream.socket.ping())


@by_every_client
async def test_a_carrier_that_does_not_read_is_cut_off(
    bridge: Rehearsal, model: Model, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded: beyond that the call ends, and the others never wait."""
    for module in ("caller", "caller_fast"):
        monkeypatch.setattr(f"bridge.edge.{module}.WAITING_BYTES", 100_000)
    stream = await twilio.call(SID)
    session = await model.session()
    await stream.speak(b"\x01" * 160)
    await session.first("input_audio_buffer.append")
    stream.stop_reading()
    await session.say("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
    with suppress(ConnectionClosed):  # when the call has ended
        while not bridge.seen.of("stream.lost"):
            await session.speak("item_1", b"\x02" * 1_000_000, delta_bytes=1_000_000)
    async with asyncio.timeout(10):
        await bridge.seen.until("call.ended")
        await session.closed.wait()

    assert ["caller_lost"] == bridge.seen.endings()
    assert bridge.is_empty()


async def test_the_fast_door_without_its_package_says_what_to_install(
    rehearsal: Start, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain door needs nothing of it."""
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "picows" else found(name))
    if door == "plain":
        await rehearsal()
        return
    with pytest.raises(ConfigurationError, match=r"server\.media_port: .*voicebridge\[fast\]"):
        await rehearsal()
