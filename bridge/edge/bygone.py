"""Which calls are over: a webhook that announces one of them again was not made by the carrier just now.

Twilio's signature has no time in it, so whoever got hold of a signed request can send it again for ever. A call has one
name for all its life, and rings once.
"""

from __future__ import annotations

from collections import OrderedDict

KEPT = 20_000
"""Calls that are remembered; the one that ended first is forgotten first. A replay of an older one begins a call, which
nobody can claim without its token, and which ends when that expires."""


class Bygone:
    """The calls of this process that are over."""

    def __init__(self) -> None:
        self._over: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, call_sid: str) -> bool:
        """Whether that call is over."""
        return call_sid in self._over

    def add(self, call_sid: str) -> None:
        """A call is over."""
        self._over[call_sid] = None
        self._over.move_to_end(call_sid)
        if len(self._over) > KEPT:
            self._over.popitem(last=False)

    def remove(self, call_sid: str) -> None:
        """It is not over after all."""
        self._over.pop(call_sid, None)
