"""Traces, as a real receiver of OTLP over HTTP gets them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.receiver import Receiver
from tests.support import CALLER, LINE, Start, speech

SALES = "+15557654321"
KEY = "a-key-of-the-receiver"
QUESTION = "where is my violin"


class Traced(Receiver):
    """A receiver of OTLP that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.headers: list[Mapping[str, str]] = []

    def receive(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """Keep the spans of a request."""
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.headers.append(headers)
        for resource in request.resource_spans:
            self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return b""

    async def whole(self) -> Span:
        """The span of the one call, once it has come; its parts may come before."""
        async with asyncio.timeout(20):
            while "call" not in {span.name for span in self.spans}:  # noqa: ASYNC110 - the export has its own thread
                await asyncio.sleep(0.05)
        (whole,) = [span for span in self.spans if span.name == "call"]
        return whole


@pytest.fixture
def door() -> str:
    """Traces are made of facts, which are the same through both doors."""
    return "plain"


@pytest.fixture
async def receiver() -> AsyncIterator[Traced]:
    """Where traces go."""
    async with Traced() as receiver:
        yield receiver


def values(span: Span) -> dict[str, str | int]:
    """A span's attributes that are texts or whole numbers."""
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


async def test_a_call_is_one_trace_with_a_span_for_each_thing_that_took_time(
    rehearsal: Start, receiver: Traced, offer: Callable[..., dict[str, object]]
) -> None:
    """Webhook, session, greeting, turn, function and transfer are children of the call, and lie within it."""
    run = await rehearsal(
        [
            Reply(speech="Hello there."),
            Reply(calls=(FunctionCall("lookup"),)),
            Reply(speech="It left Cremona."),
            Reply(calls=(FunctionCall("transfer_call", {"destination": "sales", "summary": "Wants a violin."}),)),
            Reply(speech="I will put you through."),
            Reply(speech="Nobody is there."),
        ],
        heard=[QUESTION, "sales please"],
        people={SALES: Callee(result="busy", after_s=1)},
        destinations={"sales": {"to": SALES, "announce": "I will put you through.", "timeout_s": 10}},
        functions=offer(lookup=lambda: "it left"),
        agent={"tools": ["lookup", "transfer_call"]},
        otel={"endpoint": receiver.url, "headers": {"X-Key": KEY}, "service_name": "front-desk"},
    )

    async def asks(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
        await call.say(speech(1.5))
        await call.until(lambda: "It left Cremona." in run.seen.bot_words())
        await call.say(speech(1.5))
        await call.until(lambda: "Nobody is there." in run.seen.bot_words())
        call.hang_up()

    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()
    whole = await receiver.whole()
    parts = [span for span in receiver.spans if span is not whole]

    assert {"webhook", "session set-up", "greeting", "turn", "function", "transfer"} == {span.name for span in parts}
    assert {whole.span_id} == {span.parent_span_id for span in parts}
    assert {whole.trace_id} == {span.trace_id for span in parts}
    assert {call.sid} == {values(span)["call.sid"] for span in receiver.spans}
    assert {"caller_hung_up"} == {values(whole)["call.ending"]}
    assert ["busy"] == [values(span)["transfer.outcome"] for span in parts if span.name == "transfer"]
    assert ["lookup"] == [values(span)["function"] for span in parts if span.name == "function"]
    assert all(whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in parts)
    assert {"front-desk"} == receiver.services
    assert {KEY} == {headers["x-key"] for headers in receiver.headers}
    told = b"".join(span.SerializeToString() for span in receiver.spans).decode(errors="replace")
    assert [] == [text for text in (CALLER, LINE, SALES, QUESTION, "Cremona", "violin", KEY) if text in told]


async def test_a_call_that_failed_is_marked_as_an_error(rehearsal: Start, receiver: Traced) -> None:
    """That is what one looks for."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"ws://127.0.0.1:{nobody.getsockname()[1]}/v1/realtime"
    run = await rehearsal(model={"url": url}, otel={"endpoint": receiver.url})
    call = await run.dial()
    await call.ended()
    whole = await receiver.whole()

    assert (Status.STATUS_CODE_ERROR, "model_failed") == (whole.status.code, whole.status.message)
    assert "model.failed" in [event.name for event in whole.events]


async def test_receiver_that_never_answers_holds_nothing_up(rehearsal: Start) -> None:
    """Calls go on as ever, and so does the end of the bridge."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        run = await rehearsal(
            [Reply(speech="Hello there.")],
            otel={"endpoint": f"http://127.0.0.1:{deaf.getsockname()[1]}/v1/traces"},
        )
        call = await run.dial()
        await call.until(lambda: bool(run.seen.bot_words()))
        call.hang_up()
        await call.ended()
        began = asyncio.get_running_loop().time()
        await run.bridge.__aexit__(None, None, None)

        assert asyncio.get_running_loop().time() - began < 15
    assert ["caller_hung_up"] == run.seen.endings()


async def test_share_of_none_means_no_trace(rehearsal: Start, receiver: Traced) -> None:
    """`sample_ratio` is a share of calls: none of them, none of their parts."""
    run = await rehearsal([Reply(speech="Hello there.")], otel={"endpoint": receiver.url, "sample_ratio": 0})
    call = await run.dial()
    await call.until(lambda: bool(run.seen.bot_words()))
    call.hang_up()
    await call.ended()
    await run.bridge.__aexit__(None, None, None)

    assert [] == receiver.spans
