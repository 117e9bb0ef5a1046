"""What happens in a rehearsed call: a scenario, from a TOML file or a single recording.

```toml
title = "Asks for the opening hours, interrupts, says goodbye"
from = "+15551112222"                   # the caller's number
to = "+15551230000"                     # the dialled one
limit_s = 60                            # the call is hung up after that, and that is a failure
utterances = "utterances.toml"          # names and words of recorded utterances; NAME lies beside in VOICE/NAME.wav
voice = "slt"

[line]                                  # how the caller's line is: see `Line`
noise_snr_db = 30
echo_db = 25

[[step]]
say = "hours"                           # an utterance's name, or a WAV file, relative to this one
after = "greeting"                      # the bot has spoken and is silent again
[[step]]
say = "interruption"
during = 1.5                            # the bot has been speaking for that many seconds
[[step]]
press = "12#"
after = "answer"                        # the bot has spoken since the last step and is silent again
[[step]]
pause_s = 2                             # say nothing
[[step]]
stream = "drop"                         # drop | mute | unmute | freeze | thaw: what goes wrong with the media stream
during = 1.0
[[step]]
hang_up = true
after = 3.0                             # the bot has been silent for that many seconds; "start": the media stream is up

[destinations."+15557654321"]           # who can be called
result = "answer"                       # answer | busy | no-answer | failed
after_s = 3
press = "1"                             # once the whisper has been heard
talk_s = 5                              # then hangs up

[expect]
heard = ["eight o'clock", "order"]      # in this order, in what the caller heard the bot say; patterns, in any case
understood = ["opening hours"]          # likewise in what the bot understood
replies_within_s = 3                    # from the caller's last sound to the bot's first
stops_within_s = 1                      # from the start of an interruption (`during`) to the bot's last sound
dialled = ["+15557654321"]              # to whom the call was passed on
ended_by = "caller"
```

A step without `after` and `during` follows the one before at once. After the last one the caller waits until the bot
has been silent for five seconds and hangs up.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bridge.errors import ConfigurationError
from bridge.rehearsal.line import Line
from bridge.rehearsal.sound import KEYS, read_wav

if TYPE_CHECKING:
    from collections.abc import Mapping

FROM, TO = "+15551112222", "+15551230000"
END_SILENCE_S = 5.0
"""The bot's silence after which a caller who has nothing more to say hangs up."""
Seconds = Annotated[float, Field(ge=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Table):
    """One thing the caller does, and when; exactly one of `say`, `press`, `pause_s`, `stream` and `hang_up`."""

    say: str | None = None
    press: str | None = None
    pause_s: Seconds | None = None
    stream: Literal["drop", "mute", "unmute", "freeze", "thaw"] | None = None
    """What goes wrong with the media stream: its connection breaks; it sends no sound; nothing passes either way."""
    hang_up: Literal[True] | None = None
    after: Literal["start", "greeting", "answer"] | Seconds | None = None
    during: Seconds | None = None
    within_s: Seconds = 30
    """How long the caller waits for the moment; when it does not come, the rehearsal has failed."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(each is not None for each in (self.say, self.press, self.pause_s, self.stream, self.hang_up)) != 1:
            raise ValueError("a step has exactly one of say, press, pause_s, stream and hang_up")
        if self.after is not None and self.during is not None:
            raise ValueError("a step has after or during, not both")
        if self.press is not None and not (self.press and KEYS.issuperset(self.press)):
            raise ValueError("press holds keys: 0-9, *, #, A-D")
        return self


class Destination(_Table):
    """Somebody who can be called: `Callee`, with a script of two lines."""

    result: Literal["answer", "busy", "no-answer", "failed"] = "answer"
    after_s: Seconds = 3
    press: str = ""
    talk_s: Seconds = 5


class Expectations(_Table):
    """What must have happened."""

    heard: tuple[str, ...] = ()
    understood: tuple[str, ...] = ()
    replies_within_s: Seconds | None = None
    stops_within_s: Seconds | None = None
    dialled: tuple[str, ...] = ()
    ended_by: str | None = None

    @model_validator(mode="after")
    def _are_patterns(self) -> Self:
        for pattern in (*self.heard, *self.understood):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no pattern: {error}") from error
        return self


class _File(_Table):
    title: str = ""
    from_: str = Field(FROM, alias="from")
    to: str = TO
    limit_s: Seconds = 120
    utterances: str = "utterances.toml"
    voice: str = ""
    line: dict[str, bool | int | float] = {}
    step: tuple[Step, ...]
    destinations: dict[str, Destination] = {}
    expect: Expectations = Expectations()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A rehearsed call, ready to be played.

    Attributes:
        sounds: the mu-law sound of each `say`.
        words: what is said in each `say`, as far as it is known.
    """

    title: str
    steps: tuple[Step, ...]
    sounds: Mapping[str, bytes]
    words: Mapping[str, str] = field(default_factory=dict)
    from_: str = FROM
    to: str = TO
    limit_s: float = 120
    line: Line = field(default_factory=Line)
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    expect: Expectations = field(default_factory=Expectations)


def load(path: Path) -> Scenario:
    """Read a scenario file, or make one of a WAV file: it is played from the start, and its end is waited for.

    Raises ConfigurationError, which names the file and the key.
    """
    if path.suffix.lower() != ".toml":
        steps = (Step(say=path.name, after="start"), Step(hang_up=True, after=END_SILENCE_S, within_s=120))
        sound = read_wav(path)
        return Scenario(title=path.stem, steps=steps, sounds={path.name: sound}, limit_s=len(sound) / 8000 + 180)
    file = _parse(path)
    said = {step.say for step in file.step if step.say is not None}
    words = _utterances(path, file)
    return Scenario(
        title=file.title or path.stem,
        steps=file.step,
        sounds={name: read_wav(_sound_file(path, file, name)) for name in sorted(said)},
        words={name: words[name] for name in said & words.keys()},
        from_=file.from_,
        to=file.to,
        limit_s=file.limit_s,
        line=_line(path, file.line),
        destinations=file.destinations,
        expect=file.expect,
    )


def _parse(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", source=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"is not TOML: {error}", source=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("literal", "constrained")))
        raise ConfigurationError(first["msg"].removeprefix("Value error, "), key=key, source=str(path)) from error


def _line(path: Path, table: dict[str, bool | int | float]) -> Line:
    known = {each.name for each in fields(Line)}
    for name in table:
        if name not in known:
            message = f"a line has no such property; it has {', '.join(sorted(known))}"
            raise ConfigurationError(message, key=f"line.{name}", source=str(path))
    try:
        return Line(**table)  # type: ignore[arg-type]  # which of bool and number it is, is checked by what uses it
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error), key="line", source=str(path)) from error


def _sound_file(path: Path, file: _File, name: str) -> Path:
    if name.lower().endswith(".wav"):
        return path.parent / name
    return (path.parent / file.utterances).parent / file.voice / f"{name}.wav"


def _utterances(path: Path, file: _File) -> dict[str, str]:
    """The words of the utterances that have a name; none where there is no list of them."""
    manifest = path.parent / file.utterances
    if not manifest.is_file():
        return {}
    try:
        table = tomllib.loads(manifest.read_text(encoding="utf-8")).get("utterances", {})
        return {name: str(entry["text"]) for name, entry in table.items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"is no list of utterances: {error}", source=str(manifest)) from error
