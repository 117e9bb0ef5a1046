"""Two processes that answer for one line, each with everything of its own but the register."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from bridge.app import Bridge
from bridge.clock import Clock
from bridge.edge.driver import Driver
from bridge.edge.shared_parent import SharedByParent
from bridge.edge.shared_redis import SharedByRedis
from bridge.rehearsal.carrier import Carrier
from bridge.settings import Settings
from tests.integration.shared.conftest import MAX_CALLS, Join
from tests.peers import Model, Twilio
from tests.support import ACCOUNT, LINE, PUBLIC, RATE, TOKEN, Seen

ONE, TWO = "CA" + "1" * 32, "CA" + "2" * 32
ADMIN = "an-admin-token"


class Eye(Seen):
    """Sees what happens in a bridge, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._happened = asyncio.Event()

    def happened(self, driver: Driver, event: str, fields: dict[str, object]) -> None:
        """A fact."""
        super().happened(driver, event, fields)
        self._happened.set()

    async def until(self, event: str) -> None:
        """Wait until it has happened."""
        async with asyncio.timeout(5):
            while event not in self.events():
                self._happened.clear()
                await self._happened.wait()


class Two:
    """Two bridges, `a` and `b`, and the carrier that reaches one or the other."""

    def __init__(self, a: Bridge, b: Bridge, model: Model, seen: tuple[Eye, Eye]) -> None:
        self.a = a
        self.b = b
        self.model = model
        self.seen_by_a, self.seen_by_b = seen

    def reaching(self, webhooks: Bridge, media: Bridge) -> Twilio:
        """The carrier, whose requests go to one of them each."""
        return Twilio(webhooks.url, f"ws://127.0.0.1:{media.port}")

    async def ask(self, bridge: Bridge, method: str, path: str, **json_body: object) -> httpx.Response:
        """An operator's request."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx.AsyncClient(base_url=bridge.url, headers=headers, trust_env=False) as client:
            return await client.request(method, path, json=json_body or None)


@pytest.fixture
async def two(join: Join) -> AsyncIterator[Two]:
    """Both are up, and know of each other by the register alone."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(Model())
        seen = Eye(), Eye()
        clock = Clock(RATE)
        carrier = await stack.enter_async_context(
            Carrier(account_sid=ACCOUNT, auth_token=TOKEN, clock=clock, public_url=PUBLIC, numbers=[LINE])
        )
        a, b = [
            await stack.enter_async_context(
                Bridge(_settings(model, name, carrier.api_url), clock=clock, observers=(eye,), shared=await join(name))
            )
            for name, eye in zip("ab", seen, strict=True)
        ]
        yield Two(a, b, model, seen)


def _is_gone(bridge: Bridge) -> None:
    """As if its process had been killed: it is not heard of any more by the others."""
    match bridge._shared:  # noqa: SLF001 - nobody who is well would do this
        case SharedByParent() as shared:
            shared.close()
        case SharedByRedis(_tasks=tasks):
            for task in tasks:
                task.cancel()


def _settings(model: Model, name: str, api_url: str) -> Settings:
    return Settings.model_validate(
        {
            "twilio": {"account_sid": ACCOUNT, "auth_token": TOKEN, "control": "action", "api_url": api_url},
            "model": {"provider": "compatible", "api_key": "a-rehearsed-key", "url": model.url},
            "agents": {"reception": {"instructions": "Be kind to {from}.", "greeting_message": ""}},
            "server": {"port": 0, "public_url": PUBLIC, "instance": name, "admin_token": ADMIN},
            "destinations": {"sales": {"to": "+15557654321"}},
            "limits": {"calls_per_minute_per_caller": 100},
            "records": {"keep": False},
        }
    )


async def test_webhook_that_is_repeated_elsewhere_gets_the_same_answer(two: Two) -> None:
    """One call, one session, one token, on whichever process the carrier asks again."""
    async with two.reaching(two.a, two.a) as first, two.reaching(two.b, two.a) as second:
        answer = await first.ring(ONE, "+15550100001")
        again = await second.ring(ONE, "+15550100001")
        await two.model.session()

    assert answer == again
    assert "wss://bridge.test/media/a" == answer[0]
    assert 1 == two.model.handshakes


async def test_stream_that_lands_elsewhere_is_served_there(two: Two) -> None:
    """The one that prepared the call lets go of it; the other opens a session of its own, and goes on."""
    async with two.reaching(two.a, two.b) as twilio:
        url, token = await twilio.ring(ONE)
        prepared = await two.model.session()
        stream = await twilio.connect(url, ONE)
        await stream.start(ONE, token)
        await stream.speak(b"\x01" * 320)
        async with asyncio.timeout(5):
            await prepared.closed.wait()
        session = await two.model.session(1)
        await session.first("input_audio_buffer.append")
        await stream.hang_up()
        await two.seen_by_b.until("call.ended")

    assert session is not prepared
    assert "Be kind to +1555" in json.dumps((await session.first("session.update"))["session"])
    assert (["moved"], ["caller_hung_up"]) == (two.seen_by_a.endings(), two.seen_by_b.endings())
    assert (0, 0) == (len(two.a.desk.calls), len(two.b.desk.calls))


async def test_stream_that_lands_elsewhere_with_a_wrong_token_is_closed_and_the_call_stays(two: Two) -> None:
    """What opens a call is its token, wherever it is shown."""
    async with two.reaching(two.a, two.b) as twilio:
        url, _ = await twilio.ring(ONE)
        stream = await twilio.connect(url, ONE)
        await stream.start(ONE, "wrong")

        assert 1008 == await stream.closed()
        assert [] == two.seen_by_a.endings()
        assert 1 == len(two.a.desk.calls)


async def test_stream_of_a_call_that_is_under_way_does_not_move(two: Two) -> None:
    """Its conversation lives with its owner; the token was used there."""
    async with two.reaching(two.a, two.a) as home, two.reaching(two.a, two.b) as away:
        url, token = await home.ring(ONE)
        first = await home.connect(url, ONE)
        await first.start(ONE, token)
        await two.seen_by_a.until("stream.started")
        second = await away.connect(url, ONE)
        await second.start(ONE, token)

        assert 1008 == await second.closed()
        assert first.socket.close_code is None


async def test_order_is_told_wherever_the_carrier_asks_for_it(two: Two) -> None:
    """An operator transfers by one process a call of the other; its document is asked of the first one."""
    async with two.reaching(two.a, two.a) as home, two.reaching(two.b, two.b) as away:
        stream = await home.call(ONE)
        await (await two.model.session()).first("session.update")
        await two.seen_by_a.until("model.readied")
        answer = await two.ask(two.b, "POST", f"/api/calls/{ONE}/hang-up")
        await stream.closed()
        over = await away.post("/twiml/after-stream", CallSid=ONE, CallStatus="in-progress")
        unknown = await away.post("/twiml/after-stream", CallSid=TWO, CallStatus="in-progress")

    assert 204 == answer.status_code
    assert "<Hangup" in over.text
    assert "<Hangup" in unknown.text
    assert ["operator_hung_up"] == two.seen_by_a.endings()


async def test_operator_sees_and_reaches_every_call_by_either_process(two: Two) -> None:
    """The list is of all; a mistake is answered as the owner would; nobody's call is unknown."""
    async with two.reaching(two.a, two.a) as home, two.reaching(two.b, two.b) as other:
        await home.ring(ONE)
        await other.ring(TWO)
        listed = await two.ask(two.b, "GET", "/api/calls")
        shown = await two.ask(two.b, "GET", f"/api/calls/{ONE}")
        early = await two.ask(two.b, "POST", f"/api/calls/{ONE}/say", words="Hello.")
        wrong = await two.ask(two.b, "POST", f"/api/calls/{ONE}/say", word="Hello.")
        nobody = await two.ask(two.b, "POST", f"/api/calls/CA{'9' * 32}/hang-up")
        async with httpx.AsyncClient(base_url=two.b.url, trust_env=False) as stranger:
            refused = await stranger.get(f"/api/calls/{ONE}")

    assert {ONE, TWO} == {call["call_sid"] for call in listed.json()["calls"]}
    assert (200, ONE) == (shown.status_code, shown.json()["call_sid"])
    assert (409, "not_talking") == (early.status_code, early.json()["error"]["code"])
    assert (400, "bad_request") == (wrong.status_code, wrong.json()["error"]["code"])
    assert (404, 401) == (nobody.status_code, refused.status_code)


async def test_numbers_are_those_of_both_processes(two: Two) -> None:
    """One scrape shows all, whichever process answers it."""
    async with two.reaching(two.a, two.a) as home, two.reaching(two.b, two.b) as other:
        await home.ring(ONE)
        await other.ring(TWO)
        numbers = (await two.ask(two.b, "GET", "/metrics")).text

    assert "voicebridge_calls_live 2.0" in numbers


async def test_caller_whose_owner_is_gone_hears_the_fallback(two: Two) -> None:
    """The stream broke with the process; the carrier asks another one what now. A call that is over just ends."""
    async with two.reaching(two.a, two.a) as home, two.reaching(two.b, two.b) as away:
        await home.call(ONE)
        await two.seen_by_a.until("stream.started")
        _is_gone(two.a)
        await asyncio.sleep(0.1)
        after = await away.post("/twiml/after-stream", CallSid=ONE, CallStatus="in-progress")
        result = await away.post("/twiml/transfer-result", CallSid=ONE, CallStatus="in-progress", DialCallStatus="busy")
        over = await away.post("/twiml/after-stream", CallSid=ONE, CallStatus="completed")
        status = await away.post("/twiml/call-status", CallSid=ONE, CallStatus="completed")
        api = await two.ask(two.b, "POST", f"/api/calls/{ONE}/hang-up")

    assert "<Say" in after.text
    assert "<Say" in result.text
    assert "<Hangup" in over.text
    assert "<Say" not in over.text
    assert (204, 404) == (status.status_code, api.status_code)


async def test_places_are_exact_over_both_under_many_webhooks_at_once(two: Two) -> None:
    """As many callers get a stream as there are places, wherever they arrive; the others hear the fallback."""
    async with two.reaching(two.a, two.a) as first, two.reaching(two.b, two.b) as second:
        asked = [
            (first, second)[number % 2].post(
                "/twiml/answer", CallSid=f"CA{number:032}", From=f"+1555010{number:04}", To=LINE, CallStatus="ringing"
            )
            for number in range(40)
        ]
        answers = [answer.text for answer in await asyncio.gather(*asked)]

    assert MAX_CALLS == sum("<Stream" in answer for answer in answers)
    assert 40 - MAX_CALLS == sum("<Say" in answer for answer in answers)
