"""Calls that the bridge places, whole: the request, the carrier's record of what was asked of it, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from bridge.call.plan import CallInfo
from bridge.rehearsal.carrier import Call, Callee
from bridge.rehearsal.carrier.account import AccountBook
from bridge.rehearsal.conversation import FunctionCall, Reply
from tests.client import CALLEE, LINES, TABLES, Operator, refusal
from tests.support import ACCOUNT, LINE, MEDIA, Rehearsal, Start, speech
from twiml.calls import CallControl, OutboundCall

MESSAGE = "Please call us back."
PLACED = ("rest", f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json")
LOOKED_UP = ("rest", f"/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json")
ANSWERED = [("voice", "/twiml/answer"), ("handshake", "wss://bridge.test/media")]
DETECTED = ("machine-detection", "/twiml/machine-detection")


def asked(run: Rehearsal) -> list[tuple[str, str]]:
    """What was asked of and by the carrier, in order, without the callbacks that follow a call's progress."""
    media = {f"{MEDIA}/media": "wss://bridge.test/media"}
    kinds = ("rest", "voice", "handshake", "action", "machine-detection")
    return [(kind, media.get(path, path)) for kind, path in run.asked(*kinds)]


def left(call: Call) -> list[tuple[str, str]]:
    """What is asked when a call leaves its stream: by us, and then by the carrier."""
    return [("rest", f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{call.sid}.json"), ("voice", "/twiml/after-stream")]


def progress(run: Rehearsal) -> list[str]:
    """The statuses that the carrier reported, in order."""
    return [str(each.params["CallStatus"]) for each in run.carrier.record if each.kind == "status"]


def order(run: Rehearsal) -> dict[str, object]:
    """What the carrier was asked for when the call was placed."""
    return dict(next(each for each in run.carrier.record if each.kind == "rest").params)


async def over(run: Rehearsal, call: Call) -> None:
    """Wait until the call is over for everybody."""
    await call.ended()
    await run.carrier.settled()


def slowly(run: Rehearsal, seconds: float) -> Callable[[CallControl, OutboundCall], Awaitable[str]]:
    """Place a call, and get the carrier's answer so much later."""
    create = CallControl.create

    async def create_slowly(self: CallControl, call: OutboundCall) -> str:
        call_sid = await create(self, call)
        await run.clock.sleep(seconds)
        return call_sid

    return create_slowly


async def talks(call: Call) -> None:
    """The human waits for the greeting, says something, hears the answer and hangs up."""
    await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
    await call.say(speech(1.5))
    await call.until(lambda: call.phone.hearing.started > call.phone.talk.stopped)
    await call.until(lambda: call.phone.silent_s > 1)
    call.hang_up()


async def listens(call: Call) -> None:
    """The human hears the greeting, and hangs up."""
    await call.until(lambda: call.phone.hearing.stopped > 0 and call.phone.silent_s > 1)
    call.hang_up()


async def greets_for_long(call: Call) -> None:
    """A machine says its greeting, which takes four seconds, and records until nobody speaks."""
    await call.say(speech(4))
    await call.carrier.clock.sleep(60)
    call.hang_up()


async def test_a_human_is_called_and_talks(rehearsal: Start) -> None:
    """The agent that was asked for speaks, not the line's; the call is told as any other, with its direction."""
    run = await rehearsal(
        [Reply(speech="This is the shop."), Reply(speech="You are welcome.")],
        heard=["thank you"],
        people={CALLEE: Callee(after_s=1, script=talks)},
        server=TABLES["server"],
        agents={
            "reception": {"greeting_message": "Hello there."},
            "reminder": {"greeting_message": "This is the shop."},
        },
        lines=LINES | {LINE: {"agent": "reception", "hours": "off", "block": [CALLEE]}},
    )
    operator = Operator(run)
    call = await operator.call(agent="reminder", parameters={"order": "A17"})
    ringing = await operator.view(call)
    await over(run, call)
    view = await operator.view(call)

    assert ("ringing", None) == (ringing["state"], ringing["answered_s"])
    assert [PLACED, *ANSWERED] == asked(run)[:3]
    assert {"To": CALLEE, "From": LINE, "Timeout": "30"}.items() <= order(run).items()
    assert "MachineDetection" not in order(run)
    assert ["initiated", "ringing", "in-progress", "completed"] == progress(run)
    assert ("reminder", "outbound", "ended", "caller_hung_up") == tuple(
        view[key] for key in ("agent", "direction", "state", "ending")
    )
    assert ["This is the shop.", "You are welcome."] == run.seen.bot_words()
    assert ["bot", "caller", "bot"] == [line["role"] for line in sorted(view["transcript"], key=lambda x: x["at_s"])]
    assert run.is_empty()
    assert [] == run.carrier.faults


async def test_a_function_is_told_what_the_operator_said_about_the_call(
    rehearsal: Start, offer: Callable[..., dict[str, object]]
) -> None:
    """Parameters, numbers and direction reach the operator's functions; a name fills the agent's texts in."""
    told: list[CallInfo] = []

    def look_up(call: CallInfo) -> dict[str, str]:
        told.append(call)
        return {"state": "sent"}

    run = await rehearsal(
        [Reply(speech="Hello."), Reply(calls=(FunctionCall("look_up", {}),)), Reply(speech="Found.")],
        heard=["my order please"],
        people={CALLEE: Callee(after_s=1, script=talks)},
        **TABLES,
        agent={"greeting_message": "Hello {name}, it is {state}.", "tools": ["look_up"], "before_call": "look_up"},
        functions=offer(look_up=look_up),
    )
    call = await Operator(run).call(parameters={"name": "Ada", "to": "nobody"})
    await over(run, call)

    assert ["Hello.", "Found."] == run.seen.bot_words()
    assert ["", call.sid] == [info.call_sid for info in told]
    assert [("outbound", LINE, CALLEE, "reception")] * 2 == [
        (info.direction, info.from_number, info.to_number, info.agent) for info in told
    ]
    assert {"name": "Ada", "to": "nobody"} == told[0].parameters == told[1].parameters
    assert told[0].idempotency_key != told[1].idempotency_key != ":before_call"


@pytest.mark.parametrize(("result", "reason"), [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed")])
async def test_a_call_that_nobody_takes_ends_as_not_reached(
    rehearsal: Start, result: Literal["busy", "no-answer", "failed"], reason: str
) -> None:
    """No stream ever comes: the ending is told once all the same, and says why."""
    run = await rehearsal(people={CALLEE: Callee(result=result, after_s=1)}, **TABLES)
    operator = Operator(run)
    call = await operator.call(ring_s=5)
    await over(run, call)
    view = await operator.view(call)

    assert [("not_reached", reason)] == [(fact["ending"], fact["reason"]) for fact in run.seen.of("call.ended")]
    assert ("ended", "not_reached", reason, None) == tuple(
        view[key] for key in ("state", "ending", "reason", "answered_s")
    )
    assert [PLACED] == asked(run)
    assert ["initiated", "ringing", result] == progress(run)
    assert () == tuple(run.model.sessions)
    assert run.is_empty()


async def test_a_machine_is_hung_up_on_when_the_operator_wants_that(rehearsal: Start) -> None:
    """The verdict comes while the bot greets: the call ends at once."""
    run = await rehearsal(
        [Reply(speech="Hello there. " * 20)],
        people={CALLEE: Callee(after_s=1, answered_by="machine_start", script=greets_for_long)},
        **TABLES,
    )
    operator = Operator(run)
    call = await operator.call(on_machine="hang_up")
    await over(run, call)

    assert {"MachineDetection": "Enable", "AsyncAmd": "true"}.items() <= order(run).items()
    assert ["machine"] == run.seen.endings()
    assert "machine" == (await operator.view(call))["ending"]
    assert [PLACED, *ANSWERED, DETECTED, *left(call)] == asked(run)
    assert call.duration_s < 8
    assert run.is_empty()


async def test_a_fax_is_hung_up_on(rehearsal: Start) -> None:
    """Whatever a machine would get."""
    run = await rehearsal(
        [Reply(speech="Hello there.")], people={CALLEE: Callee(after_s=1, answered_by="fax")}, **TABLES
    )
    call = await Operator(run).call(on_machine="leave_message", message=MESSAGE)
    await over(run, call)

    assert [PLACED, *ANSWERED, DETECTED, *left(call)] == asked(run)
    assert ["fax"] == run.seen.endings()
    assert run.is_empty()


async def test_a_message_is_left_on_a_machine_after_its_greeting(rehearsal: Start) -> None:
    """The bot's greeting is cleared; the message is heard in full, whatever the machine says; then the call ends."""
    run = await rehearsal(
        [Reply(speech="Hello there. " * 20), Reply(speech=MESSAGE)],
        people={CALLEE: Callee(after_s=1, answered_by="machine_end_beep", detected_after_s=5, script=greets_for_long)},
        **TABLES,
    )
    operator = Operator(run)
    call = await operator.call(on_machine="leave_message", message=MESSAGE)
    await over(run, call)
    view = await operator.view(call)

    assert {"MachineDetection": "DetectMessageEnd", "AsyncAmd": "true"}.items() <= order(run).items()
    assert [PLACED, *ANSWERED, DETECTED, *left(call)] == asked(run)
    assert ["message_left"] == run.seen.endings()
    last = view["transcript"][-1]
    assert ("bot", MESSAGE, False) == (last["role"], last["words"], last["is_cut"])
    assert run.is_empty()
    assert [] == run.carrier.faults


async def test_a_machine_is_talked_to_when_the_operator_wants_that(rehearsal: Start) -> None:
    """No detection is asked for, so none is paid for."""
    run = await rehearsal(
        [Reply(speech="Hello there.")],
        people={CALLEE: Callee(after_s=1, answered_by="machine_start", script=listens)},
        **TABLES,
    )
    call = await Operator(run).call(on_machine="talk")
    await over(run, call)

    assert [PLACED, *ANSWERED] == asked(run)[:3]
    assert DETECTED not in asked(run)
    assert ["caller_hung_up"] == run.seen.endings()


async def test_a_telephone_stops_ringing_when_the_operator_hangs_up(rehearsal: Start) -> None:
    """The carrier is asked to end the call; nobody picks up a dead line."""
    run = await rehearsal(people={CALLEE: Callee(after_s=20)}, **TABLES)
    operator = Operator(run)
    call = await operator.call()
    await call.carrier.clock.sleep(2)

    answer = await operator.post(f"/api/calls/{call.sid}/hang-up")
    await over(run, call)

    assert 204 == answer.status_code
    assert [PLACED, left(call)[0]] == asked(run)
    assert ("canceled", "rest") == (call.status, call.ended_by)
    assert ["operator_hung_up"] == run.seen.endings()
    assert run.is_empty()


async def test_a_callback_that_comes_again_or_late_changes_nothing(rehearsal: Start) -> None:
    """Each of the carrier's requests of a whole call is made again when the call is over."""
    run = await rehearsal(
        [Reply(speech="Hello there.")],
        people={CALLEE: Callee(after_s=1, answered_by="machine_start", script=greets_for_long)},
        **TABLES,
    )
    call = await Operator(run).call(on_machine="hang_up")
    await over(run, call)
    facts = len(run.seen.facts)

    for exchange in list(run.carrier.record):
        if exchange.kind in ("voice", "status", "machine-detection"):
            answer = await run.carrier.webhooks.request("again", exchange.url, exchange.params, exchange.method)
            assert b"<Stream" not in answer.body

    assert facts == len(run.seen.facts)
    assert run.is_empty()


async def test_a_carrier_that_asks_before_it_has_answered_finds_the_call(
    rehearsal: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The webhook may overtake the answer to the request that placed the call."""
    run = await rehearsal(
        [Reply(speech="Hello there.")], people={CALLEE: Callee(after_s=0.1, script=listens)}, **TABLES
    )
    monkeypatch.setattr(CallControl, "create", slowly(run, 8))
    call = await Operator(run).call()
    await over(run, call)

    assert ["call.placed", "call.answered"] == [name for name in run.seen.events() if name.startswith("call.")][:2]
    assert ["caller_hung_up"] == run.seen.endings()
    assert run.is_empty()


async def test_a_call_that_is_over_before_the_carrier_has_answered_is_told(
    rehearsal: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call may fail at once, and its last callback may come first."""
    run = await rehearsal(**TABLES)
    monkeypatch.setattr(CallControl, "create", slowly(run, 3))
    operator = Operator(run)
    call = await operator.call()

    assert [("not_reached", "failed")] == [(fact["ending"], fact["reason"]) for fact in run.seen.of("call.ended")]
    assert "not_reached" == (await operator.view(call))["ending"]
    assert run.is_empty()


async def test_no_more_calls_are_placed_than_may_be_live(rehearsal: Start) -> None:
    """Two are asked for at once where one may live: one is placed, and the carrier hears of one."""
    run = await rehearsal(people={CALLEE: Callee(after_s=20)}, **TABLES, limits={"max_calls": 1})
    operator = Operator(run)
    body = {"to": CALLEE, "from": LINE}

    answers = await asyncio.gather(*(operator.post("/api/calls", body) for _ in range(2)))

    assert [201, 503] == sorted(answer.status_code for answer in answers)
    assert [(503, "full")] == [refusal(answer) for answer in answers if answer.is_error]
    assert [PLACED] == asked(run)


async def test_no_call_is_placed_while_draining(rehearsal: Start) -> None:
    """The bridge is about to go."""
    run = await rehearsal(**TABLES)
    run.bridge.desk.calls.is_draining = True

    answer = await Operator(run).post("/api/calls", {"to": CALLEE, "from": LINE})

    assert (503, "draining") == refusal(answer)
    assert [] == run.asked()


async def test_a_call_that_the_carrier_refuses_is_not_placed(rehearsal: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator is told why, and nothing is left."""
    run = await rehearsal(**TABLES)
    monkeypatch.setattr(run.carrier, "auth_token", "another")

    answer = await Operator(run).post("/api/calls", {"to": CALLEE, "from": LINE, "ring_s": 5})

    assert (502, "carrier_refused") == refusal(answer)
    assert CALLEE not in answer.text
    assert run.is_empty()


async def test_a_call_is_placed_from_any_number_of_the_account_and_from_no_other(rehearsal: Start) -> None:
    """One that no line has is looked for at the carrier."""
    own, other = "+15551239999", "+15551238888"
    run = await rehearsal(people={CALLEE: Callee(result="busy", after_s=0)}, **TABLES)
    run.carrier.account = AccountBook.of([own])
    operator = Operator(run)

    refused = await operator.post("/api/calls", {"to": CALLEE, "from": other})
    call = await operator.call(**{"from": own})
    await over(run, call)

    assert (400, "unknown_number") == refusal(refused)
    assert own == call.from_
    assert [LOOKED_UP, LOOKED_UP, PLACED] == asked(run)


async def test_calls_need_credentials(rehearsal: Start) -> None:
    """Without REST the answer says what to set."""
    run = await rehearsal(rest=False, **TABLES)

    answer = await Operator(run).post("/api/calls", {"to": CALLEE, "from": LINE})

    assert (503, "no_credentials") == refusal(answer)
    assert "twilio.auth_token" in answer.json()["error"]["message"]
