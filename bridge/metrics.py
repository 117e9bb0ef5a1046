"""The numbers behind `/metrics`: what happened in calls, counted, and what the program measures of itself.

One `Metrics` for each bridge, with a registry of its own: two bridges in one process do not count each other's calls.
It watches calls as an observer; what is no call's fact is told by a method. Everything is told on the event loop, and
nothing once per frame. Labels are from closed lists or from the configuration, so that no peer can make new series.

Where several processes are one bridge, each gives its `snapshot`, and `bridge.snapshots.render` adds them up.
`docs/watching.md` says what each number means, and what to do about it.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge import __version__
from bridge.call.ending import Ending
from bridge.call.failures import KNOWN
from bridge.snapshots import Merge, Snapshot, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridge.call.actions import Said
    from bridge.call.machine import Call

PHONE_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""What is noticed on the phone: from one frame to where a caller hangs up."""
LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
CALL_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
OTHER = "other"
REFUSED = ("signature_missing", "signature_wrong", "handshake_signature", "stream_token", "stream_start", "admin_token")
"""Of the reasons, those that are told from the start; others are counted as they come."""
TURNED_AWAY = ("blocked", "closed", "full", "too_often", "draining", "model_down")
OUTCOMES = ("connected", "busy", "no_answer", "failed", "canceled", "declined")
CAUSES, ENDPOINTS = ("lost", "limit"), ("primary", "standby")
TOKENS = ("text_in", "text_cached_in", "audio_in", "audio_cached_in", "text_out", "audio_out")
CODES = KNOWN | {
    *("401", "403", "404", "429", "500", "502", "503", "504", "1000", "1001", "1006", "1011"),
    *("session_expired", "server_error", "invalid_request_error", "invalid_value", "unknown_parameter"),
    *(
        "missing_required_parameter",
        "item_truncate_failed",
        "item_not_found",
        "conversation_already_has_active_response",
    ),
    *("response_cancel_not_active", "max_output_tokens", "content_filter", "incomplete", "failed", "silent", "empty"),
}
"""Codes and reasons that have a series of their own; a server may say others, which are counted as `other`."""
_MERGES: dict[str, Merge] = {
    "voicebridge_model_breaker_state": "max",
    "voicebridge_ready": "min",
    "voicebridge_records_reachable": "min",
    "voicebridge_shared_reachable": "min",
    "voicebridge_build_info": "max",
}


class Live(Protocol):
    """A call that lives, or is with a human."""

    call: Call


class LiveCalls(Protocol):
    """The calls of a bridge."""

    is_draining: bool

    def __len__(self) -> int:
        """How many places are taken."""

    def __iter__(self) -> Iterator[Live]:
        """All calls."""


class RecordQueue(Protocol):
    """What waits to be written into the call records."""

    @property
    def waiting(self) -> int:
        """Notes that are not written yet."""

    @property
    def lost(self) -> int:
        """Notes that never will be."""

    @property
    def is_reachable(self) -> bool:
        """Whether the database takes them."""


class Register(Protocol):
    """What several bridges must agree on."""

    @property
    def is_lost(self) -> bool:
        """Whether it cannot be reached at the moment."""


class Metrics:
    """The numbers of one bridge. The names are public: they change with an entry in the changelog only."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._own()
        self._calls()
        self._conversation()
        self._model()
        self._handlers: dict[str, Callable[[dict[str, object]], object]] = {
            "call.answered": lambda fields: self._began.labels(_label(fields, "direction")).inc(),
            "call.placed": lambda _: self._placed.inc(),
            "call.ended": self._call_ended,
            "transfer.ended": lambda fields: self._transfers.labels(_label(fields, "outcome")).inc(),
            "caller.audio_dropped": lambda fields: self._dropped.inc(_number(fields, "dropped_ms") / 1000),
            "caller.message_unknown": lambda _: self._odd.labels("caller").inc(),
            "caller.message_malformed": lambda _: self._odd.labels("caller").inc(),
            "caller.message_unexpected": lambda _: self._odd.labels("caller").inc(),
            "model.event_unknown": lambda _: self._odd.labels("model").inc(),
            "model.event_malformed": lambda _: self._odd.labels("model").inc(),
            "playout.marks_lost": lambda _: self._marks_lost.inc(),
            "reply.heard": self._reply_heard,
            "bargein.performed": self._barge_in,
            "turn.left_unanswered": lambda _: self._unanswered.inc(),
            "model.readied": self._model_readied,
            "model.lost": lambda fields: self._model_error("lost", fields.get("code"), fields.get("reason")),
            "successor.lost": lambda fields: self._model_error("lost", fields.get("code"), fields.get("reason")),
            "model.failed": lambda fields: self._model_error("failed", fields.get("code"), fields.get("reason")),
            "model.command_refused": lambda fields: self._model_error("refused", fields.get("code")),
            "response.failed": lambda fields: self._model_error("response", fields.get("code"), fields.get("status")),
            "response.stalled": lambda _: self._model_error("response", "timed_out"),
            "session.replaced": self._session_replaced,
            "function.answered": self._function_answered,
            "usage.counted": self._usage,
        }

    # What happens in calls

    def happened(self, driver: object, event: str, fields: dict[str, object]) -> None:  # noqa: ARG002 - no call has its own series
        """A fact of a call's life."""
        handler = self._handlers.get(event)
        if handler is not None:
            handler(fields)

    def said(self, driver: object, line: Said) -> None:
        """A line of a call's transcript: nothing to count."""

    # What happens around them

    def watch(self, calls: LiveCalls, *, limit: int) -> None:
        """Read the gauges from these calls, of which there may be `limit`, whenever a snapshot is taken."""
        self._live.set_function(lambda: len(calls))
        self._limit.set(limit)
        self._ready.set_function(lambda: 0 if calls.is_draining else 1)
        self._marks.set_function(lambda: sum(live.call.marks_outstanding for live in calls))

    def watch_records(self, queue: RecordQueue) -> None:
        """Read what is known of the call records from this queue, whenever a snapshot is taken."""
        self._gauge("records_reachable", "Whether the database of the call records takes them.").set_function(
            lambda: 1 if queue.is_reachable else 0
        )
        self._gauge("records_waiting", "Notes that are to be written into the call records.").set_function(
            lambda: queue.waiting
        )
        self._gauge("records_lost", "Notes that were lost: the queue was full, or they were refused.").set_function(
            lambda: queue.lost
        )

    def watch_shared(self, register: Register) -> None:
        """Read whether the register that several bridges share can be reached, whenever a snapshot is taken."""
        self._gauge(
            "shared_reachable", "Whether the register of calls that bridges share can be reached."
        ).set_function(lambda: 0 if register.is_lost else 1)

    def refused(self, reason: str) -> None:
        """A webhook, handshake, stream or API request was turned away."""
        self._refused.labels(reason).inc()

    def turned_away(self, reason: str) -> None:
        """A caller got the fallback, or was rejected."""
        self._turned_away.labels(reason).inc()

    def webhook_failed(self) -> None:
        """The desk could not answer a webhook."""
        self._webhooks_failed.inc()

    def survived(self, part: str) -> None:
        """A fault of ours in a part that goes on: an `observer` of calls, or the `webhook` that tells about them."""
        self._faults.labels(part).inc()

    def fell_back(self) -> None:
        """The carrier could not use an answer of ours."""
        self._fell_back.inc()

    def expect_functions(self, names: Iterable[str]) -> None:
        """Begin the series of the operator's functions at 0."""
        for name in names:
            self._functions.labels(name)

    def function_failed(self, function: str, reason: str) -> None:
        """One of the operator's functions had no result; both names are the configuration's or the runner's own."""
        self._functions_failed.labels(function, reason).inc()

    def loop_lagged(self, seconds: float) -> None:
        """A timer of the event loop fired so late."""
        self._loop_lag.observe(seconds)

    def input_lagged(self, seconds: float) -> None:
        """The caller's sound is read so far behind real time."""
        self._input_lag.observe(seconds)

    def bound_hit(self, queue: str, lost: int = 1) -> None:
        """A queue was full, and so many entries were lost; `queue` is a name of ours. May be told on any thread."""
        self._bounds.labels(queue).inc(lost)

    def tape_failed(self) -> None:
        """A tape could not be written; its call goes on. May be told on any thread."""
        self._tapes_failed.inc()

    def breaker_turned(self, endpoint: str, state: int) -> None:
        """The circuit breaker of an endpoint (`primary`, `standby`): 0 closed, 1 trying again, 2 open."""
        self._breaker.labels(endpoint).set(state)

    def snapshot(self) -> Snapshot:
        """Everything at this moment, as plain data."""
        return snapshot_of(self._registry, _MERGES)

    # The families

    def _own(self) -> None:
        self._gauge("build_info", "Which version runs; always 1.", "version").labels(__version__).set(1)
        self._ready = self._gauge("ready", "Whether new calls are taken: 0 while draining.")
        self._refused = self._counter(
            "requests_refused", "Webhooks, streams and API requests turned away.", reason=REFUSED
        )
        self._webhooks_failed = self._counter("webhooks_failed", "Webhooks that a fault of ours left unanswered.")
        self._fell_back = self._counter("webhooks_fallen_back", "Answers of ours that the carrier could not use.")
        self._faults = self._counter(
            "faults", "Faults of ours that calls did not notice.", part=["observer", "webhook"]
        )
        self._loop_lag = self._histogram("loop_lag_seconds", "How late timers of the event loop fire.", LAG_S)
        self._input_lag = self._histogram(
            "input_lag_seconds", "How far behind real time the caller's sound is read.", LAG_S
        )
        self._bounds = self._counter("queue_entries_lost", "What was lost because a queue was full.", queue=["tape"])
        self._tapes_failed = self._counter("tape_failures", "Tapes that could not be written.")

    def _calls(self) -> None:
        self._live = self._gauge("calls_live", "Calls that take up a place now.")
        self._limit = self._gauge("calls_limit", "Calls there may be at the same time.")
        self._began = self._counter(
            "calls_answered", "Calls that were answered, by us or by whom we called.", direction=["inbound", "outbound"]
        )
        self._placed = self._counter("calls_placed", "Calls that the bridge placed.")
        self._ended = self._counter(
            "calls_ended", "Calls that are over, by how they ended.", ending=[e.value for e in Ending]
        )
        self._turned_away = self._counter(
            "calls_turned_away", "Callers who were not put through to the bot.", reason=TURNED_AWAY
        )
        self._duration = self._histogram("call_duration_seconds", "How long calls last.", CALL_S)
        self._transfers = self._counter("transfers", "Transfers that are over, by outcome.", outcome=OUTCOMES)

    def _conversation(self) -> None:
        self._reply = self._histogram(
            "reply_seconds", "From the end of the caller's speech to the first sound of the answer that is heard."
        )
        self._reply_part = self._histogram(
            "reply_part_seconds",
            "Parts of reply_seconds: until the model says that the caller has stopped, sends sound, and that is heard.",
            PHONE_S,
            "part",
        )
        self._greeting = self._histogram("greeting_seconds", "From the start of the stream to the first sound heard.")
        self._stop = self._histogram("bargein_stop_seconds", "From the caller's first sound to the bot's being cut.")
        self._unanswered = self._counter("turns_left_unanswered", "Sounds of callers that did not count as a turn.")
        self._marks = self._gauge("marks_outstanding", "Pieces of speech that are sent and not yet confirmed as heard.")
        self._marks_lost = self._counter("marks_lost", "Times that marks did not come back.")
        self._dropped = self._counter("audio_dropped_seconds", "Callers' sound that the model never got.")
        self._odd = self._counter("messages_odd", "Messages that a call makes nothing of.", leg=["caller", "model"])

    def _model(self) -> None:
        self._session = self._histogram("session_setup_seconds", "From opening a session to its being confirmed.")
        self._errors = self._counter(
            "model_errors", "What went wrong with the model, by kind and code.", kind=(), code=()
        )
        self._replaced = self._counter(
            "sessions_replaced", "Sessions moved to a new one.", cause=CAUSES, endpoint=ENDPOINTS
        )
        self._replacing = self._histogram("session_replace_seconds", "How long that took.")
        self._breaker = self._gauge(
            "model_breaker_state", "Circuit breaker: 0 closed, 1 trying again, 2 open.", "endpoint"
        )
        self._breaker.labels("primary").set(0)
        self._functions = self._histogram("function_seconds", "How long functions take.", PHONE_S, "function")
        self._functions_failed = self._counter(
            "function_failures", "Functions without a result.", function=(), reason=()
        )
        self._tokens = self._counter(
            "tokens", "Tokens of responses, by what they are; cached ones count once.", kind=TOKENS
        )
        self._cost = self._counter("cost", "What the tokens cost, in the currency of the prices.")

    def _counter(self, name: str, text: str, **labels: Iterable[str]) -> Counter:
        """A counter with these labels; series of values that are named begin at 0: the first is an increase then."""
        counter = Counter(f"voicebridge_{name}_total", text, tuple(labels), registry=self._registry)
        for values in product(*labels.values()) if labels else ():
            counter.labels(*values)
        return counter

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"voicebridge_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float] = PHONE_S, *labels: str) -> Histogram:
        return Histogram(f"voicebridge_{name}", text, labels, buckets=tuple(buckets), registry=self._registry)

    # One fact each

    def _call_ended(self, fields: dict[str, object]) -> None:
        self._ended.labels(_label(fields, "ending")).inc()
        if "lasted_s" in fields:
            self._duration.observe(_number(fields, "lasted_s"))

    def _reply_heard(self, fields: dict[str, object]) -> None:
        wait_s, model_s = _number(fields, "wait_ms") / 1000, _number(fields, "model_ms") / 1000
        if fields.get("kind") == "greeting":
            self._greeting.observe(wait_s)
            return
        turn_s = _number(fields, "turn_ms") / 1000
        self._reply.observe(wait_s)
        self._reply_part.labels("turn").observe(turn_s)
        self._reply_part.labels("model").observe(max(0.0, model_s - turn_s))
        self._reply_part.labels("playout").observe(max(0.0, wait_s - model_s))

    def _barge_in(self, fields: dict[str, object]) -> None:
        self._stop.observe(_number(fields, "stop_ms") / 1000)

    def _model_readied(self, fields: dict[str, object]) -> None:
        self._session.observe(_number(fields, "took_ms") / 1000)

    def _model_error(self, kind: str, *said: object) -> None:
        """Count an error under the first word of what was said about it that is known."""
        words = re.findall(r"\w+", " ".join(str(text) for text in said if text))
        self._errors.labels(kind, next((word for word in words if word in CODES), OTHER)).inc()

    def _session_replaced(self, fields: dict[str, object]) -> None:
        self._replaced.labels(_label(fields, "cause"), _label(fields, "endpoint")).inc()
        self._replacing.observe(_number(fields, "took_ms") / 1000)

    def _function_answered(self, fields: dict[str, object]) -> None:
        self._functions.labels(_label(fields, "function")).observe(_number(fields, "took_ms") / 1000)

    def _usage(self, fields: dict[str, object]) -> None:
        for kind in TOKENS:
            self._tokens.labels(kind).inc(_number(fields, kind))
        self._cost.inc(_number(fields, "cost"))


def _label(fields: dict[str, object], name: str) -> str:
    return str(fields.get(name) or OTHER)


def _number(fields: dict[str, object], name: str) -> float:
    value = fields.get(name)
    return max(0.0, float(value)) if isinstance(value, (int, float)) else 0.0
