"""Who answers, what is known beforehand, and who goes on: `before_call`, `hand_over` and MCP servers in whole calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import StringIO
from typing import ClassVar

import pytest

from bridge.call.plan import CallInfo
from bridge.rehearsal.carrier import Call
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.peers import Model, Twilio
from tests.shop import Event, Gate, Wire, asks, greeted, output, until
from tests.support import CALLER, LINE, Start, speech

Offer = Callable[..., dict[str, object]]
SID = "CA" + "1" * 32
HELLO = Reply(speech="Hello there.")


@pytest.fixture
def door() -> str:
    """Agents know nothing of doors."""
    return "plain"


@pytest.fixture
def gate() -> Gate:
    """What a function waits at."""
    return Gate()


class TestBeforeCall:
    """What a function knows about the caller."""

    AGENT: ClassVar = {
        "instructions": "You speak with {name} from {from}.",
        "greeting_message": "Hello {name}!",
        "before_call": "find_caller",
        "tools": [],
    }

    async def test_a_caller_who_is_known_is_greeted_by_name(self, rehearsal: Start, offer: Offer, wire: Wire) -> None:
        """What the function returns fills instructions and greeting; it is told who calls."""
        calls: list[CallInfo] = []

        def find_caller(call: CallInfo) -> dict[str, object]:
            calls.append(call)
            return {"name": "Ada", "from": "nowhere", "more": ["left", "out"]}

        run = await rehearsal([Reply(speech="Hello Ada!")], agent=self.AGENT, functions=offer(find_caller=find_caller))
        call = await run.dial(greeted)
        await until(call, lambda: "Hello Ada!" in run.seen.bot_words())

        assert [(call.sid, CALLER, LINE, "reception")] == [
            (one.call_sid, one.from_number, one.to_number, one.agent) for one in calls
        ]
        assert f"You speak with Ada from {CALLER}." == wire.of("session.update")[0]["session"]["instructions"]
        assert '"Hello Ada!"' in wire.wishes()[0]

    @pytest.mark.parametrize("circumstance", ["it fails", "it is slow"])
    async def test_a_call_goes_on_without_what_is_not_known_in_time(
        self, rehearsal: Start, offer: Offer, gate: Gate, wire: Wire, circumstance: str
    ) -> None:
        """The caller is answered after the time limit, and a variable that is not known is empty."""

        async def find_caller() -> dict[str, str]:
            if circumstance == "it fails":
                raise LookupError
            await gate.passed()
            return {"name": "Ada"}

        run = await rehearsal(
            [HELLO], agent=self.AGENT, functions=offer(find_caller=find_caller, keys={"timeout_s": 2})
        )
        call = await run.dial(greeted)
        await until(call, lambda: "Hello there." in run.seen.bot_words())

        assert f"You speak with  from {CALLER}." == wire.of("session.update")[0]["session"]["instructions"]
        assert [] == run.carrier.faults
        assert ["caller_hung_up"] == run.seen.endings()

    async def test_a_webhook_that_is_repeated_meanwhile_begins_one_call(
        self, rehearsal: Start, offer: Offer, gate: Gate
    ) -> None:
        """Both requests wait for the same function, and get the same answer."""
        runs: list[str] = []

        async def find_caller(call: CallInfo) -> dict[str, str]:
            runs.append(call.idempotency_key)
            await gate.passed()
            return {"name": "Ada"}

        async with Model() as model:
            run = await rehearsal(agent=self.AGENT, functions=offer(find_caller=find_caller), model={"url": model.url})
            async with Twilio(run.bridge.url, run.media_url) as twilio:
                ringing = [asyncio.create_task(twilio.ring(SID, CALLER)) for _ in range(3)]
                while not runs:
                    await run.clock.sleep(0.1)
                gate.open()
                answers = await asyncio.gather(*ringing)
                again = await twilio.ring(SID, CALLER)
                await model.session()

                assert 1 == len({*answers, again})
                assert [f"{SID}:before_call"] == runs
                assert 1 == len(model.sessions)
                assert 1 == len(run.seen.of("call.answered"))


class TestHandOver:
    """Several agents in one call."""

    RECEPTION: ClassVar = {
        "instructions": "You answer the phone.",
        "greeting_message": "Hello there.",
        "voice": "marin",
        "hand_over_to": ["orders"],
        "tools": ["end_call"],
        "turn_detection": {"silence_duration_ms": 400},
    }
    ORDERS: ClassVar = {
        "instructions": "You take orders.",
        "greeting_message": "Orders, hello.",
        "voice": "cedar",
        "hand_over_to": ["reception"],
        "tools": ["lookup"],
        "turn_detection": {"silence_duration_ms": 900},
    }

    @pytest.fixture
    def tables(self, offer: Offer) -> dict[str, object]:
        """Two agents, the second of whom has a function."""

        def lookup(call: CallInfo) -> str:
            return f"shipped, says {call.agent}"

        return {
            "agents": {"reception": self.RECEPTION, "orders": self.ORDERS},
            "functions": offer(lookup=lookup),
        }

    def hands_over(self, agent: str) -> Reply:
        """The model calls the function."""
        return Reply(calls=(FunctionCall("hand_over", {"agent": agent}),))

    async def test_another_agent_goes_on_in_the_same_session(
        self, rehearsal: Start, tables: dict[str, object], wire: Wire
    ) -> None:
        """Instructions, tools and turn detection change; formats and the voice that was heard stay, nobody greets."""
        run = await rehearsal(
            [HELLO, self.hands_over("orders"), Reply(speech="What would you like?")], heard=["an order"], **tables
        )
        call = await run.dial(asks)
        await until(call, lambda: "What would you like?" in run.seen.bot_words())

        update = self.updates(wire, "You take orders.")[0]
        assert ["hand_over", "lookup"] == [tool["name"] for tool in update["tools"]]
        assert 900 == update["audio"]["input"]["turn_detection"]["silence_duration_ms"]
        assert {"input"} == set(update["audio"])
        assert {"turn_detection"} == set(update["audio"]["input"])
        assert ["Hello there.", "What would you like?"] == run.seen.bot_words()
        assert [{"agent": "orders"}] == run.seen.of("agent.changed")
        session = run.model.sessions[0]
        assert ("marin", "pcmu", "pcmu", 900) == (
            session.settings.voice,
            session.settings.input_format,
            session.settings.output_format,
            session.settings.turn_detection.silence_duration_ms if session.settings.turn_detection else None,
        )
        assert [] == list(session.refusals)
        assert 1 == len(run.model.sessions)

    async def test_the_voice_changes_too_while_nothing_was_spoken(
        self, rehearsal: Start, tables: dict[str, object], wire: Wire
    ) -> None:
        """The caller speaks first, and the model's first deed is to hand them over."""
        tables["agents"] = {"reception": self.RECEPTION | {"greeting_message": ""}, "orders": self.ORDERS}
        run = await rehearsal(
            [self.hands_over("orders"), Reply(speech="What would you like?")], heard=["an order"], **tables
        )

        async def speaks_first(call: Call) -> None:
            await run.clock.sleep(1)
            await call.say(speech(1.5))

        call = await run.dial(speaks_first)
        await until(call, lambda: "What would you like?" in run.seen.bot_words())

        assert "cedar" == self.updates(wire, "You take orders.")[0]["audio"]["output"]["voice"]
        assert "cedar" == run.model.sessions[0].settings.voice
        assert [] == list(run.model.sessions[0].refusals)

    async def test_the_other_agents_functions_work(
        self, rehearsal: Start, tables: dict[str, object], wire: Wire
    ) -> None:
        """Who has taken over may do what its own tools say, and the function is told who that is."""
        looks_up = Reply(calls=(FunctionCall("lookup"),))
        run = await rehearsal(
            [HELLO, self.hands_over("orders"), looks_up, Reply(speech="It is shipped.")], heard=["an order"], **tables
        )
        call = await run.dial(asks)
        await until(call, lambda: "It is shipped." in run.seen.bot_words())

        assert '"shipped, says orders"' == wire.outputs()[-1]

    async def test_an_agent_may_hand_the_conversation_back(
        self, rehearsal: Start, tables: dict[str, object], wire: Wire
    ) -> None:
        """To whomever that agent may hand it over, the first one included, and with its tools again."""
        run = await rehearsal(
            [HELLO, self.hands_over("orders"), self.hands_over("reception"), Reply(speech="Here I am again.")],
            heard=["an order"],
            **tables,
        )
        call = await run.dial(asks)
        await until(call, lambda: "Here I am again." in run.seen.bot_words())

        back = self.updates(wire, "You answer the phone.")[1]
        assert ["hand_over", "end_call"] == [tool["name"] for tool in back["tools"]]
        assert 400 == back["audio"]["input"]["turn_detection"]["silence_duration_ms"]
        assert [{"agent": "orders"}, {"agent": "reception"}] == run.seen.of("agent.changed")
        assert 1 == run.seen.bot_words().count("Hello there.")

    @pytest.mark.parametrize("name", ["accounts", "reception"])
    async def test_nobody_else_can_be_handed_the_conversation(
        self, rehearsal: Start, tables: dict[str, object], wire: Wire, name: str
    ) -> None:
        """Neither an agent that there is not nor the one that speaks: the model is told who may be named."""
        run = await rehearsal(
            [HELLO, self.hands_over(name), Reply(speech="I can help you.")], heard=["an order"], **tables
        )
        call = await run.dial(asks)
        await until(call, lambda: "I can help you." in run.seen.bot_words())

        assert [output({"error": "agent must be one of: orders"})] == [
            told.replace('": ', '":') for told in wire.outputs()
        ]
        assert [] == run.seen.of("agent.changed")
        assert [] == self.updates(wire, "You take orders.")

    async def test_an_agent_that_may_not_hand_over_has_no_such_function(
        self, rehearsal: Start, tables: dict[str, object], wire: Wire
    ) -> None:
        """What the model of such an agent asks for all the same is refused."""
        tables["agents"] = {"reception": self.RECEPTION | {"hand_over_to": []}, "orders": self.ORDERS}
        run = await rehearsal(
            [HELLO, self.hands_over("orders"), Reply(speech="I can help you.")], heard=["an order"], **tables
        )
        call = await run.dial(asks)
        await until(call, lambda: "I can help you." in run.seen.bot_words())

        assert ["end_call"] == [tool["name"] for tool in wire.of("session.update")[0]["session"]["tools"]]
        assert "error" in wire.outputs()[0]
        assert [] == run.seen.of("agent.changed")

    def updates(self, wire: Wire, instructions: str) -> list[Event]:
        """The sessions of the updates with these instructions."""
        sessions = [event["session"] for event in wire.of("session.update")]
        return [session for session in sessions if session.get("instructions") == instructions]


async def test_a_remote_server_is_given_to_the_model_and_its_secrets_to_nobody_else(
    rehearsal: Start, wire: Wire, log: StringIO
) -> None:
    """An MCP tool is in the session of the GA dialect, with the token; log and observers have no trace of that."""
    crm = {
        "server_url": "https://crm.example.com/mcp",
        "description": "Customers.",
        "authorization": "a-token-of-the-operators",
        "headers": {"X-Tenant": "a-tenant-of-the-operators"},
        "allowed_tools": ["find"],
    }
    run = await rehearsal([HELLO], model={"dialect": "ga"}, agent={"tools": ["end_call", "crm"]}, mcp={"crm": crm})
    call = await run.dial(greeted)
    await until(call, lambda: "Hello there." in run.seen.bot_words())

    expected = {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://crm.example.com/mcp",
        "server_description": "Customers.",
        "authorization": "a-token-of-the-operators",
        "headers": {"X-Tenant": "a-tenant-of-the-operators"},
        "allowed_tools": ["find"],
        "require_approval": "never",
    }
    assert expected == wire.of("session.update")[0]["session"]["tools"][1]
    assert ["function", "mcp"] == [tool["type"] for tool in run.model.sessions[0].settings.tools]
    assert [] == list(run.model.sessions[0].refusals)
    assert "of-the-operators" not in str(run.seen.facts)
    assert "call.ended" in log.getvalue()
    assert "of-the-operators" not in log.getvalue()
