"""For tests with pytest: replay recorded calls, and say in the words of telephony what must have happened.

The package's pytest plugin gives tests the fixture `replay`:

```python
def test_caller_can_interrupt(replay):
    call = replay("interrupted")
    assert call.is_same, call.report
    assert call.heard("We have apples")
    assert call.was_cut_at(2.0)
    assert call.ended("caller_hung_up")
```

and `rehearsal`, which makes the phone call of a scenario file on a bridge, a carrier and a model of its own:

```python
def test_customer_hears_the_opening_hours(rehearsal):
    call = rehearsal("hours.toml", config="bridge.toml")
    assert call.passed, call.failures
    assert call.heard("from six in the morning")
    assert call.ran("look_up_order")
```

Scenarios and configurations are looked for beside the test, then in the root of the project. Tapes are looked for in
the folder that the ini option `tapes` names, `tapes` beside the test, and the test's own folder.
"""

from __future__ import annotations

import asyncio
import os
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import pytest

from bridge.replay.commands import opened
from bridge.replay.comparison import compare
from bridge.replay.moments import moments
from bridge.replay.plans import plan_of
from bridge.replay.player import play
from bridge.replay.report import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from bridge.replay.comparison import Outcome
    from bridge.replay.moments import Moment
    from bridge.settings import Settings


class HeardLine(msgspec.Struct, frozen=True):
    """What the caller heard of something the bot said."""

    words: str
    heard_ms: int
    is_cut: bool


class RecordedCall:
    """A call as it happened, in the words of telephony. Every question is about the call as a whole."""

    def __init__(self, told: Iterable[Moment]) -> None:
        self.bot: list[HeardLine] = []
        """What the caller heard, in order."""
        self.caller: list[str] = []
        """What the caller said, in order, as the model's server wrote it down."""
        self.functions: list[str] = []
        """Names of the operator's functions that ran, in order."""
        self.transfers: list[str] = []
        """Names of the destinations that the call was handed over to, in order."""
        self.ending = ""
        """How it ended; empty when it has not."""
        for moment in told:
            for action in moment.actions:
                self._did(action)

    def _did(self, action: dict[str, object]) -> None:
        match action:
            case {"do": "said", "role": "bot", "words": str(words), "heard_ms": int(heard_ms), "is_cut": bool(is_cut)}:
                self.bot.append(HeardLine(words, heard_ms, is_cut))
            case {"do": "said", "words": str(words)}:
                self.caller.append(words)
            case {"do": "run_function", "name": str(name)}:
                self.functions.append(name)
            case {"do": "close_stream" | "leave_order", "order": {"kind": "transfer", "destination": str(destination)}}:
                self.transfers.append(destination)
            case {"do": "ended", "ending": str(ending)}:
                self.ending = ending

    def heard(self, words: str) -> bool:
        """Whether the caller heard these words, in whatever case, within one thing the bot said."""
        return any(words.casefold() in line.words.casefold() for line in self.bot)

    def said(self, words: str) -> bool:
        """Whether the caller said these words, in whatever case."""
        return any(words.casefold() in line.casefold() for line in self.caller)

    def was_cut_at(self, seconds: float, *, within_s: float = 0.2) -> bool:
        """Whether the caller cut something the bot said, after that much of it."""
        return any(line.is_cut and abs(line.heard_ms / 1000 - seconds) <= within_s for line in self.bot)

    def transferred_to(self, destination: str) -> bool:
        """Whether the call was handed over to this destination."""
        return destination in self.transfers

    def ran(self, function: str) -> bool:
        """Whether one of the operator's functions ran."""
        return function in self.functions

    def ended(self, ending: str) -> bool:
        """Whether the call ended so; the names are those of `bridge.call.ending`."""
        return ending == self.ending


class ReplayedCall(RecordedCall):
    """A recorded call, and what became of it when it was run through the core again."""

    def __init__(self, told: Iterable[Moment], outcome: Outcome, name: str) -> None:
        super().__init__(told)
        self.outcome = outcome
        self.report = report(name, outcome)
        """The differences, to be shown when a test fails."""

    @property
    def is_same(self) -> bool:
        """Whether the core does what it did."""
        return self.outcome.is_same


def replay_call(path: Path) -> ReplayedCall:
    """Run a tape of the core through the core again. Raises TapeError, OSError."""
    with opened(path) as tape:
        outcome = compare(tape, play(tape, plan_of(tape.header)))
    with opened(path) as tape:
        return ReplayedCall(moments(tape), outcome, path.stem)


class RehearsedCall(RecordedCall):
    """A call that was made for the test."""

    def __init__(self, told: Iterable[Moment], failures: Sequence[str]) -> None:
        super().__init__(told)
        self.failures = list(failures)
        """What the scenario expected and did not get, a sentence each."""

    @property
    def passed(self) -> bool:
        """Whether the scenario got all that it expects."""
        return not self.failures


def rehearse_call(scenario: Path, settings: Settings, *, folder: Path, rate: float = 4.0) -> RehearsedCall:
    """Make the phone call of a scenario on a bridge of its own, and wait for its end.

    Args:
        scenario: a scenario file, or a WAV file that the caller plays.
        settings: of the bridge; it listens on a free port of this machine.
        folder: where the tape of the call goes.
        rate: how much faster than real time; a machine that is busy needs a lower one.

    Raises ConfigurationError for a scenario or settings that cannot be.
    """
    failures = asyncio.run(_rehearse(scenario, settings, folder, rate))
    tapes = sorted(folder.glob("*.tape"))
    return RehearsedCall(chain.from_iterable(_told(path) for path in tapes), failures)


async def _rehearse(scenario: Path, settings: Settings, folder: Path, rate: float) -> Sequence[str]:
    # Imported here: every run of pytest loads this plugin, few rehearse.
    from bridge.app import Bridge  # noqa: PLC0415 - see above
    from bridge.clock import Clock  # noqa: PLC0415 - see above
    from bridge.rehearsal import scenario as scenarios  # noqa: PLC0415 - see above
    from bridge.rehearsal.carrier import Carrier  # noqa: PLC0415 - see above
    from bridge.rehearsal.rehearse import rehearse  # noqa: PLC0415 - see above
    from bridge.watch import kept_by  # noqa: PLC0415 - see above

    server = settings.server.model_copy(update={"port": 0})
    tape = settings.tape.model_copy(update={"record": True, "directory": folder})
    clock = Clock(rate)
    async with Bridge(
        settings.model_copy(update={"server": server, "tape": tape}), clock=clock, keeps_records=False
    ) as bridge:
        twilio = bridge.settings.twilio
        carrier = Carrier(
            account_sid=twilio.account_sid or "AC" + "0" * 32,
            auth_token=twilio.auth_token.get_secret_value(),
            clock=clock,
            to=bridge.url,
            public_url=bridge.settings.server.public_url,
        )
        async with carrier:
            rehearsed = await rehearse(scenarios.load(scenario), carrier, transcript=kept_by(bridge.recent))
            return rehearsed.failures


def _told(path: Path) -> Iterator[Moment]:
    with opened(path) as tape:
        yield from moments(tape)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say where its tapes are."""
    parser.addini("tapes", "the folder of the tapes that `replay` runs, from the root of the project", default="tapes")


@pytest.fixture
def replay(request: pytest.FixtureRequest) -> Callable[[str], ReplayedCall]:
    """Replays a tape by its name, with or without `.tape`."""

    def run(name: str) -> ReplayedCall:
        for path in _places(request, name):
            if path.is_file():
                return replay_call(path)
        looked = ", ".join(str(path) for path in _places(request, name))
        raise FileNotFoundError(f"there is no tape {name!r}: looked for {looked}")

    return run


@pytest.fixture
def rehearsal(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., RehearsedCall]:
    """Rehearses a scenario by its file's name: `rehearsal("hours.toml", config="bridge.toml", rate=4)`."""

    def run(name: str, *, config: str | None = None, rate: float = 4.0) -> RehearsedCall:
        from bridge.configuration.loading import load  # noqa: PLC0415 - as above

        folder = tmp_path / f"tapes-{len(list(tmp_path.iterdir()))}"
        settings = load(None if config is None else _file(request, config), os.environ).settings
        return rehearse_call(_file(request, name), settings, folder=folder, rate=rate)

    return run


def _file(request: pytest.FixtureRequest, name: str) -> Path:
    places = [folder / name for folder in (request.path.parent, request.config.rootpath)]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"there is no {name!r}: looked for {', '.join(map(str, places))}")
    return found


def _places(request: pytest.FixtureRequest, name: str) -> Iterator[Path]:
    file = name if name.endswith(".tape") else f"{name}.tape"
    yield request.config.rootpath / request.config.getini("tapes") / file
    yield request.path.parent / "tapes" / file
    yield request.path.parent / file
