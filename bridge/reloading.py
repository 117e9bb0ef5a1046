"""Reads the settings anew while the bridge runs, on SIGHUP: for new calls, and as a whole or not at all.

What a running bridge cannot change refuses the whole reload, so that what runs is always what one reading of the
configuration said.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from pydantic import BaseModel

from bridge.configuration import ConfigurationErrors, load
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from bridge.settings import Settings

_CHANGEABLE = frozenset(
    {"agents", "functions", "mcp", "lines", "destinations", "fallback", "limits", "model", "prices", "twiml"}
)
"""Tables that may be changed while the bridge runs; of every other a key only if it stands in `_CHANGEABLE_KEYS`."""
_CHANGEABLE_KEYS = frozenset({"twilio.auth_token", "twilio.fallback_url"})
_FIXED_KEYS = frozenset({"limits.max_message_bytes"})
_log = logging.getLogger("bridge")


def adopted(given: Settings, running: Settings, new: Settings) -> Settings:
    """The new settings, completed as the running ones are.

    Args:
        given: what the bridge was given when it started, or last.
        running: what became of that: with addresses and tokens that were made up.
        new: what it is given now.

    Raises:
        ConfigurationErrors: something differs that a running bridge cannot change.
    """
    found = [
        ConfigurationError("cannot be changed while the bridge runs: restart it", key=key)
        for key in sorted(_differences(given, new))
        if not _may_change(key)
    ]
    if (given.model.provider == "embedded") is not (new.model.provider == "embedded"):
        message = "cannot become or cease to be embedded while the bridge runs: restart it"
        found.append(ConfigurationError(message, key="model.provider"))
    if found:
        raise ConfigurationErrors(tuple(found))
    twilio = running.twilio.model_copy(update={"fallback_url": new.twilio.fallback_url})
    if new.twilio.auth_token.get_secret_value():
        twilio = twilio.model_copy(update={"auth_token": new.twilio.auth_token})
    model = new.model
    if model.provider == "embedded":
        model = model.model_copy(update={"url": running.model.url})
    agents = new.agents if "agents" in new.model_fields_set else running.agents
    return new.model_copy(update={"server": running.server, "twilio": twilio, "model": model, "agents": agents})


def _may_change(key: str) -> bool:
    return key in _CHANGEABLE_KEYS or (key.partition(".")[0] in _CHANGEABLE and key not in _FIXED_KEYS)


def _differences(old: BaseModel, new: BaseModel, prefix: str = "") -> Iterator[str]:
    """The dotted keys of what is not the same, down to the keys of each table."""
    for key in type(old).model_fields:
        before, after = getattr(old, key), getattr(new, key)
        if before == after:
            continue
        if not prefix and isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from _differences(before, after, f"{key}.")
        else:
            yield f"{prefix}{key}"


async def reload(file: Path | None, environ: Mapping[str, str], adopt: Callable[[Settings], Awaitable[object]]) -> bool:
    """Read the configuration anew, files of secrets too, and have it adopted; or log what is wrong."""
    try:
        loaded = await asyncio.to_thread(load, file, environ)
        await adopt(loaded.settings)
    except ConfigurationErrors as errors:
        for problem in errors.problems:
            _refused(problem)
        return False
    except ConfigurationError as problem:
        _refused(problem)
        return False
    for notice in loaded.warnings:
        _log.warning("config.doubted", extra={"key": notice.key, "doubt": notice.message})
    _log.info("config.reloaded")
    return True


def _refused(problem: ConfigurationError) -> None:
    _log.error("config.refused", extra={"key": problem.key, "source": problem.source, "problem": problem.message})


@contextlib.contextmanager
def on_hangup(reload_once: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Reload on each SIGHUP inside the block, one after the other; several that come meanwhile are one."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    async def serve() -> None:
        while True:
            await asked.wait()
            asked.clear()
            try:
                await reload_once()
            except Exception:  # noqa: BLE001 - the next one may do, and calls go on by what holds
                _log.exception("config.failed")

    serving = loop.create_task(serve(), name="reloading")
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        serving.cancel()
