"""Ears, mouth and mind by script, and a session without a socket: for tests that real speech would only slow down."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

from bridge.clock import Clock
from bridge.rehearsal.conversation import Reply
from bridge.rehearsal.domain import Domain
from bridge.rehearsal.realtime.beta import BetaDialect
from bridge.rehearsal.realtime.ga import GaDialect
from bridge.rehearsal.realtime.performance import Pacing
from bridge.rehearsal.realtime.session import Limits, Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.rehearsal.conversation import Heard
    from bridge.rehearsal.realtime.dialect import DialectName
    from bridge.rehearsal.realtime.settings import Tool, ToolChoice

TONE: Final = bytes([0xFF, 0x9E, 0x92, 0x9E, 0xFF, 0x1E, 0x12, 0x1E])
"""One millisecond of a loud 1 kHz tone in mu-law."""
WORD_MS: Final = 300
_FRAME_BYTES: Final = 160


class ScriptedSpeech:
    """Understands what it was told it would hear, sentence by sentence, and speaks every word as 300 ms of tone.

    Args:
        heard: what it understands, turn by turn; nothing after the last one.
        fault: raised instead, by both.
    """

    def __init__(self, heard: Iterable[str] = (), *, fault: Exception | None = None) -> None:
        self._heard = deque(heard)
        self._fault = fault
        self.recognised: Final[list[bytes]] = []
        """What it was given to recognise."""

    async def recognise(self, ulaw: bytes, domain: Domain) -> str:  # noqa: ARG002 - a script needs no domain
        """Return the next sentence of the script; "" after the last one."""
        self.recognised.append(ulaw)
        if self._fault is not None:
            raise self._fault
        return self._heard.popleft() if self._heard else ""

    async def speak(self, text: str, voice: str) -> bytes:  # noqa: ARG002 - a tone has no voice
        """Return a tone as long as the text takes to say."""
        if self._fault is not None:
            raise self._fault
        return TONE * (WORD_MS * len(text.split()))


class ScriptedMind:
    """Gives one reply after the other; after the last one it has nothing to say."""

    def __init__(self, replies: Iterable[Reply] = ()) -> None:
        self._replies = deque(replies)
        self.histories: Final[list[list[Heard]]] = []
        """The conversation at each reply."""

    def domain(self, instructions: str, tools: Sequence[Tool]) -> Domain:  # noqa: ARG002 - nothing is expected
        """Return an empty domain."""
        return Domain(())

    def reply(
        self,
        history: Sequence[Heard],
        *,
        instructions: str,  # noqa: ARG002 - the script is all it follows
        tools: Sequence[Tool],  # noqa: ARG002 - the same
        tool_choice: ToolChoice,  # noqa: ARG002 - the same
    ) -> Reply:
        """Return the next reply of the script."""
        self.histories.append(list(history))
        return self._replies.popleft() if self._replies else Reply()


class RecordingSink:
    """Takes a session's events instead of a socket, and keeps them."""

    def __init__(self) -> None:
        self.events: Final[list[dict[str, Any]]] = []
        """Every event, as a client would decode it."""
        self.closed: tuple[int, str] | None = None
        self._news = asyncio.Event()
        self._read = 0

    def put(self, event: dict[str, object]) -> None:
        """Keep an event."""
        self.events.append(json.loads(json.dumps(event)))
        self._news.set()

    def close(self, code: int, reason: str) -> None:
        """Keep how the connection was closed."""
        self.closed = (code, reason)

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of a type that was not returned before; wait for it at most ten seconds."""
        async with asyncio.timeout(10):
            while True:
                while self._read < len(self.events):
                    self._read += 1
                    if self.events[self._read - 1]["type"] == event_type:
                        return self.events[self._read - 1]
                self._news.clear()
                await self._news.wait()

    def types(self) -> list[str]:
        """Return the types of all events, in order."""
        return [event["type"] for event in self.events]


class ScriptedSession:
    """A session without a socket; an async context manager.

    Args:
        replies: what the mind says, one after the other.
        heard: what the recogniser understands, turn by turn.
        fault: what recogniser and voice raise instead.
    """

    def __init__(
        self,
        *,
        replies: Iterable[Reply] = (),
        heard: Iterable[str] = (),
        fault: Exception | None = None,
        dialect: DialectName = "ga",
        model: str = "gpt-realtime-2.1",
        pacing: Pacing | None = None,
        limits: Limits | None = None,
        rate: float = 20.0,
    ) -> None:
        self.sink: Final = RecordingSink()
        self.speech: Final = ScriptedSpeech(heard, fault=fault)
        self.mind: Final = ScriptedMind(replies)
        self.clock: Final = Clock(rate)
        self.session: Final = Session(
            self.sink,
            GaDialect() if dialect == "ga" else BetaDialect(),
            model=model,
            deployments=False,
            speech=self.speech,
            mind=self.mind,
            clock=self.clock,
            pacing=pacing or Pacing(),
            limits=limits or Limits(),
        )

    async def __aenter__(self) -> Self:
        """Open the session."""
        self.session.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self.session.close()

    def send(self, event_type: str, **fields: object) -> None:
        """Let the client send an event."""
        self.session.receive(json.dumps({"type": event_type, **fields}))

    def speak(self, *, tone_ms: int = 600, silence_ms: int = 1000) -> None:
        """Let the caller speak, in frames of mu-law, and then be silent."""
        audio = TONE * tone_ms + b"\xff" * 8 * silence_ms
        for start in range(0, len(audio), _FRAME_BYTES):
            frame = base64.b64encode(audio[start : start + _FRAME_BYTES]).decode()
            self.send("input_audio_buffer.append", audio=frame)

    def use_mulaw(self, **session: object) -> None:
        """Let the client configure mu-law both ways, in GA, and more of the session's fields."""
        mulaw = {"format": {"type": "audio/pcmu"}}
        update = {"type": "realtime", "audio": {"input": mulaw, "output": mulaw}, **session}
        self.send("session.update", session=update)

    async def until(self, event_type: str) -> dict[str, Any]:
        """Return the next event of a type that was not returned before."""
        return await self.sink.until(event_type)
