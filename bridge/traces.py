"""Traces by OpenTelemetry: a span for each call, with a child for what took time in it. Off without `otel.endpoint`.

Spans are made from the facts of a call, beside it: the core knows nothing of them. A fact that tells how long something
took becomes a span that began so long ago; rarer facts are events of the call's own span. The CallSid is an attribute;
no number and no word is.

Export is never in the way: a span that is over goes into a bounded queue, and one thread sends what is there every two
seconds. When the queue is full, the oldest spans are dropped; when the receiver does not answer, those that were to be
sent.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from bridge import __version__
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from bridge.call.actions import Said
    from bridge.call.plan import Plan
    from bridge.clock import Clock
    from bridge.settings import Otel

QUEUE_SPANS = 4096
BATCH_SPANS = 256
EXPORT_EVERY_MS = 2_000
EXPORT_WITHIN_S = 5
CLOSE_WITHIN_S = 5.0
MAX_CALLS = 10_000
"""Calls whose spans are open; a further one is not traced."""
_BEGINNINGS = frozenset({"call.answered", "call.placed"})
_TIMED = {
    "call.answered": ("webhook", "took_ms"),
    "model.readied": ("session set-up", "took_ms"),
    "session.replaced": ("session replaced", "took_ms"),
    "function.answered": ("function", "took_ms"),
}
"""Facts that become a span, and the field that tells how long it took."""
_QUIET = frozenset({"caller.speech_started", "caller.speech_stopped", "caller.voice_confirmed", "function.called"})
"""Facts that a trace is better without: a span tells the same."""
_FAULTS = frozenset({"model_failed", "bridge_failed", "caller_lost", "not_claimed", "transfer_failed"})
"""Endings that make a call's span an error."""


class Driven(Protocol):
    """A call, as far as traces know it."""

    plan: Plan
    clock: Clock


class Traces:
    """An observer that makes spans of calls. Call `close` when the last call is over.

    Raises:
        ConfigurationError: the extra `otel` is not installed.
    """

    def __init__(self, settings: Otel) -> None:
        self._provider = _provider(settings)
        self._tracer: Tracer = self._provider.get_tracer("voicebridge", __version__)
        self._calls: dict[str, Span] = {}
        self._transfers: dict[str, Span] = {}

    def happened(self, driver: Driven, event: str, fields: dict[str, object]) -> None:
        """A fact of a call's life."""
        call_sid = driver.plan.call_sid
        if event in _BEGINNINGS and call_sid not in self._calls:
            self._begin(driver, event, fields)
        span = self._calls.get(call_sid)
        if span is None:
            return
        if event in _TIMED and _TIMED[event][1] in fields:
            name, took = _TIMED[event]
            self._past(driver, name, fields, took)
        elif event == "reply.heard":
            self._past(driver, "greeting" if fields.get("kind") == "greeting" else "turn", fields, "wait_ms")
        elif event in ("act.announced", "act.undone", "transfer.ended", "call.ended"):
            self._act(driver, event, fields)
        elif event not in _QUIET:
            span.add_event(event, _plain(fields))
        if event == "call.ended":
            self._end(call_sid, fields)

    def said(self, driver: Driven, line: Said) -> None:
        """A line of a call's transcript: never part of a trace."""

    def close(self) -> None:
        """Send what waits; blocks for a few seconds at most, so call it beside the event loop."""
        for span in [*self._transfers.values(), *self._calls.values()]:
            span.end()
        closing = threading.Thread(target=self._provider.shutdown, name="traces-close", daemon=True)
        closing.start()  # by itself it would wait for half a minute
        closing.join(CLOSE_WITHIN_S)

    def _begin(self, driver: Driven, event: str, fields: dict[str, object]) -> None:
        if len(self._calls) >= MAX_CALLS:
            return
        info, call_sid = driver.plan.info, driver.plan.call_sid
        began_ns = _ago(driver, fields.get("took_ms") if event == "call.answered" else 0)
        attributes = {"call.sid": call_sid, "call.direction": info.direction, "call.agent": info.agent}
        self._calls[call_sid] = self._tracer.start_span("call", attributes=attributes, start_time=began_ns)

    def _past(self, driver: Driven, name: str, fields: dict[str, object], took: str) -> None:
        """A child that ends now and began so long ago as a field says."""
        self._child(driver, name, fields, _ago(driver, fields.get(took))).end()

    def _act(self, driver: Driven, event: str, fields: dict[str, object]) -> None:
        """A transfer lasts from its announcement until it is over, or off."""
        call_sid = driver.plan.call_sid
        if event == "act.announced":
            if fields.get("act") == "transfer" and call_sid not in self._transfers:
                self._transfers[call_sid] = self._child(driver, "transfer", {}, time.time_ns())
        elif (span := self._transfers.pop(call_sid, None)) is not None:
            span.set_attribute("transfer.outcome", str(fields.get("outcome") or event))
            span.end()

    def _child(self, driver: Driven, name: str, fields: dict[str, object], began_ns: int) -> Span:
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - the extra `otel` is needed only here

        call_sid = driver.plan.call_sid
        attributes = {"call.sid": call_sid, **_plain(fields)}
        context = set_span_in_context(self._calls[call_sid])
        return self._tracer.start_span(name, context=context, attributes=attributes, start_time=began_ns)

    def _end(self, call_sid: str, fields: dict[str, object]) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - the extra `otel` is needed only here

        span = self._calls.pop(call_sid)
        span.set_attributes({f"call.{name}": value for name, value in _plain(fields).items()})
        if fields.get("ending") in _FAULTS:
            span.set_status(StatusCode.ERROR, str(fields["ending"]))
        span.end()


def _ago(driver: Driven, took_ms: object) -> int:
    """The time so long ago, in nanoseconds since 1970; a rehearsal's clock may run faster than the wall's."""
    call_ms = took_ms if isinstance(took_ms, (int, float)) else 0
    return time.time_ns() - int(call_ms * 1_000_000 / driver.clock.rate)


def _plain(fields: dict[str, object]) -> dict[str, str | int | float | bool]:
    """What a span may hold."""
    return {name: value for name, value in fields.items() if isinstance(value, (str, int, float, bool))}


def _provider(settings: Otel) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - the extra `otel` is needed only here
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415 - the same
    except ImportError:
        message = "traces need more packages: pip install 'voicebridge[otel]'"
        raise ConfigurationError(message, key="otel.endpoint") from None
    headers = {name.lower(): value.get_secret_value() for name, value in settings.headers.items()}
    exporter = OTLPSpanExporter(endpoint=settings.endpoint, headers=headers, timeout=EXPORT_WITHIN_S)
    resource = Resource.create({"service.name": settings.service_name, "service.version": __version__})
    provider = TracerProvider(
        sampler=TraceIdRatioBased(settings.sample_ratio), resource=resource, shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=QUEUE_SPANS,
            max_export_batch_size=BATCH_SPANS,
            schedule_delay_millis=EXPORT_EVERY_MS,
        )
    )
    return provider
