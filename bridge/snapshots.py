"""The numbers of several processes as those of one bridge: plain data that are added up and written for Prometheus.

A snapshot may cross a process boundary as JSON. Counters and histograms add up, and so do gauges, but for those of
which the largest or the smallest counts.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Literal, TypedDict

from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CONTENT_TYPE = CONTENT_TYPE_LATEST
Merge = Literal["sum", "max", "min"]
_MERGE: dict[Merge, Callable[[float, float], float]] = {"sum": operator.add, "max": max, "min": min}
_CREATED = "_created"
"""When a series began: of no use beside the process's own start, and a third more lines."""


class Family(TypedDict):
    """One metric with all its series."""

    name: str
    help: str
    type: str
    merge: Merge
    samples: list[tuple[str, dict[str, str], float]]
    """Full name, labels and value of each."""


Snapshot = list[Family]
"""The numbers of one process at one time."""


def snapshot_of(collector: Collector, merges: Mapping[str, Merge]) -> Snapshot:
    """The families of a registry; `merges` names those gauges that do not add up."""
    return [
        Family(
            name=family.name,
            help=family.documentation,
            type=family.type,
            merge=merges.get(family.name, "sum"),
            samples=[(s.name, dict(s.labels), s.value) for s in family.samples if not s.name.endswith(_CREATED)],
        )
        for family in collector.collect()
    ]


def render(snapshots: Iterable[Snapshot]) -> bytes:
    """The text that Prometheus reads, of type `CONTENT_TYPE`: all snapshots as one."""
    return generate_latest(_Merged(snapshots))


class _Merged(Collector):
    """Several snapshots, added up, as something that can be written."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for snapshot in snapshots:
            for family in snapshot:
                self._add(family)

    def _add(self, family: Family) -> None:
        name = family["name"]
        self._families.setdefault(name, Metric(name, family["help"], family["type"]))
        values = self._values.setdefault(name, {})
        merge = _MERGE[family["merge"]]
        for sample, labels, value in family["samples"]:
            key = (sample, tuple(labels.items()))
            values[key] = merge(values[key], value) if key in values else value

    def collect(self) -> Iterable[Metric]:
        """The families with the values of all."""
        for name, family in self._families.items():
            for (sample, labels), value in self._values[name].items():
                family.add_sample(sample, dict(labels), value)
            yield family
