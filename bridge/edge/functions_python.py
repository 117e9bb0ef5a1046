"""A function of the operator's in Python: type hints say what it takes; it runs where it cannot hold a call's audio.

A plain function runs in a thread of a bounded number, an `async def` in an event loop beside the calls'. Over there the
arguments are validated and the result becomes JSON too, so that nothing of the operator's runs on the calls' loop.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_json

from bridge.edge.functions_run import (
    FLAWS_TOLD,
    MAX_RESULT_BYTES,
    FunctionFailedError,
    Invocation,
    invalid_arguments,
    not_json,
    too_large,
    without_secret,
)
from bridge.edge.threads import ThreadsBusyError
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.edge.threads import SideLoop, Threads
    from bridge.settings import Function, Json

CALL = "call"
"""A parameter of this name gets the `CallInfo`; the model does not see it."""
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class PythonFunction:
    """See the module.

    Args:
        function: its settings.
        threads: for a plain function.
        loop: for an `async def`.

    Raises:
        ConfigurationError: the function cannot be imported, or its type hints give no schema.
    """

    def __init__(self, function: Function, threads: Threads, loop: SideLoop) -> None:
        self._threads = threads
        self._loop = loop
        key = f"functions.{function.name}"
        self._target = _imported(function.python, key=f"{key}.python")
        self._is_async = inspect.iscoroutinefunction(inspect.unwrap(self._target))
        try:
            parameters = inspect.signature(self._target).parameters
            self._arguments = _arguments_model(self._target, parameters)
            schema = self._arguments.model_json_schema(schema_generator=_Untitled)
        except (NameError, TypeError, ValueError, PydanticUserError) as error:
            message = f"{function.python} gives no schema of its arguments: {_first_line(error)}"
            raise ConfigurationError(message, key=f"{key}.python") from error
        self._takes_call = CALL in parameters
        if function.collect is not None and function.collect.argument not in parameters:
            message = f"is no parameter of {function.python}: give it one, or name another here"
            raise ConfigurationError(message, key=f"{key}.collect.argument")
        self.schema: Json = without_secret({name: part for name, part in schema.items() if name != "title"}, function)

    async def run(self, invocation: Invocation) -> str:
        """Call the function."""
        if self._is_async:
            return await self._loop.run(self._awaited(invocation))
        try:
            return await self._threads.run(lambda: self._called(invocation))
        except ThreadsBusyError:
            raise FunctionFailedError("busy", "too many functions are running", detail="threads") from None

    def _called(self, invocation: Invocation) -> str:
        """In a thread: run a plain function."""
        try:
            return _text(self._target(**self._keywords(invocation)))
        except FunctionFailedError:
            raise
        except BaseException as error:  # noqa: BLE001 - even sys.exit() ends the function only
            raise _raised(error) from None

    async def _awaited(self, invocation: Invocation) -> str:
        """In the loop beside: run an `async def`."""
        try:
            return _text(await self._target(**self._keywords(invocation)))
        except FunctionFailedError:
            raise
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise _raised(error) from None

    def _keywords(self, invocation: Invocation) -> dict[str, object]:
        """The validated arguments; what was not given has the function's own default."""
        text = msgspec.json.encode({**invocation.arguments, **invocation.secrets})
        try:
            values = self._arguments.model_validate_json(text)
        except ValidationError as error:
            raise invalid_arguments(_flaws(error, invocation)) from None
        fields = type(values).model_fields
        keywords = {str(fields[name].alias): getattr(values, name) for name in values.model_fields_set}
        return keywords | {CALL: invocation.call} if self._takes_call else keywords


class _Untitled(GenerateJsonSchema):
    """Leaves out the title that a field would get from its name: it says nothing new and costs tokens."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def _imported(path: str, *, key: str) -> Callable[..., Any]:
    """The function that `package.module:function` names."""
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module may raise anything
        reason = f"{type(error).__name__}: {_first_line(error)}"
        message = f"cannot import {module_name} ({reason}): install it, or put its folder on PYTHONPATH"
        raise ConfigurationError(message, key=key) from error
    target = getattr(module, name, None)
    if target is None:
        raise ConfigurationError(f"names {name}, which {module_name} does not have: name one of its functions", key=key)
    if isinstance(target, type) or not callable(target):
        raise ConfigurationError(f"names {path}, which is no function: name a function", key=key)
    return target if inspect.isroutine(target) else target.__call__


def _arguments_model(target: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> type[BaseModel]:
    """A model of what the function takes by name, except `call`; its fields have names that clash with nothing."""
    source = inspect.unwrap(target)
    written = {name: hint for name, hint in source.__annotations__.items() if name not in (CALL, "return")}
    hints = get_type_hints(SimpleNamespace(__annotations__=written), source.__globals__, include_extras=True)
    fields: dict[str, Any] = {}
    for at, parameter in enumerate(parameters.values()):
        if parameter.kind not in _BY_NAME:
            raise TypeError(f"{parameter} cannot be passed by name")
        if parameter.name == CALL:
            continue
        if parameter.name not in hints:
            raise TypeError(f"{parameter.name} has no type hint")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[f"argument_{at}"] = (hints[parameter.name], Field(default, alias=parameter.name))
    return create_model("Arguments", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _flaws(error: ValidationError, invocation: Invocation) -> Iterator[tuple[tuple[object, ...], str]]:
    """What is wrong and where; of what is secret only that it is."""
    for flaw in error.errors(include_url=False, include_context=False, include_input=False)[:FLAWS_TOLD]:
        is_secret = bool(flaw["loc"]) and flaw["loc"][0] in invocation.secrets
        yield ("the digits",) if is_secret else flaw["loc"], "are not what is needed" if is_secret else flaw["msg"]


def _text(result: object) -> str:
    try:
        text = to_json(result, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise not_json(f"{type(result).__name__}: {type(error).__name__}") from None
    if len(text) > MAX_RESULT_BYTES:
        raise too_large()
    return text.decode()


def _raised(error: BaseException) -> FunctionFailedError:
    """What is told of an exception: its class, and to the log its place; never its words, which may be the caller's."""
    name = type(error).__name__
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    return FunctionFailedError("raised", f"the function failed: {name}", detail=f"{name}{place}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
