"""What `/metrics` says, and how the numbers of several processes become those of one bridge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bridge.metrics import Live, Metrics
from bridge.snapshots import Snapshot, render


def read(*snapshots: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series as Prometheus's own parser reads it."""
    families = text_string_to_metric_families(render(snapshots).decode())
    return {(s.name, tuple(s.labels.items())): s.value for family in families for s in family.samples}


def test_a_fact_of_a_call_is_counted_under_its_ending() -> None:
    """Calls are told apart by how they ended."""
    metrics = Metrics()
    metrics.happened(None, "call.ended", {"ending": "bot_hung_up", "barge_ins": 0, "lasted_s": 42.0})

    series = read(metrics.snapshot())

    assert 1 == series["voicebridge_calls_ended_total", (("ending", "bot_hung_up"),)]
    assert 0 == series["voicebridge_calls_ended_total", (("ending", "model_failed"),)]
    assert 42 == series["voicebridge_call_duration_seconds_sum", ()]


def test_reply_is_counted_whole_and_in_its_parts() -> None:
    """The parts add up to what the caller waited: that says where the time goes."""
    metrics = Metrics()
    metrics.happened(None, "reply.heard", {"kind": "answer", "wait_ms": 1200, "model_ms": 1000, "turn_ms": 600})

    series = read(metrics.snapshot())
    parts = {labels[0][1]: value for (name, labels), value in series.items() if name.endswith("reply_part_seconds_sum")}

    assert 1.2 == series["voicebridge_reply_seconds_sum", ()]
    assert {"turn": 0.6, "model": 0.4, "playout": 0.2} == {part: round(value, 6) for part, value in parts.items()}


def test_code_that_nobody_knows_makes_no_series_of_its_own() -> None:
    """A server can say what it likes; the number of series stays bounded."""
    metrics = Metrics()
    for number in range(100):
        metrics.happened(None, "model.command_refused", {"what": "truncate", "code": f"code_{number}"})
    metrics.happened(None, "model.lost", {"reason": "unavailable", "code": "503"})
    metrics.happened(None, "model.lost", {"reason": "closed", "code": "1006 the line went dead"})
    metrics.happened(None, "model.lost", {"reason": "unreachable", "code": "ConnectionRefusedError"})

    errors = {
        labels: n for (name, labels), n in read(metrics.snapshot()).items() if name == "voicebridge_model_errors_total"
    }

    expected = {("other", "refused"): 100, ("503", "lost"): 1, ("1006", "lost"): 1, ("unreachable", "lost"): 1}
    assert expected == {(dict(labels)["code"], dict(labels)["kind"]): count for labels, count in errors.items()}


class Calls:
    """So many calls, of which none has marks outstanding."""

    def __init__(self, count: int, *, is_draining: bool = False) -> None:
        self.count = count
        self.is_draining = is_draining

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Live]:
        return iter(())


def test_processes_add_up_to_one_bridge() -> None:
    """Counters and histograms are sums, live calls too; one process that drains makes the bridge not ready."""
    one, other = Metrics(), Metrics()
    one.watch(Calls(3), limit=10)
    other.watch(Calls(4, is_draining=True), limit=10)
    for metrics in (one, other):
        metrics.loop_lagged(0.003)
    one.refused("stream_token")
    other.refused("bad_signature")
    one.breaker_turned("primary", 2)
    snapshots: list[Snapshot] = json.loads(json.dumps([one.snapshot(), other.snapshot()]))  # as between processes

    series = read(*snapshots)

    assert 7 == series["voicebridge_calls_live", ()]
    assert 20 == series["voicebridge_calls_limit", ()]
    assert 0 == series["voicebridge_ready", ()]
    assert 2 == series["voicebridge_loop_lag_seconds_bucket", (("le", "0.005"),)]
    assert 0 == series["voicebridge_loop_lag_seconds_bucket", (("le", "0.002"),)]
    assert 1 == series["voicebridge_requests_refused_total", (("reason", "stream_token"),)]
    assert 1 == series["voicebridge_requests_refused_total", (("reason", "bad_signature"),)]
    assert 2 == series["voicebridge_model_breaker_state", (("endpoint", "primary"),)]


def test_every_series_has_a_help_text_and_the_programs_prefix() -> None:
    """Whoever finds a number in Prometheus sees what it is and whose."""
    families = Metrics().snapshot()

    assert [] == [f["name"] for f in families if not (f["name"].startswith("voicebridge_") and f["help"].endswith("."))]


class Queue:
    """What waits to be written into the call records: nothing."""

    is_reachable = True
    waiting = lost = 0


class Register:
    """What bridges share."""

    is_lost = False


def test_docs_explain_every_number() -> None:
    """Whoever reads `/metrics` finds each name in the docs, and none that is gone."""
    metrics = Metrics()
    metrics.watch_records(Queue())
    metrics.watch_shared(Register())
    docs = Path("docs/watching.md").read_text(encoding="utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `(\w+?)(?:_total)?`", docs, re.MULTILINE))

    assert {family["name"].removeprefix("voicebridge_") for family in metrics.snapshot()} == named
