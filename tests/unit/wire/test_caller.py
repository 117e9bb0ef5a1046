"""Media Streams messages: what is read of each, what becomes of odd ones, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.caller import (
    LOST,
    CallerAudio,
    CallerLeft,
    CallerMessage,
    Digit,
    Greeted,
    Malformed,
    MarkReached,
    Stream,
    StreamStarted,
    Unknown,
    parse,
)

FIXTURES = Path(__file__).parents[3] / "fixtures" / "caller"
MZ = "MZ" + "0" * 32
CA = "CA" + "0" * 32
TOKEN = {"token": "made-up", "agent": "reception"}
STARTED = StreamStarted(MZ, CA, TOKEN, "audio/x-mulaw", 8000, 1)
VALID: dict[str, CallerMessage] = {
    "connected": Greeted("1.0.0"),
    "start": STARTED,
    "start-numbers-as-strings": STARTED,
    "start-without-parameters": StreamStarted(MZ, CA, {}, "audio/x-mulaw", 8000, 1),
    "media": CallerAudio("/////w==", 5),
    "media-numbers": CallerAudio("/////w==", 5),
    "media-other-spelling-of-track": CallerAudio("/////w==", 5),
    "media-without-track": CallerAudio("/////w==", 5),
    "media-outbound": Unknown("media of another track"),
    "dtmf": Digit("1"),
    "mark": MarkReached("0.7"),
    "stop": CallerLeft(),
    "unknown-event": Unknown("weather"),
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
EVENTS = st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "weather"])


@pytest.mark.parametrize("path", sorted((FIXTURES / "valid").glob("*.json")), ids=lambda path: path.stem)
def test_carrier_says_something_valid(path: Path) -> None:
    """Each message becomes its value, as text and as bytes."""
    assert VALID[path.stem] == parse(path.read_text())
    assert VALID[path.stem] == parse(path.read_bytes())


@pytest.mark.parametrize("path", sorted((FIXTURES / "invalid").glob("*.json")), ids=lambda path: path.stem)
def test_carrier_says_something_invalid(path: Path) -> None:
    """It becomes a value too, which holds no data of the call."""
    message = parse(path.read_text())

    assert isinstance(message, Malformed)
    assert MZ not in message.reason


@pytest.mark.parametrize("key", "0123456789*#ABCD")
def test_caller_presses_each_key(key: str) -> None:
    """All sixteen keys of DTMF are keys."""
    assert Digit(key) == parse(json.dumps({"event": "dtmf", "dtmf": {"digit": key}}))


def test_socket_goes_away_without_a_stop() -> None:
    """The edge says so in words that a tape can hold."""
    assert CallerLeft(clean=False) == parse(LOST)


def test_kind_of_an_unknown_message_is_cut_short() -> None:
    """A peer does not fill the log."""
    assert Unknown("x" * 64) == parse(json.dumps({"event": "x" * 5000}))


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        '{"event":"\ud800"}',
        b"\xff\xfe",
        b'{"event":"\xff"}',
        '{"event":' + "[" * 100_000,
        '{"event":"weather","x":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"event":"media","media":{"payload":"","timestamp":"' + "9" * 5000 + '"}}',
        '{"event":"media","media":{"payload":"","timestamp":' + "9" * 5000 + "}}",
        '{"event":"mark","mark":{"name":"\\ud800"}}',
    ],
    ids=range(9),
)
def test_peer_means_harm(text: str | bytes) -> None:
    """Nothing is raised, whatever is sent."""
    parse(text)


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_peer_says_anything(text: str | bytes) -> None:
    """Nothing is raised, whatever is sent."""
    parse(text)


@given(EVENTS, st.dictionaries(EVENTS, json_values, max_size=4))
def test_peer_says_almost_the_right_thing(event: str, fields: dict[str, Any]) -> None:
    """Nothing is raised, whatever the fields hold."""
    parse(json.dumps(fields | {"event": event}))


@given(st.text(), st.integers(0, 10**8), st.sampled_from(["inbound", "inbound_track"]), st.booleans())
def test_caller_says_any_sound(payload: str, at_ms: int, track: str, as_text: bool) -> None:  # noqa: FBT001 - generated
    """The payload is the text that came."""
    media = {"track": track, "timestamp": str(at_ms) if as_text else at_ms, "payload": payload}

    assert CallerAudio(payload, at_ms) == parse(json.dumps({"event": "media", "media": media}))


def test_bridge_writes_the_three_messages_that_the_carrier_takes() -> None:
    """With exactly the documented fields: an extra one is a warning that is shown once and hides the next."""
    stream = Stream(MZ)

    assert {"event": "media", "streamSid": MZ, "media": {"payload": "/////w=="}} == json.loads(stream.media("/////w=="))
    assert {"event": "mark", "streamSid": MZ, "mark": {"name": "0.7"}} == json.loads(stream.mark("0.7"))
    assert {"event": "clear", "streamSid": MZ} == json.loads(stream.clear())


@given(st.text(), st.text(), st.text())
def test_bridge_writes_any_text(sid: str, payload: str, name: str) -> None:
    """What is written can be read, whatever is in it."""
    stream = Stream(sid)

    assert {"payload": payload} == json.loads(stream.media(payload))["media"]
    assert {"name": name} == json.loads(stream.mark(name))["mark"]
    assert sid == json.loads(stream.clear())["streamSid"]


def test_mark_comes_back_as_it_was_written() -> None:
    """The carrier returns the name that it was given."""
    written = Stream(MZ).mark("3.141")

    assert MarkReached("3.141") == parse(written)
