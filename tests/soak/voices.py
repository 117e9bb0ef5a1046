"""The model of a soak: it knows by the caller's number what to say, and remembers nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.rehearsal.conversation import Message, Reply
from bridge.rehearsal.domain import Domain
from bridge.rehearsal.realtime.scripted import TONE
from tests.soak.people import KINDS, SURE

if TYPE_CHECKING:
    from bridge.rehearsal.conversation import Heard
    from bridge.rehearsal.realtime.settings import Tool, ToolChoice


class SoakMind:
    """Replies by the caller's number, which the agent's instructions name; it remembers nothing."""

    def domain(self, instructions: str, tools: Sequence[Tool]) -> Domain:  # noqa: ARG002 - nothing is expected
        """Nothing in particular."""
        return Domain(())

    def reply(
        self,
        history: Sequence[Heard],
        *,
        instructions: str,
        tools: Sequence[Tool],  # noqa: ARG002 - all agents have the same
        tool_choice: ToolChoice,  # noqa: ARG002 - the bridge forces nothing here
    ) -> Reply:
        """The first turn of a caller is answered by the kind of call; all else with two words."""
        caller = re.search(r"\+1555\d{5}(\d\d)", instructions)
        turns = [said for said in history if isinstance(said, Message) and said.role == "user"]
        if caller is None or len(turns) != 1 or history[-1] is not turns[0]:
            return SURE
        return KINDS[int(caller[1])].reply


class Deaf:
    """Ears that understand the same each time, and a mouth that hums; neither keeps anything."""

    async def recognise(self, ulaw: bytes, domain: Domain) -> str:  # noqa: ARG002
        """A word."""
        return "please"

    async def speak(self, text: str, voice: str) -> bytes:  # noqa: ARG002
        """A tenth of a second for each word."""
        return TONE * (200 * len(text.split()))
