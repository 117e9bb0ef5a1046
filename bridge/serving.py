"""A bridge's time from its start to its end, in one process or in several."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bridge import leaving, log
from bridge.process import first, spare_collector
from bridge.reloading import on_hangup, reload
from bridge.wire.scrubbing import secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bridge.app import Bridge
    from bridge.process import Told
    from bridge.settings import Settings


def log_as(settings: Settings, level: str = "", secrets: Iterable[str] = (), instance: str = "") -> None:
    """Log as `[log]` says, or from another level on; no secret of the settings, nor these, gets into a line."""
    log.set_up(
        level=getattr(logging, (level or settings.log.level).upper()),
        form=settings.log.format,
        secrets={*secrets_of(settings), *secrets},
        instance=instance,
    )


def reloading(
    bridge: Bridge, file: Path | None, environ: Mapping[str, str], *, instance: str = ""
) -> AbstractContextManager[None]:
    """Read the configuration anew on each SIGHUP, inside the block; lines of the log bear the instance, if one."""
    secrets = set(secrets_of(bridge.settings))

    async def adopt(settings: Settings) -> None:
        secrets.update(secrets_of(settings))
        log_as(bridge.given, secrets=secrets, instance=instance)
        await bridge.adopt(settings)

    return on_hangup(lambda: reload(file, environ, adopt))


async def until_told(bridge: Bridge, told: Told) -> None:
    """Let a bridge serve until it is told to stop, and calls end then; told a second time, leave at once.

    Leave the bridge next: from here on the process ends in time, whatever keeps it.
    """
    spare_collector()
    await told.once.wait()
    await first(bridge.drain(), told.twice.wait())
    if told.twice.is_set():
        bridge.hurry()
    leaving.within(leaving.LEAVE_WITHIN_S)
