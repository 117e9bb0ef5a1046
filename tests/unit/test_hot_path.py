"""What a message of the media path costs, in the interpreter's instructions: the same on any machine, busy or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.hot_path import DELTA, WORDS, endless, frames, instructions, live_call, marks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("leg", "texts", "most"),
    [
        pytest.param("caller", frames(), 125, id="a frame of the caller, passed on"),
        pytest.param("model", endless(DELTA), 520, id="200 ms of the bot, played and marked"),
        pytest.param("model", endless(WORDS), 145, id="a word of the bot's, taken down"),
    ],
)
async def test_message_of_the_media_path_costs_no_more_than_it_did(leg: str, texts: Iterator[bytes], most: int) -> None:
    """Fifty frames a second of each call go this way: a step that is added for each of them is seen here."""
    driver = live_call()
    take = driver.receive_caller if leg == "caller" else driver.receive_model

    assert most >= instructions(take, texts)


async def test_mark_costs_no_more_than_it_did_while_more_is_played() -> None:
    """One comes back for each piece of the bot's sound; nothing else is looked at before the last."""
    driver = live_call()
    for _ in range(200):
        driver.receive_model(DELTA)

    assert 340 >= instructions(driver.receive_caller, marks())
