"""The keys that the interface promises, all in one file, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.configuration import Loaded
from bridge.settings import Line

EVERY_KEY = """
[server]
host = "127.0.0.1"
port = 8080
public_url = "https://bot.example.com"
admin_token = "a"
drain_s = 300
media_port = 0
media_url = ""
workers = 1
instance = "one"

[twilio]
account_sid = "AC1"
auth_token = "t"
insecure = false
api_url = "https://api.twilio.com"
control = "rest"

[model]
provider = "embedded"
url = "wss://api.openai.com/v1/realtime"
api_key = "k"
name = "gpt-realtime-2.1"
dialect = "ga"
organization = ""
project = ""
auth_mode = "header"
extra_query = {}
extra_headers = {}
connect_timeout_s = 10

[agents.reception]
instructions = "Be kind."
voice = "marin"
greeting_message = "Hello, this is the shop."
greeting_protected = true
messages = []
max_history = 32
input_modalities = ["audio"]
output_modalities = ["text", "audio"]
input_audio_format = "g711_ulaw"
output_audio_format = "g711_ulaw"
max_output_tokens = "inf"
tool_choice = "auto"
tools = ["transfer_call", "end_call", "send_digits"]
params = {}
[agents.reception.input_audio_transcription]
model = "gpt-transcribe"
language = "en"
prompt = ""
[agents.reception.turn_detection]
type = "server_vad"
threshold = 0.5
prefix_padding_ms = 300
silence_duration_ms = 500
[agents.reception.barge_in]
mode = "instant"
confirm_ms = 700
[agents.reception.silence]
prompt_after_s = 10
prompts = 2

[functions.lookup_order]
description = "The state of an order."
url = "https://shop.example.com/orders"
timeout_s = 8
filler = "One moment, please."
secret = "s"
allow_private = false
[functions.lookup_order.parameters]
type = "object"
[functions.lookup_order.collect]
max_digits = 16

[mcp.shop]
server_url = "https://mcp.example.com"

[lines]
default = "reception"
"+15551230000" = "reception"
[lines."+15551230001"]
agent = "reception"
hours = "Mo-Fr 08:00-18:00 Europe/Berlin"
closed = "fallback"
block = ["anonymous"]

[destinations.sales]
to = "+15557654321"
kind = "cold"
description = "questions about prices and orders"
announce = "I will put you through to sales."
whisper = true
timeout_s = 25
caller_id = "+15551230000"
on_failure = "return"

[fallback]
say = "Sorry, our assistant is unavailable."
destination = "sales"
hold_clip = "hold.wav"

[limits]
max_calls = 100
max_call_s = 3600
calls_per_minute_per_caller = 10
max_cost = 0
token_ttl_s = 60
max_message_bytes = 65536

[storage]
url = "sqlite:///calls.db"
[shared]
url = "memory://"
[tape]
record = false
directory = "tapes"
audio = true
[rehearsal]
dialogue = "dialogue.toml"
"""


@pytest.mark.usefixtures("clip")
def test_operator_uses_every_key_of_the_interface(load_text: Callable[..., Loaded], tmp_path: Path) -> None:
    """Each key that the interface promises is accepted, without a warning."""
    (tmp_path / "dialogue.toml").write_text("")

    loaded = load_text(EVERY_KEY)

    assert () == loaded.warnings
    assert {
        "default": Line(agent="reception"),
        "+15551230000": Line(agent="reception"),
        "+15551230001": Line(agent="reception", hours="Mo-Fr 08:00-18:00 Europe/Berlin", block=("anonymous",)),
    } == loaded.settings.lines
