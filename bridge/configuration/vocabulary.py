"""Other people's words for an agent's keys: a Realtime session, beta or GA, or an Agora `mllm` block, pasted in.

`canonical` brings a pasted table into the form of `bridge.settings.agent.Agent`: nested fields come up, renamed ones
get their name, values are rewritten, and what has no counterpart on a phone is left out with a notice, or refused. A
session may stand in the agent's table itself or under `params`; where both say something the table's own key wins. That
is Agora's rule for `turn_detection` and for `modalities` against `input_modalities` and `output_modalities`; here it
holds for every key.

Source: Agora's MLLM page for OpenAI Realtime; the sessions of `openai.types.realtime` and `openai.types.beta.realtime`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.settings import Json, Notice, Params

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPELLINGS = {
    "audio.input.format": "input_audio_format",
    "audio.input.transcription": "input_audio_transcription",
    "audio.input.noise_reduction": "input_audio_noise_reduction",
    "audio.input.turn_detection": "turn_detection",
    "audio.output.format": "output_audio_format",
    "audio.output.voice": "voice",
    "audio.output.speed": "speed",
    "modalities": "output_modalities",
    "max_response_output_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning",
}
"""Where a session says something, and the key it has here."""

SESSION_KEYS = frozenset(
    {
        "instructions",
        "voice",
        "input_modalities",
        "output_modalities",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "turn_detection",
        "temperature",
        "max_output_tokens",
        "tool_choice",
        "tools",
    }
)
"""Keys of an agent that are fields of the session, so that they may stand under `params` too."""

WITHOUT_EFFECT = {
    "id": "is given by the server",
    "object": "is given by the server",
    "expires_at": "is given by the server",
    "client_secret": "belongs to credentials of browsers, which the bridge does not need",
    "response_format": "belongs to chat models and has no place in a Realtime session",
    "advanced_features": "is Agora's: the bridge always connects the caller to the model itself",
    "enable": "is Agora's: an agent that is there is used",
}
"""Fields that are left out, and why."""

BLOCK = "mllm"
"""Agora's block may be pasted with its name; what stands beside it in the agent's table goes before it."""

_NESTED = frozenset(path.rpartition(".")[0] for path in SPELLINGS) | {"audio"}
_FORMATS = {"audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw", "audio/pcm": "pcm16"}
_RATES_HZ = {"g711_ulaw": 8_000, "g711_alaw": 8_000, "pcm16": 24_000}
_BRIDGE_DECIDES = {
    "create_response": "is decided by the bridge ([barge_in], greeting_protected) and left out",
    "interrupt_response": "is decided by the bridge ([barge_in], greeting_protected) and left out",
    "idle_timeout_ms": "is not sent: [silence] says what happens when nobody speaks",
}


@dataclass
class Canonical:
    """What was made of an agent's table. Keys are relative to the agent."""

    table: Json = field(default_factory=dict)
    """In the form of `Agent`; what is still unknown in it is unknown to everybody."""
    written: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    """Where a value that was moved stood: the path here, the path as it was written."""
    notices: list[Notice] = field(default_factory=list)
    problems: list[Notice] = field(default_factory=list)


def canonical(table: Json) -> Canonical:
    """Bring an agent's table, as it was written, into the form of `Agent`; its values are checked later."""
    made = Canonical()
    own, block = _without(table, BLOCK, made, "")
    own, params = _without(own, "params", made, "")
    block, of_block = _without(block, "params", made, f"{BLOCK}.")
    outer = _read(own, "", made)
    inner = _without_overridden(_read(params, "params.", made), outer, made)
    known = inner | outer
    for table_, prefix in ((block, f"{BLOCK}."), (of_block, f"{BLOCK}.params.")):
        known = _without_overridden(_read(table_, prefix, made), known, made) | known
    deeper: Json = {}
    for key, (written, value) in known.items():
        of_params = written.removeprefix(f"{BLOCK}.").startswith("params.")
        lower = key in Params.model_fields or (of_params and key not in SESSION_KEYS)
        (deeper if lower else made.table)[key] = value
        made.written[("params", key) if lower else (key,)] = tuple(written.split("."))
    if deeper:
        made.table["params"] = deeper
    return made


def _without(table: Json, key: str, made: Canonical, prefix: str) -> tuple[Json, Json]:
    """A table without the table that stands in it under a key, and that table."""
    inner = table.get(key, {})
    if not isinstance(inner, dict):
        made.problems.append(Notice(prefix + key, "must be a table"))
        inner = {}
    return {name: value for name, value in table.items() if name != key}, inner


Readings = dict[str, tuple[str, object]]
"""Key here, with the key as it was written and the value in our form."""


def _read(table: Json, prefix: str, made: Canonical) -> Readings:
    """Everything a table says, by our keys."""
    found: Readings = {}
    for path, value in _flat(table, ""):
        key = SPELLINGS.get(path, path)
        written = prefix + path
        if key in found:
            made.problems.append(Notice(written, f"is said twice: also by {found[key][0]}"))
        elif path in WITHOUT_EFFECT:
            made.notices.append(Notice(written, f"{WITHOUT_EFFECT[path]} and is left out"))
        else:
            _keep(found, key, written, value, made)
    return found


def _flat(table: Json, prefix: str) -> Iterator[tuple[str, object]]:
    """The entries of a table with those of a session's nested tables brought up."""
    for key, value in table.items():
        path = prefix + key
        if path in _NESTED and isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _keep(found: Readings, key: str, written: str, value: object, made: Canonical) -> None:
    """Note a value in our form; null, which says nothing, only where it turns something off."""
    translate = _TRANSLATIONS.get(key)
    if value is None and key not in _NULL_MEANS:
        return
    try:
        kept = translate(value, written, made.notices) if translate else value
    except ValueError as error:
        made.problems.append(Notice(written, str(error)))
        return
    if kept is not _NOTHING:
        found[key] = (written, {"effort": kept} if written.endswith("reasoning_effort") else kept)


def _without_overridden(inner: Readings, outer: Readings, made: Canonical) -> Readings:
    """What is left of `params` beside the agent's own keys."""
    kept = {}
    for key, (written, value) in inner.items():
        over = outer[key][0] if key in outer else None
        if written.endswith("params.modalities") and over is None and "input_modalities" in outer:
            over = "input_modalities"
        if over is None:
            kept[key] = (written, value)
        elif key not in outer or outer[key][1] != value:
            made.notices.append(Notice(written, f"is overridden by {over}"))
    return kept


# --- values -------------------------------------------------------------------------------------------------------

_NOTHING = object()
_NULL_MEANS = frozenset({"input_audio_transcription", "turn_detection"})


def _session_type(value: object, _: str, __: list[Notice]) -> object:
    if value == "realtime":
        return _NOTHING
    msg = "must be 'realtime': a phone call is a conversation, not a transcription"
    raise ValueError(msg)


def _audio_format(value: object, _: str, __: list[Notice]) -> object:
    """A format's name, or GA's object."""
    kind, rate_hz = (value.get("type"), value.get("rate")) if isinstance(value, dict) else (value, None)
    name = _FORMATS.get(kind, kind) if isinstance(kind, str) else kind
    if rate_hz is not None and _RATES_HZ.get(str(name), rate_hz) != rate_hz:
        msg = f"has no rate but {_RATES_HZ[str(name)]}"
        raise ValueError(msg)
    return name


def _voice(value: object, _: str, __: list[Notice]) -> object:
    """A voice's name, or GA's object for a custom one."""
    return value["id"] if isinstance(value, dict) and set(value) == {"id"} else value


def _token_limit(value: object, _: str, __: list[Notice]) -> object:
    """TOML's `inf` is a number."""
    return "inf" if isinstance(value, float) and math.isinf(value) else value


def _tool_choice(value: object, _: str, __: list[Notice]) -> object:
    """GA names the function beside the type, beta inside an object of its own."""
    if isinstance(value, dict) and isinstance(function := value.get("function"), dict):
        return {key: part for key, part in value.items() if key != "function"} | function
    return value


def _transcription(value: object, _: str, __: list[Notice]) -> object:
    return None if value is False else value


def _noise_reduction(value: object, _: str, __: list[Notice]) -> object:
    return _NOTHING if value is False else value


def _turn_detection(value: object, written: str, notices: list[Notice]) -> object:
    if value is None or value is False or value == "none" or (isinstance(value, dict) and value.get("type") == "none"):
        msg = "cannot be off: nobody commits a turn on a phone; choose server_vad or semantic_vad"
        raise ValueError(msg)
    if not isinstance(value, dict):
        return value
    notices.extend(
        Notice(f"{written}.{key}", reason) for key, reason in _BRIDGE_DECIDES.items() if value.get(key) is not None
    )
    return {key: part for key, part in value.items() if key not in _BRIDGE_DECIDES and part is not None}


def _tools(value: object, written: str, notices: list[Notice]) -> object:
    return (
        [_tool(tool, f"{written}.{at}", notices) for at, tool in enumerate(value)] if isinstance(value, list) else value
    )


def _tool(tool: object, written: str, notices: list[Notice]) -> object:
    """A session describes its tools; here they are named, and described where they are implemented."""
    if not isinstance(tool, dict):
        return tool
    table = "mcp" if tool.get("type") == "mcp" else "functions"
    described = tool.get("function") if isinstance(tool.get("function"), dict) else tool
    name = described.get("server_label" if table == "mcp" else "name") if isinstance(described, dict) else None
    if not isinstance(name, str):
        msg = "names a tool by a table without a name: write the name of a function of [functions] or a server of [mcp]"
        raise ValueError(msg)  # noqa: TRY004, every problem with a value is a ValueError here
    notices.append(Notice(written, f"is taken as the name {name!r}: what it does stands in [{table}.{name}]"))
    return name


def _messages(value: object, _: str, __: list[Notice]) -> object:
    return [_message(item) for item in value] if isinstance(value, list) else value


def _message(item: object) -> object:
    """A conversation item: its role, and its content as one text."""
    if not isinstance(item, dict):
        return item
    kept = {key: part for key, part in item.items() if key not in ("type", "id", "object", "status")}
    if isinstance(content := item.get("content"), list):
        kept["content"] = " ".join(_text(part) for part in content)
    return kept


def _text(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    if not isinstance(text, str):
        msg = "hold something else than text: write each item's content as text, or as parts of a text type"
        raise ValueError(msg)  # noqa: TRY004, every problem with a value is a ValueError here
    return text


_TRANSLATIONS: dict[str, Callable[[object, str, list[Notice]], object]] = {
    "type": _session_type,
    "input_audio_format": _audio_format,
    "output_audio_format": _audio_format,
    "voice": _voice,
    "max_output_tokens": _token_limit,
    "tool_choice": _tool_choice,
    "tools": _tools,
    "messages": _messages,
    "input_audio_transcription": _transcription,
    "input_audio_noise_reduction": _noise_reduction,
    "turn_detection": _turn_detection,
}
