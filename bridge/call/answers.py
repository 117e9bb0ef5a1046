"""Whether what the model answers can be heard: an answer may fail, stop short, be empty, or be silence.

A response that is not heard is asked for again. Silence is found by the bytes of its first pieces; from the first piece
that sounds on, nothing is looked at any more.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

from bridge.wire.g711 import BYTES_PER_MS, size_of
from bridge.wire.levels import FULL_SCALE, magnitude

if TYPE_CHECKING:
    from bridge.wire.model import Response

AUDIBLE = FULL_SCALE * 10 ** (-60 / 20)
"""The magnitude below which nobody hears anything on a phone."""
SILENT_MS = 4000
"""How much silence a response may begin with."""


class Loudness:
    """What the bridge makes of the model's sound; a tape without sound has its verdicts instead."""

    def is_audible(self, payload: str) -> bool:
        """Whether a piece of sound, base64 text, can be heard; what is no base64 is believed."""
        try:
            sound = b64decode(payload)
        except ValueError:
            return True
        return bool(sound) and magnitude(sound) > AUDIBLE

    def is_silent(self, silent_bytes: int, *, is_over: bool) -> bool:
        """Whether a response that was not audible so far is a silent one."""
        return silent_bytes >= (1 if is_over else SILENT_MS * BYTES_PER_MS)


class Answers:
    """The answers of one session."""

    def __init__(self, loudness: Loudness) -> None:
        self._loudness = loudness
        self.restart()

    def restart(self) -> None:
        """Another session begins."""
        self.failures = 0
        """How many in a row have failed."""
        self.code = ""
        """Why the last one did, by the server's code."""
        self.is_good = False
        """Whether the last one was heard, or led to a function."""
        self._was_empty = False
        self.begin()

    def begin(self) -> None:
        """A response begins."""
        self.is_audible = False
        """Whether any of it can be heard."""
        self._silent_bytes = 0

    def listen(self, payload: str) -> bool:
        """A piece of a response that was not audible so far. True when it has been silent for too long."""
        if self._loudness.is_audible(payload):
            self.is_audible = True
            return False
        self._silent_bytes += size_of(payload)
        return self._loudness.is_silent(self._silent_bytes, is_over=False)

    def over(self, response: Response) -> str:
        """A response that nobody cut is over: what was wrong with it; empty when nothing was.

        A model that twice has nothing to say is left alone: nobody speaks then, and that has its own rules.
        """
        flaw = self._flaw(response)
        is_first_empty = flaw == "empty" and not self._was_empty
        self._was_empty = flaw == "empty"
        self.is_good = not flaw
        if flaw not in ("", "empty"):
            self.failed(code_of(response))
        elif not flaw:
            self.failures, self.code = 0, ""
        return "" if flaw == "empty" and not is_first_empty else flaw

    def failed(self, code: str = "") -> None:
        """A response failed, or was refused."""
        self.failures += 1
        self.code = code
        self.is_good = False

    def _flaw(self, response: Response) -> str:
        if response.status == "failed":
            return "failed"
        if response.status == "cancelled" or response.output is None:
            return ""  # a server that does not say what it made is believed
        if self.is_audible or any(item.type != "message" for item in response.output):
            return ""
        if self._silent_bytes:
            return "silent" if self._loudness.is_silent(self._silent_bytes, is_over=True) else ""
        return "incomplete" if response.status == "incomplete" else "empty"


def code_of(response: Response) -> str:
    """Why a response did not complete, as far as the server says."""
    details = response.status_details
    if details is None:
        return ""
    return (details.error.code if details.error is not None else details.reason) or ""
