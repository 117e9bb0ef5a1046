"""What the driver of a call needs of others: two sockets, the bridge around it, and somebody who takes notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.call.actions import Action, Order, RunFunction, Said
    from bridge.call.controls import Control
    from bridge.call.ending import Ending
    from bridge.call.plan import EndpointName, Plan
    from bridge.clock import Clock
    from bridge.edge.driver import Driver
    from bridge.wire.commands import AppendAudio, Command


class CallerLink(Protocol):
    """The media stream of one call. Nothing here waits."""

    def send(self, text: str, /) -> object:
        """Send a text message after those before it."""

    def ping(self) -> None:
        """Ping the peer, where the door can; its pong is given to the driver as `PongReceived`."""

    def close(self) -> None:
        """Close the socket when what was sent has gone out; the carrier then asks for the order."""

    def drop(self) -> None:
        """Close the socket, and give the driver nothing of what still comes."""


class ModelLink(Protocol):
    """A session of one call. Nothing here waits."""

    def send(self, command: Command) -> None:
        """Send a command after those before it."""

    def succeed(self) -> None:
        """Report as the call's session from now on, and as its successor no more."""

    def close(self) -> None:
        """Close the socket, in whatever state it is."""


class Surroundings(Protocol):
    """What a call needs of the bridge around it."""

    clock: Clock

    def connect_model(self, driver: Driver, endpoint: EndpointName, *, is_successor: bool = False) -> ModelLink:
        """Begin to open a session; it reports by `control`, and by `receive_model` or `receive_successor`."""

    def leave_order(self, driver: Driver, order: Order) -> None:
        """Keep what the carrier must be told when it asks about a call without a stream."""

    def leave_stream(self, driver: Driver, close: Callable[[], object]) -> None:
        """Have the carrier leave the stream and ask for the order; `close` closes the socket, which is one way."""

    def hang_up(self, driver: Driver) -> None:
        """Have the carrier end a call that has no stream."""

    def park(self, driver: Driver) -> None:
        """The call is with a human and takes up no place."""

    async def run_function(self, plan: Plan, function: RunFunction) -> str:
        """Run an operator's function within its time; its output, or its error, as JSON text."""

    def record(self, driver: Driver, *, is_on: bool) -> None:
        """Pause or resume the carrier's own recording of the call, if there is one."""

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact of the call's life."""

    def said(self, driver: Driver, line: Said) -> None:
        """A line of the transcript."""

    def ended(self, driver: Driver, ending: Ending) -> None:
        """The call is over: let go of all that is held for it."""


class Recorder(Protocol):
    """Writes down what goes into the core and what comes out; never waits."""

    def caller(self, now: float, text: str | bytes) -> None:
        """A message of the media stream."""

    def passed_on(self, now: float, text: str | bytes, sound: AppendAudio) -> None:
        """A message of the media stream, and all that came out: its sound, for the model."""

    def model(self, now: float, text: str | bytes) -> None:
        """An event of the session."""

    def successor(self, now: float, text: str | bytes) -> None:
        """An event of the session that is opened beside it."""

    def control(self, now: float, request: Control) -> None:
        """Something from neither leg."""

    def timer(self, now: float) -> None:
        """The timer."""

    def actions(self, actions: list[Action]) -> None:
        """What came out."""
