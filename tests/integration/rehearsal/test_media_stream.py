"""The simulated carrier's media stream, against a real WebSocket server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from quart import websocket

from bridge.rehearsal.carrier import Caller, Carrier
from bridge.rehearsal.line import Line
from bridge.wire.g711 import FRAME_BYTES, SILENCE

if TYPE_CHECKING:
    from bridge.rehearsal.carrier import Call
    from tests.integration.rehearsal.conftest import Bridge, Stream

CONNECT = '<Response><Connect><Stream url="wss://bridge.test/media">{}</Stream></Connect></Response>'


def speech(duration_ms: int, seed: int = 1) -> bytes:
    """Bytes that are like no other piece of sound; none of them is silence."""
    return random.Random(seed).randbytes(duration_ms * 8).replace(SILENCE, b"\x00")  # noqa: S311 - repeatable


async def dial(carrier: Carrier, caller: Caller) -> Call:
    """Let the caller call the bridge's number."""
    return await carrier.dial(from_="+15551112222", to="+15551230000", caller=caller)


async def hang_up_after(call: Call, seconds: float) -> None:
    """A script: say nothing, and hang up that long after the stream came up."""
    await call.until(lambda: call.stream is not None)
    await call.carrier.clock.sleep(seconds)
    call.hang_up()


async def test_carrier_opens_a_stream_with_connected_then_start(bridge: Bridge, carrier: Carrier) -> None:
    """The first messages are as Twilio's documentation shows them, numbers as strings where it has strings."""
    bridge.documents["/twiml/answer"] = CONNECT.format('<Parameter name="token" value="s3cret"/>')

    call = await dial(carrier, Caller(script=lambda call: hang_up_after(call, 1)))
    await call.ended()

    connected, start, media, *_ = bridge.streams[0].received
    assert call.stream is not None
    assert {"event": "connected", "protocol": "Call", "version": "1.0.0"} == connected
    assert {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": call.stream.sid,
        "start": {
            "accountSid": carrier.account_sid,
            "streamSid": call.stream.sid,
            "callSid": call.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": "s3cret"},
        },
    } == start
    assert {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "/" * 213 + "w=="} == media["media"]
    assert "stop" == bridge.streams[0].received[-1]["event"]
    assert [] == bridge.unsigned
    assert [] == carrier.warnings


async def test_caller_s_sound_arrives_unchanged_on_a_clean_line(bridge: Bridge, carrier: Carrier) -> None:
    """Every byte the caller says comes out of the stream, in order, in frames of 20 ms that are 20 ms apart."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")
    said = speech(1000)

    async def script(call: Call) -> None:
        await call.until(lambda: call.stream is not None)
        await call.say(said)
        call.hang_up()

    call = await dial(carrier, Caller(script=script))
    await call.ended()

    stream = bridge.streams[0]
    timestamps = [int(message["media"]["timestamp"]) for message in stream.of("media")]  # type: ignore[index]  # JSON
    assert said in stream.sound()
    assert list(range(0, 20 * len(timestamps), 20)) == timestamps
    sequence = [int(str(message["sequenceNumber"])) for message in stream.received[1:]]
    assert list(range(1, len(sequence) + 1)) == sequence


async def test_ear_hears_what_is_played_byte_by_byte(bridge: Bridge, carrier: Carrier) -> None:
    """Sound that comes in a burst is played in order and without a gap, and the mark comes back when it has been."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")
    first, second = speech(700, seed=1), speech(400, seed=2)
    waited_s: list[float] = []

    async def talk(stream: Stream) -> None:
        await stream.until("start")
        begin_s = carrier.clock.now()
        await stream.play(first)
        await stream.play(second)
        await stream.mark("end")
        await stream.until("mark")
        waited_s.append(carrier.clock.now() - begin_s)

    bridge.talk = talk
    call = await dial(carrier, Caller())
    await call.ended()

    assert first + second in call.heard
    assert 1.1 <= waited_s[0] < 4
    assert call.stream is not None
    assert ["end"] == call.stream.marks_returned


async def test_mark_with_nothing_queued_comes_back_at_once(bridge: Bridge, carrier: Carrier) -> None:
    """Marks come back in the order sent."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")

    async def talk(stream: Stream) -> None:
        await stream.until("start")
        await stream.mark("one")
        await stream.mark("two")
        await stream.until("mark")
        await stream.until("mark")

    bridge.talk = talk
    call = await dial(carrier, Caller())
    await call.ended()

    assert call.stream is not None
    assert ["one", "two"] == call.stream.marks_returned
    assert call.duration_s < 10


async def test_clear_drops_the_rest_and_returns_every_mark(bridge: Bridge, carrier: Carrier) -> None:
    """What was played before the clear was heard, byte by byte; what comes after it is played at once."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")
    long, after = speech(30_000, seed=1), speech(200, seed=2)
    cleared_within_s: list[float] = []

    async def talk(stream: Stream) -> None:
        await stream.until("start")
        begin_s = carrier.clock.now()
        await stream.play(long)
        await stream.mark("never played")
        await carrier.clock.sleep(1)
        await stream.clear()
        await stream.mark("cleared")
        await stream.until("mark")
        await stream.until("mark")
        cleared_within_s.append(carrier.clock.now() - begin_s)
        await stream.play(after)
        await stream.mark("after")
        await stream.until("mark")

    bridge.talk = talk
    call = await dial(carrier, Caller())
    await call.ended()

    assert call.stream is not None
    (_, dropped), *others = call.stream.clears
    heard = call.heard.replace(SILENCE, b"")
    assert [] == others
    assert long[: len(long) - len(dropped)] + after == heard
    assert 0 < len(long) - len(dropped) < cleared_within_s[0] * 8000
    assert ["never played", "cleared", "after"] == call.stream.marks_returned


@pytest.mark.parametrize(
    "message",
    [
        {"event": "media", "media": {"payload": "////", "track": "outbound"}},
        {"event": "media", "media": {"payload": "not base64!"}},
        {"event": "media", "media": {}},
        {"event": "mark"},
        {"event": "clear", "because": "barge-in"},
        {"event": "hang_up"},
        {"event": "clear", "streamSid": "MZ" + "0" * 32},
    ],
)
async def test_carrier_warns_of_a_message_against_the_schema(
    bridge: Bridge, carrier: Carrier, message: dict[str, object]
) -> None:
    """Extra, missing and unknown things are 31951, and nothing is done with the message."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")

    async def talk(stream: Stream) -> None:
        await stream.until("start")
        await stream.send(**message)
        await stream.mark("end")
        await stream.until("mark")

    bridge.talk = talk
    call = await dial(carrier, Caller())
    await call.ended()

    assert [31951] == [notice.code for notice in carrier.faults]
    assert call.stream is not None
    assert [] == call.stream.clears


async def test_carrier_warns_of_a_binary_frame(bridge: Bridge, carrier: Carrier) -> None:
    """Sound as bytes is 31950."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")

    async def talk(stream: Stream) -> None:
        await stream.until("start")
        await websocket.send(b"\xff" * 160)

    bridge.talk = talk
    call = await dial(carrier, Caller())
    await call.ended()

    assert [31950] == [notice.code for notice in carrier.faults]


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('url="ws://bridge.test/media"', 31922),
        ('url="https://bridge.test/media"', 31922),
        ('url="wss:///media"', 31923),
        ('url="wss://bridge.test/media?token=1"', 31920),
        ('url="wss://elsewhere.test/media"', 31901),
        ('url="wss://bridge.test/nothing"', 31920),
        ('url="wss://bridge.test/media" track="both_tracks"', 31941),
    ],
)
async def test_carrier_refuses_a_stream_it_may_not_open(
    bridge: Bridge, carrier: Carrier, attributes: str, code: int
) -> None:
    """The call goes on behind `<Connect>`, and the stream's status callback says why."""
    bridge.documents["/twiml/answer"] = (
        f'<Response><Connect><Stream {attributes} statusCallback="https://bridge.test/stream-status"/></Connect>'
        "<Say>Sorry.</Say></Response>"
    )

    call = await dial(carrier, Caller())
    await call.ended()
    await carrier.settled()

    assert [code] == [notice.code for notice in carrier.warnings]
    assert ["Sorry."] == call.told
    assert [] == bridge.streams
    (report,) = bridge.forms("/stream-status")
    assert ("stream-error", True) == (report["StreamEvent"], report["StreamError"].startswith(str(code)))


async def test_stream_may_lie_on_a_media_host_of_its_own(bridge: Bridge, carrier: Carrier) -> None:
    """A second public address leads to a second port; the handshake is signed for the address as written."""
    bridge.documents["/twiml/answer"] = CONNECT.format("").replace("bridge.test", "media.test:8443")
    carrier.route("wss://media.test:8443", bridge.url)

    call = await dial(carrier, Caller())
    await call.ended()

    (handshake,) = [each for each in carrier.record if each.kind == "handshake"]
    assert "wss://media.test:8443/media" == handshake.url
    assert ["wss://bridge.test/media"] == bridge.unsigned  # the test's bridge expects the handshake on its own host


async def test_carrier_ends_a_stream_with_stop_when_the_caller_hangs_up(bridge: Bridge, carrier: Carrier) -> None:
    """The stop message, then the close; the buffer is dropped; the callbacks follow."""
    bridge.documents["/twiml/answer"] = CONNECT.replace(
        "/media", '/media" statusCallback="https://bridge.test/stream-status'
    ).format("")

    async def talk(stream: Stream) -> None:
        await stream.until("start")
        await stream.play(speech(60_000))
        await stream.until("stop")

    bridge.talk = talk
    call = await dial(carrier, Caller(script=lambda call: hang_up_after(call, 2)))
    await call.ended()
    await carrier.settled()

    assert {"accountSid": carrier.account_sid, "callSid": call.sid} == bridge.streams[0].received[-1]["stop"]
    assert ["stream-started", "stream-stopped"] == sorted(
        form["StreamEvent"] for form in bridge.forms("/stream-status")
    )
    assert "caller" == call.ended_by
    assert len(call.heard.replace(SILENCE, b"")) < 4 * 8000
    assert [] == carrier.warnings


async def test_keys_arrive_as_dtmf_messages(bridge: Bridge, carrier: Carrier) -> None:
    """One message for each key, in order, with the track's other spelling."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")

    async def script(call: Call) -> None:
        await call.until(lambda: call.stream is not None)
        await call.press("1*#")
        call.hang_up()

    call = await dial(carrier, Caller(script=script))
    await call.ended()

    keys = [message["dtmf"] for message in bridge.streams[0].of("dtmf")]
    assert [{"track": "inbound_track", "digit": digit} for digit in "1*#"] == keys


async def test_lossy_line_leaves_gaps_in_the_timestamps(bridge: Bridge, carrier: Carrier) -> None:
    """Lost frames are not sent at all; chunks go on counting, timestamps skip; the same seed loses the same frames."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")
    line = Line(loss=0.2, jitter_ms=60, seed=7)

    for _ in range(2):
        call = await dial(carrier, Caller(script=lambda call: hang_up_after(call, 3), line=line))
        await call.ended()

    one, two = (
        [(int(media["chunk"]), int(media["timestamp"])) for media in (m["media"] for m in stream.of("media"))]  # type: ignore[index]  # JSON
        for stream in bridge.streams
    )
    both = min(len(one), len(two))
    assert one[:both] == two[:both]
    assert list(range(1, len(one) + 1)) == [chunk for chunk, _ in one]
    assert one[-1][1] > len(one) * 20
    assert sorted(one) == one


async def test_frames_keep_to_the_schedule(bridge: Bridge, carrier: Carrier) -> None:
    """Fifty frames for each second that the stream is up: a late one is made up for."""
    bridge.documents["/twiml/answer"] = CONNECT.format("")

    call = await dial(carrier, Caller(script=lambda call: hang_up_after(call, 10)))
    await call.ended()

    up_s, down_s = (event.at_s for event in carrier.events if event.kind.startswith("stream."))
    assert call.stream is not None
    assert call.stream.frames_sent == pytest.approx((down_s - up_s) * 50, abs=10)
    assert call.stream.frames_sent * FRAME_BYTES == len(bridge.streams[0].sound())
