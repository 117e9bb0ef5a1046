"""Nobody speaks: the caller is asked a few times whether they are there, and then the call ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.call.deadlines import Deadlines
    from bridge.settings import Silence as SilenceSettings


class Silence:
    """Counts the quiet of one call; the deadline `silence` comes when it has lasted long enough."""

    def __init__(self, settings: SilenceSettings, deadlines: Deadlines) -> None:
        self._settings = settings
        self._deadlines = deadlines
        self._prompts = 0

    def watch(self, now: float, *, quiet: bool) -> None:
        """Say whether the line is quiet just now: nobody speaks, and nothing is on its way."""
        if not quiet:
            self._deadlines.clear("silence")
        elif not self._deadlines.is_set("silence"):
            self._deadlines.set("silence", now + self._settings.prompt_after_s)

    def prompt(self) -> bool:
        """It has lasted long enough: True to ask the caller, False when that was done often enough."""
        self._prompts += 1
        return self._prompts <= self._settings.prompts

    def broken(self) -> None:
        """The caller has given a sign of life."""
        self._prompts = 0
