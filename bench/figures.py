"""What is measured: the job that the load is given, and the figures it gives back."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the load is to do."""

    pid: int
    """The bridge's process."""
    media_url: str
    """Where media streams go: `ws://host:port`, and the path where there is no webhook to name it."""
    webhook_url: str = ""
    """Where webhooks go; empty for a bridge that takes streams without any."""
    public_url: str = ""
    auth_token: str = ""
    calls: int
    function: str = ""
    """One that the first call's model calls when the window opens, as often as it fits in."""
    new_calls_per_s: float = 20
    warm_s: float = 2
    window_s: float = 8


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One level of one door. Latencies are what the bridge adds, with two hops over loopback."""

    calls: int
    alive: int
    """Calls that were still up at the end of the window."""
    cpu_percent: float
    """Of one core: the bridge's process, all its threads, user and system."""
    cpu_ms_per_call_s: float
    up_p50_ms: float
    up_p99_ms: float
    up_max_ms: float
    down_p50_ms: float
    down_p99_ms: float
    clear_p50_ms: float
    """From the model's speech-start to the clear that the carrier gets."""
    clear_p99_ms: float
    kb_per_call: float
    setup_cpu_ms_per_call: float
    """Webhook, session and stream, until sound flows; without what the calls take that are up already."""
    webhook_p99_ms: float
    lost: int
    """Frames, by their numbers."""
    misplaced: int
    """Frames of another call."""
    load_percent: float
    """Of its core: what the load itself took."""
    answered: int
    """Functions whose output came back."""
    load_late_p99_ms: float
    """How late the load was; more than a few milliseconds mean that the machine was busy with something else."""

    @property
    def is_sound(self) -> bool:
        """Whether every call lived and every frame arrived where it belonged."""
        return self.alive == self.calls and not self.lost and not self.misplaced


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent are below; -1 where there are none."""
    if not values:
        return -1.0
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]
