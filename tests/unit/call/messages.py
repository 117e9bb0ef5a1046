"""What the carrier says, as Twilio writes it, and sounds to tell apart."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

SAMPLES_PER_MS = 8
FRAME_MS = 20
STREAM_SID = "MZ" + "0" * 32
CALL_SID = "CA" + "0" * 32
SILENCE_FRAME = b64encode(b"\xff" * 160).decode()
_PERIOD = bytes(0x80 + 2 * step for step in range(32)) + bytes(0x7F - 2 * step for step in range(32))
"""One period of a buzz at 125 Hz: from loud above zero down to nothing, then below."""


def start_message(**start: object) -> dict[str, Any]:
    """Twilio's `start`, as Twilio writes it."""
    fields = {
        "accountSid": "AC" + "0" * 32,
        "streamSid": STREAM_SID,
        "callSid": CALL_SID,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "made-up"},
    }
    return {"event": "start", "sequenceNumber": "1", "start": fields | start, "streamSid": STREAM_SID}


def media_message(payload: str, timestamp_ms: int) -> dict[str, Any]:
    """Twilio's `media`, with its numbers as strings."""
    media = {"track": "inbound", "chunk": "1", "timestamp": str(timestamp_ms), "payload": payload}
    return {"event": "media", "sequenceNumber": "3", "media": media, "streamSid": STREAM_SID}


def mark_message(name: str) -> dict[str, Any]:
    """Twilio's `mark`."""
    return {"event": "mark", "sequenceNumber": "4", "streamSid": STREAM_SID, "mark": {"name": name}}


def key_message(key: str) -> dict[str, Any]:
    """Twilio's `dtmf`."""
    dtmf = {"track": "inbound_track", "digit": key}
    return {"event": "dtmf", "streamSid": STREAM_SID, "sequenceNumber": "5", "dtmf": dtmf}


def sound(label: str, duration_ms: int) -> str:
    """Audio that nothing else sounds like, as base64 text."""
    return b64encode(hashlib.shake_256(label.encode()).digest(duration_ms * SAMPLES_PER_MS)).decode()


@lru_cache
def voice(offset: int) -> str:
    """20 ms of somebody speaking, `offset` samples into it: every fifth frame is the gap between two syllables."""
    if offset // 160 % 5 == 4:
        return b64encode(b"\xfe\x7e" * 80).decode()
    start = offset % len(_PERIOD)
    return b64encode((_PERIOD * 4)[start : start + 160]).decode()


@lru_cache
def is_loud(payload: str) -> bool:
    """Whether the model's voice activity detection would hear it."""
    return any(byte & 0x7F < 0x7E for byte in b64decode(payload))
