"""An embedded Realtime server: strict about the protocol, offline, and faster than real time.

Any Realtime client may connect to it: the bridge in a rehearsal, the `openai` package in the tests. How it works
inside is in `bridge.rehearsal.realtime`; what it checks, does and leaves out is in `docs/rehearsal-model.md`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self
from weakref import WeakKeyDictionary

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError

from bridge.clock import Clock
from bridge.errors import LocalProtocolError
from bridge.rehearsal.mind import Mind
from bridge.rehearsal.realtime.beta import BetaDialect
from bridge.rehearsal.realtime.door import OPENAI_PATH, Denied, Door
from bridge.rehearsal.realtime.faults import FaultPlan, FaultySink
from bridge.rehearsal.realtime.ga import GaDialect
from bridge.rehearsal.realtime.items import new_id
from bridge.rehearsal.realtime.outbox import Outbox
from bridge.rehearsal.realtime.performance import Pacing
from bridge.rehearsal.realtime.refusal import Refusal
from bridge.rehearsal.realtime.session import Limits, Session
from bridge.rehearsal.speech import Speech

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import TracebackType

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response
    from websockets.typing import Subprotocol

    from bridge.rehearsal.mind import Dialogue
    from bridge.rehearsal.realtime.dialect import Dialect, DialectName
    from bridge.rehearsal.realtime.door import Admission, ServedDialects
    from bridge.rehearsal.realtime.ports import MindLike, SpeechLike
    from bridge.settings import ModelFault

_log = logging.getLogger(__name__)

CLOSE_BETA_DISABLED: Final = 4000
MAX_MESSAGE_BYTES: Final = 20 * 1024 * 1024
"""Above an append's 15 MiB, so that one slightly too long is refused by an event; a longer one closes with 1009."""
_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
_REMEMBERED_SESSIONS: Final = 100
_CLOSE_TIMEOUT_S: Final = 5.0
_DIALECTS: Final[dict[DialectName, Callable[[], Dialect]]] = {"ga": GaDialect, "beta": BetaDialect}


class EmbeddedModel:
    """A Realtime server on this machine; an async context manager.

    Args:
        speech: its ears and mouth, shared by all sessions; the caller keeps them open as long as the server.
        dialogue: what it talks about; `mind` makes each session's mind of it.
        clock: the clock shared with carrier and bridge.
        host: the address to listen on.
        port: the port to listen on; 0 for a free one.
        api_key: the key clients must present, as bearer token, `api-key` or subprotocol; None admits everybody.
        models: the models there are; empty for any name.
        dialects: `ga` refuses the beta header, as OpenAI does; `beta` speaks it to everybody, as older compatible
            servers do; `both` lets the header decide.
        pace: how many times faster than real time speech is sent; `math.inf` sends an answer all at once.
        delta_ms: how much audio one delta brings.
        think_ms: from the end of a turn to the answer's beginning, beside recognition and synthesis.
        limits: what one session may take.
        max_sessions: how many clients there may be at once; another is answered with HTTP 429.
        max_waiting_events: how many events may wait for a client that does not read, before it is cut off.
        faults: what goes wrong, connection by connection; see `bridge.rehearsal.realtime.faults`.
    """

    def __init__(
        self,
        *,
        speech: SpeechLike,
        dialogue: Dialogue,
        clock: Clock,
        mind: Callable[[Dialogue], MindLike] = Mind,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        models: Collection[str] = (),
        dialects: ServedDialects = "ga",
        pace: float = 4.0,
        delta_ms: int = 200,
        think_ms: int = 150,
        limits: Limits | None = None,
        max_sessions: int = 100,
        max_waiting_events: int = 10_000,
        faults: Sequence[ModelFault] = (),
    ) -> None:
        self._speech = speech
        self._dialogue = dialogue
        self._mind = mind
        self._clock = clock
        self._host = host
        self._port = port
        self._door = Door(dialects, api_key, frozenset(models))
        self._pacing = Pacing(pace=pace, delta_ms=delta_ms, think_ms=think_ms)
        self._limits = limits or Limits()
        self._max_sessions = max_sessions
        self._max_waiting_events = max_waiting_events
        self._faults = FaultPlan(faults)
        self._faulty: WeakKeyDictionary[ServerConnection, ModelFault] = WeakKeyDictionary()
        self._server: Server | None = None
        self._live = 0
        self._sessions: deque[Session] = deque(maxlen=_REMEMBERED_SESSIONS)

    @property
    def url(self) -> str:
        """The address for clients, to which `?model=` is added; known once entered."""
        return f"ws://{self._host}:{self._port}{OPENAI_PATH}"

    @property
    def sessions(self) -> Sequence[Session]:
        """The sessions there are and the last ones there were, oldest first; to look at."""
        return tuple(self._sessions)

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            process_request=self._answer_handshake,
            select_subprotocol=_select_subprotocol,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            close_timeout=_CLOSE_TIMEOUT_S,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every session with 1001, and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _answer_handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a client in (None), or answer it by HTTP."""
        try:
            self._admit(request)
            fault = self._faults.next()
            if fault is not None:
                self._faulty[connection] = fault
        except Denied as denied:
            response = connection.respond(denied.status, json.dumps(denied.body()))
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
            return response
        return None

    def _admit(self, request: Request) -> Admission:
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        protocols = [name.strip() for name in offered.split(",")]
        if self._live >= self._max_sessions:
            raise Denied(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_exceeded", "There are too many sessions already.")
        return self._door.admit(request.path, request.headers, protocols)

    async def _serve(self, socket: ServerConnection) -> None:
        if socket.request is None:
            raise LocalProtocolError("a connection is served after its handshake")
        admission = self._admit(socket.request)
        if admission.dialect is None:
            await _refuse_beta(socket)
            return
        outbox = Outbox(socket, max_events=self._max_waiting_events, max_bytes=_MAX_WAITING_BYTES)
        fault = self._faulty.get(socket)
        limits = self._limits
        if fault is not None and fault.kind == "expire":
            limits = replace(limits, max_session_s=fault.after_s)
        session = Session(
            FaultySink(outbox, fault) if fault is not None else outbox,
            _DIALECTS[admission.dialect](),
            model=admission.model,
            deployments=admission.deployments,
            speech=self._speech,
            mind=self._mind(self._dialogue),
            clock=self._clock,
            pacing=self._pacing,
            limits=limits,
        )
        self._sessions.append(session)
        self._live += 1
        writer = asyncio.create_task(outbox.run(), name=f"outbox {session.id}")
        try:
            session.open()
            async for message in socket:
                session.receive(message)
        except ConnectionClosedError as closed:
            _log.debug("rehearsal.client_lost", extra={"session_id": session.id, "reason": str(closed)})
        finally:
            self._live -= 1
            await session.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)


async def run(
    *,
    dialogue: Dialogue,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str | None = None,
    models: Collection[str] = (),
    dialects: ServedDialects = "ga",
    pace: float = 4.0,
    delta_ms: int = 200,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the embedded model alone, in real time, until cancelled; `on_ready` is told its address."""
    async with (
        Speech() as speech,
        EmbeddedModel(
            speech=speech,
            dialogue=dialogue,
            clock=Clock(),
            host=host,
            port=port,
            api_key=api_key,
            models=models,
            dialects=dialects,
            pace=pace,
            delta_ms=delta_ms,
        ) as model,
    ):
        on_ready(model.url)
        await asyncio.Event().wait()


async def _refuse_beta(socket: ServerConnection) -> None:
    """Say that the beta dialect is gone, and close: reconnecting cannot help (protocol reference, section 1)."""
    refused = Refusal(
        "beta_api_shape_disabled", "The Realtime Beta API is no longer supported. Please use the GA API instead."
    )
    event = {"type": "error", "event_id": new_id("event"), "error": refused.payload(None)}
    await socket.send(json.dumps(event))
    await socket.close(CLOSE_BETA_DISABLED, f"{refused.error_type}.{refused.code}")


def _select_subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Accept `realtime`, which browsers offer beside their key; a client that offers nothing gets nothing."""
    return next((name for name in offered if name == "realtime"), None)
