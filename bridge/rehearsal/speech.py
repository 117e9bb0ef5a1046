"""The embedded model's ears and mouth, shared by all its sessions: voice activity, recognition, a voice.

Recognition and voice are computed in worker processes, so that no call waits for another's, and offline: they need the
packages of `voicebridge[embedded]` and nothing else.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Self

from bridge.errors import BridgeError
from bridge.rehearsal.domain import Domain
from bridge.rehearsal.voice_activity import SpeechStarted, SpeechStopped, VoiceActivity
from bridge.rehearsal.workers import Workers

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Domain", "Speech", "SpeechStarted", "SpeechStopped", "VoiceActivity"]

_PACKAGES: Final = ("espeakng_loader", "numpy", "pocketsphinx", "soxr")
_REMEMBERED: Final = 256
"""Utterances; of 3 s each they take 6 MB."""


class Speech:
    """Recognises and speaks; an async context manager. Leaving it stops the processes.

    Args:
        recognisers: how many processes recognise; one serves some 20 calls.
        voices: how many processes speak; one serves hundreds of calls.
        max_waiting: how many requests may wait for each kind of process; a further one is refused with a BridgeError.
        time_limit_s: for one request, in wall-clock seconds, waiting for a free process not included.
    """

    def __init__(
        self, *, recognisers: int = 1, voices: int = 1, max_waiting: int = 64, time_limit_s: float = 30.0
    ) -> None:
        workers = functools.partial(Workers, max_waiting=max_waiting, time_limit_s=time_limit_s)
        self._ears = workers("bridge.rehearsal.recogniser", size=recognisers)
        self._mouth = workers("bridge.rehearsal.voice", size=voices)
        self._spoken: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def __aenter__(self) -> Self:
        """Start the processes; they get ready while the first call is being set up.

        Raises:
            BridgeError: packages are not installed.
        """
        missing = [package for package in _PACKAGES if find_spec(package) is None]
        if missing:
            needs = ", ".join(missing)
            raise BridgeError(f"the embedded model needs {needs}: pip install 'voicebridge[embedded]'")
        await self._ears.start()
        await self._mouth.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the processes; requests in progress fail."""
        await self._ears.close()
        await self._mouth.close()

    async def recognise(self, ulaw: bytes, domain: Domain) -> str:
        """Return what was said in a turn of mu-law, in lower-case words of the domain; "" where nothing was understood.

        Raises:
            BridgeError: too many turns wait, the time is up, or the process died; the next turn gets a new one.
        """
        if not ulaw or not domain.sentences:
            return ""
        answer, _ = await self._ears.request({"sentences": domain.sentences}, ulaw)
        return str(answer["text"])

    async def speak(self, text: str, voice: str) -> bytes:
        """Return a text as mu-law, a whole utterance; what was spoken lately is not computed again.

        Raises:
            BridgeError: as for `recognise`.
        """
        if not text.strip():
            return b""
        utterance = self._spoken.pop((text, voice), None)
        if utterance is None:
            _, utterance = await self._mouth.request({"text": text, "voice": voice})
        self._spoken[text, voice] = utterance
        if len(self._spoken) > _REMEMBERED:
            self._spoken.popitem(last=False)
        return utterance
