"""What we ask of Twilio by REST about calls: to redirect, end and place them.

Source: Twilio `docs/voice/api/call-resource`, and the resources of `twilio.rest.api.v2010` 9.13.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twilio.base import values

from twiml.account import Account, AccountControl, Number
from twiml.documents import inline
from twiml.transport import CallRefusedError

_STATUS_EVENTS = ["initiated", "ringing", "answered", "completed"]

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


class CallControl(AccountControl):
    """The account's calls, and what `AccountControl` knows of the account."""

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

    async def start_recording(self, call_sid: str, *, channels: Literal["dual", "mono"], status_callback: str) -> str:
        """Record a call in progress from now on, both sides of it, until it ends; the recording's SID.

        Never tried twice once Twilio may have begun: a call may have several recordings.
        """
        recording = await self._ask(
            lambda: self._client.calls(call_sid).recordings.create_async(
                recording_channels=channels,
                recording_track="both",
                trim="do-not-trim",  # so that its seconds are the call's
                recording_status_callback=status_callback,
                recording_status_callback_event=["completed", "absent"],
            ),
            repeatable=False,
        )
        return str(recording.sid)

    async def pause_recording(self, call_sid: str) -> None:
        """Record silence from now on; a call that is not recorded is refused as `gone`."""
        await self._record(call_sid, "paused")

    async def resume_recording(self, call_sid: str) -> None:
        """Record again."""
        await self._record(call_sid, "in-progress")

    async def _record(self, call_sid: str, status: Literal["paused", "in-progress"]) -> None:
        pause = {"pause_behavior": "silence"} if status == "paused" else {}
        recording = self._client.calls(call_sid).recordings("Twilio.CURRENT")
        await self._ask(lambda: recording.update_async(status=status, **pause))
