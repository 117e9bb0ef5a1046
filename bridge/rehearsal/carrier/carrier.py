"""The simulated carrier: takes and places calls, asks the bridge what to do with them, and keeps the record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from bridge.rehearsal.carrier.account import AccountBook
from bridge.rehearsal.carrier.call import Call, StatusCallback
from bridge.rehearsal.carrier.conferences import Conference
from bridge.rehearsal.carrier.flow import Goto
from bridge.rehearsal.carrier.outbound import following
from bridge.rehearsal.carrier.queues import Queue
from bridge.rehearsal.carrier.records import Event, Exchange, Notice
from bridge.rehearsal.carrier.rest_server import RestServer
from bridge.rehearsal.carrier.webhooks import Addresses, WebhookError, Webhooks
from bridge.rehearsal.sound import tone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping

    from bridge.clock import Clock
    from bridge.rehearsal.carrier.people import Callee, Caller
    from bridge.rehearsal.carrier.records import Params

PUBLIC_URL = "https://bridge.test"
"""The public address of a rehearsed bridge, under a domain that is reserved for tests (RFC 6761)."""
_GEOGRAPHY: Params = {
    f"{who}{what}": "" for who in ("From", "To", "Caller", "Called") for what in ("City", "State", "Zip")
}
_COUNTRY: Params = {f"{who}Country": "US" for who in ("From", "To", "Caller", "Called")}
_MS_PER_CHARACTER = 60


class Carrier:
    """A carrier with one account. Use it as an async context manager: inside, its REST interface is at `api_url`.

    Args:
        account_sid, auth_token: the account: what webhooks are signed with, and what the REST interface asks for.
        clock: shared with the bridge under rehearsal.
        to: where the bridge listens, `http://host:port`; may be given later by `route`.
        public_url: the bridge's public address: what is signed and what URLs must lead to.
        numbers: the account's numbers besides the dialled one: what `callerId` may show.
        destinations: who can be called, by number, `sip:…`, `client:…` or `queue:…`; everybody else cannot be reached.
        voice_path, fallback_path, status_path: the webhooks of the account's numbers; the latter two may be empty.
        voice: speaks for `<Say>`, text to mu-law; without one a hum of about the right length is heard.
        on_event: is called with each moment of each call as it happens.

    Attributes:
        record: every request made and received, in order.
        warnings: what Twilio would have logged as error or warning.
        calls: every leg there was, in order.
        account: the account as its REST interface shows it.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        clock: Clock,
        to: str = "",
        public_url: str = PUBLIC_URL,
        numbers: Collection[str] = (),
        destinations: Mapping[str, Callee] | None = None,
        voice_path: str = "/twiml/answer",
        fallback_path: str = "/twiml/fallback",
        status_path: str = "/twiml/call-status",
        voice: Callable[[str], Awaitable[bytes]] | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.clock = clock
        self.account = AccountBook.of(numbers)
        self.destinations = dict(destinations or {})
        self.voice = voice or _hum
        self.record: list[Exchange] = []
        self.warnings: list[Notice] = []
        self.events: list[Event] = []
        self.calls: list[Call] = []
        self.conferences: list[Conference] = []
        self.addresses = Addresses()
        self.webhooks = Webhooks(auth_token=auth_token, clock=clock, record=self.record, addresses=self.addresses)
        self._public_url = public_url.rstrip("/")
        self._voice_path, self._fallback_path, self._status_path = voice_path, fallback_path, status_path
        self._queues: dict[str, Queue] = {}
        self.on_event = on_event
        self._background: set[asyncio.Task[None]] = set()
        self._rest = RestServer(self)
        if to:
            self.route(self._public_url, to)

    async def __aenter__(self) -> Self:
        await self._rest.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self.calls:
            call.hang_up("carrier")
        await asyncio.gather(*(call.ended() for call in self.calls), return_exceptions=True)
        await self.settled()
        await self._rest.stop()
        await self.webhooks.aclose()

    @property
    def numbers(self) -> Collection[str]:
        """The account's numbers."""
        return self.account.numbers.keys()

    @property
    def api_url(self) -> str:
        """The base of the REST interface, for `https://api.twilio.com`; known once the carrier is entered."""
        return self._rest.url

    @property
    def faults(self) -> list[Notice]:
        """The warnings without those that Twilio logs though nothing is wrong."""
        return [notice for notice in self.warnings if not notice.is_routine]

    def route(self, public_url: str, real_url: str) -> None:
        """Connect to `real_url` (`http://host:port`) for what is addressed to the host of `public_url`, https or wss.

        A second one, of `wss://…`, is needed where media has a host or port of its own.
        """
        self.addresses.route(public_url, real_url)

    async def dial(self, *, from_: str, to: str, caller: Caller, params: Params | None = None) -> Call:
        """Let somebody call one of the account's numbers. `params` are added to the webhooks' parameters.

        Returns as soon as it rings; then `await call.ended()`.
        """
        call = Call(
            self,
            caller,
            direction="inbound",
            from_=from_,
            to=to,
            params=_GEOGRAPHY | _COUNTRY | {"StirVerstat": "TN-Validation-Passed-A"} | (params or {}),
            callback=StatusCallback(self._public_url + self._status_path) if self._status_path else None,
            fallback=(self._public_url + self._fallback_path, "POST") if self._fallback_path else None,
        )
        self.keep(call)
        call.status = "ringing"
        call.event("call.dialled", to)
        call.pick_up()
        call.begin(following(call, Goto("voice", self._public_url + self._voice_path)))
        return call

    def find(self, call_sid: str) -> Call | None:
        """The leg of that name; None where there is none."""
        return next((call for call in self.calls if call.sid == call_sid), None)

    async def settled(self) -> None:
        """Wait until no callback is under way any more."""
        while self._background:
            await asyncio.wait(self._background)

    # For the parts of the carrier

    def keep(self, call: Call) -> None:
        """Take a leg into the books."""
        self.calls.append(call)

    def conference(self, name: str) -> Conference:
        """The conference of that name that goes on, or a new one."""
        found = next((each for each in self.conferences if each.name == name and each.status != "completed"), None)
        if found is None:
            found = Conference(self, name)
            self.conferences.append(found)
        return found

    def queue(self, name: str) -> Queue:
        """The queue of that name; made on demand."""
        return self._queues.setdefault(name, Queue(name))

    def happened(self, event: Event) -> None:
        """Put a moment on the timeline."""
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def notice(self, notice: Notice) -> None:
        """Write an error or warning into the account's log."""
        self.warnings.append(notice)
        if not notice.is_routine:
            self.happened(Event(notice.at_s, notice.call_sid, "carrier.warned", f"{notice.code} {notice.text}"))

    def report(self, kind: str, url: str, params: Params, method: str, call_sid: str) -> None:
        """Make a callback whose answer does not matter; nobody waits for it."""
        self._do(self._report(kind, url, params, method, call_sid))

    async def _report(self, kind: str, url: str, params: Params, method: str, call_sid: str) -> None:
        try:
            await self.webhooks.request(kind, url, params, method)
        except WebhookError as error:
            code = 15003 if error.code == 11217 else error.code  # noqa: PLR2004 - a callback's 4xx or 5xx is but a warning
            self.notice(Notice(code, str(error), call_sid, self.clock.now()))

    def _do(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _hum(text: str) -> bytes:
    return tone(150, 300, duration_ms=max(1, len(text)) * _MS_PER_CHARACTER)
