"""The register of several bridges in Redis: see `bridge.edge.shared.Shared`, and `bridge.edge.shared_scripts`.

Questions go by publishing to the channel of whoever is asked. While Redis cannot be reached, nothing waits for it: each
bridge goes by what it knows itself, and tells Redis what holds when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import importlib.util
import logging
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import msgspec

from bridge.edge import shared_scripts as scripts
from bridge.edge.shared import ASK_WITHIN_S, KEPT_S, NOBODY, GoneError, SharedLostError, Verdict
from bridge.errors import BridgeError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from redis.asyncio import Redis

BEAT_S = 2.0
ANSWER_WITHIN_S = 2.0
"""How long Redis may take for a command; then it is lost."""
CONNECTIONS = 16
"""To Redis, of one process; commands beyond wait for one that is free, within their time."""
MAX_TOLD = 10_000
"""What may wait to be told to Redis; when it is more, all is told anew."""
MAX_ASKED = 4096
"""Questions that may wait for an answer; a further one fails at once."""
_log = logging.getLogger("bridge")


class _Message(msgspec.Struct, array_like=True):
    number: int
    sender: str
    """Where the answer goes."""
    kind: str
    """`ask`, `answer` or `failure`."""
    content: bytes


_decode = msgspec.msgpack.Decoder(_Message).decode


class SharedByRedis:
    """The register, as an async context manager.

    Args:
        url: `redis://` or `rediss://`.
        address: this process; another one each time it starts.
        secret: callers' numbers are stored as digests with this key, which all bridges have in common.
        max_calls: places, over all bridges.
        calls_per_minute_per_caller: over all bridges too.

    Raises BridgeError when Redis cannot be reached at the start, ConfigurationError without the package.
    """

    def __init__(
        self, url: str, address: str, *, secret: str, max_calls: int, calls_per_minute_per_caller: int
    ) -> None:
        self.address = address
        self.is_lost = False
        """Whether Redis cannot be reached at the moment."""
        self._url = url
        self._secret = secret.encode()
        self._limits = (str(max_calls), str(calls_per_minute_per_caller))
        self._redis = _client(url)
        self._calls: dict[str, bool] = {}
        """The calls that live here, and whether each takes up a place."""
        self._others: tuple[str, ...] = ()
        """The addresses that were there at the last heartbeat."""
        self._must_tell_all = True
        self._told: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MAX_TOLD)
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._count = 0
        self._answer: Callable[[bytes], Awaitable[bytes]] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_leaving = False
        """Asked for by what goes on beside: before Python 3.12 `asyncio.wait_for`, which the library uses, may lose a
        cancellation that comes with its result."""

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await self._beat()
        except SharedLostError as error:
            await self._redis.aclose()
            message = f"cannot reach Redis at {self._place} ({error.__cause__}): start it, or set shared.url"
            raise BridgeError(message) from error
        listening = asyncio.get_running_loop().create_future()
        work = (self._keep_beating(), self._keep_telling(), self._keep_listening(listening))
        self._tasks = [asyncio.create_task(each) for each in work]
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                await listening
        except Exception as error:  # the library's, or that it took too long
            await self.__aexit__(None, None, None)
            message = f"cannot listen to Redis at {self._place} ({str(error) or 'it does not answer'}): see that it is "
            raise BridgeError(f"{message}there, and let the user of shared.url SUBSCRIBE to {_channel('*')}") from error
        return self

    @property
    def _place(self) -> str:
        """Where Redis is, without the password."""
        url = urlsplit(self._url)
        return f"{url.hostname}:{url.port or 6379}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take back everything that stands in the register for this process."""
        self._is_leaving = True
        for task in (*self._tasks, *self._answering):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._answering, return_exceptions=True)
        with contextlib.suppress(SharedLostError):
            await self._run(scripts.PART, "")
        await self._redis.aclose()

    def serve(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Have the questions of others answered."""
        self._answer = answer

    async def claim(self, name: str) -> str:
        """The owner of a call, who from now on is this process if there was none."""
        return _text(await self._run(scripts.CLAIM, name))

    async def owner(self, name: str) -> str:
        """The owner of a call, who may be gone."""
        owner = await self._command(self._redis.get(f"{scripts.PREFIX}owner:{name}"))
        return NOBODY if owner is None else _text(owner)

    async def admit(self, name: str, caller: str) -> Verdict:
        """Take a place for a call."""
        self._calls[name] = True  # before it is known: what is told anew meanwhile must not leave it out
        digest = hmac.digest(self._secret, caller.encode(), hashlib.sha256).hex() if caller else ""
        try:
            answer = _text(await self._run(scripts.ADMIT, name, digest, *self._limits))
            if answer == "unknown":
                self._calls[name] = False  # it has no place yet
                await self._beat()
                self._calls[name] = True
                answer = _text(await self._run(scripts.ADMIT, name, digest, *self._limits))
            verdict = Verdict(answer)
        except BaseException:
            self.leave(name)
            raise
        if verdict is not Verdict.ADMITTED:
            self.leave(name)  # a place that was told with all others in between is given back
        return verdict

    def limit(self, max_calls: int, per_minute: int) -> None:
        """Have other limits, from this process's next call on."""
        self._limits = (str(max_calls), str(per_minute))

    def take(self, name: str) -> None:
        """The call is this process's, and has a place."""
        self._calls[name] = True
        self._tell(scripts.TAKE, name)

    def park(self, name: str) -> None:
        """The call lives on and takes up no place."""
        if name in self._calls:
            self._calls[name] = False
        self._tell(scripts.PARK, name)

    def leave(self, name: str) -> None:
        """The call is over."""
        self._calls.pop(name, None)
        self._tell(scripts.LEAVE, name)

    async def ask(self, address: str, question: bytes) -> bytes:
        """Ask another process."""
        if len(self._asked) >= MAX_ASKED:
            raise GoneError("too many questions wait for an answer")
        self._count += 1
        number = self._count
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            if not await self._publish(address, _Message(number, self.address, "ask", question)):
                raise GoneError("the other bridge is gone")
            async with asyncio.timeout(ASK_WITHIN_S):
                content: bytes = await answer
        except SharedLostError as error:
            raise GoneError(str(error)) from error
        except TimeoutError:
            raise GoneError(f"the other bridge has not answered within {ASK_WITHIN_S:g} s") from None
        else:
            return content
        finally:
            self._asked.pop(number, None)

    async def ask_others(self, question: bytes) -> list[bytes]:
        """Ask every other process."""
        try:
            await self._beat()  # who is there
        except SharedLostError:
            return []
        asking = (self.ask(other, question) for other in self._others)
        answers = await asyncio.gather(*asking, return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, bytes)]

    # What goes on beside

    async def _keep_beating(self) -> None:
        while not self._is_leaving:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(SharedLostError):
                await self._beat()

    async def _beat(self) -> None:
        """Say that we are there; and which calls are, when that may have got lost or Redis has forgotten us."""
        tells_all = self._must_tell_all
        self._must_tell_all = False
        told = dict(self._calls) if tells_all else {}
        calls = sorted(told, key=told.__getitem__, reverse=True)
        places = str(sum(told.values())) if tells_all else "-1"
        try:
            is_known, found = _pair(await self._run(scripts.BEAT, "", places, *calls, tries=True))
        except SharedLostError:
            self._must_tell_all = True
            raise
        if tells_all:
            self._catch_up(told)
        self._others = tuple(other for other in map(_text, found) if other != self.address)
        if not (is_known or tells_all):
            self._must_tell_all = True
            await self._beat()

    def _catch_up(self, told: Mapping[str, bool]) -> None:
        """Tell again what has changed while all calls were told: Redis may have heard of it before it heard of all."""
        for name in told.keys() - self._calls.keys():
            self._tell(scripts.LEAVE, name)
        for name, has_place in self._calls.items():
            if told.get(name) is not has_place:
                self._tell(scripts.TAKE if has_place else scripts.PARK, name)

    def _tell(self, script: str, name: str) -> None:
        try:
            self._told.put_nowait((script, name))
        except asyncio.QueueFull:
            self._must_tell_all = True

    async def _keep_telling(self) -> None:
        while not self._is_leaving:
            script, name = await self._told.get()
            try:
                await self._run(script, name)
            except SharedLostError:
                self._must_tell_all = True

    async def _keep_listening(self, listening: asyncio.Future[None]) -> None:
        """Receive what is published for us; `listening` is done when Redis has let us, or refused it at the start."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - see `_client`

        while not self._is_leaving:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(_channel(self.address))
                    while not self._is_leaving:
                        message = await channel.get_message(timeout=BEAT_S)
                        if message is None:
                            continue
                        if message["type"] == "message":
                            self._receive(message["data"])
                        elif not listening.done():  # Redis has let us
                            listening.set_result(None)
            except (RedisError, OSError) as error:
                if not listening.done():
                    listening.set_exception(error)
                    return
                self._lost(error)
                await asyncio.sleep(BEAT_S)

    def _receive(self, data: bytes) -> None:
        try:
            message = _decode(data)
        except msgspec.DecodeError:
            _log.warning("peer.failed", extra={"reason": "malformed"})
            return
        if message.kind == "ask":
            task = asyncio.get_running_loop().create_task(self._reply(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        answer = self._asked.get(message.number)
        if answer is not None and not answer.done():
            if message.kind == "answer":
                answer.set_result(message.content)
            else:
                answer.set_exception(GoneError("the other bridge could not answer"))

    async def _reply(self, asked: _Message) -> None:
        reply = _Message(asked.number, self.address, "failure", b"")
        try:
            if self._answer is not None:
                reply.content = await self._answer(asked.content)
                reply.kind = "answer"
        except Exception:  # noqa: BLE001 - whoever asked must hear of it, and this process goes on
            _log.exception("question.failed", extra={"question": "answer"})
        with contextlib.suppress(SharedLostError):
            await self._publish(asked.sender, reply)

    async def _publish(self, address: str, message: _Message) -> int:
        return int(str(await self._command(self._redis.publish(_channel(address), msgspec.msgpack.encode(message)))))

    async def _run(self, script: str, name: str, *more: str, tries: bool = False) -> object:
        times = (str(int(each * 1000)) for each in (scripts.ALIVE_S, scripts.LIVING_S, KEPT_S))
        arguments = (scripts.PREFIX, *times, self.address, name, *more)
        return await self._command(self._redis.register_script(script)(args=arguments), tries=tries)

    async def _command(self, command: Awaitable[object], *, tries: bool = False) -> object:
        """Have Redis do something; while it is lost only the heartbeat, with `tries`, finds out whether it is back."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - see `_client`

        if self.is_lost and not tries:
            if asyncio.iscoroutine(command):
                command.close()
            raise SharedLostError("Redis cannot be reached")
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                result = await command
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            raise SharedLostError("Redis cannot be reached") from error
        if self.is_lost:
            self.is_lost = False
            _log.warning("shared.regained")
        return result

    def _lost(self, error: BaseException) -> None:
        if not self.is_lost:
            self.is_lost = self._must_tell_all = True
            _log.error("shared.lost", extra={"reason": type(error).__name__})


def _client(url: str) -> Redis:
    if importlib.util.find_spec("redis") is None:
        message = "needs one more package: pip install 'voicebridge[redis]'"
        raise ConfigurationError(message, key="shared.url")
    from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 - the extra `redis` is needed only here
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 1),  # a connection that was kept open may be dead, the next one is not
    )
    return Redis.from_pool(pool)


def _channel(address: str) -> str:
    return f"{scripts.PREFIX}to:{address}"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pair(value: object) -> tuple[bool, Iterable[object]]:
    is_known, found = value if isinstance(value, list) else (1, ())
    return bool(is_known), found
