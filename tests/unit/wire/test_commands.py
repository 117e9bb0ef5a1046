"""What the bridge tells the model, by the types of the `openai` package: no field missing, wrong or made up."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from openai.types.beta.realtime import RealtimeClientEvent as BetaClientEvent
from openai.types.realtime import RealtimeClientEvent
from pydantic import BaseModel, TypeAdapter

from bridge.call.actions import Action
from bridge.call.controls import Say
from bridge.wire import session as dialects
from bridge.wire.commands import (
    AppendAudio,
    CancelResponse,
    Command,
    CreateItem,
    CreateResponse,
    DeleteItem,
    TruncateItem,
    UpdateSession,
    encode,
)
from tests.unit.call.rig import FunctionCall, Reply, Rig, Speech, key_message, make_plan

CLIENT_EVENTS: dict[str, TypeAdapter[Any]] = {
    "ga": TypeAdapter(RealtimeClientEvent),
    "beta": TypeAdapter(BetaClientEvent),
}
MESSAGES = [
    {"role": "system", "content": "The shop is closed."},
    {"role": "user", "content": "I am Ann."},
    {"role": "assistant", "content": "Hello, Ann."},
]


def made_up(value: object, path: str = "") -> list[str]:
    """The fields of an event that its type does not have."""
    if isinstance(value, BaseModel):
        found = [f"{path}.{key}" for key in value.model_extra or {}]
        return found + [
            each for name in type(value).model_fields for each in made_up(getattr(value, name), f"{path}.{name}")
        ]
    if isinstance(value, list):
        return [each for member in value for each in made_up(member, path)]
    return []


def check(command: Command, dialect: str) -> None:
    """Validate a command as the package would see it."""
    text = encode(command)
    event = CLIENT_EVENTS[dialect].validate_json(text)

    assert [] == made_up(event)
    assert json.loads(text)["type"] == event.type


@pytest.mark.parametrize("dialect", CLIENT_EVENTS)
@pytest.mark.parametrize(
    "command",
    [
        AppendAudio("/////w=="),
        TruncateItem("item_1", 0, 1500, "truncate-1"),
        DeleteItem("item_1", "delete-1"),
        CancelResponse("resp_1", "cancel-1"),
        CreateItem(dialects.function_output_item("call_1", "{}"), "output-1"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_command_is_of_the_documented_shape(command: Command, dialect: str) -> None:
    """The same in both dialects."""
    check(command, dialect)


@pytest.mark.parametrize("dialect", CLIENT_EVENTS)
def test_whole_call_says_nothing_undocumented(dialect: str) -> None:
    """A call in which all kinds of things are said to the model; each kind of command is among them."""
    said: list[Command] = []

    class Listening(Rig):
        """Keeps what is said to the model."""

        def check(self, actions: list[Action]) -> None:
            said.extend(action for action in actions if isinstance(action, get_args(Command)))
            super().check(actions)

    plan = make_plan(
        dialect,
        functions=("lookup",),
        greeting_message="Hello.",
        messages=MESSAGES,
        instructions="Be brief.",
        voice="alloy",
        params={"speed": 1.1, "input_audio_noise_reduction": {"type": "near_field"}},
        barge_in={"mode": "confirmed"},
    )
    rig = Listening(plan)
    rig.functions["lookup"] = (50, "{}")
    rig.begin()
    rig.run(2500)
    rig.server.replies += [
        Reply((FunctionCall("lookup"),)),
        Reply((Speech(8000), Speech(8000, every_ms=100))),
    ]
    rig.phone.speak(800)
    rig.run(5000)
    rig.phone.speak(2000)
    rig.run(5000)
    rig.caller(key_message("#"))
    rig.control(Say("We close soon."))
    rig.run(5000)

    for command in said:
        check(command, dialect)
    assert set(get_args(Command)) == {type(command) for command in said}


def test_no_two_commands_have_the_same_id() -> None:
    """An error names the one that it is about."""
    rig = Rig(make_plan(greeting_message="Hello.", messages=MESSAGES))
    rig.begin()
    rig.phone.speak(800, after_ms=1500)
    rig.run(5000)

    ids = [action.event_id for action in rig.log if isinstance(action, (UpdateSession, CreateItem, CreateResponse))]
    assert len(ids) == len(set(ids)) >= 5
