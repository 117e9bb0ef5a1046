"""How much of one address is listened to: requests of any kind, and wrong tokens far less."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

MAX_ADDRESSES = 1000
"""Addresses that are counted; the one that began first is forgotten first."""


class Tally:
    """Counts by the address that something came from, within a window that begins with its first.

    Args:
        most: how many are all right within the window; with this one it is too many.
        within_s: the window.
    """

    def __init__(self, most: int, within_s: float) -> None:
        self._most = most
        self._within_s = within_s
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, address: str, now: float) -> None:
        """One more."""
        key = network_of(address)
        began_at, count = self._of(key, now)
        self._counts[key] = began_at, count + 1
        if len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)

    def wait_s(self, address: str, now: float) -> int:
        """For how many more seconds nothing is to be listened to; 0: it may speak."""
        began_at, count = self._of(network_of(address), now)
        return math.ceil(began_at + self._within_s - now) if count >= self._most else 0

    def _of(self, key: str, now: float) -> tuple[float, int]:
        began_at, count = self._counts.get(key, (now, 0))
        if now - began_at < self._within_s:
            return began_at, count
        self._counts.pop(key, None)
        return now, 0


def network_of(address: str) -> str:
    """What one party has for itself: an IPv4 address, or the /64 in which IPv6 gives it as many as it likes."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return address
