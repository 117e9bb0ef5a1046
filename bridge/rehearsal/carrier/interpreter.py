"""The TwiML interpreter: does what a document says, verb by verb, and fetches the next one.

Sources: Twilio's pages `docs/voice/twiml` (request parameters, verbs) and on the errors 11205, 11750, 12100, 12200
and 12300, and its blog on fallback URLs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.flow import Goto, HangUp
from bridge.rehearsal.carrier.twiml import TwimlError, parse
from bridge.rehearsal.carrier.verbs import VERBS, speak
from bridge.rehearsal.carrier.webhooks import MAX_TWIML_BYTES, WebhookError
from bridge.rehearsal.sound import tone

if TYPE_CHECKING:
    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.records import Params
    from bridge.rehearsal.carrier.twiml import Document, Verb

MAX_DOCUMENTS = 500
"""Documents that one leg may ask for; a redirect to itself would never end."""
LIVE_VERBS = frozenset(VERBS) - {"Leave"}
"""What a document for a leg may hold."""
WAIT_VERBS = frozenset({"Say", "Play", "Pause", "Redirect", "Leave"})
"""What a document for a waiting caller may hold."""
WHISPER_VERBS = frozenset({"Say", "Play", "Pause", "Redirect", "Gather", "Hangup"})
"""What a document for a callee who is not connected yet may hold."""
_XML = frozenset({"text/xml", "application/xml"})
_BETWEEN_S = 0.5
"""Between two rounds of a document for a waiting caller; one that says nothing would not let go of the processor."""
_MUSIC = tone(262, 330, duration_ms=2000, level=0.03)
_SORRY = "We are sorry, an application error has occurred. Goodbye."


class Interpreter:
    """Follows documents for one leg.

    Args:
        call: the leg.
        only: the verbs that may occur. Others are noted and left out.
    """

    def __init__(self, call: Call, only: frozenset[str] = LIVE_VERBS) -> None:
        self.call = call
        self._only = only
        self._documents = 0

    async def follow(self, source: Goto | str) -> bool:
        """Fetch a document, or take its text, and do what it and its successors say.

        Returns whether the documents ran out of verbs (True) or hung up (False); then the leg has its status.
        """
        try:
            document: Document | None = await self._document(source)
            while document is not None:
                document = await self._perform(document)
        except HangUp as end:
            self.call.status = end.status
            return False
        return True

    async def perform(self, verb: Verb, document: Document) -> Goto | None:
        """Do one verb; returns where to go on, None for the next verb."""
        return await VERBS[verb.name](self, verb, document)

    def action(self, verb: Verb, document: Document, params: Params | None = None) -> Goto | None:
        """Where a verb's `action` leads when the verb is done; None where it has none.

        When the leg is over, the request is made too, but nobody waits for its answer.
        """
        if not verb.get("action"):
            return None
        goto = Goto("action", document.resolve(verb.get("action")), verb.get("method", "POST"), params or {})
        if not self.call.is_over:
            return goto
        self.call.carrier.report(goto.kind, goto.url, self.call.parameters() | goto.params, goto.method, self.call.sid)
        return None

    async def whisper(self, noun: Verb, document: Document) -> bool:
        """Do what a noun's `url` says to this leg before it is connected; returns whether it is still there."""
        if not noun.get("url"):
            return True
        goto = Goto("whisper", document.resolve(noun.get("url")), noun.get("method", "POST"))
        return await Interpreter(self.call, WHISPER_VERBS).follow(goto)

    async def wait(self, goto: Goto | None) -> None:
        """Entertain a waiting caller until cancelled: with a document over and over, or the network's own music.

        Raises Leave when the document says `<Leave>`.
        """
        try:
            while goto is not None:
                await _Entertainer(self.call, WAIT_VERBS).follow(goto)
                await self.call.carrier.clock.sleep(_BETWEEN_S)
        except WebhookError as error:
            self.call.event("wait.failed", str(error))
        await self.call.phone.play_again_and_again(_MUSIC)

    async def _document(self, source: Goto | str) -> Document:
        self._documents += 1
        if self._documents > MAX_DOCUMENTS:
            self.call.notice(11215, f"more than {MAX_DOCUMENTS} documents: do they redirect in a circle?")
            raise HangUp
        try:
            return self._read(source, "") if isinstance(source, str) else await self._fetch(source)
        except WebhookError as error:
            self.call.notice(error.code, str(error))
            return await self._fall_back(error, "" if isinstance(source, str) else source.url)

    async def _fall_back(self, error: WebhookError, failed_url: str) -> Document:
        if self.call.fallback is not None:
            url, method = self.call.fallback
            try:
                return await self._fetch(
                    Goto("fallback", url, method, {"ErrorCode": str(error.code), "ErrorUrl": failed_url})
                )
            except WebhookError as second:
                self.call.notice(second.code, str(second))
        self.call.event("application.failed", str(error))
        self.call.answer()
        await speak(self.call, _SORRY)
        raise HangUp

    async def _fetch(self, goto: Goto) -> Document:
        params = self.call.parameters() | goto.params
        answer = await self.call.carrier.webhooks.request(goto.kind, goto.url, params, goto.method)
        if answer.content_type not in _XML:
            raise WebhookError(12300, f"{goto.url} answered {answer.content_type or 'no content type'}, not text/xml")
        if len(answer.body) > MAX_TWIML_BYTES:
            raise WebhookError(11750, f"{goto.url} answered more than 64 KB")
        return self._read(answer.body, goto.url)

    def _read(self, text: str | bytes, url: str) -> Document:
        try:
            document = parse(text, url)
        except TwimlError as error:
            raise WebhookError(12100, str(error)) from error
        for warning in document.warnings:
            self.call.notice(12200, warning)
        return document

    async def _perform(self, document: Document) -> Document | None:
        for verb in document.verbs:
            if verb.name not in self._only:
                self.call.notice(12200, f"<{verb.name}> is not allowed here")
                continue
            goto = await self.perform(verb, document)
            if goto is not None:
                return await self._document(goto)
        return None


class _Entertainer(Interpreter):
    """Follows the documents for a waiting caller: when one cannot be had, there is nothing to fall back on."""

    async def _fall_back(self, error: WebhookError, failed_url: str) -> Document:  # noqa: ARG002 - the base class's
        raise error
