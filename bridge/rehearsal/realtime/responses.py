"""Who may speak: at most one response in the conversation, others out of band; each from created to done."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bridge.rehearsal.realtime import refusal
from bridge.rehearsal.realtime.items import new_id, text_tokens
from bridge.rehearsal.realtime.performance import Performance, Response, ResponseStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bridge.clock import Clock
    from bridge.rehearsal.realtime.dialect import Dialect
    from bridge.rehearsal.realtime.events import CreateResponse
    from bridge.rehearsal.realtime.items import Conversation, Item
    from bridge.rehearsal.realtime.performance import Emit, Pacing
    from bridge.rehearsal.realtime.ports import MindLike, SpeechLike
    from bridge.rehearsal.realtime.settings import Settings

_log = logging.getLogger(__name__)

MAX_OUT_OF_BAND: Final = 8
_TOKENS_PER_MINUTE: Final = 200_000


@dataclass(slots=True)
class _Running:
    response: Response
    performance: Performance
    task: asyncio.Task[None]


class Responses:
    """The responses of one session.

    Args:
        understood: waits until all that was said so far has been understood.
        on_done: called with each response that is done, before anybody may create another.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        speech: SpeechLike,
        mind: MindLike,
        clock: Clock,
        pacing: Pacing,
        dialect: Dialect,
        emit: Emit,
        understood: Callable[[], Awaitable[None]],
        on_done: Callable[[Response], None],
    ) -> None:
        self._conversation = conversation
        self._speech = speech
        self._mind = mind
        self._clock = clock
        self._pacing = pacing
        self._dialect = dialect
        self._emit = emit
        self._understood = understood
        self._on_done = on_done
        self._active: _Running | None = None
        self._out_of_band: dict[str, _Running] = {}
        self._told = (0, 0)
        self.conversation_id: Final = new_id("conv")
        self._has_spoken = False

    @property
    def active(self) -> Response | None:
        """The response that speaks in the conversation just now."""
        return self._active.response if self._active else None

    @property
    def has_spoken(self) -> bool:
        """Whether any audio was sent; from then on the voice is settled."""
        return self._has_spoken or any(running.response.audio_sent_ms for running in self._running())

    def create(self, wish: CreateResponse, settings: Settings, *, chosen: list[Item] | None = None) -> None:
        """Begin a response; `chosen` are the items to answer instead of the conversation.

        Raises:
            Refusal: one is active already, or there are too many out of band.
        """
        self._refuse_collision(wish)
        response = Response(
            id=new_id("resp"),
            settings=settings.patched(wish.patch),
            conversation_id=self.conversation_id if wish.in_conversation else None,
            metadata=wish.metadata,
        )
        performance = Performance(
            response,
            self._conversation if wish.in_conversation else None,
            emit=self._emit,
            assistant_parts=self._dialect.assistant_parts,
            clock=self._clock,
            pacing=self._pacing,
        )
        task = asyncio.create_task(self._run(response, performance, chosen), name=response.id)
        running = _Running(response, performance, task)
        if wish.in_conversation:
            self._active = running
        else:
            self._out_of_band[response.id] = running
        self._emit("response.created", response=self.wire(response))
        limits = {"name": "tokens", "limit": _TOKENS_PER_MINUTE, "remaining": _TOKENS_PER_MINUTE, "reset_seconds": 0.0}
        self._emit("rate_limits.updated", rate_limits=[limits])

    def cancel(self, response_id: str | None) -> None:
        """Cancel a response for the client: the one in the conversation, or the one named.

        Raises:
            Refusal: there is none.
        """
        running = self._active
        if response_id is not None and (running is None or running.response.id != response_id):
            running = self._out_of_band.get(response_id)
        if running is None:
            raise refusal.Refusal("response_cancel_not_active", "Cancellation failed: no active response found")
        self._cut(running, "client_cancelled")

    def interrupt(self) -> None:
        """Cancel the response in the conversation, if there is one, because the caller speaks."""
        if self._active is not None:
            self._cut(self._active, "turn_detected")

    async def close(self) -> None:
        """Stop everything; sends nothing more."""
        tasks = [running.task for running in self._running()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wire(self, response: Response) -> dict[str, object]:
        """Write a response as an event shows it."""
        return {
            "object": "realtime.response",
            "id": response.id,
            "status": response.status,
            "status_details": response.status_details,
            "output": [item.wire(self._dialect.assistant_parts) for item in response.output],
            "conversation_id": response.conversation_id,
            "max_output_tokens": response.settings.max_output_tokens,
            "metadata": response.metadata,
            "usage": response.usage,
            **self._dialect.response(response),
        }

    def _running(self) -> list[_Running]:
        return [*self._out_of_band.values(), *([self._active] if self._active else [])]

    async def _run(self, response: Response, performance: Performance, chosen: list[Item] | None) -> None:
        try:
            within = await self._perform(response, performance, chosen)
        except Exception as error:  # noqa: BLE001 - whatever breaks the ears, the mouth or the mind, the client must hear of it
            _log.exception("rehearsal.response_failed")
            fault = {"type": "server_error", "code": "embedded_model_failed", "message": str(error) or repr(error)}
            self._finish(response, performance, "failed", error=fault)
        else:
            if within:
                self._finish(response, performance, "completed")
            else:
                self._finish(response, performance, "incomplete", reason="max_output_tokens")

    async def _perform(self, response: Response, performance: Performance, chosen: list[Item] | None) -> bool:
        settings = response.settings
        await self._clock.sleep(self._pacing.think_ms / 1000)
        await self._understood()
        context = list(self._conversation) if chosen is None else chosen
        response.input_tokens = _input_tokens(settings, context)
        reply = self._mind.reply(
            [item.heard() for item in context],
            instructions=settings.instructions,
            tools=settings.functions,
            tool_choice=settings.tool_choice,
        )
        utterance = b""
        if reply.speech and settings.modality == "audio":
            with self._clock.held():
                utterance = await self._speech.speak(reply.speech, settings.voice_name)
        return await performance.perform(reply, utterance)

    def _cut(self, running: _Running, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        running.task.cancel()
        self._finish(running.response, running.performance, "cancelled", reason=reason)

    def _finish(self, response: Response, performance: Performance, status: ResponseStatus, **details: object) -> None:
        performance.close("completed" if status == "completed" else "incomplete")
        response.status = status
        if status != "completed":
            response.status_details = {"type": status, **details}
        response.usage = self._usage(response)
        self._has_spoken |= response.audio_sent_ms > 0
        if self._active is not None and self._active.response is response:
            self._active = None
        self._out_of_band.pop(response.id, None)
        self._emit("response.done", response=self.wire(response))
        self._on_done(response)

    def _refuse_collision(self, wish: CreateResponse) -> None:
        if wish.in_conversation and self._active is not None:
            raise refusal.Refusal(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._active.response.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        if len(self._out_of_band) >= MAX_OUT_OF_BAND:
            raise refusal.Refusal(
                "rate_limit_exceeded", f"At most {MAX_OUT_OF_BAND} responses out of band may run at once."
            )

    def _usage(self, response: Response) -> dict[str, object]:
        """Return what a response cost; what an earlier one of the conversation was told already counts as cached."""
        text_in, audio_in = response.input_tokens
        text_out, audio_out = response.output_tokens()
        cached_text, cached_audio = min(text_in, self._told[0]), min(audio_in, self._told[1])
        if response.conversation_id is not None:
            self._told = (text_in, audio_in)
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "cached_tokens": cached_text + cached_audio,
                **self._dialect.cached_details(cached_text, cached_audio),
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }


def _input_tokens(settings: Settings, context: Sequence[Item]) -> tuple[int, int]:
    """Return what a response is told: text tokens, audio tokens."""
    counts = [item.tokens() for item in context]
    rules = text_tokens(settings.instructions) + text_tokens(json.dumps(settings.tools) if settings.tools else "")
    return rules + sum(text for text, _ in counts), sum(spoken for _, spoken in counts)
