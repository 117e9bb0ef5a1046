"""The operator API, route by route, on a bridge with real calls."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from bridge import api
from bridge.api import MAX_BODY_BYTES, MAX_FAILURES, MAX_REQUESTS
from bridge.recent import RecentCalls
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.client import CALLEE, LINES, TABLES, Operator, refusal
from tests.shop import asks
from tests.support import CALLER, LINE, Rehearsal, Start

THROUGH = "I will put you through."
SALES = {"to": CALLEE, "announce": THROUGH, "timeout_s": 10}
NOBODY = "CA" + "0" * 32
ROUTES = [
    ("GET", "/api/calls"),
    ("POST", "/api/calls"),
    ("GET", f"/api/calls/{NOBODY}"),
    ("POST", f"/api/calls/{NOBODY}/hang-up"),
    ("POST", f"/api/calls/{NOBODY}/say"),
    ("POST", f"/api/calls/{NOBODY}/transfer"),
    ("GET", "/api/openapi.json"),
]


@pytest.fixture
def door() -> str:
    """The API is the same through whichever door the media streams come."""
    return "plain"


async def greeted(run: Rehearsal) -> Call:
    """A call whose caller has heard the greeting and is silent."""
    call = await run.dial()
    await call.until(lambda: run.seen.bot_words() != [])
    return call


async def hangs_up_soon(call: Call) -> None:
    """The human says nothing much."""
    await call.carrier.clock.sleep(2)
    call.hang_up()


# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_wrong_token_is_refused_by_every_route(rehearsal: Start, method: str, path: str) -> None:
    """Nothing is told and nothing is done."""
    run = await rehearsal(**TABLES)

    for token in ("", "another-token", "é"):
        answer = await Operator(run, token).ask(method, path, body={"to": CALLEE, "from": LINE})
        assert (401, "unauthorized") == refusal(answer)

    assert [] == run.asked()
    assert {"admin_token": 3} == run.refusals


async def test_an_operator_api_without_a_token_is_off(rehearsal: Start) -> None:
    """An empty token opens nothing."""
    run = await rehearsal(lines=LINES)

    assert (403, "off") == refusal(await Operator(run, "").get("/api/calls"))


async def test_who_guesses_tokens_is_held_off_for_a_minute_and_who_has_it_is_not(rehearsal: Start) -> None:
    """Behind a proxy both come from the same address: a stranger's guesses must not lock the operator out."""
    run = await rehearsal(**TABLES)
    guesser, operator = Operator(run, "a-guess"), Operator(run)
    assert 200 == (await operator.get("/api/calls")).status_code

    guesses = [refusal(await guesser.get("/api/calls")) for _ in range(MAX_FAILURES)]
    unheard = await guesser.get("/api/calls")
    heard = await operator.get("/api/calls")
    await run.clock.sleep(61)
    later = await guesser.get("/api/calls")

    assert {(401, "unauthorized")} == set(guesses)
    assert (429, "too_many_failures") == refusal(unheard)
    assert 1 <= int(unheard.headers["Retry-After"]) <= 60
    assert 200 == heard.status_code
    assert (401, "unauthorized") == refusal(later)


async def test_who_asks_too_much_has_to_wait(rehearsal: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the right token: a loop that has gone wild must not take the calls' time."""
    assert MAX_REQUESTS >= 600
    monkeypatch.setattr(api, "MAX_REQUESTS", 3)
    run = await rehearsal(**TABLES)
    operator = Operator(run)

    answers = [(await operator.get("/api/calls")).status_code for _ in range(3)]
    unheard = await operator.get("/api/calls")
    await run.clock.sleep(int(unheard.headers["Retry-After"]) + 1)

    assert [200] * 3 == answers
    assert (429, "too_many_requests") == refusal(unheard)
    assert 200 == (await operator.get("/api/calls")).status_code


async def test_a_fault_of_the_bridge_is_json_too(rehearsal: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says nothing of its inside."""
    run = await rehearsal(**TABLES)
    monkeypatch.setattr(RecentCalls, "__iter__", lambda _: 1 / 0)

    answer = await Operator(run).get("/api/calls")

    assert (500, "internal_server_error") == refusal(answer)
    assert "division" not in answer.text


async def test_a_body_that_is_not_said_to_be_json_is_refused(rehearsal: Start) -> None:
    """So no form of a web page can ask."""
    run = await rehearsal(**TABLES)
    headers = {"Authorization": "Bearer an-admin-token", "Content-Type": "text/plain"}
    async with httpx.AsyncClient(base_url=run.bridge.url, headers=headers, trust_env=False) as client:
        answer = await client.post("/api/calls", content=b'{"to": "+15557654321"}')

    assert (415, "not_json") == refusal(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/calls", 405),
        ("OPTIONS", "/api/calls", 405),
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing", 404),
    ],
)
async def test_a_request_that_there_is_not_gets_json(rehearsal: Start, method: str, path: str, status: int) -> None:
    """Errors have one form."""
    run = await rehearsal(**TABLES)

    answer = await Operator(run).ask(method, path)

    assert status == refusal(answer)[0]
    assert "application/json" == answer.headers["Content-Type"]
    assert (status == 405) is ("GET" in answer.headers.get("Allow", ""))


# --- what is told ----------------------------------------------------------------------------------------------------


async def test_a_live_call_is_listed_without_anybody_s_number_or_words(rehearsal: Start) -> None:
    """The list is for dashboards; who asks about one call is told more."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES)
    operator = Operator(run)
    call = await greeted(run)
    listing = await operator.get("/api/calls")
    view = await operator.view(call)
    call.hang_up()
    await call.ended()

    (listed,) = listing.json()["calls"]
    assert (call.sid, "reception", "inbound", "live", None, None) == tuple(
        listed[key] for key in ("call_sid", "agent", "direction", "state", "ended_s", "ending")
    )
    assert CALLER not in listing.text
    assert LINE not in listing.text
    assert "Hello" not in listing.text
    assert (CALLER, LINE) == (view["from"], view["to"])
    assert [("bot", "Hello there.", False)] == [
        (line["role"], line["words"], line["is_cut"]) for line in view["transcript"]
    ]


async def test_a_past_call_is_told_with_its_ending_and_times(rehearsal: Start) -> None:
    """It stays on the list for a while."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES)
    operator = Operator(run)
    call = await greeted(run)
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    view = await operator.view(call)
    (listed,) = (await operator.get("/api/calls")).json()["calls"]

    assert ("ended", "caller_hung_up") == (view["state"], view["ending"])
    assert 0 < view["transcript"][0]["at_s"] < view["ended_s"]
    assert view["ended_s"] == listed["ended_s"]
    assert "no-store" == (await operator.get("/api/calls")).headers["Cache-Control"]


# --- a hand on live calls --------------------------------------------------------------------------------------------


async def test_an_operator_ends_a_call(rehearsal: Start) -> None:
    """At once, without a word."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES)
    operator = Operator(run)
    call = await greeted(run)

    answer = await operator.post(f"/api/calls/{call.sid}/hang-up")
    await call.ended()

    assert (204, b"") == (answer.status_code, answer.content)
    assert "carrier" == call.ended_by
    assert ["operator_hung_up"] == run.seen.endings()


async def test_an_operator_has_something_said(rehearsal: Start) -> None:
    """Word for word, and the conversation goes on."""
    run = await rehearsal([Reply(speech="Hello there."), Reply(speech="We close in five minutes.")], **TABLES)
    call = await greeted(run)

    answer = await Operator(run).post(f"/api/calls/{call.sid}/say", {"words": "We close in five minutes."})
    await call.until(lambda: len(run.seen.bot_words()) == 2)
    call.hang_up()
    await call.ended()

    assert 204 == answer.status_code
    assert "We close in five minutes." == run.seen.bot_words()[1]
    assert ["caller_hung_up"] == run.seen.endings()


async def test_an_operator_transfers_a_call(rehearsal: Start) -> None:
    """The caller hears the announcement first, as when the model transfers."""
    run = await rehearsal(
        [Reply(speech="Hello there."), Reply(speech="I will put you through.")],
        people={CALLEE: Callee(after_s=1, script=hangs_up_soon)},
        **TABLES,
        destinations={"sales": SALES},
    )
    call = await greeted(run)

    answer = await Operator(run).post(
        f"/api/calls/{call.sid}/transfer", {"destination": "sales", "summary": "A price."}
    )
    await call.ended()
    await run.carrier.settled()

    assert 204 == answer.status_code
    assert "I will put you through." == run.seen.bot_words()[1]
    assert [CALLEE] == [leg.to for leg in run.carrier.calls if leg is not call]
    assert ["transferred"] == run.seen.endings()


async def test_an_operator_transfers_a_caller_whom_the_model_is_saying_goodbye_to(rehearsal: Start) -> None:
    """Their word goes before the model's: the call is not ended, and the model is told why."""
    end = Reply(speech="Thank you for your call and goodbye.", calls=(FunctionCall("end_call", {"reason": "done"}),))
    run = await rehearsal(
        [Reply(speech="Hello there."), end, Reply(speech=THROUGH)],
        heard=["that is all"],
        people={CALLEE: Callee(script=hangs_up_soon)},
        **TABLES,
        destinations={"sales": SALES},
    )
    call = await run.dial(asks)
    await call.until(lambda: bool(run.seen.of("act.announced")))
    answer = await Operator(run).post(f"/api/calls/{call.sid}/transfer", {"destination": "sales"})
    again = await Operator(run).post(f"/api/calls/{call.sid}/transfer", {"destination": "sales"})
    await call.ended()
    await run.carrier.settled()

    assert 204 == answer.status_code
    assert (409, "not_transferable") == refusal(again)
    assert [{"act": "hang_up"}] == run.seen.of("act.replaced")
    assert ["hang_up", "transfer"] == [fact["act"] for fact in run.seen.of("act.announced")]
    assert ["transferred"] == run.seen.endings()


async def test_a_model_goes_on_when_a_transfer_of_the_operator_fails(rehearsal: Start) -> None:
    """It is told why the caller is back."""
    run = await rehearsal(
        [Reply(speech="Hello there."), Reply(speech="I will put you through."), Reply(speech="Nobody is there.")],
        people={CALLEE: Callee(result="busy", after_s=1)},
        **TABLES,
        destinations={"sales": SALES},
    )
    call = await greeted(run)

    await Operator(run).post(f"/api/calls/{call.sid}/transfer", {"destination": "sales"})
    await call.until(lambda: "Nobody is there." in run.seen.bot_words())
    call.hang_up()
    await call.ended()

    assert "busy" in str(run.mind.histories[-1])
    assert ["caller_hung_up"] == run.seen.endings()


async def test_a_caller_who_waits_for_a_human_can_be_hung_up_on(rehearsal: Start) -> None:
    """Nor does the human's telephone go on ringing."""
    run = await rehearsal(
        [Reply(speech="Hello there."), Reply(speech="I will put you through.")],
        people={CALLEE: Callee(after_s=9)},
        **TABLES,
        destinations={"sales": SALES},
    )
    operator = Operator(run)
    call = await greeted(run)
    await operator.post(f"/api/calls/{call.sid}/transfer", {"destination": "sales"})
    await call.until(lambda: len(run.carrier.calls) > 1)

    said = await operator.post(f"/api/calls/{call.sid}/say", {"words": "Hello?"})
    await operator.post(f"/api/calls/{call.sid}/hang-up")
    await call.ended()
    await run.carrier.settled()

    assert (409, "not_talking") == refusal(said)
    assert ["operator_hung_up"] == run.seen.endings()
    assert "canceled" == run.carrier.calls[1].status
    assert run.is_empty()


@pytest.mark.parametrize(
    ("act", "body"), [("hang-up", None), ("say", {"words": "Hello?"}), ("transfer", {"destination": "sales"})]
)
async def test_nothing_can_be_done_with_a_call_that_is_unknown_or_over(
    rehearsal: Start, act: str, body: object
) -> None:
    """Two different answers: 404 and 409."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES, destinations={"sales": SALES})
    operator = Operator(run)
    call = await greeted(run)
    call.hang_up()
    await call.ended()
    await run.carrier.settled()

    assert (404, "unknown_call") == refusal(await operator.post(f"/api/calls/{NOBODY}/{act}", body))
    assert (409, "call_over") == refusal(await operator.post(f"/api/calls/{call.sid}/{act}", body))
    assert (404, "unknown_call") == refusal(await operator.get(f"/api/calls/{NOBODY}"))


# --- what is asked wrongly -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "to"),
        ({"to": "911"}, "to"),
        ({"to": "queue:support"}, "to"),
        ({"to": CALLEE, "from": "anonymous"}, "from"),
        ({"to": CALLEE, "from": LINE, "ring_s": 1}, "ring_s"),
        ({"to": CALLEE, "from": LINE, "ring_s": "30"}, "ring_s"),
        ({"to": CALLEE, "from": LINE, "on_machine": "shout"}, "on_machine"),
        ({"to": CALLEE, "from": LINE, "on_machine": "leave_message"}, "message"),
        ({"to": CALLEE, "from": LINE, "message": "Hello."}, "leave_message"),
        ({"to": CALLEE, "from": LINE, "parameters": {"a": 1}}, "parameters.a"),
        ({"to": CALLEE, "from": LINE, "voice": "marin"}, "voice"),
        ([], "object"),
    ],
)
async def test_a_request_for_a_call_that_is_wrong_is_told_what_is(rehearsal: Start, body: object, named: str) -> None:
    """By the key; nobody's number is repeated, and the carrier is not asked."""
    run = await rehearsal(**TABLES)

    answer = await Operator(run).post("/api/calls", body)

    assert (400, "bad_request") == refusal(answer)
    assert named in answer.json()["error"]["message"]
    assert CALLEE not in answer.text
    assert [] == run.asked()


async def test_an_agent_or_a_number_that_there_is_not_is_refused(rehearsal: Start) -> None:
    """The answer names those that there are, or says what to write."""
    run = await rehearsal(**TABLES | {"lines": LINES | {"+15551230001": {"agent": "reception"}}})
    operator = Operator(run)

    agent = await operator.post("/api/calls", {"to": CALLEE, "from": LINE, "agent": "nobody"})
    number = await operator.post("/api/calls", {"to": CALLEE})

    assert (400, "unknown_agent") == refusal(agent)
    assert "reception" in agent.json()["error"]["message"]
    assert (400, "unknown_number") == refusal(number)
    assert run.is_empty()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"words":"' + b"x" * 2001 + b'"}', b'{"words":""}'])
async def test_words_that_cannot_be_said_are_refused(rehearsal: Start, body: bytes) -> None:
    """Neither odd bytes nor a whole book."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES)
    call = await greeted(run)

    answer = await Operator(run).ask("POST", f"/api/calls/{call.sid}/say", content=body)

    assert (400, "bad_request") == refusal(answer)


async def test_a_body_that_is_too_large_is_not_read_to_its_end(rehearsal: Start) -> None:
    """A bound on what a request may take up."""
    run = await rehearsal(**TABLES)

    answer = await Operator(run).ask("POST", "/api/calls", content=b" " * (MAX_BODY_BYTES + 1))

    assert (413, "too_large") == refusal(answer)


async def test_a_body_that_does_not_come_is_not_waited_for(rehearsal: Start) -> None:
    """Whoever sends a head and stops does not hold the bridge."""
    run = await rehearsal(**TABLES)
    host, _, port = run.bridge.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /api/calls HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer an-admin-token\r\n\r\n"
    )
    writer.write(head.encode())

    status_line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()

    assert b" 408 " in status_line


async def test_a_destination_that_there_is_not_is_refused(rehearsal: Start) -> None:
    """The operator, like the model, names a configured one, and never a number."""
    run = await rehearsal([Reply(speech="Hello there.")], **TABLES, destinations={"sales": SALES})
    call = await greeted(run)

    answer = await Operator(run).post(f"/api/calls/{call.sid}/transfer", {"destination": CALLEE})

    assert (400, "unknown_destination") == refusal(answer)
    assert "sales" in answer.json()["error"]["message"]
