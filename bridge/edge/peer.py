"""Questions and answers between two processes of this machine, both ways over one stream.

A frame is its length, then msgpack: `[number, method, arguments]` asks, number 0 tells without an answer, and
`[number, "", answer]` or `[number, "!", reason]` answers. A peer that sends anything else, or reads nothing any more,
is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Coroutine
from typing import TYPE_CHECKING

import msgspec

from bridge.edge.shared import ASK_WITHIN_S, GoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LENGTH = struct.Struct(">I")
MAX_FRAME_BYTES = 8 * 1024 * 1024
"""The views of all live calls of a worker are far below."""
WAITING_BYTES = 32 * 1024 * 1024
"""What may wait to be sent: more means that the other process does not read any more."""
MAX_ASKED = 4096
"""Questions that may wait for an answer; a further one fails at once."""
_ANSWER, _FAILURE = "", "!"
_TOLD = 0
_log = logging.getLogger("bridge")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, str, object]).decode


class Peer:
    """The other process.

    Args:
        reader: of the stream.
        writer: of the stream; is closed with it.
        handle: answers a question, or takes what is told. An answer that takes time is a coroutine, which runs beside
            what comes next. Whatever either raises reaches whoever asked as GoneError, and the stream goes on.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handle: Callable[[str, Sequence[object]], object],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._asked: dict[int, asyncio.Future[object]] = {}
        self._count = 0
        self._answering: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def ask(self, method: str, *arguments: object, within_s: float = ASK_WITHIN_S) -> object:
        """Ask, and wait for the answer. Raises GoneError."""
        if self._is_closed or len(self._asked) >= MAX_ASKED:
            raise GoneError("the other process is gone or does not answer")
        self._count += 1
        number = self._count
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(number, method, arguments)
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise GoneError(f"the other process has not answered within {within_s:g} s") from None
        finally:
            self._asked.pop(number, None)

    def tell(self, method: str, *arguments: object) -> None:
        """Tell, after what was told and asked before."""
        if not self._is_closed:
            self._send(_TOLD, method, arguments)

    async def run(self) -> None:
        """Take what comes until the other process closes the stream, or `close` does."""
        try:
            while (frame := await self._read()) is not None:
                self._take(*_decode(frame))
        except (OSError, msgspec.DecodeError, ValueError) as error:
            _log.warning("peer.failed", extra={"reason": type(error).__name__})
        finally:
            self.close()

    def close(self) -> None:
        """Close the stream; whoever waits for an answer gets none."""
        self._is_closed = True
        self._writer.close()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(GoneError("the other process is gone"))
        for task in self._answering:
            task.cancel()

    async def _read(self) -> bytes | None:
        try:
            (size,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            if size > MAX_FRAME_BYTES:
                raise ValueError("a frame is too long")
            return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError:
            return None

    def _take(self, number: int, method: str, content: object) -> None:
        if method in (_ANSWER, _FAILURE):
            self._answered(number, method, content)
            return
        if not isinstance(content, list):
            raise ValueError("arguments are a list")  # noqa: TRY004 - what a peer sent is bad data, no misuse of ours
        try:
            answer = self._handle(method, content)
        except Exception as error:  # noqa: BLE001 - told by `_failed`
            self._failed(number, method, error)
            return
        if isinstance(answer, Coroutine):
            task = asyncio.get_running_loop().create_task(self._answer(number, method, answer))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif number != _TOLD:
            self._send(number, _ANSWER, answer)

    def _answered(self, number: int, method: str, content: object) -> None:
        answer = self._asked.get(number)
        if answer is None or answer.done():
            return  # it came too late
        if method == _ANSWER:
            answer.set_result(content)
        else:
            answer.set_exception(GoneError(str(content)))

    async def _answer(self, number: int, method: str, working: Coroutine[None, None, object]) -> None:
        try:
            answer = await working
        except Exception as error:  # noqa: BLE001 - told by `_failed`
            self._failed(number, method, error)
        else:
            if number != _TOLD:
                self._send(number, _ANSWER, answer)

    def _failed(self, number: int, method: str, error: Exception) -> None:
        """Whoever asked must hear of it, and this process goes on."""
        if not isinstance(error, GoneError):
            _log.error("question.failed", exc_info=error, extra={"question": method})
        if number != _TOLD:
            reason = str(error) if isinstance(error, GoneError) else "the other process could not answer"
            self._send(number, _FAILURE, reason)

    def _send(self, number: int, method: str, content: object) -> None:
        frame = _encode((number, method, content))
        transport = self._writer.transport
        if len(frame) > MAX_FRAME_BYTES or transport.get_write_buffer_size() > WAITING_BYTES:
            _log.warning("peer.failed", extra={"reason": "overflowed"})
            self.close()
            return
        with contextlib.suppress(OSError):  # `run` sees it too, and tells
            self._writer.write(LENGTH.pack(len(frame)) + frame)
