"""What the bridge asks of the carrier by REST beside a call, each request in its own task and within its own limit."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from twiml.calls import CallRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bridge.clock import Clock
    from twiml.calls import CallControl

LEFT_WITHIN_S = 3.0
"""How long the carrier may take to leave a stream after it was told to; then the socket is closed as well."""
_log = logging.getLogger("bridge")


class CarrierRequests:
    """Requests about calls in progress. Without the REST interface (`control` is None), nothing is asked.

    Args:
        control: the REST interface.
        clock: of the calls.
        order_url: where the carrier learns what is to be done with a call without a stream.
    """

    def __init__(self, control: CallControl | None, clock: Clock, order_url: str) -> None:
        self._control = control
        self._clock = clock
        self._order_url = order_url
        self._running: set[asyncio.Task[None]] = set()

    def leave_stream(self, call_sid: str, stream: int, close: Callable[[], object]) -> None:
        """Have the carrier leave the stream of that number and ask for the order.

        `close` closes the socket, which does the same.
        """
        if self._control is None:
            close()
        else:
            url = f"{self._order_url}?stream={stream}"
            self._begin(self._redirect(self._control, call_sid, url, close))

    def hang_up(self, call_sid: str) -> None:
        """Have the carrier end a call that has no stream."""
        if self._control is not None:
            self._begin(self._complete(self._control, call_sid))

    async def is_in_progress(self, call_sid: str) -> bool:
        """Whether somebody is on the line, by the carrier's word; not if it cannot be asked."""
        if self._control is None:
            return False
        try:
            return await self._control.status(call_sid) == "in-progress"
        except CallRefusedError:
            return False

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begin(self, request: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(request)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _redirect(self, control: CallControl, call_sid: str, url: str, close: Callable[[], object]) -> None:
        try:
            await control.redirect(call_sid, url=url)
            await self._clock.sleep(LEFT_WITHIN_S)
        except CallRefusedError as error:
            level = logging.INFO if error.gone else logging.WARNING
            _log.log(level, "call.not_redirected", extra={"call_sid": call_sid, "code": error.code})
        close()

    async def _complete(self, control: CallControl, call_sid: str) -> None:
        try:
            await control.complete(call_sid)
        except CallRefusedError as error:
            if not error.gone:
                _log.warning("call.not_ended", extra={"call_sid": call_sid, "code": error.code})
