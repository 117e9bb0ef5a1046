"""The register that a parent serves to its workers, over a stream to each; and what a worker sees of it.

A worker's stream closes with its process, whatever ended it: then its places are free.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from bridge.edge.peer import Peer
from bridge.edge.shared import ASK_WITHIN_S, GoneError, SharedLostError, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from bridge.edge.ledger import Ledger

_AN_ANSWER_S = ASK_WITHIN_S * 0.8
"""For a worker who is asked by way of the parent: the one who asks hears of a failure before it gives up itself."""


class Parent:
    """Serves the ledger to workers, and passes their questions on to each other.

    Args:
        ledger: the register.
        tell: called with what a worker tells its parent itself, as the worker's address and a word.
    """

    def __init__(self, ledger: Ledger, tell: Callable[[str, str], object]) -> None:
        self._ledger = ledger
        self._tell = tell
        self._workers: dict[str, Peer] = {}

    async def serve(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a worker until it closes its stream."""

        def handle(method: str, arguments: Sequence[object]) -> object:
            return self._handle(address, method, arguments)

        peer = self._workers[address] = Peer(reader, writer, handle)
        self._ledger.join(address)
        try:
            await peer.run()
        finally:
            del self._workers[address]
            self._ledger.drop(address, time.monotonic())

    def _handle(self, address: str, method: str, arguments: Sequence[object]) -> object:
        ledger, now = self._ledger, time.monotonic()
        match method, arguments:
            case "claim", [str(name)]:
                return ledger.claim(address, name, now)
            case "owner", [str(name)]:
                return ledger.owner(name, now)
            case "admit", [str(name), str(caller)]:
                return ledger.admit(address, name, caller, now).value
            case "limit", [int(max_calls), int(per_minute)]:
                ledger.limit(max_calls, per_minute)
            case "take", [str(name)]:
                ledger.take(address, name)
            case "park", [str(name)]:
                ledger.park(address, name)
            case "leave", [str(name)]:
                ledger.leave(address, name, now)
            case _:
                return self._pass_on(address, method, arguments)
        return None

    def _pass_on(self, address: str, method: str, arguments: Sequence[object]) -> object:
        """What is for others than the ledger."""
        match method, arguments:
            case "ask", [str(other), question]:
                return self._ask(other, question)
            case "ask_others", [question]:
                return self._ask_others(address, question)
            case "tell", [str(word)]:
                self._tell(address, word)
        return None

    async def _ask(self, address: str, question: object) -> object:
        peer = self._workers.get(address)
        if peer is None:
            raise GoneError("the worker is gone")
        return await peer.ask("answer", question, within_s=_AN_ANSWER_S)

    async def _ask_others(self, address: str, question: object) -> list[object]:
        others = [self._ask(other, question) for other in self._workers if other != address]
        answers = await asyncio.gather(*others, return_exceptions=True)
        return [answer for answer in answers if not isinstance(answer, BaseException)]


class SharedByParent:
    """The register as a worker reaches it: see `bridge.edge.shared.Shared`. `run` must be running as a task.

    Args:
        address: this worker's.
        reader: of the stream to the parent.
        writer: of that stream.
    """

    def __init__(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.address = address
        self._peer = Peer(reader, writer, self._handle)
        self._answer: Callable[[bytes], Awaitable[bytes]] | None = None
        self.run = self._peer.run
        """Takes what comes; returns when the parent is gone, or after `close`."""
        self.close = self._peer.close

    def serve(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Have the questions of others answered."""
        self._answer = answer

    def tell(self, word: str) -> None:
        """Tell the parent something that is no matter of a call."""
        self._peer.tell("tell", word)

    async def claim(self, name: str) -> str:
        """The owner of a call, who from now on is this worker or the least busy one if there was none."""
        return str(await self._ask("claim", name))

    async def owner(self, name: str) -> str:
        """The owner of a call, who may be gone."""
        return str(await self._ask("owner", name))

    async def admit(self, name: str, caller: str) -> Verdict:
        """Take a place for a call."""
        return Verdict(await self._ask("admit", name, caller))

    def limit(self, max_calls: int, per_minute: int) -> None:
        """Have other limits."""
        self._peer.tell("limit", max_calls, per_minute)

    def take(self, name: str) -> None:
        """The call is this worker's, and has a place."""
        self._peer.tell("take", name)

    def park(self, name: str) -> None:
        """The call lives on and takes up no place."""
        self._peer.tell("park", name)

    def leave(self, name: str) -> None:
        """The call is over."""
        self._peer.tell("leave", name)

    async def ask(self, address: str, question: bytes) -> bytes:
        """Ask another worker."""
        return _bytes(await self._peer.ask("ask", address, question))

    async def ask_others(self, question: bytes) -> list[bytes]:
        """Ask every other worker."""
        try:
            answers = await self._peer.ask("ask_others", question)
        except GoneError:
            return []
        return msgspec.convert(answers, list[bytes])

    async def _ask(self, method: str, *arguments: object) -> object:
        try:
            return await self._peer.ask(method, *arguments)
        except GoneError as error:
            raise SharedLostError(str(error)) from error

    def _handle(self, method: str, arguments: Sequence[object]) -> Coroutine[None, None, bytes] | None:
        return self._answered(_bytes(arguments[0])) if method == "answer" else None

    async def _answered(self, question: bytes) -> bytes:
        if self._answer is None:
            raise GoneError("the worker is not ready")
        return await self._answer(question)


def _bytes(content: object) -> bytes:
    if not isinstance(content, bytes):
        raise TypeError("questions and answers are bytes")
    return content
