"""What the caller said, as text: recognition beside the conversation, and the transcription events that come of it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bridge.rehearsal.realtime.items import text_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.clock import Clock
    from bridge.rehearsal.realtime.items import Item, Part
    from bridge.rehearsal.realtime.performance import Emit
    from bridge.rehearsal.realtime.ports import MindLike, SpeechLike
    from bridge.rehearsal.realtime.settings import Settings

_log = logging.getLogger(__name__)
_MS_PER_TOKEN: Final = 100


class Understanding:
    """Recognises the caller's audio, in tasks; a response waits for them, nothing else does.

    Args:
        transcript_delay_ms: how much later than the recognition its events are sent: the real ones may come before or
            after the response.
    """

    def __init__(
        self,
        *,
        speech: SpeechLike,
        mind: MindLike,
        clock: Clock,
        emit: Emit,
        transcript_delay_ms: int,
    ) -> None:
        self._speech = speech
        self._mind = mind
        self._clock = clock
        self._emit = emit
        self._transcript_delay_ms = transcript_delay_ms
        self._recognitions: set[asyncio.Task[None]] = set()
        self._announcements: set[asyncio.Task[None]] = set()

    def begin(self, item: Item, part: Part, settings: Settings, *, transcribe: bool) -> None:
        """Recognise an audio part; its text is set when that is done. Tell the client of it if `transcribe`."""
        transcription = settings.transcription if transcribe else None
        work = self._recognise(item, part, settings, transcription)
        _keep(self._recognitions, asyncio.create_task(work, name=f"recognise {item.id}"))

    async def wait(self) -> None:
        """Return when all that was said so far is understood."""
        if self._recognitions:
            await asyncio.wait(self._recognitions)

    async def close(self) -> None:
        """Stop everything; sends nothing more."""
        tasks = [*self._recognitions, *self._announcements]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _recognise(
        self, item: Item, part: Part, settings: Settings, transcription: Mapping[str, object] | None
    ) -> None:
        where = {"item_id": item.id, "content_index": item.content.index(part)}
        try:
            domain = self._mind.domain(settings.instructions, settings.functions)
            with self._clock.held():
                part.text = await self._speech.recognise(bytes(part.line_audio), domain)
        except Exception as error:  # noqa: BLE001 - whatever breaks the ears, the client must hear of it and the call goes on
            _log.exception("rehearsal.recognition_failed")
            if transcription is not None:
                fault = {"type": "server_error", "code": "transcription_failed", "message": str(error) or repr(error)}
                self._emit("conversation.item.input_audio_transcription.failed", **where, error=fault)
            return
        if transcription is not None:
            part.transcript = part.text
            announcement = self._announce(part, where, _usage(part, transcription))
            _keep(self._announcements, asyncio.create_task(announcement, name=f"transcribe {item.id}"))

    async def _announce(self, part: Part, where: dict[str, object], usage: dict[str, object]) -> None:
        await self._clock.sleep(self._transcript_delay_ms / 1000)
        event = "conversation.item.input_audio_transcription"
        if part.text:
            self._emit(f"{event}.delta", **where, delta=part.text)
        self._emit(f"{event}.completed", **where, transcript=part.text, usage=usage)


def _usage(part: Part, transcription: Mapping[str, object]) -> dict[str, object]:
    """Return what a transcription costs: whisper-1 is paid by duration, the others by tokens."""
    if transcription["model"] == "whisper-1":
        return {"type": "duration", "seconds": part.audio_ms / 1000}
    heard, written = part.audio_ms // _MS_PER_TOKEN, text_tokens(part.text)
    return {
        "type": "tokens",
        "input_tokens": heard,
        "output_tokens": written,
        "total_tokens": heard + written,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
    }


def _keep(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)
