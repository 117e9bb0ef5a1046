"""This machine: what is installed, what can be written, which databases can be reached."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.doctor.findings import Finding, failed, ok, skipped, warning
from bridge.edge.model_client import MISSING, model_client, picows_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.doctor.context import Context
    from bridge.settings import Settings

_FREE_BYTES = 1_000_000_000
_CONNECT_S = 5


async def configuration(context: Context) -> list[Finding]:
    """What the settings were doubted for at start."""
    doubts = [
        warning(f"{notice.key} {notice.message}", "change the key, unless that is meant") for notice in context.notices
    ]
    return doubts or [ok("the configuration is fine")]


async def extras(context: Context) -> list[Finding]:
    """Whether what these settings need beside the program itself is installed, and what carries sessions."""
    missing = [(extra, why) for extra, module, why in _needed(context.settings) if not _is_installed(module)]
    return [
        *(
            failed(f"{why} needs the extra {extra!r}", f"pip install 'voicebridge[{extra}]'")
            for extra, why in dict(missing).items()
        ),
        *_picows(context.settings),
    ] or [ok(f"everything that these settings need is installed; sessions go by {model_client().library}")]


def _picows(settings: Settings) -> Iterator[Finding]:
    """Of the extra `fast`, which is used wherever it is installed: what is there and does not work."""
    fault = picows_fault()
    if fault in ("", MISSING):
        return
    way_out = "pip install --force-reinstall 'voicebridge[fast]'"
    if settings.server.media_port:
        yield failed(f"the fast door (server.media_port) needs picows, and picows {fault}", way_out)
    else:
        yield warning(f"sessions go by websockets, which takes more of the processor: picows {fault}", way_out)


def _needed(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Extra, module, and what needs it."""
    if settings.model.provider == "embedded":
        for module in ("numpy", "pocketsphinx", "espeakng_loader", "soxr"):
            yield "embedded", module, "the embedded model (model.provider)"
    if settings.server.media_port:
        yield "fast", "picows", "the fast door (server.media_port)"
    formats = {
        one for agent in settings.agents.values() for one in (agent.input_audio_format, agent.output_audio_format)
    }
    if "pcm16" in formats:
        yield "pcm16", "soxr", "the audio format pcm16"
    if settings.otel.endpoint:
        yield "otel", "opentelemetry.sdk", "OpenTelemetry (otel.endpoint)"
    if settings.storage.url.get_secret_value().startswith("postgresql"):
        yield "postgres", "psycopg", "PostgreSQL (storage.url)"
    if settings.shared.url.get_secret_value().startswith("redis"):
        yield "redis", "redis", "Redis (shared.url)"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


async def time_zones(context: Context) -> list[Finding]:
    """Whether the time zones of opening hours are known here."""
    hours = {name: line.hours for name, line in context.settings.lines.items() if line.hours}
    zones = {part for text_ in hours.values() for part in text_.split() if "/" in part} or {"Europe/Berlin"}
    for zone in sorted(zones):
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            return [failed(f"the time zone {zone} is not known here", "install the package tzdata")]
    return [ok("time zones are known")]


async def files(context: Context) -> list[Finding]:
    """Whether tapes can be written, and enough files and sockets opened at once."""
    return [*_tapes(context.settings), *_descriptors(context.settings)]


def _tapes(settings: Settings) -> Iterator[Finding]:
    if not settings.tape.record:
        return
    folder = _existing(settings.tape.directory)
    if not _is_writable(folder):
        yield failed(f"tapes cannot be written to {folder}", "let the bridge's user write there: tape.directory")
    elif (free := shutil.disk_usage(folder).free) < _FREE_BYTES:
        yield warning(
            f"only {free // 1_000_000} MB are free for tapes", "free some: an hour of a call takes about 100 MB"
        )
    else:
        yield ok(f"tapes can be written to {settings.tape.directory}")


def _existing(folder: Path) -> Path:
    """The folder, or the one above it in which it will be made."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _is_writable(folder: Path) -> bool:
    """Tried, since permissions are not all that may forbid it."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _descriptors(settings: Settings) -> Iterator[Finding]:
    try:
        import resource  # noqa: PLC0415 - not to be had on Windows
    except ImportError:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * settings.limits.max_calls + 100  # both legs of each call, and everything else
    if limit < needed:
        message = f"{limit} files and sockets may be open at once, and {settings.limits.max_calls} calls need {needed}"
        yield warning(message, f"raise the limit (ulimit -n {needed}, LimitNOFILE=), or lower limits.max_calls")
    else:
        yield ok(f"{limit} files and sockets may be open at once")


async def storage(context: Context) -> list[Finding]:
    """Whether call records can be kept."""
    url = make_url(context.settings.storage.url.get_secret_value())
    if url.get_backend_name() == "sqlite":
        return [_records(Path(url.database or "calls.db"))]
    if not _is_installed("psycopg"):
        return [skipped("PostgreSQL cannot be asked without the extra")]
    address = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    return [await asyncio.to_thread(_database, address)]


def _records(file: Path) -> Finding:
    folder = _existing(file.absolute().parent)
    if not _is_writable(folder) or (file.exists() and not os.access(file, os.W_OK)):
        return failed(f"call records cannot be written to {file}", "let the bridge's user write there: storage.url")
    return ok(f"call records can be written to {file}")


def _database(url: str) -> Finding:
    host = urlsplit(url).hostname
    engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_S})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        way_out = "start it, and see user, password and database of storage.url: calls are taken without records"
        return failed(f"the database at {host} cannot be used ({type(error).__name__})", way_out)
    finally:
        engine.dispose()
    return ok(f"the database at {host} can be used")


async def shared(context: Context) -> list[Finding]:
    """Whether what several bridges must agree on can be kept."""
    url = context.settings.shared.url.get_secret_value()
    if not url.startswith("redis"):
        return [ok("this bridge agrees with nobody: shared.url is memory://")]
    if not _is_installed("redis"):
        return [skipped("Redis cannot be asked without the extra")]
    from redis.asyncio import Redis  # noqa: PLC0415 - an extra
    from redis.exceptions import RedisError  # noqa: PLC0415 - the same

    host = urlsplit(url).hostname
    async with Redis.from_url(url, socket_connect_timeout=_CONNECT_S, socket_timeout=_CONNECT_S) as redis:
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            way_out = "start it, and see user and password of shared.url"
            return [failed(f"Redis at {host} cannot be used ({type(error).__name__})", way_out)]
    return [ok(f"Redis at {host} can be used")]
