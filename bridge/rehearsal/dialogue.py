"""A dialogue file: what the embedded model can talk about.

```toml
not_understood = ["Sorry, I did not understand.", "Pardon?"]  # several texts are used in turn, everywhere
keys_pressed = "You pressed {keys}."

[agent]                              # for an agent that has nothing else
instructions = "You answer the phone of a bakery."
greeting_message = "Hello, this is the bakery."

[slots]                              # what changes inside a phrase
number = "digits"                    # some digits in a row
bread = ["rye", "sourdough"]         # one of these words
day = { today = "2026-11-20" }       # one of these words; what stands at the right is filled in

[topics.price]
phrases = ["how much is a {bread} loaf", "what does it cost"]
ask = { bread = "Which bread would you like to know about?" }   # when the phrase that was said has no {bread}
reply = "A {bread} loaf costs four euros."

[topics.order]
phrases = ["where is my order", "my order number is {number}"]
keys = "1"                           # pressing 1 asks for the same
ask = { number = "What is your order number?" }
function = "lookup_order"            # called if the session offers it; otherwise `reply` is said
arguments = { number = "{number}" }
before = "One moment."               # said before the function is called
result = "Order {number} will arrive {when}."   # from the arguments and the fields of the result, a JSON object
failed = "I cannot look that up now."           # when the result has `error`
reply = "Order {number} is on its way."

[[cues]]                             # to the client: to instructions of one response, or to a system message
words = "still there"
reply = "Are you still there?"
```

In a text `{said}` is what the caller said, `{last}` what the model said last, `{keys}` what was pressed, and any
other name a slot.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bridge.errors import ConfigurationError
from bridge.rehearsal.domain import words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FIELD: Final = re.compile(r"\{(\w+)\}")
"""A slot in a phrase, or what is filled in in a text."""
ALWAYS_KNOWN: Final = frozenset({"said", "last", "keys"})


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _as_table(value: object) -> object:
    return {each: each for each in value} if isinstance(value, list) else value


Text: TypeAlias = Annotated[str, AfterValidator(_on_one_line)]
Texts: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_as_tuple)]
Choices: TypeAlias = Annotated[dict[str, Text], BeforeValidator(_as_table), Field(min_length=1)]
Slot: TypeAlias = Literal["digits"] | Choices


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentSuggestion(_Table):
    """`[agent]`: what suits the dialogue."""

    instructions: Text = ""
    greeting_message: Text = "Hello, how can I help you?"


class Cue(_Table):
    """`[[cues]]`: an answer to the client instead of the caller."""

    words: Texts = Field(min_length=1)
    """Any of these must occur in what the client says, case aside."""
    reply: Texts


class Topic(_Table):
    """`[topics.NAME]`: something a caller may want."""

    phrases: tuple[str, ...] = Field(min_length=1)
    reply: Texts = ()
    ask: dict[str, Text] = {}
    function: str | None = None
    arguments: dict[str, str | int | float | bool] = {}
    before: Text | None = None
    result: Text | None = None
    failed: Text | None = None
    keys: str = Field("", pattern=r"^[0-9*#]*$")

    @model_validator(mode="after")
    def _does_something(self) -> Topic:
        if not self.reply and self.function is None:
            raise ValueError("needs a reply or a function")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """The slots without which the topic can do nothing."""
        texts = [*self.reply, *(value for value in self.arguments.values() if isinstance(value, str))]
        return frozenset(name for text in texts for name in FIELD.findall(text)) - ALWAYS_KNOWN


_CUES: Final = (
    Cue(words=("still there",), reply=("Are you still there?", "Hello? Can you hear me?")),
    Cue(words=("has not answered",), reply=("I cannot hear you any more, so I will hang up. Goodbye.",)),
    Cue(words=("time limit",), reply=("We have run out of time for this call. Thank you, and goodbye.",)),
    Cue(words=("goodbye",), reply=("Thank you for calling. Goodbye.",)),
    Cue(
        words=("no answer", "busy", "declined", "failed", "could not"),
        reply=("I am sorry, that did not work. Can I help you instead?",),
    ),
)


class Dialogue(_Table):
    """All that the embedded model can talk about; see the module's docstring for the file."""

    agent: AgentSuggestion = AgentSuggestion()
    slots: dict[str, Slot] = {}
    topics: dict[str, Topic] = {}
    cues: tuple[Cue, ...] = ()
    not_understood: Texts = ("Sorry, I did not understand. Could you say that again?",)
    cannot: Text = "I am sorry, I cannot do that."
    """The function of a topic without a reply is not offered."""
    failed: Text = "I am sorry, that did not work. What else can I do for you?"
    done: Text = "That is done."
    """A function succeeded and there is nothing to say about it."""
    keys_pressed: Text = "You pressed {keys}."
    noted: Text = "All right. What else can I do for you?"
    """The client told the model something that is no cue, or wants it to speak when there is nothing to answer."""

    @model_validator(mode="after")
    def _knows_its_slots(self) -> Dialogue:
        for name, topic in self.topics.items():
            used = {slot for phrase in topic.phrases for slot in FIELD.findall(phrase)}
            for slot in sorted(used | topic.ask.keys() | topic.needs):
                if slot not in self.slots:
                    raise ValueError(f"topics.{name} uses {{{slot}}}, which is not in [slots]")
            for phrase in topic.phrases:
                lacking = topic.needs - set(FIELD.findall(phrase)) - topic.ask.keys()
                if lacking:
                    raise ValueError(f'topics.{name} must ask for {{{min(lacking)}}}: the phrase "{phrase}" has none')
                if not words(phrase):
                    raise ValueError(f"topics.{name} has a phrase without a word")
        return self

    @property
    def all_cues(self) -> tuple[Cue, ...]:
        """Those of the file, then those that every dialogue knows."""
        return (*self.cues, *_CUES)

    @classmethod
    def load(cls, path: Path) -> Dialogue:
        """Read a dialogue file. Raises ConfigurationError with file and key when it is not one."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot be read: {error.strerror}", source=str(path)) from error
        return cls.parse(text, source=str(path))

    @classmethod
    @cache
    def default(cls) -> Dialogue:
        """Return the shipped demo: a bakery."""
        resource = files("bridge.rehearsal") / "dialogues" / "demo.toml"
        return cls.parse(resource.read_text(encoding="utf-8"), source="demo.toml")

    @classmethod
    def parse(cls, text: str, *, source: str) -> Dialogue:
        """Read a dialogue; `source` is what an error calls it. Raises ConfigurationError."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"is not TOML: {error}", source=source) from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(first["msg"].removeprefix("Value error, "), key=key, source=source) from error


def fill(text: str, values: Mapping[str, object]) -> str:
    """Put values where their names stand in braces; what is not there stays as it is."""
    return FIELD.sub(lambda field: str(values.get(field[1], field[0])), text)
