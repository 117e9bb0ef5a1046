"""Recordings that the carrier makes and keeps: begun when the caller has been told, paused while a secret is keyed in.

What is asked about one call is asked one after the other: a pause never overtakes the recording that it is meant for.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bridge.records.notes import CarrierRecording
from twiml.calls import CallRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bridge.call.actions import Said
    from bridge.edge.driver import Driver
    from bridge.settings import Recording
    from twiml.calls import CallControl
    from twiml.parameters import RecordingStatus

_CHANNELS = {"mono": 1, "dual": 2}
_log = logging.getLogger("bridge")


class Recordings:
    """Watches calls, as an observer, and has them recorded. Without the REST interface nothing is asked.

    Args:
        settings: whether calls are recorded, and how.
        control: the REST interface.
        status_url: where the carrier tells how a recording went.

    Attributes:
        told: told about each recording, for the call's record.
    """

    def __init__(self, settings: Recording, control: CallControl | None, status_url: str) -> None:
        self.told: Callable[[CarrierRecording], object] = lambda _: None
        self._settings = settings
        self._control = control
        self._status_url = status_url
        self._begun: set[str] = set()
        self._asking: dict[str, asyncio.Task[None]] = {}

    @property
    def consent(self) -> str:
        """What the caller is told before the stream is opened; empty when there is nothing to be told."""
        return self._settings.consent if self._settings.on else ""

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:  # noqa: ARG002 - an observer's
        """A fact of a call's life: its first stream means that the caller has been told."""
        call_sid = driver.plan.call_sid
        if event == "call.ended":
            self._begun.discard(call_sid)
        elif event == "stream.started" and self._settings.on and self._control and call_sid not in self._begun:
            self._begun.add(call_sid)
            self._ask(call_sid, self._begin(self._control, call_sid))

    def said(self, driver: Driver, line: Said) -> None:
        """A line of a call's transcript: nothing to be recorded here."""

    def pause(self, call_sid: str, *, is_on: bool) -> None:
        """Pause or resume the recording of a call, whoever began it, if there is one."""
        if self._control is not None:
            self._ask(call_sid, self._pause(self._control, call_sid, is_on=is_on))

    def reported(self, status: RecordingStatus) -> None:
        """The carrier tells how a recording went, perhaps after its call."""
        fields = {"call_sid": status.call_sid, "recording_sid": status.recording_sid, "status": status.status}
        _log.log(logging.INFO if status.status == "completed" else logging.WARNING, "recording.reported", extra=fields)
        if status.recording_sid and status.status:
            self.told(
                CarrierRecording(
                    status.call_sid, status.recording_sid, status.status, status.channels, status.duration_s
                )
            )

    async def close(self) -> None:
        """Wait for what is under way; each request has its limit."""
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _ask(self, call_sid: str, request: Coroutine[None, None, None]) -> None:
        """Make a request behind those about the same call."""
        before = self._asking.get(call_sid)

        async def in_turn() -> None:
            if before is not None:
                await asyncio.wait([before])
            await request

        task = self._asking[call_sid] = asyncio.get_running_loop().create_task(in_turn())
        task.add_done_callback(lambda done: self._done(call_sid, done))

    def _done(self, call_sid: str, task: asyncio.Task[None]) -> None:
        if self._asking.get(call_sid) is task:
            del self._asking[call_sid]

    async def _begin(self, control: CallControl, call_sid: str) -> None:
        channels = self._settings.channels
        try:
            sid = await control.start_recording(call_sid, channels=channels, status_callback=self._status_url)
        except CallRefusedError as error:
            if not error.gone:
                _log.warning("recording.refused", extra={"call_sid": call_sid, "code": error.code})
            return
        _log.info("recording.started", extra={"call_sid": call_sid, "recording_sid": sid})
        self.told(CarrierRecording(call_sid, sid, "in-progress", _CHANNELS[channels]))

    async def _pause(self, control: CallControl, call_sid: str, *, is_on: bool) -> None:
        try:
            await (control.resume_recording(call_sid) if is_on else control.pause_recording(call_sid))
        except CallRefusedError as error:
            if not error.gone:  # most calls have no recording
                _log.warning("recording.not_paused", extra={"call_sid": call_sid, "code": error.code, "is_on": is_on})
