"""The model's leg, plain: a `websockets` client that opens a Realtime session and carries its texts both ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from bridge.edge.model_leg import WAITING_BYTES, ModelLeg, RefusedError
from bridge.edge.straight import session_at
from bridge.edge.writer import Writer

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from bridge.edge.driver import Driver
    from bridge.settings import AudioFormat
    from bridge.wire.endpoint import Endpoint


class ModelSocket(ModelLeg):
    """One session's socket: a task that reads, and one that writes what waits."""

    library = "websockets"

    def __init__(
        self,
        driver: Driver,
        endpoint: Endpoint,
        *,
        connect_timeout_s: float,
        input_format: AudioFormat = "g711_ulaw",
        output_format: AudioFormat = "g711_ulaw",
        is_successor: bool = False,
    ) -> None:
        self._socket: ClientConnection | None = None
        self._writer = Writer(self._write, limit_bytes=WAITING_BYTES, overflowed=lambda: self._lost("overflowed"))
        self._put = self._writer.put
        super().__init__(
            driver,
            endpoint,
            connect_timeout_s=connect_timeout_s,
            input_format=input_format,
            output_format=output_format,
            is_successor=is_successor,
        )

    async def _open(self) -> None:
        async with self._driver.clock.timeout(self._connect_timeout_s):
            self._socket = await connected(self._endpoint)

    async def _carry(self) -> None:
        assert self._socket is not None  # noqa: S101 - `_open` is done
        writing = asyncio.get_running_loop().create_task(self._writing(self._socket))
        try:
            self._connected()
            await self._read(self._socket)
        finally:
            self._writer.close()
            await writing

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                text = await socket.recv()
                if isinstance(text, bytes):
                    text = b""  # a binary frame is no event: counted as malformed
                self._receive(text)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1006
            reason = closed.rcvd.reason if closed.rcvd is not None else ""
            self._lost("closed", f"{code} {reason}".strip())

    async def _writing(self, socket: ClientConnection) -> None:
        try:
            await self._writer.run()
        except ConnectionClosed:
            return  # the reader reports it
        await socket.close()

    async def _write(self, text: str | bytes) -> None:
        if self._socket is not None:
            await self._socket.send(text, text=True)

    def _leave(self) -> None:
        self._writer.close()
        if self._socket is None:
            self.task.cancel()


async def connected(endpoint: Endpoint) -> ClientConnection:
    """Open a session's socket; whoever calls says for how long.

    Raises RefusedError, OSError or ValueError when it cannot be had.
    """
    try:
        return await session_at(endpoint)
    except InvalidStatus as error:
        raise RefusedError(error.response.status_code, error.response.body) from error
    except (WebSocketException, ImportError) as error:  # a package for SOCKS that the environment's proxy needs
        raise ValueError(str(error)) from error
