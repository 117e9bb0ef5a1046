"""Wire and core by pytest-benchmark: `make bench BENCH=--micro`.

Each round takes 1,000 messages, so that a round's milliseconds are a message's microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.hot_path import DELTA, WORDS, endless, frames, live_call
from bridge.wire import caller, model
from bridge.wire.commands import AppendAudio, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

MESSAGES = 1_000
ROUNDS = 30


def rounds(benchmark: BenchmarkFixture, take: Callable[[bytes], object], texts: Iterator[bytes]) -> None:
    """Time `take` on texts that are made beforehand."""

    def setup() -> tuple[tuple[list[bytes]], dict[str, object]]:
        return ([next(texts) for _ in range(MESSAGES)],), {}

    def run(batch: list[bytes]) -> None:
        for text in batch:
            take(text)

    pedantic: Callable[..., object] = benchmark.pedantic  # which has no types of its own
    pedantic(run, setup=setup, rounds=ROUNDS, warmup_rounds=3)


def test_wire_reads_a_frame_of_the_caller(benchmark: BenchmarkFixture) -> None:
    """From text to value."""
    rounds(benchmark, caller.parse, frames())


def test_wire_writes_a_frame_for_the_model(benchmark: BenchmarkFixture) -> None:
    """From value to text."""
    command = AppendAudio("f39/" * 53)
    rounds(benchmark, lambda _: encode(command), endless(b""))


def test_wire_reads_200_ms_of_the_bot(benchmark: BenchmarkFixture) -> None:
    """From text to value."""
    rounds(benchmark, model.parse, endless(DELTA))


async def test_call_passes_a_frame_on(benchmark: BenchmarkFixture) -> None:
    """From the carrier's text to the model's."""
    rounds(benchmark, live_call().receive_caller, frames())


async def test_call_plays_200_ms_of_the_bot(benchmark: BenchmarkFixture) -> None:
    """From the model's text to the carrier's, with its mark."""
    rounds(benchmark, live_call().receive_model, endless(DELTA))


async def test_call_takes_words_down(benchmark: BenchmarkFixture) -> None:
    """A word of the transcript."""
    rounds(benchmark, live_call().receive_model, endless(WORDS))
