"""Dialogue files: what is accepted, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.rehearsal import dialogue
from bridge.rehearsal.dialogue import Dialogue, fill


def test_shipped_dialogue_suggests_an_agent_that_greets() -> None:
    """Whoever has no agent of their own gets a bakery."""
    agent = Dialogue.default().agent

    assert "Corner Bakery" in agent.greeting_message
    assert "opening hours" in agent.instructions


def test_long_texts_are_on_one_line() -> None:
    """Line breaks of the file are not spoken."""
    assert "\n" not in Dialogue.default().topics["about_bread"].reply[0]


def test_example_of_the_documentation_is_a_dialogue() -> None:
    """What the module says about the file can be copied."""
    example = (dialogue.__doc__ or "").split("```toml\n")[1].split("```")[0]

    assert {"price", "order"} == Dialogue.parse(example, source="docs").topics.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[topics", "d.toml: is not TOML: "),
        ("[topics.a]\nphrases = []\nreply = 'x'", "d.toml: topics.a.phrases: Tuple should have at least 1 item"),
        ("[topics.a]\nphrases = ['x']", "d.toml: topics.a: needs a reply or a function"),
        ("[topics.a]\nphrases = ['x']\nrely = 'x'", "d.toml: topics.a.rely: Extra inputs are not permitted"),
        ("[topics.a]\nphrases = ['x {b}']\nreply = 'x'", "d.toml: topics.a uses {b}, which is not in [slots]"),
        (
            "[slots]\nb = 'digits'\n[topics.a]\nphrases = ['x']\nreply = '{b}'",
            'd.toml: topics.a must ask for {b}: the phrase "x" has none',
        ),
        ("[topics.a]\nphrases = ['!']\nreply = 'x'", "d.toml: topics.a has a phrase without a word"),
        ("[slots]\nb = []", "d.toml: slots.b"),
        ("[slots]\nb = 'numbers'", "d.toml: slots.b"),
        ("[topics.a]\nphrases = ['x']\nreply = 'x'\nkeys = 'one'", "d.toml: topics.a.keys: String should match"),
        ("[[cues]]\nwords = []\nreply = 'x'", "d.toml: cues.0.words"),
    ],
)
def test_wrong_file_is_refused_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    """The message says where the fault is."""
    path = tmp_path / "d.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as caught:
        Dialogue.load(path)

    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file"):
        Dialogue.load(tmp_path / "none.toml")


def test_what_is_not_known_stays_in_a_text() -> None:
    """A name in braces without a value is left alone."""
    assert "Order 42 by {who}" == fill("Order {number} by {who}", {"number": 42})
