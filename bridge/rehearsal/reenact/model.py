"""The model of a tape: a Realtime server that says what was said then, at the same moments relative to what it is sent.

A moment counts from the newest command that was there before it on the tape: only when that has come, the server goes
on. What it found in the caller's sound it tells when it has got as much sound as then. What does not come within
`COMES_WITHIN_S` is not waited for any longer; `likeness` tells that it is missing.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from bridge.rehearsal.reenact.parts import Event, Lost, Sent, is_sound
from bridge.wire.g711 import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from bridge.clock import Clock
    from bridge.rehearsal.reenact.parts import Fields, SessionPart

COMES_WITHIN_S = 3.0
"""How much later than on the tape a command or the caller's sound may come."""
PATH = "/v1/realtime"
_ABNORMAL = 1006
_EXPIRY = re.compile(r'("expires_at":\s*)(\d+(?:\.\d+)?)')


class TapedModel:
    """A Realtime server with the sessions of a tape, one after the other; an async context manager.

    Args:
        sessions: what happens on each.
        clock: the clock shared with carrier and bridge.
        host: the address to listen on.
        port: the port to listen on; 0 for a free one.
    """

    def __init__(
        self, sessions: Sequence[SessionPart], *, clock: Clock, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.received: list[Sent] = []
        """The commands that came, but for sound, on all sessions."""
        self._sessions = sessions
        self._clock = clock
        self._host = host
        self._port = port
        self._begun = 0
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The address for the bridge; known once entered."""
        return f"ws://{self._host}:{self._port}{PATH}"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            process_request=self._admit,
            max_size=None,
            compression=None,
            close_timeout=1,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open, and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _admit(self, connection: ServerConnection, _: Request) -> Response | None:
        """Open a session as slowly as then; refuse those that were refused then, and those that there were not."""
        part = self._sessions[self._begun] if self._begun < len(self._sessions) else None
        if part is not None:
            await self._clock.sleep(part.opening_s)
            if not part.is_refused:
                return None
        self._begun += 1
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the tape has no such session\n")

    async def _serve(self, socket: ServerConnection) -> None:
        part = self._sessions[self._begun]
        self._begun += 1
        await _Performance(part, socket, self._clock, self.received).run()


class _Performance:
    """One session."""

    def __init__(self, part: SessionPart, socket: ServerConnection, clock: Clock, received: list[Sent]) -> None:
        self._part = part
        self._socket = socket
        self._clock = clock
        self._received = received
        self._awaited = [act for act in part.acts if isinstance(act, Sent)]
        self._came_at: dict[int, float] = {}
        self._heard_bytes = 0
        self._news = asyncio.Event()
        self._renamed: dict[str, str] = {}
        self._began_unix_s = time.time()
        self._later_s = clock.now() - part.began_at
        """How much later than on the tape it is."""

    async def run(self) -> None:
        playing = asyncio.create_task(self._play())
        try:
            async for message in self._socket:
                self._take(json.loads(message))
        except ConnectionClosed:
            pass  # however it was closed
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    def _take(self, command: Fields) -> None:
        if is_sound(command):
            self._heard_bytes += size_of(str(command.get("audio")))
        else:
            sent = Sent(self._clock.now(), command)
            self._received.append(sent)
            self._match(sent)
        self._news.set()

    def _match(self, came: Sent) -> None:
        """Find the command on the tape that this one is, and take its ids for those on the tape."""
        for number, awaited in enumerate(self._awaited):
            if awaited.kind == came.kind and number not in self._came_at:
                self._came_at[number] = came.at
                self._renamed |= _new_names(awaited.fields, came.fields)
                return

    async def _play(self) -> None:
        number = 0
        with suppress(ConnectionClosed):
            for act in self._part.acts:
                match act:
                    case Sent():
                        await self._command(number, act)
                        number += 1
                    case Event():
                        await self._say(act)
                    case Lost():
                        await self._clock.sleep_until(act.at + self._later_s)
                        await self._lose(act.code)

    async def _command(self, number: int, awaited: Sent) -> None:
        await self._until(lambda: number in self._came_at, awaited.at)
        if number in self._came_at:
            self._later_s = self._came_at[number] - awaited.at

    async def _say(self, event: Event) -> None:
        if event.is_of_sound:
            await self._until(lambda: self._heard_bytes >= event.heard_bytes, event.at)
            self._later_s = self._clock.now() - event.at
        else:
            await self._clock.sleep_until(event.at + self._later_s)
        text = self._of_today(event.text)
        for old, new in self._renamed.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        await self._socket.send(text)

    def _of_today(self, text: str) -> str:
        """The session ends as long after its beginning as then, by the wall clock of now."""
        if not self._part.unix_s:
            return text
        shift_s = self._began_unix_s - self._part.unix_s
        return _EXPIRY.sub(lambda found: f"{found[1]}{float(found[2]) + shift_s}", text)

    async def _lose(self, code: str) -> None:
        if code.isdecimal() and int(code) != _ABNORMAL:
            await self._socket.close(int(code))
        else:
            self._socket.transport.abort()

    async def _until(self, condition: Callable[[], bool], tape_at: float) -> None:
        """Wait for what the tape has at a time, but no longer than `COMES_WITHIN_S` after that."""
        left_s = max(0.0, tape_at + self._later_s - self._clock.now()) + COMES_WITHIN_S
        with suppress(TimeoutError):
            async with self._clock.timeout(left_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()


def _new_names(old: Fields, new: Fields) -> dict[str, str]:
    """The ids of a command on the tape that are others now: of the event, and of the wish that it brings."""
    pairs = [(old.get("event_id"), new.get("event_id")), (_wish(old), _wish(new))]
    return {was: now for was, now in pairs if isinstance(was, str) and isinstance(now, str) and was and was != now}


def _wish(command: Fields) -> object:
    match command:
        case {"response": {"metadata": {"wish": wish}}}:
            return wish
        case _:
            return None
