"""The media plane of voicebridge: one live telephone call between a caller and a realtime speech model.

A call is a pure state machine with two legs: the *caller* (a carrier's media stream) and the *model* (a Realtime
session). Floors are folders and legs are file names, so the way of one frame is the order to read in:

    twiml.webhooks > edge.caller > wire.caller > call.machine > wire.model > edge.model

`docs/architecture.md` tells why it is built so, `docs/glossary.md` what the words mean.
"""

from __future__ import annotations

__version__ = "0.1.0"
