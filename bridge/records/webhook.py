"""Tells the operator's own system about each call that is over: its record, signed, until it is taken.

What is to be told stands in the database, so that neither a restart nor a receiver that is down loses a call. It may
be told twice, when a bridge is killed between the answer and its being written down: the idempotency key is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, Self

import httpcore
import httpx
import msgspec

from bridge.edge.abandoned import fault_of
from bridge.edge.functions_network import SystemResolver, is_private_host, pool
from bridge.edge.functions_run import FunctionFailedError
from bridge.edge.functions_signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from bridge.errors import ConfigurationError
from bridge.records import outbox
from bridge.records.unavailable import RecordsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from bridge.clock import Clock
    from bridge.records.outbox import Delivery
    from bridge.records.reading import CallRecord
    from bridge.settings import Records as Settings

ANSWER_WITHIN_S = 10.0
LOOK_EVERY_S = 5.0
CLOSE_WITHIN_S = 3.0
"""How long a bridge that stops goes on telling; what is left is told when it is there again."""
_log = logging.getLogger("bridge")


class Outbox(Protocol):
    """What is to be told, in the database. Every method raises RecordsUnavailableError."""

    async def due(self) -> Sequence[Delivery]:
        """What is to be delivered now."""

    async def by_id(self, record_id: str) -> CallRecord | None:
        """The record that is to be told."""

    async def settle(self, delivery: Delivery, state: str, error: str = "", *, again_in_s: float = 0) -> None:
        """Write down what came of an attempt."""


class Webhook:
    """Tells about calls while the block is entered.

    Args:
        settings: whom, with what secret, and for how long.
        outbox: what is to be told.
        clock: of the bridge: retries of a rehearsal come as much faster as its calls.
        failed: told of each fault of our own that was survived.
        tls: whom to trust; None: whom the system trusts.

    Raises:
        ConfigurationError: the receiver is in a private network, which is not allowed.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        clock: Clock,
        failed: Callable[[], object],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = httpx.URL(settings.webhook_url)
        if not settings.webhook_allow_private and is_private_host(self._url.host):
            message = "is in a private network: set webhook_allow_private = true if the receiver is to be reached there"
            raise ConfigurationError(message, key="records.webhook_url")
        self._settings = settings
        self._outbox = outbox
        self._clock = clock
        self._failed = failed
        self._tls = tls
        self._wake = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self._pool: httpcore.AsyncConnectionPool

    async def __aenter__(self) -> Self:
        """Begin to tell what waits, also from before a restart."""
        resolve = SystemResolver()
        self._stack.callback(resolve.stop)
        tls = self._tls or ssl.create_default_context()
        private = self._settings.webhook_allow_private
        connections = pool(resolve, tls, allow_private=private, size=outbox.AT_ONCE)
        self._pool = await self._stack.enter_async_context(connections)
        task = asyncio.create_task(self._run(), name="webhook")
        self._stack.push_async_callback(self._end, task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell what is due, for a few seconds at most."""
        await self._stack.aclose()

    def look(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    async def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                with self._surviving():
                    await self._tell_all(await self._outbox.due())

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            with self._surviving():
                while due := await self._outbox.due():
                    await self._tell_all(due)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """One look at what is to be told, whatever goes wrong in it: nobody else looks, and the next may do better."""
        try:
            yield
        except RecordsUnavailableError:
            pass  # the writer says so in the log
        except Exception as error:  # noqa: BLE001 - told by `_crashed`
            self._crashed(error)

    async def _tell_all(self, due: Sequence[Delivery]) -> None:
        """Tell about several calls side by side; then raise for one whose attempt could not be written down."""
        for failure in await asyncio.gather(*map(self._tell, due), return_exceptions=True):
            if failure is not None:
                raise failure

    async def _tell(self, delivery: Delivery) -> None:
        record = await self._outbox.by_id(delivery.call_id)
        if record is None:  # it was deleted meanwhile, and its delivery with it
            return
        error = await self._flaw_of_attempt(delivery, record)
        fields: dict[str, object] = {"call_sid": delivery.call_sid, "attempts": delivery.attempts + 1}
        if not error:
            await self._outbox.settle(delivery, "delivered")
            _log.info("record.delivered", extra=fields)
        elif datetime.now(UTC) - delivery.created_at > timedelta(hours=self._settings.webhook_retry_h):
            await self._outbox.settle(delivery, "given_up", error)
            _log.error("record.given_up", extra=fields | {"reason": error})
        else:
            await self._outbox.settle(
                delivery, "waiting", error, again_in_s=outbox.pause_s(delivery.attempts) / self._clock.rate
            )
            _log.warning("record.not_delivered", extra=fields | {"reason": error})

    async def _flaw_of_attempt(self, delivery: Delivery, record: CallRecord) -> str:
        """Why a record was not taken, or nothing when it was; a fault of our own is tried again like any other."""
        try:
            return await self._flaw_of_post(record)
        except Exception as error:  # noqa: BLE001 - one record that cannot be told must not hold up the others
            self._crashed(error, call_sid=delivery.call_sid)
            return type(error).__name__

    def _crashed(self, error: Exception, **fields: object) -> None:
        _log.error("delivery.crashed", extra=fields | fault_of(error))
        self._failed()

    async def _flaw_of_post(self, record: CallRecord) -> str:
        """Post a record; why it was not taken, or nothing when it was."""
        event = "call.interrupted" if record.state == "interrupted" else "call.ended"
        body = msgspec.json.encode({"event": event, "call": record})
        url = self._url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                async with self._pool.stream(
                    "POST", target, headers=self._headers(record, body), content=body
                ) as answer:
                    return "" if httpx.codes.is_success(answer.status) else f"status {answer.status}"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, TimeoutError) as error:
            return type(error).__name__
        except FunctionFailedError as error:
            return error.reason

    def _headers(self, record: CallRecord, body: bytes) -> list[tuple[str, str]]:
        timestamp = str(int(time.time()))
        return [
            ("Host", self._url.netloc.decode()),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("User-Agent", "voicebridge"),
            ("Idempotency-Key", record.id),
            (TIMESTAMP_HEADER, timestamp),
            (SIGNATURE_HEADER, sign(self._settings.webhook_secret.get_secret_value(), timestamp, body)),
        ]
