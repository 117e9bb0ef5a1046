"""What an agent may hand over to whom, and how it takes keys, as settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.configuration import Loaded
from bridge.settings.agent import Keys

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

TWO_AGENTS = """
[lines]
default = "reception"
[agents.reception]
hand_over_to = ["orders"]
[agents.orders]
hand_over_to = ["reception"]
"""


class TestHandOver:
    """`hand_over_to`."""

    def test_agents_may_name_each_other(self, load_text: Load) -> None:
        """A conversation may go back and forth."""
        agents = load_text(TWO_AGENTS).settings.agents

        assert ("orders",) == agents["reception"].hand_over_to
        assert ("reception",) == agents["orders"].hand_over_to

    def test_nobody_is_named_unless_the_operator_says_so(self, load_text: Load) -> None:
        """By default an agent keeps the conversation."""
        assert () == load_text("[agents.reception]").settings.agents["reception"].hand_over_to

    def test_an_agent_that_there_is_not_is_refused_with_the_nearest_name(self, problems_of: Problems) -> None:
        """The message names file, key and what may have been meant."""
        (problem,) = problems_of(TWO_AGENTS.replace('["orders"]', '["order"]'))

        assert problem.startswith("agents.reception.hand_over_to.0: 'order' is no other agent in [agents]")
        assert "did you mean orders?" in problem

    def test_an_agent_cannot_hand_over_to_itself(self, problems_of: Problems) -> None:
        """That would be nothing but a pause."""
        (problem,) = problems_of(TWO_AGENTS.replace('["orders"]', '["reception"]'))

        assert problem.startswith("agents.reception.hand_over_to.0: 'reception' is no other agent")

    def test_a_name_alone_is_no_list(self, problems_of: Problems) -> None:
        """The key takes several names."""
        problems = problems_of(TWO_AGENTS.replace('["orders"]', '"orders"'))

        assert problems
        assert all(problem.startswith("agents.reception.hand_over_to: ") for problem in problems)


class TestKeys:
    """`[agents.NAME.keys]`."""

    def test_an_entry_ends_after_two_seconds_or_at_the_hash_key(self, load_text: Load) -> None:
        """The defaults."""
        assert Keys(pause_s=2, terminator="#") == load_text("[agents.reception]").settings.agents["reception"].keys

    @pytest.mark.parametrize("terminator", ["*", ""])
    def test_another_key_may_end_it_or_none(self, load_text: Load, terminator: str) -> None:
        """Where the hash key is needed for itself."""
        loaded = load_text(f'[agents.reception.keys]\npause_s = 0.5\nterminator = "{terminator}"')

        expected = Keys.model_validate({"pause_s": 0.5, "terminator": terminator})
        assert expected == loaded.settings.agents["reception"].keys

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ('terminator = "1"', "terminator"),
            ('terminator = "##"', "terminator"),
            ("pause_s = 0", "pause_s"),
            ("pause_s = 61", "pause_s"),
            ('pause_s = "long"', "pause_s"),
            ("max_keys = 3", "max_keys"),
        ],
    )
    def test_what_cannot_be_is_refused(self, problems_of: Problems, text: str, key: str) -> None:
        """Each problem names its key."""
        (problem,) = problems_of(f"[agents.reception.keys]\n{text}")

        assert problem.startswith(f"agents.reception.keys.{key}: ")
