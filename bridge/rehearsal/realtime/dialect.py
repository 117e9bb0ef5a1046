"""What a dialect must be able to say; `ga` and `beta` are the two there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.rehearsal.realtime.events import ClientCommand
    from bridge.rehearsal.realtime.performance import Response
    from bridge.rehearsal.realtime.settings import Settings

DialectName = Literal["ga", "beta"]


class Dialect(Protocol):
    """The wire's words for what the server means."""

    name: DialectName
    default_voice: str
    assistant_parts: Mapping[str, str]
    """The types of an assistant's content, by `text` and `audio`."""

    def parse(self, data: object, *, context: Mapping[str, object]) -> ClientCommand:
        """Validate one client event.

        Args:
            data: the event, decoded.
            context: `model`, the session's; `deployments`, whether model names are the operator's own (Azure).

        Raises:
            pydantic.ValidationError: it is not one; nothing of it may be carried out.
        """

    def render(self, event_type: str, fields: dict[str, object]) -> dict[str, object] | None:
        """Return a server event, given by its GA name, as this dialect sends it; None: it has no such event."""

    def session(self, settings: Settings) -> dict[str, object]:
        """Write a session's settings as `session.created` and `session.updated` show them."""

    def response(self, response: Response) -> dict[str, object]:
        """Write what is particular to this dialect in a response."""

    def cached_details(self, text_tokens: int, audio_tokens: int) -> dict[str, object]:
        """Write which of the cached input tokens were which."""
