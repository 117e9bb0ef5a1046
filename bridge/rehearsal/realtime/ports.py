"""What the server needs of its ears, mouth and mind; `bridge.rehearsal.speech` and `.mind` have the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.rehearsal.conversation import Heard, Reply
    from bridge.rehearsal.domain import Domain
    from bridge.rehearsal.realtime.settings import Tool, ToolChoice


class SpeechLike(Protocol):
    """Recognises and speaks, mu-law at 8 kHz; shared by all sessions."""

    async def recognise(self, ulaw: bytes, domain: Domain) -> str:
        """Return what was said, "" where nothing was understood."""

    async def speak(self, text: str, voice: str) -> bytes:
        """Return a whole utterance."""


class MindLike(Protocol):
    """Decides what a session says; one per session."""

    def domain(self, instructions: str, tools: Sequence[Tool]) -> Domain:
        """Return what a caller may be expected to say."""

    def reply(
        self, history: Sequence[Heard], *, instructions: str, tools: Sequence[Tool], tool_choice: ToolChoice
    ) -> Reply:
        """Return what to say and which functions to call; `history` is the conversation, newest last."""
