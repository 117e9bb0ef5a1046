"""What we ask of Twilio by REST: to redirect, end and place calls, and whom its numbers ask.

Source: Twilio `docs/voice/api/call-resource`, and the resources of `twilio.rest.api.v2010` 9.13.0.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeVar
from urllib.parse import urlsplit

from twilio.base import values
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from twiml.documents import inline
from twiml.transport import CallRefusedError, Transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from twiml.ports import Clock

_CONCURRENT_MAX = 16  # Twilio answers 429 to an account that asks too much at once
_RETRY_PAUSE_S = 0.3
_NUMBERS_MAX = 10_000
_STATUS_EVENTS = ["initiated", "ringing", "answered", "completed"]

_T = TypeVar("_T")

__all__ = ["Account", "CallControl", "CallRefusedError", "Number", "OutboundCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCall:
    """A call to place."""

    to: str
    from_: str
    url: str
    """Whose document is executed when somebody answers."""
    status_callback: str
    fallback_url: str = ""
    timeout_s: int = 60
    """How long it may ring, at most 600."""
    time_limit_s: int | None = None
    machine_detection: Literal["", "Enable", "DetectMessageEnd"] = ""
    """Asynchronous: the document is executed at once, and `machine_detection_callback` is told later."""
    machine_detection_callback: str = ""
    send_digits: str = ""
    """Tones once it is answered, for an extension; Twilio then detects no machine."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the credentials belong to."""

    sid: str
    name: str
    status: str
    """`active`, `suspended` or `closed`."""
    kind: str
    """`Trial` or `Full`."""


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number of the account, and whom Twilio asks when it is called."""

    sid: str
    phone_number: str
    voice_url: str
    fallback_url: str
    status_callback: str
    voice_application_sid: str
    """When set, Twilio asks that application and not `voice_url`."""
    trunk_sid: str
    """When set, calls go to a SIP trunk and nobody is asked."""


class CallControl:
    """The account's calls and numbers. Every method raises CallRefusedError; close it with `async with` or `aclose`.

    Args:
        account_sid: `AC…`.
        auth_token: its token, or `(API key SID, secret)`.
        api_url: Twilio's, a region's, or a rehearsal's.
        clock: bounds every request.
        limit_s: how long a request may take, the second attempt and waiting for a free slot included.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str | tuple[str, str],
        *,
        api_url: str = "https://api.twilio.com",
        clock: Clock,
        limit_s: float = 8.0,
    ) -> None:
        username, password = (account_sid, auth_token) if isinstance(auth_token, str) else auth_token
        self._transport = Transport(direct=urlsplit(api_url).hostname in {"127.0.0.1", "::1", "localhost"})
        # An empty TWILIO_REGION: the client would rewrite the host of api_url from the environment.
        self._client = Client(
            username, password, account_sid, http_client=self._transport, environment={"TWILIO_REGION": ""}
        )
        self._client.api.base_url = api_url
        self._clock = clock
        self._limit_s = limit_s
        self._slots = asyncio.Semaphore(_CONCURRENT_MAX)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to Twilio."""
        await self._transport.aclose()

    async def redirect(self, call_sid: str, *, url: str = "", twiml: str = "") -> None:
        """Let a call in progress go on with the document at `url`, or with the document itself.

        The current verb is abandoned; a media stream ends with what it still had to play.

        Raises:
            ValueError: neither or both are given, or the document is longer than a request may carry.
        """
        if bool(url) == bool(twiml):
            raise ValueError("A call is redirected either to a URL or to a document.")
        target = {"url": url} if url else {"twiml": inline(twiml)}
        await self._ask(lambda: self._client.calls(call_sid).update_async(**target))

    async def complete(self, call_sid: str) -> None:
        """End a call, whether it rings or is in progress."""
        await self._ask(lambda: self._client.calls(call_sid).update_async(status="completed"))

    async def cancel(self, call_sid: str) -> None:
        """End a call that nobody has answered; one in progress goes on."""
        await self._ask(lambda: self._client.calls(call_sid).update_async(status="canceled"))

    async def status(self, call_sid: str) -> str:
        """The call's status, as in its callbacks."""
        call = await self._ask(lambda: self._client.calls(call_sid).fetch_async())
        return str(call.status)

    async def create(self, call: OutboundCall) -> str:
        """Place a call and return its SID; never tried twice once Twilio may have placed it."""
        detection: dict[str, object] = {}
        if call.machine_detection:
            detection = {
                "machine_detection": call.machine_detection,
                "async_amd": "true",
                "async_amd_status_callback": call.machine_detection_callback,
            }
        created = await self._ask(
            lambda: self._client.calls.create_async(
                to=call.to,
                from_=call.from_,
                url=call.url,
                fallback_url=call.fallback_url or values.unset,
                status_callback=call.status_callback,
                status_callback_event=_STATUS_EVENTS,
                timeout=call.timeout_s,
                time_limit=call.time_limit_s or values.unset,
                send_digits=call.send_digits or values.unset,
                **detection,
            ),
            repeatable=False,
        )
        return str(created.sid)

    async def add_participant(
        self, conference: str, *, to: str, from_: str, status_callback: str, timeout_s: int = 60
    ) -> str:
        """Dial somebody straight into a conference and return the leg's CallSid; nothing is whispered to them."""
        created = await self._ask(
            lambda: self._client.conferences(conference).participants.create_async(
                to=to,
                from_=from_,
                timeout=timeout_s,
                beep="false",
                end_conference_on_exit=True,
                status_callback=status_callback,
                status_callback_event=_STATUS_EVENTS,
            ),
            repeatable=False,
        )
        return str(created.call_sid)

    async def pause_recording(self, call_sid: str) -> None:
        """Record silence from now on; a call that is not recorded is refused as `gone`."""
        await self._record(call_sid, "paused")

    async def resume_recording(self, call_sid: str) -> None:
        """Record again."""
        await self._record(call_sid, "in-progress")

    async def account(self) -> Account:
        """The account, which also shows that the credentials are right."""
        found = await self._ask(lambda: self._client.api.accounts(self._client.account_sid).fetch_async())
        return Account(found.sid, found.friendly_name, found.status, found.type)

    async def numbers(self) -> list[Number]:
        """The account's phone numbers."""
        # Not filtered by Twilio: a phone number in a query would end up in logs.
        found = await self._ask(lambda: self._client.incoming_phone_numbers.list_async(limit=_NUMBERS_MAX))
        return [_number(one) for one in found]

    async def point_number(self, sid: str, *, voice_url: str, fallback_url: str, status_callback: str) -> Number:
        """Let Twilio ask these URLs when the number is called; an application that stood in the way is taken off."""
        changed = await self._ask(
            lambda: self._client.incoming_phone_numbers(sid).update_async(
                voice_url=voice_url,
                voice_method="POST",
                voice_fallback_url=fallback_url,
                voice_fallback_method="POST",
                status_callback=status_callback,
                status_callback_method="POST",
                voice_application_sid="",
            )
        )
        return _number(changed)

    async def _record(self, call_sid: str, status: Literal["paused", "in-progress"]) -> None:
        pause = {"pause_behavior": "silence"} if status == "paused" else {}
        recording = self._client.calls(call_sid).recordings("Twilio.CURRENT")
        await self._ask(lambda: recording.update_async(status=status, **pause))

    async def _ask(self, request: Callable[[], Awaitable[_T]], *, repeatable: bool = True) -> _T:
        """Send a request, and once more where that may help and cannot do it twice."""
        try:
            async with self._clock.timeout(self._limit_s), self._slots:
                try:
                    return await request()
                except CallRefusedError as refused:
                    if not refused.passing or (refused.executed and not repeatable):
                        raise
                await self._clock.sleep(_RETRY_PAUSE_S)
                return await request()
        except TimeoutError:
            raise CallRefusedError(f"no answer within {self._limit_s:g} s.") from None
        except TwilioException as error:
            raise CallRefusedError(f"the answer was not understood: {type(error).__name__}.") from error


def _number(found: object) -> Number:
    def text(name: str) -> str:
        return getattr(found, name) or ""

    return Number(
        sid=text("sid"),
        phone_number=text("phone_number"),
        voice_url=text("voice_url"),
        fallback_url=text("voice_fallback_url"),
        status_callback=text("status_callback"),
        voice_application_sid=text("voice_application_sid"),
        trunk_sid=text("trunk_sid"),
    )
