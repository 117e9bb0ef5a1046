"""Sessions of both dialects and Agora's block, pasted into an agent, as they go out to the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from bridge.configuration import Loaded
from bridge.settings import Dialect, Json
from bridge.wire.session import TurnControl, session_fields


def session_of(loaded: Loaded, dialect: Dialect) -> Json:
    """The first session that is asked for, with the server acting on speech."""
    return session_fields(
        loaded.settings.agents["a"],
        dialect=dialect,
        tools=[],
        turn_control=TurnControl(True, True),  # noqa: FBT003 - a tuple of two
    )


def at(tree: object, path: str) -> object:
    """What stands at a dotted path; None where nothing does."""
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


class Row(NamedTuple):
    """A parameter of a session as it may be written, and what becomes of it."""

    name: str
    written: str
    """Lines of the agent's table."""
    ga: Json = {}  # noqa: RUF012, never changed
    """Paths of the GA session and their values; None: not there."""
    beta: Json = {}  # noqa: RUF012, never changed
    """The same for beta."""
    setting: Json = {}  # noqa: RUF012, never changed
    """Paths of the settings of the agent."""
    ga_warns: str = ""
    """The key that a warning names when the dialect is GA."""
    beta_warns: str = ""
    refused: str = ""
    """What the error says."""


SERVER_VAD = (
    'turn_detection = {type = "server_vad", threshold = 0.8, prefix_padding_ms = 500, silence_duration_ms = 1000}'
)
VAD = "audio.input.turn_detection"

ROWS = [
    Row("session id", 'params.id = "sess_1"', ga={"id": None}, ga_warns="params.id", beta_warns="params.id"),
    Row("model", 'params.model = "gpt-realtime-2"', setting={"params.model": "gpt-realtime-2"}, ga={"model": None}),
    Row("model outside params", 'model = "gpt-realtime-2"', setting={"params.model": "gpt-realtime-2"}),
    Row(
        "modalities",
        'params.modalities = ["text", "audio"]',
        ga={"output_modalities": ["audio"], "modalities": None},
        beta={"modalities": ["text", "audio"]},
    ),
    Row("modalities text only", 'params.modalities = ["text"]', refused="params.modalities: must contain audio"),
    Row("input_modalities", 'input_modalities = ["audio", "text"]', ga={"input_modalities": None}),
    Row("input_modalities text only", 'input_modalities = ["text"]', refused="input_modalities: must contain audio"),
    Row(
        "output_modalities",
        'output_modalities = ["text", "audio"]',
        ga={"output_modalities": ["audio"]},
        beta={"modalities": ["text", "audio"]},
    ),
    Row(
        "override rule: modalities by output_modalities",
        'output_modalities = ["audio"]\nparams.modalities = ["text"]',
        ga={"output_modalities": ["audio"]},
        ga_warns="params.modalities",
    ),
    Row(
        "override rule: modalities by input_modalities",
        'input_modalities = ["audio"]\nparams.modalities = ["text"]',
        ga={"output_modalities": ["audio"]},
        ga_warns="params.modalities",
    ),
    Row(
        "override rule: turn_detection",
        'turn_detection = {threshold = 0.7}\nparams.turn_detection = {type = "semantic_vad", eagerness = "low"}',
        ga={f"{VAD}.type": "server_vad", f"{VAD}.threshold": 0.7, f"{VAD}.eagerness": None},
        ga_warns="params.turn_detection",
    ),
    Row("instructions", 'instructions = "Be brief."', ga={"instructions": "Be brief."}),
    Row("instructions in params", 'params.instructions = "Be brief."', beta={"instructions": "Be brief."}),
    Row("voice", 'voice = "verse"', ga={"audio.output.voice": "verse", "voice": None}, beta={"voice": "verse"}),
    Row("voice of the GA session", 'audio.output.voice = "marin"', ga={"audio.output.voice": "marin"}),
    Row(
        "custom voice",
        'voice = {id = "voice_1"}',
        ga={"audio.output.voice": {"id": "voice_1"}},
        beta={"voice": None},
        beta_warns="voice",
    ),
    Row(
        "input_audio_format",
        'input_audio_format = "g711_alaw"',
        ga={"audio.input.format": {"type": "audio/pcma"}},
        beta={"input_audio_format": "g711_alaw"},
    ),
    Row(
        "output_audio_format",
        'output_audio_format = "pcm16"',
        ga={"audio.output.format": {"type": "audio/pcm", "rate": 24_000}},
        beta={"output_audio_format": "pcm16"},
    ),
    Row(
        "formats of the GA session",
        'audio.input.format = {type = "audio/pcmu"}\naudio.output.format = {type = "audio/pcm", rate = 24000}',
        setting={"input_audio_format": "g711_ulaw", "output_audio_format": "pcm16"},
    ),
    Row(
        "pcm16 is 24 kHz",
        'audio.input.format = {type = "audio/pcm", rate = 16000}',
        refused="audio.input.format: has no rate but 24000",
    ),
    Row("unknown format", 'input_audio_format = "opus"', refused="input_audio_format: must be 'g711_ulaw'"),
    Row(
        "input_audio_transcription",
        'input_audio_transcription = {model = "gpt-4o-transcribe", language = "de", prompt = "names"}',
        ga={"audio.input.transcription": {"model": "gpt-4o-transcribe", "language": "de", "prompt": "names"}},
        beta={"input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "de", "prompt": "names"}},
    ),
    Row(
        "input_audio_transcription is on unless it is turned off",
        "",
        ga={"audio.input.transcription": {"model": "gpt-transcribe"}},
        beta={"input_audio_transcription": {"model": "whisper-1"}},
    ),
    Row(
        "input_audio_transcription off",
        "params.input_audio_transcription = false",
        ga={"audio.input.transcription": None},
        beta={"input_audio_transcription": None},
    ),
    Row(
        "transcription of the GA session",
        'audio.input.transcription = {model = "gpt-transcribe", languages = ["en", "de"], keywords = ["VAT"]}',
        ga={
            "audio.input.transcription": {"model": "gpt-transcribe", "languages": ["en", "de"], "keywords": ["VAT"]},
        },
        beta={"input_audio_transcription": {"model": "gpt-transcribe"}},
        beta_warns="audio.input.transcription.languages",
    ),
    Row(
        "transcription delay",
        'input_audio_transcription = {model = "gpt-realtime-whisper", delay = "low", prompt = "names"}',
        ga={"audio.input.transcription": {"model": "gpt-realtime-whisper", "delay": "low"}},
        ga_warns="input_audio_transcription.prompt",
    ),
    Row("turn_detection null", "turn_detection = false", refused="turn_detection: cannot be off"),
    Row("turn_detection none", 'params.turn_detection.type = "none"', refused="params.turn_detection: cannot be off"),
    Row(
        "turn_detection.type", SERVER_VAD, ga={f"{VAD}.type": "server_vad"}, beta={"turn_detection.type": "server_vad"}
    ),
    Row(
        "turn_detection.type semantic_vad",
        'turn_detection = {type = "semantic_vad", eagerness = "high"}',
        ga={f"{VAD}.eagerness": "high", f"{VAD}.threshold": None},
        beta={"turn_detection.eagerness": "high"},
    ),
    Row("turn_detection.threshold", SERVER_VAD, ga={f"{VAD}.threshold": 0.8}, beta={"turn_detection.threshold": 0.8}),
    Row("turn_detection.prefix_padding_ms", SERVER_VAD, ga={f"{VAD}.prefix_padding_ms": 500}),
    Row("turn_detection.silence_duration_ms", SERVER_VAD, ga={f"{VAD}.silence_duration_ms": 1000}),
    Row(
        "turn_detection by volume only",
        'turn_detection = {type = "semantic_vad", threshold = 0.8}',
        ga={f"{VAD}.threshold": None},
        ga_warns="turn_detection.threshold",
        beta_warns="turn_detection.threshold",
    ),
    Row(
        "turn_detection.create_response",
        "turn_detection.create_response = false",
        ga={f"{VAD}.create_response": True},
        ga_warns="turn_detection.create_response",
    ),
    Row(
        "turn_detection.interrupt_response",
        "audio.input.turn_detection = {type = 'server_vad', interrupt_response = false}",
        ga={f"{VAD}.interrupt_response": True},
        ga_warns="audio.input.turn_detection.interrupt_response",
    ),
    Row(
        "turn_detection.idle_timeout_ms",
        "turn_detection.idle_timeout_ms = 6000",
        ga={f"{VAD}.idle_timeout_ms": None},
        ga_warns="turn_detection.idle_timeout_ms",
    ),
    Row("tools by name", 'tools = ["end_call"]', setting={"tools": ("end_call",)}),
    Row(
        "tools as objects",
        'tools = [{type = "function", name = "end_call", description = "Ends.", parameters = {type = "object"}}]',
        setting={"tools": ("end_call",)},
        ga_warns="tools.0",
    ),
    Row(
        "tools without an implementation",
        'params.tools = [{type = "function", name = "get_weather", parameters = {type = "object"}}]',
        refused="params.tools.0: 'get_weather' is no tool",
    ),
    Row("tools without a name", "tools = [{}]", refused="tools: names a tool by a table without a name"),
    Row("tool_choice", 'tool_choice = "required"', ga={"tool_choice": "required"}, beta={"tool_choice": "required"}),
    Row(
        "tool_choice object",
        'tool_choice = {type = "function", name = "end_call"}',
        ga={"tool_choice": {"type": "function", "name": "end_call"}},
        beta={"tool_choice": {"type": "function", "function": {"name": "end_call"}}},
    ),
    Row(
        "tool_choice object of beta",
        'params.tool_choice = {type = "function", function = {name = "end_call"}}',
        ga={"tool_choice": {"type": "function", "name": "end_call"}},
    ),
    Row(
        "temperature",
        "temperature = 0.8",
        ga={"temperature": None},
        beta={"temperature": 0.8},
        ga_warns="temperature",
    ),
    Row(
        "temperature beyond the beta server's", "temperature = 2.0", beta={"temperature": 2.0}, beta_warns="temperature"
    ),
    Row(
        "max_response_output_tokens",
        "params.max_response_output_tokens = 150",
        ga={"max_output_tokens": 150, "max_response_output_tokens": None},
        beta={"max_response_output_tokens": 150, "max_output_tokens": None},
    ),
    Row("max_output_tokens", 'max_output_tokens = "inf"', ga={"max_output_tokens": "inf"}),
    Row("max_output_tokens as a number", "max_output_tokens = inf", beta={"max_response_output_tokens": "inf"}),
    Row("max_output_tokens out of range", "max_output_tokens = 5000", refused="must be at most 4096"),
    Row("max_history", "max_history = 8", setting={"max_history": 8}),
    Row(
        "messages",
        'messages = [{role = "user", content = "Hi"}, {role = "system", content = [{type = "text", text = "Yes?"}]}]',
        setting={"messages.1.content": "Yes?", "messages.0.role": "user"},
    ),
    Row(
        "messages with sound",
        'messages = [{role = "user", content = [{type = "input_audio", audio = "AAAA"}]}]',
        refused="messages: hold something else than text",
    ),
    Row("greeting_message", 'greeting_message = "Hello."', setting={"greeting_message": "Hello."}),
    Row("params", 'params = {voice = "echo"}', ga={"audio.output.voice": "echo"}),
    Row(
        "params with an unknown field",
        "params.vioce = 'echo'",
        refused="unknown key: did you mean voice?",
    ),
    Row(
        "ReasoningEffort",
        'params.reasoning_effort = "low"',
        ga={"reasoning": {"effort": "low"}},
        beta={"reasoning": None},
        beta_warns="params.reasoning_effort",
    ),
    Row("reasoning", 'reasoning = {effort = "high"}', ga={"reasoning": {"effort": "high"}}, beta_warns="reasoning"),
    Row(
        "ResponseFormatJsonObject",
        'params.response_format = {type = "json_object"}',
        ga={"response_format": None},
        ga_warns="params.response_format",
    ),
    Row("type", 'type = "realtime"', ga={"type": "realtime"}, beta={"type": None}),
    Row("type transcription", 'type = "transcription"', refused="type: must be 'realtime'"),
    Row("speed", "params.speed = 1.2", ga={"audio.output.speed": 1.2}, beta={"speed": 1.2}),
    Row(
        "input_audio_noise_reduction",
        'input_audio_noise_reduction = {type = "near_field"}',
        ga={"audio.input.noise_reduction": {"type": "near_field"}},
        beta={"input_audio_noise_reduction": {"type": "near_field"}},
    ),
    Row(
        "noise_reduction of the GA session",
        'audio.input.noise_reduction = {type = "far_field", strength = 0.5}',
        ga={"audio.input.noise_reduction": {"type": "far_field", "strength": 0.5}},
        beta={"input_audio_noise_reduction": {"type": "far_field"}},
        beta_warns="audio.input.noise_reduction.strength",
    ),
    Row("truncation", 'params.truncation = "disabled"', ga={"truncation": "disabled"}, beta_warns="params.truncation"),
    Row(
        "truncation object",
        'truncation = {type = "retention_ratio", retention_ratio = 0.8, token_limits = {post_instructions = 5000}}',
        ga={
            "truncation": {
                "type": "retention_ratio",
                "retention_ratio": 0.8,
                "token_limits": {"post_instructions": 5000},
            }
        },
    ),
    Row("tracing", 'tracing = "auto"', ga={"tracing": "auto"}, beta={"tracing": "auto"}),
    Row(
        "tracing object",
        'params.tracing = {workflow_name = "shop", metadata = {a = 1}}',
        ga={"tracing": {"workflow_name": "shop", "metadata": {"a": 1}}},
    ),
    Row(
        "include",
        'include = ["item.input_audio_transcription.logprobs"]',
        ga={"include": ["item.input_audio_transcription.logprobs"]},
        beta={"include": None},
        beta_warns="include",
    ),
    Row(
        "parallel_tool_calls",
        "parallel_tool_calls = false",
        ga={"parallel_tool_calls": False},
        beta={"parallel_tool_calls": None},
        beta_warns="parallel_tool_calls",
    ),
    Row(
        "prompt",
        'prompt = {id = "pmpt_1", variables = {city = "Berlin"}}',
        ga={"prompt": {"id": "pmpt_1", "variables": {"city": "Berlin"}}},
        beta_warns="prompt",
    ),
    Row("client_secret", "params.client_secret = {}", ga={"client_secret": None}, ga_warns="params.client_secret"),
    Row("vendor and style", 'vendor = ""\nstyle = "openai"', setting={"style": "openai"}),
    Row("another vendor", 'vendor = "gemini"', refused="vendor: must be"),
    Row("turn_detection of another type", "turn_detection = 3", refused="turn_detection: must be a table"),
    Row("messages of another type", 'messages = ["Hi"]', refused="messages.0: must be a table"),
    Row("said twice", 'voice = "echo"\naudio.output.voice = "ash"', refused="audio.output.voice: is said twice"),
]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.refused], ids=lambda row: row.name)
@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_operator_pastes_a_session_parameter(row: Row, dialect: Dialect, load_text: Callable[..., Loaded]) -> None:
    """Every parameter of a session reaches the model in its dialect's form, or a warning says why it does not."""
    loaded = load_text(f'model = {{dialect = "{dialect}"}}\n[agents.a]\n{row.written}\n')

    expected = row.ga if dialect == "ga" else row.beta
    warned = row.ga_warns if dialect == "ga" else row.beta_warns
    assert expected == {path: at(session_of(loaded, dialect), path) for path in expected}
    agent = loaded.settings.agents["a"].model_dump()
    agent["messages"] = {str(index): message for index, message in enumerate(agent["messages"])}
    assert row.setting == {path: at(agent, path) for path in row.setting}
    if warned:
        assert f"agents.a.{warned}" in [warning.key for warning in loaded.warnings]


@pytest.mark.parametrize("row", [row for row in ROWS if row.refused], ids=lambda row: row.name)
def test_operator_pastes_what_cannot_work(row: Row, problems_of: Callable[..., list[str]]) -> None:
    """A parameter that a phone call cannot have is refused under the key it was written with."""
    problems = problems_of(f"[agents.a]\n{row.written}\n")

    assert 1 == len(problems)
    assert row.refused in problems[0]


AGORA = """
[agents.a]
vendor = "openai"
style = "openai"
url = "wss://api.openai.com/v1/realtime"
api_key = "key-of-the-agent"
greeting_message = "Hello, how can I assist you?"
max_history = 20
input_modalities = ["audio"]
output_modalities = ["text", "audio"]
messages = [{ role = "system", content = "The caller is called Kim." }]

[agents.a.params]
model = "gpt-realtime-2.1"
voice = "coral"
instructions = "Be friendly."
modalities = ["text"]
turn_detection = { type = "semantic_vad" }
input_audio_transcription = { language = "en", model = "gpt-4o-mini-transcribe", prompt = "shop words" }

[agents.a.turn_detection]
type = "server_vad"
threshold = 0.6
"""


def test_operator_pastes_a_block_of_agora(load_text: Callable[..., Loaded]) -> None:
    """Agora's block is understood with its endpoint, and the outer keys win over its params."""
    loaded = load_text(AGORA)

    session = session_of(loaded, "ga")
    assert "coral" == at(session, "audio.output.voice")
    assert "Be friendly." == session["instructions"]
    assert ["audio"] == session["output_modalities"]
    assert "server_vad" == at(session, f"{VAD}.type")
    assert ["agents.a.params.modalities", "agents.a.params.turn_detection"] == sorted(
        warning.key for warning in loaded.warnings
    )


def test_operator_pastes_a_block_of_agora_with_its_name(load_text: Callable[..., Loaded]) -> None:
    """As it stands in Agora's request, with the outer turn detection beside it: that goes before the one in params."""
    block = AGORA.replace("[agents.a]", "[agents.a.mllm]").replace("[agents.a.params]", "[agents.a.mllm.params]")
    loaded = load_text(f"{block}[agents.a.advanced_features]\nenable_mllm = true\n")

    plain = load_text(AGORA)
    assert session_of(plain, "ga") == session_of(loaded, "ga")
    assert plain.settings.agents == loaded.settings.agents
    assert [
        "agents.a.advanced_features",
        "agents.a.mllm.params.modalities",
        "agents.a.mllm.params.turn_detection",
    ] == sorted(warning.key for warning in loaded.warnings)


def test_mistake_in_a_block_is_told_where_it_stands(problems_of: Callable[..., list[str]]) -> None:
    """Under the key that was written."""
    problems = problems_of("[agents.a.mllm]\nmax_histroy = 3\n[agents.a.mllm.params]\nvoice = 3\n")

    assert {
        "agents.a.mllm.max_histroy: unknown key: did you mean max_history?",
        "agents.a.mllm.params.voice: must be text",
    } == set(problems)


GA_SESSION = """
[agents.a]
type = "realtime"
model = "gpt-realtime-2.1"
instructions = "Be friendly."
output_modalities = ["audio"]
max_output_tokens = 1024
tool_choice = "auto"
tools = []
[agents.a.audio.input]
format = { type = "audio/pcmu" }
transcription = { model = "gpt-transcribe" }
noise_reduction = { type = "far_field" }
turn_detection = { type = "semantic_vad", eagerness = "low" }
[agents.a.audio.output]
format = { type = "audio/pcmu" }
voice = "cedar"
speed = 1.1
"""


def test_operator_pastes_a_session_of_the_newer_dialect(load_text: Callable[..., Loaded]) -> None:
    """A GA session comes out as it went in, and can be told to a beta endpoint too."""
    loaded = load_text(GA_SESSION)

    assert () == loaded.warnings
    assert {
        "format": {"type": "audio/pcmu"},
        "transcription": {"model": "gpt-transcribe"},
        "noise_reduction": {"type": "far_field"},
        "turn_detection": {
            "type": "semantic_vad",
            "eagerness": "low",
            "create_response": True,
            "interrupt_response": True,
        },
    } == at(session_of(loaded, "ga"), "audio.input")
    assert {
        "instructions": "Be friendly.",
        "modalities": ["text", "audio"],
        "voice": "cedar",
        "speed": 1.1,
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "gpt-transcribe"},
        "input_audio_noise_reduction": {"type": "far_field"},
        "turn_detection": {
            "type": "semantic_vad",
            "eagerness": "low",
            "create_response": True,
            "interrupt_response": True,
        },
        "tool_choice": "auto",
        "max_response_output_tokens": 1024,
    } == session_of(loaded, "beta")


def test_operator_pastes_a_session_with_nulls(
    load_text: Callable[..., Loaded], problems_of: Callable[..., list[str]]
) -> None:
    """In JSON, null says nothing, turns transcription off, and cannot turn turn detection off."""
    nulls = '{"voice": null, "tracing": null, "prompt": null, "input_audio_transcription": null}'

    agent = load_text("", {"BRIDGE_AGENTS__A": nulls}).settings.agents["a"]
    assert ("", None, None, None) == (
        agent.voice,
        agent.params.tracing,
        agent.params.prompt,
        agent.input_audio_transcription,
    )
    (problem,) = problems_of("", {"BRIDGE_AGENTS__A": '{"audio": {"input": {"turn_detection": null}}}'})
    assert problem.startswith("agents.a.audio.input.turn_detection: cannot be off")
