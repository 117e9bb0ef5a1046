"""The last resort at the end of the process: whatever still holds it then, it leaves in time."""

from __future__ import annotations

import logging
import os
import threading

LEAVE_WITHIN_S = 20.0
"""How long a bridge without calls may take to let go of everything. What is under way has limits of its own, which add
up to less; a thread that waits for a name server has none."""
_log = logging.getLogger("bridge")


def within(seconds: float) -> None:
    """Leave the process with exit code 0 after this time, if it is still there.

    For a program that is about to end, not for a library: nothing is waited for or cleaned up then.
    """
    timer = threading.Timer(seconds, _leave, (seconds,))
    timer.daemon = True
    timer.start()


def _leave(seconds: float) -> None:
    _log.error("bridge.cut_short", extra={"after_s": seconds})
    logging.shutdown()
    os._exit(0)
