"""What was said and heard, in order and as heard."""

from __future__ import annotations

import pytest

from bridge.call.memory import MAX_LINES, Memory

WORDS = "one two three four five six seven eight nine ten"


def spoken(memory: Memory, item_id: str, size_ms: int, words: str = WORDS) -> None:
    """The bot says something."""
    memory.bot_began(item_id, f"resp of {item_id}", 1.0)
    memory.bot_audio(item_id, f"resp of {item_id}", 8 * size_ms, 1.0)
    memory.bot_words(item_id, words, whole=True)


@pytest.mark.parametrize(
    ("heard_ms", "words"),
    [
        (0, ""),
        (99, ""),
        (100, "one"),
        (550, "one two three four five"),
        (999, WORDS.removesuffix(" ten")),
        (1000, WORDS),
    ],
)
def test_words_are_kept_as_heard(heard_ms: int, words: str) -> None:
    """The share that was heard, to a whole word."""
    memory = Memory()
    spoken(memory, "item", 1000)

    memory.heard("item", heard_ms)

    (line,) = memory.tell(except_items=())
    assert (words, heard_ms < 1000) == (line.heard_words, line.is_cut)


def test_audio_that_nobody_heard_makes_the_share_smaller() -> None:
    """The words are those of all the audio that was made."""
    memory = Memory()
    spoken(memory, "item", 500)
    memory.heard("item", 500)
    memory.unheard_audio("item", 4000)

    (line,) = memory.tell(except_items=())

    assert "one two three four five" == line.heard_words


def test_lines_keep_the_order_in_which_items_came() -> None:
    """The caller's words come late, or never."""
    memory = Memory()
    memory.caller_spoke("caller 1", 1.0)
    spoken(memory, "bot 1", 100)
    memory.caller_spoke("caller 2", 2.0)
    memory.note("note 1", "The caller pressed 1.", 3.0)
    memory.caller_words("caller 2", " Second. ", 4.0)
    memory.caller_words("caller 1", "First.", 5.0)

    assert ["First.", WORDS, "Second.", "The caller pressed 1."] == [line.words for line in memory]
    assert 1.0 == next(iter(memory)).at


def test_line_is_told_once_and_its_first_hearing_is_final() -> None:
    """Whatever is reported of it later."""
    memory = Memory()
    spoken(memory, "item", 1000)
    assert ["item"] == memory.unheard_items()
    memory.heard("item", 400)
    memory.heard("item", 1000)

    assert [] == memory.tell(except_items=("item",))
    assert [400] == [line.heard_ms for line in memory.tell(except_items=())]
    assert ([], []) == (memory.tell(except_items=()), memory.unheard_items())


def test_forgotten_item_was_never_said() -> None:
    """Nobody heard it, and the model is told so."""
    memory = Memory()
    spoken(memory, "item", 1000)

    memory.forget("item")
    memory.unheard_audio("item", 80)
    memory.bot_words("item", "more", whole=False)
    memory.heard("item", 10)

    assert ([], [], "") == (list(memory), memory.tell(except_items=()), memory.response_of("item"))


def test_memory_is_bounded() -> None:
    """The oldest lines go first."""
    memory = Memory()
    for number in range(MAX_LINES + 5):
        memory.caller_words(str(number), str(number), 0.0)

    lines = [line.words for line in memory]
    assert (MAX_LINES, "5") == (len(lines), lines[0])
