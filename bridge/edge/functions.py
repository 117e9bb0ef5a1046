"""Runs the operator's functions beside the call: whatever one does, its output comes in time and no audio waits."""

from __future__ import annotations

import logging
import ssl
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

import msgspec

from bridge.edge.functions_http import HttpFunction
from bridge.edge.functions_network import SystemResolver, pool
from bridge.edge.functions_python import PythonFunction
from bridge.edge.functions_run import MAX_ARGUMENTS_BYTES, FunctionFailedError, Invocation, Runnable, invalid_arguments
from bridge.edge.threads import SideLoop, Threads
from bridge.template import CALL_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from bridge.call.plan import CallInfo, Plan
    from bridge.clock import Clock
    from bridge.edge.functions_network import Resolve
    from bridge.edge.functions_run import Reason
    from bridge.settings import Function, Json

    Report = Callable[[str, dict[str, object]], None]
    """Told an event and its fields: never numbers, words or secrets."""

MAX_RUNNING = 256
"""Functions that run at the same time; a further one is answered with an error at once."""
THREADS = 16
"""Plain Python functions that run at the same time; each that hangs takes up one of them."""
THREADS_WAITING = 64
"""Plain Python functions that wait for a thread; a further one is answered with an error at once."""
BEFORE_CALL_WITHIN_S = 8.0
"""How long a caller waits at most for `before_call`: the carrier gives up on an unanswered webhook after 15 s."""
_log = logging.getLogger("bridge")


class FunctionRunner:
    """The operator's functions, as an async context manager: they can be run once it is entered.

    Args:
        functions: their settings, by name.
        clock: limits their time.
        resolve: looks host names up; None: as the system does.
        tls: whom to trust; None: whom the system trusts.
        now: seconds since 1970, for signatures.
        report: told what goes wrong; None: the log.

    Entering raises ConfigurationError when one of them can never run.
    """

    def __init__(
        self,
        functions: Mapping[str, Function],
        clock: Clock,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
        report: Report | None = None,
    ) -> None:
        self.failures: Counter[Reason] = Counter()
        """How many runs had no result, by reason."""
        self._functions = functions
        self._clock = clock
        self._resolve = resolve
        self._tls = tls
        self._now = now
        self._report: Report = report or _log_warning
        self._threads = Threads("function", size=THREADS, waiting=THREADS_WAITING)
        self._runnables: dict[str, Runnable] = {}
        self._running = 0
        self._stack = AsyncExitStack()

    @property
    def schemas(self) -> Mapping[str, Json]:
        """JSON Schema of each function's arguments, as the model may see it."""
        return {name: runnable.schema for name, runnable in self._runnables.items()}

    @property
    def overdue(self) -> int:
        """Plain Python functions past their time that have not returned: each takes up one of `THREADS`."""
        return self._threads.overdue

    async def __aenter__(self) -> Self:
        """Import what is Python, and check what can be checked before a call comes."""
        async with AsyncExitStack() as stack:
            resolve = self._resolve
            if resolve is None:
                resolve = system = SystemResolver()
                stack.callback(system.stop)
            tls = self._tls or ssl.create_default_context()
            pools = {
                private: await stack.enter_async_context(pool(resolve, tls, allow_private=private, size=MAX_RUNNING))
                for private in (False, True)
            }
            loop = SideLoop("function-loop")
            stack.push_async_callback(loop.stop)
            stack.callback(self._threads.stop)
            for name, function in self._functions.items():
                if function.python:
                    self._runnables[name] = PythonFunction(function, self._threads, loop)
                else:
                    self._runnables[name] = HttpFunction(function, pools[function.allow_private], self._now)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what can be cancelled; a plain function that still runs is left behind."""
        await self._stack.aclose()

    async def run(
        self,
        plan: Plan,
        call_id: str,
        name: str,
        arguments: Mapping[str, object],
        secrets: Mapping[str, object] | None = None,
    ) -> str:
        """Run a function for the model.

        Args:
            plan: of the call.
            call_id: of the model's function call; with the CallSid it makes the idempotency key.
            name: the function's.
            arguments: as the model gave them.
            secrets: what the caller keyed in, under the name in `collect.argument`; only the function sees it.

        Returns:
            JSON text, within `timeout_s`, whatever happens: the result, to be taken apart with
            `bridge.call.outcome.parse`, or an object whose `error` tells the model what went wrong.
        """
        key = f"{plan.call_sid}:{call_id}"
        info = msgspec.structs.replace(plan.info, call_sid=plan.call_sid, idempotency_key=key)
        try:
            return await self._result(name, Invocation(info, arguments, secrets or {}))
        except FunctionFailedError as failure:
            return failure.output

    async def run_before_call(self, info: CallInfo, name: str) -> dict[str, str]:
        """Ask a function about the caller, without arguments, within `timeout_s` and `BEFORE_CALL_WITHIN_S`.

        A call that is yet to be placed has no CallSid; it must bring an idempotency key of its own.

        Returns:
            Texts and numbers of the object it gave back: variables for instructions and greeting. Empty when it
            failed, which is reported: the call goes on without it.
        """
        info = msgspec.structs.replace(info, idempotency_key=f"{info.call_sid or info.idempotency_key}:before_call")
        try:
            text = await self._result(name, Invocation(info, {}, {}), within_s=BEFORE_CALL_WITHIN_S)
        except FunctionFailedError:
            return {}
        result = msgspec.json.decode(text)
        found = result if isinstance(result, dict) else {}
        return {key: str(value) for key, value in found.items() if key not in CALL_NAMES and _is_variable(value)}

    async def _result(self, name: str, invocation: Invocation, *, within_s: float = float("inf")) -> str:
        """The result; a failure is reported before it is raised."""
        try:
            return await self._run(name, invocation, within_s)
        except FunctionFailedError as failure:
            raise self._reported(failure, name, invocation) from None
        except Exception as error:  # noqa: BLE001 - a fault of ours: the model must have its answer all the same
            fault = FunctionFailedError("raised", "the function failed", detail=type(error).__name__)
            raise self._reported(fault, name, invocation) from None

    async def _run(self, name: str, invocation: Invocation, within_s: float) -> str:
        runnable = self._runnables.get(name)
        if runnable is None:
            raise FunctionFailedError("unknown", "there is no such function")
        function = self._functions[name]
        _check_size(invocation.arguments)
        if function.collect is not None and function.collect.argument not in invocation.secrets:
            raise FunctionFailedError("invalid_arguments", "the caller has keyed in no digits")
        if self._running >= MAX_RUNNING:
            raise FunctionFailedError("busy", "too many functions are running")
        limit_s = min(function.timeout_s, within_s)
        self._running += 1
        try:
            async with self._clock.timeout(limit_s):
                return await runnable.run(invocation)
        except TimeoutError:
            raise FunctionFailedError("timed_out", f"the function has not answered within {limit_s:g} s") from None
        finally:
            self._running -= 1

    def _reported(self, failure: FunctionFailedError, name: str, invocation: Invocation) -> FunctionFailedError:
        self.failures[failure.reason] += 1
        fields: dict[str, object] = {
            "call_sid": invocation.call.call_sid,
            "call_id": invocation.call.idempotency_key.rpartition(":")[2],
            "function": name,
            "reason": failure.reason,
            "detail": failure.detail,
        }
        self._report("function.failed", {key: value for key, value in fields.items() if value})
        return failure


def _check_size(arguments: Mapping[str, object]) -> None:
    try:
        size = len(msgspec.json.encode(arguments))
    except (ValueError, RecursionError):
        raise invalid_arguments([((), "they are no JSON")]) from None
    if size > MAX_ARGUMENTS_BYTES:
        raise invalid_arguments([((), f"they are longer than {MAX_ARGUMENTS_BYTES} bytes")])


def _is_variable(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _log_warning(event: str, fields: dict[str, object]) -> None:
    _log.warning(event, extra=fields)
