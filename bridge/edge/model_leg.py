"""What both clients of the model's leg share: who is told what and when, what a failure is called, and conversion.

The core speaks mu-law. Where an endpoint cannot, the audio of both directions is converted here.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import msgspec

from bridge import __version__
from bridge.call.controls import ModelConnected, ModelLost, SuccessorConnected, SuccessorLost
from bridge.edge.writer import ignore
from bridge.wire.commands import AppendAudio, encode
from bridge.wire.g711 import converter
from bridge.wire.model import AudioDelta, BetaAudioDelta
from bridge.wire.model import parse as parse_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.edge.driver import Driver
    from bridge.settings import AudioFormat
    from bridge.wire.commands import Command
    from bridge.wire.endpoint import Endpoint
    from bridge.wire.g711 import Converter

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A session or a retrieved item can exceed the 1 MiB that libraries allow by default."""
WAITING_BYTES = 4 * 1024 * 1024
"""What may wait to be sent: minutes of sound. More means that the server does not read."""
CLOSE_WITHIN_S = 2.0
USER_AGENT = f"voicebridge/{__version__}"
"""Unless `model.extra_headers` names another: gateways exist that turn away who says nothing about themselves."""
SERVER_ERROR = 500
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STATUS_REASONS = {401: "unauthorized", 403: "unauthorized", 404: "not_found", 429: "rate_limited"}


@cache
def shared_tls() -> ssl.SSLContext:
    """One TLS context for all sessions: making one costs 16 ms of the event loop and 1 MB."""
    return ssl.create_default_context()


class RefusedError(Exception):
    """The endpoint answered the handshake with an HTTP status that is not 101.

    Args:
        status: the status.
        body: what the endpoint says about it; `code` is its own word for the reason, empty when it has none.
    """

    def __init__(self, status: int, body: bytes | bytearray | None = None) -> None:
        self.status = status
        self.code = _code_in(body or b"")
        super().__init__(status)


class _Error(msgspec.Struct):
    code: str | int | None = None


class _Body(msgspec.Struct):
    error: _Error


def _code_in(body: bytes | bytearray) -> str:
    """The code of an error that an endpoint answers by HTTP: a word such as `insufficient_quota`, nothing else."""
    try:
        code = str(msgspec.json.decode(body, type=_Body).error.code or "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return code if _CODE.fullmatch(code) else ""


class ModelLeg(ABC):
    """One session's socket; reports to its driver. `send` and `close` never wait.

    Args:
        driver: told `ModelConnected`, each event, and `ModelLost` once, unless it closed the socket itself; of a
            successor `SuccessorConnected` and `SuccessorLost`.
        endpoint: where the session is opened, and how.
        connect_timeout_s: how long opening may take.
        input_format: what the endpoint takes.
        output_format: what it gives.
        is_successor: whether it is opened beside the call's session, to follow it.
    """

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
        self._driver = driver
        self._endpoint = endpoint
        self._connect_timeout_s = connect_timeout_s
        self._to_model = converter(input_format, to_model=True)
        self._from_model = converter(output_format, to_model=False)
        self._is_successor = is_successor
        self._receive = self._receiver()
        """Takes each event; nothing once the session is closed."""
        self._is_closed = False
        self.task = asyncio.get_running_loop().create_task(self._run())
        """Done when the socket is closed."""

    def send(self, command: Command) -> None:
        """Send a command after those before it."""
        if self._to_model is None:
            self._put(encode(command))
        else:
            self._put(encode(converted(command, self._to_model)))

    def succeed(self) -> None:
        """Report as the call's session from now on, and as its successor no more."""
        self._is_successor = False
        self._receive = self._receiver()

    def _receiver(self) -> Callable[[str | bytes], object]:
        receive = self._driver.receive_successor if self._is_successor else self._driver.receive_model
        return receive if self._from_model is None else _Incoming(self._from_model, receive).receive

    def close(self) -> None:
        """Close the socket; nothing is reported any more."""
        if not self._is_closed:
            self._is_closed = True
            self._receive = ignore
            self._leave()

    # For the client

    library: ClassVar[str]
    """The package that carries the texts, for the log."""
    _put: Callable[[bytes], object]
    """Sends a text message after those before it."""

    @abstractmethod
    async def _open(self) -> None:
        """Open the socket within the time.

        Raises RefusedError, TimeoutError, OSError or ValueError when it cannot be had.
        """

    @abstractmethod
    async def _carry(self) -> None:
        """Wait for the end of the socket, which is reported to `_lost`."""

    @abstractmethod
    def _leave(self) -> None:
        """Close the socket when what waits has gone out; or give up opening it."""

    def _connected(self) -> None:
        now = time.time()
        self._driver.control(SuccessorConnected(now) if self._is_successor else ModelConnected(now))

    def _lost(self, reason: str, code: str = "") -> None:
        if not self._is_closed:
            self.close()
            self._driver.control(SuccessorLost(reason, code) if self._is_successor else ModelLost(reason, code))

    async def _run(self) -> None:
        try:
            await self._open()
        except RefusedError as error:
            reason = _STATUS_REASONS.get(error.status, "unavailable" if error.status >= SERVER_ERROR else "refused")
            self._lost(reason, f"{error.status} {error.code}".rstrip())
        except TimeoutError:
            self._lost("timed_out")
        except socket.gaierror as error:
            self._lost("unresolved", type(error).__name__)
        except ssl.SSLCertVerificationError as error:
            self._lost("tls_failed", type(error).__name__)
        except (OSError, ValueError) as error:
            self._lost("unreachable", type(error).__name__)
        else:
            await self._carry()


def converted(command: Command, to_model: Converter) -> Command:
    """Sound in the endpoint's format; what is not base64 goes as it is, and is refused and counted as anywhere."""
    if not isinstance(command, AppendAudio):
        return command
    try:
        return AppendAudio(to_model.convert(command.audio))
    except ValueError:
        return command


class _Incoming:
    """Turns the audio deltas of an endpoint without mu-law into mu-law, item by item."""

    def __init__(self, made: Converter, receive: Callable[[str | bytes], object]) -> None:
        self._converter = made
        self._pass_on = receive
        self._item_id = ""

    def receive(self, text: str | bytes) -> None:
        event = parse_event(text)
        if not isinstance(event, AudioDelta):
            self._pass_on(text)
            return
        if event.item_id != self._item_id:  # the filter's tail of another utterance is not this one's beginning
            self._converter.flush()
            self._item_id = event.item_id
        kind = BetaAudioDelta if isinstance(event, BetaAudioDelta) else AudioDelta
        try:
            sound = self._converter.convert(event.delta)
        except ValueError:
            self._pass_on(b"")
            return
        self._pass_on(msgspec.json.encode(kind(event.response_id, event.item_id, sound, event.content_index)))
