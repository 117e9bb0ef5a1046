"""The operator's functions in Python: imported, validated, run where they hold up nothing."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from bridge.call.plan import CallInfo, Plan
from bridge.clock import Clock
from bridge.edge import functions
from bridge.edge.functions import FunctionRunner
from bridge.edge.functions_run import MAX_RESULT_BYTES
from bridge.errors import ConfigurationError
from bridge.settings import Collect, Function

Offer = Callable[..., Mapping[str, Function]]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Return a function that puts another one into a module, and gives the settings of it."""

    def put(target: object, **more: object) -> Mapping[str, Function]:
        module = ModuleType("shop")
        vars(module)["lookup"] = target
        monkeypatch.setitem(sys.modules, "shop", module)
        settings = Function.model_validate({"python": "shop:lookup"} | more)
        return {"lookup": settings.model_copy(update={"name": "lookup"})}

    return put


async def output_of(runner: FunctionRunner, plan: Plan, **arguments: object) -> object:
    """What the model is told when it runs the function."""
    return json.loads(await runner.run(plan, "call_1", "lookup", arguments))


async def all_returned(runner: FunctionRunner) -> None:
    """Wait until every plain function has returned."""
    while runner.overdue:  # noqa: ASYNC110 - threads end without telling the loop
        await asyncio.sleep(0.001)


class Item(BaseModel):
    """An argument that is an object."""

    sku: str
    count: int = 1


class TestSchema:
    """Type hints say what the model may give."""

    async def test_hints_give_the_schema(self, offer: Offer) -> None:
        """Descriptions, enums and defaults are there; `call` is not."""

        def lookup(
            number: Annotated[str, Field(description="as the caller says it", max_length=8)],
            kind: Literal["order", "invoice"] = "order",
            *,
            since: date | None = None,
            call: CallInfo,
        ) -> str:
            raise NotImplementedError

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            schema = runner.schemas["lookup"]

        assert schema == {
            "type": "object",
            "properties": {
                "number": {"type": "string", "maxLength": 8, "description": "as the caller says it"},
                "kind": {"type": "string", "enum": ["order", "invoice"], "default": "order"},
                "since": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
            },
            "required": ["number"],
            "additionalProperties": False,
        }

    async def test_names_of_pydantic_are_no_trouble(self, offer: Offer, plan: Plan) -> None:
        """A parameter may be called like a method of a pydantic model."""

        def lookup(schema: str, copy: int, model_config: bool, self: str = "x") -> list[object]:  # noqa: FBT001 - the model passes by name
            return [schema, copy, model_config, self]

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            output = await output_of(runner, plan, schema="s", copy=1, model_config=True)

        assert output == ["s", 1, True, "x"]

    async def test_secret_argument_is_not_in_the_schema(self, offer: Offer, plan: Plan) -> None:
        """What the caller keys in is not the model's to give, and no error repeats it."""

        def lookup(pin: Annotated[str, Field(max_length=4)]) -> str:
            return "ok" if pin == "4711" else "no"

        settings = offer(lookup, collect=Collect(argument="pin"))
        async with FunctionRunner(settings, Clock()) as runner:
            seen = runner.schemas["lookup"]["properties"]
            right = await runner.run(plan, "call_1", "lookup", {"pin": "0000"}, secrets={"pin": "4711"})
            wrong = await runner.run(plan, "call_2", "lookup", {}, secrets={"pin": "47114711"})

        assert seen == {}
        assert right == '"ok"'
        assert json.loads(wrong) == {"error": "the arguments are wrong: the digits: are not what is needed"}

    @pytest.mark.parametrize(
        ("target", "sentence"),
        [
            (None, "names lookup, which shop does not have"),
            (5, "names shop:lookup, which is no function"),
            (Item, "names shop:lookup, which is no function"),
            (lambda number: number, "gives no schema of its arguments: number has no type hint"),
            (lambda *numbers: numbers, r"gives no schema of its arguments: \*numbers cannot be passed by name"),
            (lambda **numbers: numbers, r"gives no schema of its arguments: \*\*numbers cannot be passed by name"),
        ],
    )
    async def test_function_that_cannot_run_is_refused_at_start(
        self, offer: Offer, target: object, sentence: str
    ) -> None:
        """The operator hears at start what is wrong, with the key."""
        with pytest.raises(ConfigurationError, match=rf"functions\.lookup\.python: .*{sentence}"):
            async with FunctionRunner(offer(target), Clock()):
                pass

    async def test_hint_without_schema_is_refused_at_start(self, offer: Offer) -> None:
        """A type that cannot come from JSON."""

        def lookup(lock: threading.Event) -> None:
            raise NotImplementedError

        with pytest.raises(ConfigurationError, match="gives no schema of its arguments"):
            async with FunctionRunner(offer(lookup), Clock()):
                pass

    async def test_hint_that_names_nothing_is_refused_at_start(self, offer: Offer) -> None:
        """A name that is imported for type checkers only."""

        def lookup(number: str) -> None:
            raise NotImplementedError

        lookup.__annotations__["number"] = "Nothing"
        with pytest.raises(ConfigurationError, match="name 'Nothing' is not defined"):
            async with FunctionRunner(offer(lookup), Clock()):
                pass

    async def test_absent_module_is_refused_at_start(self) -> None:
        """The way out is named."""
        settings = {"lookup": Function(name="lookup", python="no_such_module:lookup")}

        with pytest.raises(ConfigurationError, match=r"cannot import no_such_module .*put its folder on PYTHONPATH"):
            async with FunctionRunner(settings, Clock()):
                pass

    async def test_collected_argument_must_be_a_parameter(self, offer: Offer) -> None:
        """Digits that nobody takes are a mistake."""

        def lookup() -> None:
            raise NotImplementedError

        with pytest.raises(ConfigurationError, match=r"functions\.lookup\.collect\.argument: is no parameter"):
            async with FunctionRunner(offer(lookup, collect=Collect()), Clock()):
                pass


class TestRun:
    """A function runs, and the model hears of it."""

    async def test_plain_function_runs_in_a_thread_of_its_own(self, offer: Offer, plan: Plan) -> None:
        """Neither the loop's thread nor anybody else's."""

        def lookup() -> str:
            return threading.current_thread().name

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            output = await output_of(runner, plan)

        assert output == "function-0"

    async def test_async_function_runs_beside_the_calls(self, offer: Offer, plan: Plan) -> None:
        """In a loop of its own, always the same one."""

        async def lookup() -> list[object]:
            await asyncio.sleep(0)
            return [threading.current_thread().name, id(asyncio.get_running_loop())]

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            first = await output_of(runner, plan)
            second = await output_of(runner, plan)

        assert first == second
        assert first != [threading.current_thread().name, id(asyncio.get_running_loop())]

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_function_is_told_about_the_call(self, offer: Offer, plan: Plan, *, is_async: bool) -> None:
        """Who calls, and the key that keeps a charge from being made twice."""

        def lookup(call: CallInfo) -> list[str]:
            return [call.from_number, call.agent, call.parameters["tenant"], call.idempotency_key]

        async def lookup_async(call: CallInfo) -> list[str]:
            return lookup(call)

        async with FunctionRunner(offer(lookup_async if is_async else lookup), Clock()) as runner:
            output = await output_of(runner, plan)

        assert output == ["+15550001111", "reception", "shop", f"{plan.call_sid}:call_1"]

    async def test_arguments_arrive_as_what_the_hints_say(self, offer: Offer, plan: Plan) -> None:
        """Dates are dates and objects are models; what was not given has the function's default."""

        def lookup(day: date, items: list[Item], note: str = "none") -> list[object]:
            return [day.year, items[0].sku, items[0].count, note]

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            output = await output_of(runner, plan, day="2026-11-21", items=[{"sku": "A1"}])

        assert output == [2026, "A1", 1, "none"]

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({}, "number: Field required"),
            ({"number": 5}, "number: Input should be a valid string"),
            ({"number": "1", "count": "2"}, "count: Input should be a valid integer"),
            ({"number": "1", "call": {}}, "call: Extra inputs are not permitted"),
            ({"number": "1", "argument_0": "x"}, "argument_0: Extra inputs are not permitted"),
        ],
    )
    async def test_wrong_arguments_are_told_to_the_model(
        self, offer: Offer, plan: Plan, arguments: dict[str, object], error: str
    ) -> None:
        """Nothing is guessed: a number is no text, and what is not asked for is refused."""

        def lookup(number: str, count: int = 1) -> None:
            raise NotImplementedError

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            output = await output_of(runner, plan, **arguments)

        assert output == {"error": f"the arguments are wrong: {error}"}

    async def test_result_may_be_anything_that_json_can_say(self, offer: Offer, plan: Plan) -> None:
        """Models, dataclasses, dates; what is no number in JSON becomes null."""

        @dataclass
        class Order:
            due: date

        def lookup() -> dict[str, object]:
            return {"item": Item(sku="A1"), "order": Order(date(2026, 11, 21)), "share": float("nan")}

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            output = await output_of(runner, plan)

        assert output == {"item": {"sku": "A1", "count": 1}, "order": {"due": "2026-11-21"}, "share": None}

    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (object, "the function's result is not JSON"),
            (lambda: "x" * MAX_RESULT_BYTES, f"the function's result is longer than {MAX_RESULT_BYTES} bytes"),
            (lambda: json.loads("the caller's words"), "the function failed: JSONDecodeError"),
            (sys.exit, "the function failed: SystemExit"),
            (lambda: next(iter(())), "the function failed: "),
        ],
    )
    async def test_failure_is_told_without_words(
        self, offer: Offer, plan: Plan, make: Callable[[], object], error: str, *, is_async: bool
    ) -> None:
        """The model hears the class of an exception and the log its place; neither hears its words."""
        reported: list[str] = []

        def lookup() -> object:
            return make()

        async def lookup_async() -> object:
            return make()

        async with FunctionRunner(
            offer(lookup_async if is_async else lookup), Clock(), report=lambda _, fields: reported.append(str(fields))
        ) as runner:
            output = await runner.run(plan, "call_1", "lookup", {})
            again = await runner.run(plan, "call_2", "lookup", {})

        assert json.loads(output)["error"].startswith(error)
        assert output == again
        assert "words" not in "".join(reported)

    async def test_cancelled_error_of_an_async_function_is_a_failure(self, offer: Offer, plan: Plan) -> None:
        """Only who waits for the function can cancel it."""

        async def lookup() -> None:
            raise asyncio.CancelledError

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            output = await output_of(runner, plan)

        assert output == {"error": "the function failed: CancelledError"}

    async def test_place_of_an_exception_is_reported(self, offer: Offer, plan: Plan) -> None:
        """The operator finds the line."""
        reported: list[object] = []

        def lookup() -> None:
            raise ValueError("the caller's words")

        async with FunctionRunner(
            offer(lookup), Clock(), report=lambda _, fields: reported.append(fields["detail"])
        ) as runner:
            await output_of(runner, plan)

        line = lookup.__code__.co_firstlineno + 1
        assert reported == [f"ValueError at test_python.py:{line}"]

    async def test_wrapped_and_callable_objects_run_too(self, offer: Offer, plan: Plan) -> None:
        """A decorator of the operator's, and an object that can be called."""

        async def lookup(number: str) -> str:
            return number

        @functools.wraps(lookup)
        def wrapper(*args: object, **kwargs: object) -> object:
            return lookup(*args, **kwargs)  # type: ignore[arg-type] # as a decorator does

        class Shop:
            def __call__(self, number: str) -> str:
                return number

        outputs = []
        for target in (wrapper, Shop()):
            async with FunctionRunner(offer(target), Clock()) as runner:
                outputs.append(await output_of(runner, plan, number="1"))

        assert outputs == ["1", "1"]


class TestTime:
    """No function takes longer than it may, and none holds up a call."""

    @pytest.fixture
    def release(self) -> Iterator[threading.Event]:
        """What a blocking function waits for; set when the test is over."""
        event = threading.Event()
        yield event
        event.set()

    async def test_plain_function_is_left_to_finish(self, offer: Offer, plan: Plan, release: threading.Event) -> None:
        """The model is answered in time; the thread is counted until the function returns."""
        done = threading.Event()

        def lookup() -> None:
            release.wait(10)
            done.set()

        async with FunctionRunner(offer(lookup, timeout_s=1), Clock(10)) as runner:
            output = await output_of(runner, plan)
            overdue = runner.overdue
            release.set()
            assert await asyncio.to_thread(done.wait, 5)
            await all_returned(runner)

        assert output == {"error": "the function has not answered within 1 s"}
        assert overdue == 1

    async def test_async_function_is_cancelled(self, offer: Offer, plan: Plan) -> None:
        """It ends when its time is up, and may clean up."""
        cancelled = threading.Event()

        async def lookup() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with FunctionRunner(offer(lookup, timeout_s=1), Clock(10)) as runner:
            output = await output_of(runner, plan)
            assert await asyncio.to_thread(cancelled.wait, 5)

        assert output == {"error": "the function has not answered within 1 s"}

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_loop_is_never_held(
        self, offer: Offer, plan: Plan, release: threading.Event, *, is_async: bool
    ) -> None:
        """Even an `async def` that blocks leaves the calls' loop alone."""

        def lookup() -> None:
            release.wait(10)

        async def lookup_async() -> None:
            release.wait(10)

        async with FunctionRunner(offer(lookup_async if is_async else lookup, timeout_s=5), Clock(10)) as runner:
            running = asyncio.create_task(output_of(runner, plan))
            longest_s = 0.0
            while not running.done():
                before = time.monotonic()
                await asyncio.sleep(0.005)
                longest_s = max(longest_s, time.monotonic() - before)
            release.set()

        assert await running == {"error": "the function has not answered within 5 s"}
        assert longest_s < 0.25

    async def test_function_that_found_no_thread_is_never_begun(
        self, offer: Offer, plan: Plan, release: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With all threads taken a run waits for its time; with all places taken it does not even wait."""
        monkeypatch.setattr(functions, "THREADS", 1)
        monkeypatch.setattr(functions, "THREADS_WAITING", 1)
        began = threading.Event()
        begun: list[int] = []

        def lookup(number: int) -> None:
            begun.append(number)
            began.set()
            release.wait(10)

        async with FunctionRunner(offer(lookup, timeout_s=2), Clock(10)) as runner:
            runs = [asyncio.create_task(output_of(runner, plan, number=1))]
            assert await asyncio.to_thread(began.wait, 5)
            runs += [asyncio.create_task(output_of(runner, plan, number=number)) for number in (2, 3)]
            outputs = await asyncio.gather(*runs)
            release.set()
            await all_returned(runner)

        late = {"error": "the function has not answered within 2 s"}
        assert outputs == [late, late, {"error": "too many functions are running"}]
        assert begun == [1]

    async def test_call_that_ends_cancels_its_functions(self, offer: Offer, plan: Plan) -> None:
        """Whoever waits for the output may go away."""
        began, cancelled = threading.Event(), threading.Event()

        async def lookup() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with FunctionRunner(offer(lookup), Clock()) as runner:
            running = asyncio.create_task(output_of(runner, plan))
            assert await asyncio.to_thread(began.wait, 5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert await asyncio.to_thread(cancelled.wait, 5)

        assert runner.failures == {}

    async def test_bridge_stops_although_functions_run(
        self, offer: Offer, plan: Plan, release: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What hangs is left behind."""
        monkeypatch.setattr("bridge.edge.threads.STOP_WITHIN_S", 0.05)

        async def lookup() -> None:
            release.wait(10)

        async with FunctionRunner(offer(lookup, timeout_s=1), Clock(10)) as runner:
            await output_of(runner, plan)
        release.set()
