"""Recordings of a call: only their life, no sound. Source: Twilio's pages on recordings and `<Dial record>`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.rehearsal.carrier.records import new_sid, rfc2822_now

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.rehearsal.carrier.call import Call
    from bridge.rehearsal.carrier.records import Params


class Recording:
    """One recording of one leg.

    Attributes:
        status: `in-progress`, `paused`, `stopped` or `completed`.
        history: every status it has had, with the clock's time.
    """

    def __init__(
        self,
        call: Call,
        *,
        source: str,
        channels: str = "1",
        callback: str = "",
        events: Collection[str] = ("completed",),
    ) -> None:
        self.sid = new_sid("RE")
        self.source = source
        self.channels = channels
        self.status = ""
        self.history: list[tuple[float, str]] = []
        self._call = call
        self._callback = callback
        self._events = events
        call.recordings.append(self)
        self.change("in-progress")

    @property
    def url(self) -> str:
        """Where it could be fetched from."""
        carrier = self._call.carrier
        return f"https://api.twilio.com/2010-04-01/Accounts/{carrier.account_sid}/Recordings/{self.sid}"

    @property
    def duration_s(self) -> int:
        """How long it has been going on, without its pauses, in whole seconds."""
        end_s = self._call.carrier.clock.now()
        total_s = 0.0
        for at_s, status in reversed(self.history):
            if status == "in-progress":
                total_s += end_s - at_s
            end_s = at_s
        return int(total_s)

    def change(self, status: str) -> None:
        """Give it that status, and report it where that is wanted."""
        self.status = status
        self.history.append((self._call.carrier.clock.now(), status))
        if self._callback and status in self._events:
            self._report()

    def stop(self) -> None:
        """End it with the call; nothing happens to one that was stopped before."""
        if self.status in {"in-progress", "paused"}:
            self.change("completed")

    def _report(self) -> None:
        call = self._call
        params: Params = {
            "AccountSid": call.carrier.account_sid,
            "CallSid": call.sid,
            "RecordingSid": self.sid,
            "RecordingUrl": self.url,
            "RecordingStatus": self.status,
            "RecordingDuration": str(self.duration_s),
            "RecordingChannels": self.channels,
            "RecordingStartTime": rfc2822_now(),
            "RecordingSource": self.source,
        }
        call.carrier.report("recording-status", self._callback, params, "POST", call.sid)
