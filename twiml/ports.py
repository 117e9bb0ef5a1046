"""What the signalling plane needs from the rest of the program; the composition root connects it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from twiml import parameters, transfers


class Clock(Protocol):
    """How waiting is bounded; in a rehearsal its seconds may pass faster than the wall's."""

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Raise TimeoutError in the block when it takes longer."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Desk(Protocol):
    """Who decides what happens to a call.

    Methods that return text return a TwiML document of `twiml.documents`. Twilio may send any request twice, or two of
    them in another order than they happened; the desk gives a repeated question the same answer. What it raises, and
    what it does not answer in time, is logged, and the caller gets the fallback.
    """

    async def answer(self, call: parameters.IncomingCall) -> str:
        """A call comes in, or one that we placed was answered."""

    async def after_stream(self, ended: parameters.StreamEnded) -> str:
        """The media stream is over and the caller is still there: what now?"""

    async def transfer_result(self, result: transfers.TransferResult) -> str:
        """A transfer is over, well or not; also where a caller is sent who waited in vain."""

    async def whisper(self, callee: transfers.Whisper) -> str:
        """The callee has picked up, or has pressed a key."""

    async def fallback(self, notice: parameters.FallbackNotice) -> None:
        """Twilio could not use an answer of ours and fetches the fallback, which it gets whatever this does."""

    async def call_status(self, status: parameters.CallStatus) -> None:
        """A call moved on or ended."""

    async def stream_status(self, status: parameters.StreamStatus) -> None:
        """A media stream started, stopped or failed."""

    async def recording_status(self, status: parameters.RecordingStatus) -> None:
        """A recording of a call is done, or has failed."""

    async def machine_detection(self, detection: parameters.MachineDetection) -> None:
        """Twilio has made up its mind about who answered an outbound call."""
