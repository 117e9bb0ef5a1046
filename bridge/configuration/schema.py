"""The JSON Schema of `bridge.toml`: that of the settings' models, and what may be written in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args, get_origin

from bridge.configuration.keys import is_secret, model_of, parts
from bridge.configuration.vocabulary import BLOCK, SESSION_KEYS, SPELLINGS, WITHOUT_EFFECT
from bridge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from bridge.settings import Json

_OBJECT: Json = {"type": "object"}
_OTHER_FORMS: dict[str, Json] = {
    "input_audio_format": _OBJECT,
    "output_audio_format": _OBJECT,
    "voice": _OBJECT,
    "tool_choice": _OBJECT,
    "tools": {"type": "array"},
    "messages": {"type": "array"},
    "turn_detection": _OBJECT,
    "input_audio_transcription": {"const": False},
    "input_audio_noise_reduction": {"const": False},
}
"""What a key takes beside its own form; see `bridge.configuration.vocabulary`."""


def json_schema() -> Json:
    """The schema of the file, draft 2020-12; what it accepts may still be refused for a combination."""
    schema = Settings.model_json_schema()
    definitions = schema["$defs"]
    for model in set(_tables(Settings)):
        _add_files(definitions[model.__name__], model)
    _add_pasted(definitions["Agent"]["properties"], definitions["Params"]["properties"])
    definitions["Line"] = {"anyOf": [{"type": "string", "description": "an agent's name"}, definitions["Line"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "bridge.toml"}


def _tables(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models of all tables, and of those in them."""
    for known in model.model_fields.values():
        entry = next((get_args(kind)[1] for kind in parts(known.annotation) if get_origin(kind) is dict), None)
        table = model_of(known.annotation) or model_of(entry)
        if table is not None:
            yield table
            yield from _tables(table)


def _add_files(definition: Json, model: type[BaseModel]) -> None:
    """Take out what is an entry's own key, and let secrets stand in files."""
    properties = definition["properties"]
    assert isinstance(properties, dict)  # noqa: S101, pydantic gives every model's schema properties
    for key, known in model.model_fields.items():
        if known.exclude:
            del properties[key]
        elif is_secret(known.annotation):
            properties[f"{key}_file"] = {"type": "string", "description": f"A file that holds `{key}`."}


def _add_pasted(agent: Json, params: Json) -> None:
    """Let a session or an Agora block stand in an agent's table."""
    for key, form in _OTHER_FORMS.items():
        place = agent if key in agent else params
        place[key] = {"anyOf": [place[key], form]}
    pasted: Json = {path: _like(agent, params, key) for path, key in SPELLINGS.items() if "." not in path}
    pasted |= {"audio": _OBJECT, "reasoning_effort": {"type": "string"}, "type": {"const": "realtime"}}
    pasted |= {key: {"description": f"Left out: {reason}."} for key, reason in WITHOUT_EFFECT.items()}
    session = {key: agent[key] for key in SESSION_KEYS}
    pasted_block: Json = {BLOCK: {"type": "object", "description": "Agora's block, with its name."}}
    agent |= {
        **params,
        **pasted,
        **pasted_block,
        "instructions_file": {"type": "string", "description": "A file of instructions."},
    }
    params |= session | pasted


def _like(agent: Json, params: Json, key: str) -> object:
    return agent.get(key) or params.get(key)
