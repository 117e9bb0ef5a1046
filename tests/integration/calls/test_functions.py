"""The operator's functions in whole calls: run beside the call, answered once, told and spoken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import ClassVar

import pytest

from bridge.call.plan import CallInfo
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.peers import Model, Session, Twilio
from tests.shop import Gate, Shop, Wire, asks, output, until
from tests.support import CALLER, LINE, Rehearsal, Start, speech

Offer = Callable[..., dict[str, object]]

HELLO = Reply(speech="Hello there.")
SHIPPED = Reply(speech="It is shipped.")
LOOKS_UP = Reply(calls=(FunctionCall("lookup", {"number": "1234"}),))
AGENT = {"tools": ["lookup"]}
NUMBER = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}


@pytest.fixture
def door() -> str:
    """Functions know nothing of doors."""
    return "plain"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """An operator's server."""
    async with Shop() as shop:
        yield shop


@pytest.fixture
def gate() -> Gate:
    """What a function waits at."""
    return Gate()


def by_http(shop: Shop, **keys: object) -> dict[str, object]:
    """A function at the shop."""
    return {"lookup": {"url": shop.url, "allow_private": True, "parameters": NUMBER} | keys}


def said(run: Rehearsal, words: str) -> Callable[[], bool]:
    """Whether the bot was heard to say that."""
    return lambda: words in run.seen.bot_words()


async def test_a_function_by_http_is_told_about_the_call_and_its_result_is_spoken(
    rehearsal: Start, shop: Shop, wire: Wire
) -> None:
    """Arguments and call are posted as JSON with an idempotency key; the model gets the answer and speaks it."""
    shop.result = {"state": "shipped"}
    run = await rehearsal([HELLO, LOOKS_UP, SHIPPED], heard=["where is it"], agent=AGENT, functions=by_http(shop))
    call = await run.dial(asks)
    await until(call, said(run, "It is shipped."))

    info = {"sid": call.sid, "from": CALLER, "to": LINE, "direction": "inbound", "agent": "reception", "parameters": {}}
    call_id = wire.of("conversation.item.create")[-1]["item"]["call_id"]
    assert [{"function": "lookup", "arguments": {"number": "1234"}, "call": info}] == shop.requests
    assert f"{call.sid}:{call_id}" == shop.headers[0]["idempotency-key"]
    assert [output({"state": "shipped"})] == wire.outputs()


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_function_in_python_gets_its_arguments_and_the_call(
    rehearsal: Start, offer: Offer, wire: Wire, kind: str
) -> None:
    """Type hints are the schema; `call` is the bridge's; the result becomes JSON."""
    calls: list[CallInfo] = []

    def lookup(number: str, call: CallInfo) -> dict[str, str]:
        calls.append(call)
        return {"order": number}

    async def lookup_async(number: str, call: CallInfo) -> dict[str, str]:
        return lookup(number, call)

    run = await rehearsal(
        [HELLO, LOOKS_UP, SHIPPED],
        heard=["where is it"],
        agent=AGENT,
        functions=offer(lookup=lookup_async if kind == "async" else lookup),
    )
    call = await run.dial(asks)
    await until(call, said(run, "It is shipped."))

    assert [(call.sid, CALLER, LINE, "inbound", "reception")] == [
        (one.call_sid, one.from_number, one.to_number, one.direction, one.agent) for one in calls
    ]
    assert [output({"order": "1234"})] == wire.outputs()


async def test_a_model_with_wrong_arguments_is_told_what_is_wrong_and_may_try_again(
    rehearsal: Start, shop: Shop, wire: Wire
) -> None:
    """Nothing is run that does not fit the schema."""
    shop.result = "shipped"
    wrong = Reply(calls=(FunctionCall("lookup", {"number": 1234}),))
    run = await rehearsal(
        [HELLO, wrong, LOOKS_UP, SHIPPED], heard=["where is it"], agent=AGENT, functions=by_http(shop)
    )
    call = await run.dial(asks)
    await until(call, said(run, "It is shipped."))

    assert ["1234"] == [request["arguments"]["number"] for request in shop.requests]
    assert [output({"error": "the arguments are wrong: number: 1234 is not of type 'string'"}), '"shipped"'] == (
        wire.outputs()
    )


async def test_a_function_that_takes_too_long_is_answered_with_an_error(
    rehearsal: Start, offer: Offer, gate: Gate, wire: Wire
) -> None:
    """The model hears of it when `timeout_s` is over."""
    run = await rehearsal(
        [HELLO, LOOKS_UP, Reply(speech="I cannot tell.")],
        heard=["where is it"],
        agent=AGENT,
        functions=offer(lookup=waits_at(gate), keys={"timeout_s": 2}),
    )
    call = await run.dial(asks)
    await until(call, said(run, "I cannot tell."))

    assert [output({"error": "the function has not answered within 2 s"})] == wire.outputs()


def waits_at(gate: Gate, kind: str = "async") -> Callable[..., object]:
    """A function that returns when a gate is open."""

    def lookup(number: str) -> str:
        gate.wait()
        return number

    async def lookup_async(number: str) -> str:
        await gate.passed()
        return number

    async def lookup_blocking(number: str) -> str:
        gate.wait()
        return number

    return {"async": lookup_async, "plain": lookup, "async that blocks": lookup_blocking}[kind]


class Pair:
    """Two functions, of which the first returns after the second."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def slow(self) -> str:
        """Returns second."""
        await self._gate.passed()
        return "slow"

    async def quick(self) -> str:
        """Returns first."""
        self._gate.open()
        return "quick"


BOTH = (FunctionCall("slow"), FunctionCall("quick"))
PAIR = {"tools": ["slow", "quick"], "greeting_protected": False}


async def test_two_functions_of_a_response_are_answered_together_in_the_order_asked(
    rehearsal: Start, offer: Offer, gate: Gate, wire: Wire
) -> None:
    """All outputs first, whichever came first; then one response."""
    pair = Pair(gate)
    run = await rehearsal(
        [HELLO, Reply(calls=BOTH), Reply(speech="Here is both.")],
        heard=["where is it"],
        agent=PAIR,
        functions=offer(slow=pair.slow, quick=pair.quick),
    )
    call = await run.dial(asks)
    await until(call, said(run, "Here is both."))

    assert ['"slow"', '"quick"'] == wire.outputs()
    assert ["response", "output", "output", "response"] == wire.steps()
    assert [] == list(run.model.sessions[0].refusals)


async def test_a_caller_who_interrupts_while_two_functions_run_gets_both_answers(
    rehearsal: Start, offer: Offer, gate: Gate, wire: Wire
) -> None:
    """The interruption is answered at once; the functions when they are done, both and once."""

    async def slow() -> str:
        await gate.passed()
        return "slow"

    async def quick() -> str:
        await gate.passed()
        return "quick"

    async def interrupts(call: Call) -> None:
        await asks(call)
        await call.until(lambda: call.phone.listened_s > 1)
        await call.say(speech(1))

    run = await rehearsal(
        [
            HELLO,
            Reply(speech="I will look at both of them for you right now.", calls=BOTH),
            Reply(speech="Yes of course."),
            Reply(speech="Here is both."),
        ],
        heard=["where is it", "hurry up"],
        agent=PAIR,
        functions=offer(slow=slow, quick=quick),
    )
    call = await run.dial(interrupts)
    await until(call, said(run, "Yes of course."), hangs_up=False)
    gate.open()
    await until(call, said(run, "Here is both."))

    assert 1 == len(run.seen.of("bargein.performed"))
    assert ['"slow"', '"quick"'] == wire.outputs()
    assert ["response", "output", "output", "response"] == wire.steps()


class TestAnnouncements:
    """What the model's server says about one function call, said by hand."""

    ITEM: ClassVar = {"id": "item_1", "type": "function_call", "name": "lookup", "call_id": "call_1", "arguments": "{}"}

    @pytest.fixture
    def runs(self) -> list[str]:
        """How often the function ran."""
        return []

    @pytest.fixture
    async def session(self, rehearsal: Start, offer: Offer, runs: list[str]) -> AsyncIterator[Session]:
        """The model's end of a call whose caller speaks first, with a response that has just begun."""

        def lookup() -> str:
            runs.append("lookup")
            return "found"

        async with Model() as model:
            run = await rehearsal(
                model={"url": model.url}, agent=AGENT | {"greeting_message": ""}, functions=offer(lookup=lookup)
            )
            async with Twilio(run.bridge.url, run.media_url) as twilio:
                stream = await twilio.call("CA" + "1" * 32)
                await stream.speak(b"\xff" * 160)
                session = await model.session()
                await session.first("input_audio_buffer.append")
                await session.say("response.created", response={"id": "resp_1", "status": "in_progress"})
                yield session

    async def announce(self, session: Session, status: str) -> None:
        """The item of the function call is complete."""
        await session.say(
            "response.output_item.done", response_id="resp_1", output_index=0, item=self.ITEM | {"status": status}
        )

    async def end(self, session: Session, status: str, item_status: str) -> None:
        """The response is over, with the item in it."""
        response = {"id": "resp_1", "status": status, "output": [self.ITEM | {"status": item_status}]}
        await session.say("response.done", response=response)

    async def test_a_call_that_is_announced_three_times_is_run_once(self, session: Session, runs: list[str]) -> None:
        """Servers announce it when the item is done, some repeat that, and all say it again with the response."""
        await self.announce(session, "completed")
        await self.announce(session, "completed")
        await self.end(session, "completed", "completed")
        await session.first("response.create")

        assert ["lookup"] == runs
        assert ['"found"'] == [event["item"]["output"] for event in session.of("conversation.item.create")]
        assert 1 == len(session.of("response.create"))

    async def test_a_call_whose_item_is_incomplete_is_not_run(self, session: Session, runs: list[str]) -> None:
        """The model was cut off while it wrote the arguments: nobody knows what they were to be."""
        await self.announce(session, "incomplete")
        await self.end(session, "incomplete", "incomplete")
        await session.say("response.created", response={"id": "resp_2", "status": "in_progress"})
        await session.say("response.done", response={"id": "resp_2", "status": "completed", "output": []})
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await session.first("conversation.item.create")

        assert [] == runs
        assert [] == session.of("conversation.item.create")

    async def test_a_call_of_a_response_that_the_caller_has_cut_is_not_run(
        self, session: Session, runs: list[str]
    ) -> None:
        """The item came complete after the caller had begun to speak: the model is told that it was not done."""
        await session.speak("item_0", b"\x00" * 8000)
        await session.say("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_2")
        await self.announce(session, "completed")
        await self.end(session, "cancelled", "completed")
        told = await session.first("conversation.item.create")

        assert [] == runs
        assert "not done" in told["item"]["output"]


class TestFillers:
    """What is said while a function is slow."""

    FILLER = "One moment, please."

    async def test_a_caller_hears_a_filler_when_a_function_is_slow_and_nobody_speaks(
        self, rehearsal: Start, offer: Offer, gate: Gate, wire: Wire
    ) -> None:
        """It is said word for word, once; the result after it."""
        run = await rehearsal(
            [HELLO, LOOKS_UP, Reply(speech=self.FILLER), SHIPPED],
            heard=["where is it"],
            agent=AGENT,
            functions=offer(lookup=waits_at(gate), keys={"filler": self.FILLER}),
        )
        call = await run.dial(asks)
        await until(call, said(run, self.FILLER), hangs_up=False)
        gate.open()
        await until(call, said(run, "It is shipped."))

        assert 1 == sum(self.FILLER in wish for wish in wire.wishes())
        assert "" == wire.wishes()[-1]

    async def test_a_caller_hears_no_filler_when_a_function_is_quick(
        self, rehearsal: Start, shop: Shop, wire: Wire
    ) -> None:
        """Nothing but the result is said."""
        shop.result = "shipped"
        run = await rehearsal(
            [HELLO, LOOKS_UP, SHIPPED], heard=["where is it"], agent=AGENT, functions=by_http(shop, filler=self.FILLER)
        )
        call = await run.dial(asks)
        await until(call, said(run, "It is shipped."))

        assert not any(self.FILLER in wish for wish in wire.wishes())

    async def test_a_caller_hears_no_filler_while_the_bot_speaks(
        self, rehearsal: Start, offer: Offer, gate: Gate, wire: Wire
    ) -> None:
        """The bot has announced what it does, at length: no silence has to be filled."""
        announced = "I am looking at the state of your order for you and it will take me a while."
        run = await rehearsal(
            [HELLO, Reply(speech=announced, calls=LOOKS_UP.calls), SHIPPED],
            heard=["where is it"],
            agent=AGENT,
            functions=offer(lookup=waits_at(gate), keys={"filler": self.FILLER}),
        )
        call = await run.dial(asks)
        await until(call, lambda: call.phone.listened_s > 4, hangs_up=False)
        gate.open()
        await until(call, said(run, "It is shipped."))

        assert not any(self.FILLER in wish for wish in wire.wishes())


@pytest.mark.parametrize("kind", ["async", "plain", "async that blocks"])
async def test_a_function_that_takes_five_seconds_holds_up_no_other_call(
    rehearsal: Start, offer: Offer, gate: Gate, kind: str
) -> None:
    """Another caller, who interrupts meanwhile, is heard at once."""
    long = "Hello there and welcome to our shop where you can buy bread and many other things."
    run = await rehearsal(
        [HELLO, LOOKS_UP, Reply(speech=long), Reply(speech="Yes of course."), SHIPPED],
        heard=["where is it", "hold on"],
        agent=AGENT | {"greeting_protected": False},
        functions=offer(lookup=waits_at(gate, kind), keys={"timeout_s": 30}),
    )
    waiting = await run.dial(asks)
    await until(waiting, lambda: bool(run.seen.of("function.called")), hangs_up=False)
    asked_at = run.clock.now()

    async def interrupts(call: Call) -> None:
        await call.until(lambda: call.phone.listened_s > 1)
        await call.say(speech(1))

    other = await run.dial(interrupts)
    await until(other, said(run, "Yes of course."))
    await run.clock.sleep_until(asked_at + 5)
    cuts = [event.call_sid for event in run.carrier.events if event.kind == "playout.cleared"]
    answered = run.seen.of("function.answered")
    gate.open()
    await until(waiting, said(run, "It is shipped."))

    assert [other.sid] == cuts
    assert [] == answered


async def test_a_result_can_end_the_call_when_its_answer_was_spoken(rehearsal: Start, shop: Shop, wire: Wire) -> None:
    """`then.end_call`: the model speaks the result, which is all it is told, says goodbye, and the call ends."""
    shop.result = {"result": "paid", "then": {"end_call": {"reason": "paid"}}}
    run = await rehearsal(
        [HELLO, LOOKS_UP, Reply(speech="The bill is paid."), Reply(speech="Goodbye.")],
        heard=["my bill please"],
        agent=AGENT,
        functions=by_http(shop),
    )
    call = await run.dial(asks)
    await call.ended()

    assert [output({"result": "paid"})] == wire.outputs()
    assert ["Hello there.", "The bill is paid.", "Goodbye."] == run.seen.bot_words()
    assert ["bot_hung_up"] == run.seen.endings()


async def test_a_result_can_transfer_the_call_when_its_answer_was_spoken(rehearsal: Start, shop: Shop) -> None:
    """`then.transfer_call`: the model speaks the result, the transfer is announced, and the human gets the call."""

    async def talks(call: Call) -> None:
        await call.carrier.clock.sleep(2)
        call.hang_up()

    sales = "+15557654321"
    shop.result = {"result": "a key account", "then": {"transfer_call": {"destination": "sales"}}}
    run = await rehearsal(
        [HELLO, LOOKS_UP, Reply(speech="You are a key account."), Reply(speech="I will put you through.")],
        heard=["it is me"],
        agent=AGENT,
        functions=by_http(shop),
        people={sales: Callee(after_s=1, script=talks)},
        destinations={"sales": {"to": sales, "announce": "I will put you through."}},
    )
    call = await run.dial(asks)
    await call.ended()
    await run.carrier.settled()

    assert ["Hello there.", "You are a key account.", "I will put you through."] == run.seen.bot_words()
    assert [sales] == [leg.to for leg in run.carrier.calls if leg is not call]
    assert ["transferred"] == run.seen.endings()


async def test_a_result_cannot_transfer_the_call_to_anywhere_else(rehearsal: Start, shop: Shop, wire: Wire) -> None:
    """A number is no destination: the model is told that nothing comes of it, and the call goes on."""
    shop.result = {"result": "rich", "then": {"transfer_call": {"destination": "+15557654321"}}}
    run = await rehearsal([HELLO, LOOKS_UP, SHIPPED], heard=["it is me"], agent=AGENT, functions=by_http(shop))
    call = await run.dial(asks)
    await until(call, said(run, "It is shipped."))

    assert "not possible" in wire.outputs()[0]
    assert "+1555" not in str(wire.events)
    assert [call] == run.carrier.calls


async def test_a_caller_who_interrupts_a_transfer_that_a_function_wanted_is_told_so_to_the_model(
    rehearsal: Start, shop: Shop, wire: Wire, voice: bytes
) -> None:
    """Nobody waits for an output any more, so the model gets a message about the act that did not happen."""
    announcement = "I will now put you through to our sales department where somebody will be glad to help."
    shop.result = {"result": "a key account", "then": {"transfer_call": {"destination": "sales"}}}
    run = await rehearsal(
        [HELLO, LOOKS_UP, Reply(speech="You are a key account."), Reply(speech=announcement), Reply(speech="Go on.")],
        heard=["it is me", "no wait"],
        agent=AGENT,
        functions=by_http(shop),
        destinations={"sales": {"to": "+15557654321", "announce": announcement}},
    )

    async def objects(call: Call) -> None:
        await asks(call)
        await call.until(lambda: any(announcement in wish for wish in wire.wishes()))
        await call.until(lambda: call.phone.listened_s > 2.2)  # the answer, and then the announcement
        await call.say(voice)

    call = await run.dial(objects)
    await until(call, said(run, "Go on."))

    assert [{"act": "transfer"}] == run.seen.of("act.undone")
    assert any("not transferred" in message for message in wire.messages())
    assert [call] == run.carrier.calls
