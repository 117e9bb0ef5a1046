"""The signalling plane: what is said with Twilio over HTTP about a call, beside the media that flows elsewhere.

Where to start reading: `webhooks` (a call comes in), then `signature` (why we believe it), `parameters` and `transfers`
(what it says), `documents` (what we answer) and `calls` (what we ask of Twilio by REST). What this plane needs from the
rest of the program stands in `ports`; it imports nothing of it.
"""
