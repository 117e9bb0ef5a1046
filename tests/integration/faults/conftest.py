"""What goes wrong in whole calls: with the same fixtures as the calls in which nothing does."""

from __future__ import annotations

from tests.integration.calls.conftest import bridge, door, log, model, offer, rehearsal, twilio, voice, wire

__all__ = ["bridge", "door", "log", "model", "offer", "rehearsal", "twilio", "voice", "wire"]
