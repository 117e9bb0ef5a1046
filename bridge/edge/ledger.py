"""The register of calls that a parent keeps for its workers: whose each call is, and how many places are taken."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bridge.edge.rates import CallerRates
from bridge.edge.shared import KEPT_CALLS, KEPT_S, NOBODY, Verdict

MAX_IMBALANCE = 2
"""Calls by which a worker may have more than the least busy one before a new call is given to that one."""


@dataclass
class _Entry:
    owner: str
    has_place: bool = False
    forget_at: float = 0.0


class Ledger:
    """Every step is one call, so that two workers never share the last place.

    Args:
        max_calls: places, over all workers.
        calls_per_minute_per_caller: over all workers too.
    """

    def __init__(self, *, max_calls: int, calls_per_minute_per_caller: int) -> None:
        self._max_calls = max_calls
        self._rates = CallerRates(calls_per_minute_per_caller)
        self._living: dict[str, _Entry] = {}
        self._over: OrderedDict[str, _Entry] = OrderedDict()
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(self._taken.values())

    def limit(self, max_calls: int, per_minute: int) -> None:
        """Have other limits from now on; calls that are there stay."""
        self._max_calls = max_calls
        self._rates.per_minute = per_minute

    def join(self, address: str) -> None:
        """A worker is there."""
        self._taken[address] = 0

    def drop(self, address: str, now: float) -> None:
        """A worker is gone: its places are free, and for a while it is known that its calls were its own."""
        for name in [name for name, entry in self._living.items() if entry.owner == address]:
            self.leave(address, name, now)
        self._taken.pop(address, None)

    def claim(self, address: str, name: str, now: float) -> str:
        """The owner of a call; of a new one the least busy worker, which is the one that asks unless it is far busier.

        A call whose owner is gone is a new one: whoever asks has its webhook at hand, and its caller on the line.
        """
        owner = self.owner(name, now)
        if owner in self._taken:
            return owner
        idlest = min(self._taken, key=self._taken.__getitem__)
        if self._taken[address] - self._taken[idlest] < MAX_IMBALANCE:
            idlest = address
        self._keep(name, _Entry(idlest), now)
        return idlest

    def owner(self, name: str, now: float) -> str:
        """The owner of a call, who may be gone; `NOBODY` when it is not known."""
        self._forget(now)
        entry = self._living.get(name) or self._over.get(name)
        return entry.owner if entry is not None else NOBODY

    def admit(self, address: str, name: str, caller: str, now: float) -> Verdict:
        """Take a place for a call, if there is one left and its caller has not called too often."""
        if len(self) >= self._max_calls:
            return Verdict.FULL
        if caller and not self._rates.add(caller, now):
            return Verdict.TOO_OFTEN
        self.take(address, name)
        return Verdict.ADMITTED

    def take(self, address: str, name: str) -> None:
        """The call is this worker's, and has a place."""
        if address not in self._taken:
            return
        entry = self._living.get(name)
        if entry is not None:
            self._free(entry)
        self._over.pop(name, None)
        self._living[name] = _Entry(address, has_place=True)
        self._taken[address] += 1

    def park(self, address: str, name: str) -> None:
        """The call lives on and takes up no place."""
        entry = self._living.get(name)
        if entry is not None and entry.owner == address:
            self._free(entry)

    def leave(self, address: str, name: str, now: float) -> None:
        """The call is over, if it is this worker's."""
        entry = self._living.get(name)
        if entry is not None and entry.owner == address:
            self._free(entry)
            del self._living[name]
            self._keep(name, entry, now)

    def _free(self, entry: _Entry) -> None:
        if entry.has_place:
            entry.has_place = False
            self._taken[entry.owner] -= 1

    def _keep(self, name: str, entry: _Entry, now: float) -> None:
        entry.forget_at = now + KEPT_S
        self._over[name] = entry
        self._over.move_to_end(name)
        if len(self._over) > KEPT_CALLS:
            self._over.popitem(last=False)

    def _forget(self, now: float) -> None:
        while self._over and self._over[next(iter(self._over))].forget_at <= now:
            self._over.popitem(last=False)
