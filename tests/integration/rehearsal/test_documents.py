"""The simulated carrier's webhooks and TwiML, verb by verb, against a real HTTP server."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from bridge.clock import Clock
from bridge.rehearsal.carrier import Callee, Caller, Carrier
from bridge.wire.g711 import SILENCE

if TYPE_CHECKING:
    from bridge.rehearsal.carrier import Call
    from tests.integration.rehearsal.conftest import Bridge, Form

SALES = "+15557654321"
CALLER, LINE = "+15551112222", "+15551230000"


async def run(carrier: Carrier, caller: Caller | None = None) -> Call:
    """Call the bridge's number and wait until the call and its callbacks are over."""
    call = await carrier.dial(from_=CALLER, to=LINE, caller=caller or Caller())
    await call.ended()
    await carrier.settled()
    return call


def kinds(carrier: Carrier) -> list[str]:
    """What the carrier asked the bridge for, in order."""
    return [each.kind for each in carrier.record]


async def test_first_webhook_carries_the_parameters_of_an_incoming_call(bridge: Bridge, carrier: Carrier) -> None:
    """Signed, as a form, with everything that Twilio always sends."""
    bridge.documents["/twiml/answer"] = "<Response><Reject/></Response>"

    call = await run(carrier)

    (form,) = bridge.forms("/twiml/answer")
    always = {
        "AccountSid": carrier.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call.sid,
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": CALLER,
        "To": LINE,
        "Caller": CALLER,
        "Called": LINE,
        "FromCountry": "US",
        "StirVerstat": "TN-Validation-Passed-A",
    }
    assert always == {name: form[name] for name in always}
    assert [] == bridge.unsigned


async def test_wrong_token_is_noticed_by_the_bridge(bridge: Bridge) -> None:
    """A carrier with another token gets 403, asks for the fallback, and tells the caller that something is wrong."""
    bridge.documents["/twiml/answer"] = "<Response><Hangup/></Response>"
    async with Carrier(account_sid="AC1", auth_token="another", clock=Clock(10), to=bridge.url) as stranger:
        call = await run(stranger)

    assert ["https://bridge.test/twiml/answer", "https://bridge.test/twiml/fallback"] == bridge.unsigned[:2]
    assert [11217, 11217] == [notice.code for notice in stranger.warnings][:2]
    assert ["We are sorry, an application error has occurred. Goodbye."] == call.told


async def test_call_ends_with_a_status_callback_when_no_verb_is_left(bridge: Bridge, carrier: Carrier) -> None:
    """The caller hears what is said, then the call is over."""
    bridge.documents["/twiml/answer"] = (
        '<Response><Say voice="Polly.Amy">Hello <emphasis>there</emphasis>.</Say></Response>'
    )

    call = await run(carrier)

    (status,) = bridge.forms("/twiml/call-status")
    assert ["Hello there."] == call.told
    assert ("completed", "0", "call-progress-events") == (
        status["CallStatus"],
        status["SequenceNumber"],
        status["CallbackSource"],
    )
    assert (str(call.duration_s), "1" if call.duration_s else "0") == (status["CallDuration"], status["Duration"])
    assert "carrier" == call.ended_by
    assert SILENCE * len(call.heard) != call.heard


@pytest.mark.parametrize(
    ("answer", "content_type", "code"),
    [
        ("<Response><Say>a & b</Say></Response>", "text/xml", 12100),
        ("<Twiml/>", "text/xml", 12100),
        ("<Response/>", "text/html", 12300),
        ("<Response><Say>" + "a" * 70_000 + "</Say></Response>", "text/xml", 11750),
    ],
)
async def test_unusable_document_leads_to_the_fallback(
    bridge: Bridge, carrier: Carrier, answer: str, content_type: str, code: int
) -> None:
    """The fallback is told what was wrong and where."""

    def fall_back(_: Form) -> str:
        bridge.content_type = "application/xml"
        return "<Response><Say>Please call again.</Say></Response>"

    bridge.documents |= {"/twiml/answer": answer, "/twiml/fallback": fall_back}
    bridge.content_type = content_type

    call = await run(carrier)

    (form,) = bridge.forms("/twiml/fallback")
    assert (str(code), "https://bridge.test/twiml/answer") == (form["ErrorCode"], form["ErrorUrl"])
    assert [code] == [notice.code for notice in carrier.warnings]
    assert ["Please call again."] == call.told


async def test_bridge_that_does_not_answer_in_time_is_given_up(bridge: Bridge, carrier: Carrier) -> None:
    """Fifteen seconds are the limit, for the fallback too."""
    bridge.documents |= {"/twiml/answer": "<Response/>", "/twiml/fallback": "<Response/>"}
    bridge.before_answering = lambda: carrier.clock.sleep(20)
    started_s = carrier.clock.now()

    await run(carrier)

    assert [11205, 11205] == [notice.code for notice in carrier.warnings]
    assert 30 <= carrier.clock.now() - started_s < 60


async def test_unknown_verbs_and_attributes_are_left_out_with_a_warning(bridge: Bridge, carrier: Carrier) -> None:
    """What is known is still done."""
    bridge.documents["/twiml/answer"] = '<Response><Shout>Hi</Shout><Say volume="9">Hello</Say></Response>'

    call = await run(carrier)

    assert [12200, 12200] == [notice.code for notice in carrier.warnings]
    assert ["Hello"] == call.told


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_rejected_call_is_never_answered(bridge: Bridge, carrier: Carrier, reason: str, status: str) -> None:
    """The reason decides the status."""
    bridge.documents["/twiml/answer"] = f'<Response><Reject reason="{reason}"/><Say>Unreachable</Say></Response>'

    call = await run(carrier)

    assert (status, None, []) == (call.status, call.answered_s, call.told)


async def test_pause_and_redirect_do_not_answer_the_call(bridge: Bridge, carrier: Carrier) -> None:
    """The call still rings when the next document is asked for, by GET, signed with its query."""
    bridge.documents["/twiml/answer"] = (
        '<Response><Pause length="2"/><Redirect method="GET">next?a=1</Redirect><Say>Unreachable</Say></Response>'
    )
    bridge.documents["/twiml/next"] = "<Response><Hangup/></Response>"

    call = await run(carrier)

    (form,) = bridge.forms("/twiml/next")
    assert ("ringing", "1") == (form["CallStatus"], form["a"])
    assert [] == bridge.unsigned + call.told
    assert "completed" == call.status


async def test_redirect_in_a_circle_is_stopped(bridge: Bridge, carrier: Carrier) -> None:
    """A bridge that sends a call round and round hears of it."""
    bridge.documents["/twiml/answer"] = "<Response><Redirect/></Response>"

    await run(carrier)

    assert [11215] == [notice.code for notice in carrier.warnings]


async def test_keys_can_be_sent_to_the_far_end(bridge: Bridge, carrier: Carrier) -> None:
    """Tones and pauses take their time; the record has the digits."""
    bridge.documents["/twiml/answer"] = '<Response><Play digits="ww12#"/></Response>'

    call = await run(carrier)

    assert "12#" == call.digits_received
    assert call.duration_s >= 1


async def test_sound_is_fetched_and_played_as_it_is(bridge: Bridge, carrier: Carrier) -> None:
    """A mu-law WAV file passes unchanged."""
    sound = bytes(range(128)) * 20
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 7, 1, 8000, 8000, 1, 8, b"data", len(sound)
    )
    bridge.documents |= {"/twiml/answer": "<Response><Play>/clip</Play></Response>", "/clip": head + sound}

    call = await run(carrier)

    assert sound in call.heard


async def test_gathered_digits_go_to_the_action(bridge: Bridge, carrier: Carrier) -> None:
    """A key stops the prompt; the finishing key is not among the digits."""
    bridge.documents["/twiml/answer"] = (
        '<Response><Gather numDigits="6" timeout="3" action="/gathered"><Say>Please enter your order number now.</Say>'
        "</Gather><Say>Nothing came.</Say></Response>"
    )
    bridge.documents["/gathered"] = "<Response/>"

    async def script(call: Call) -> None:
        await call.until(lambda: bool(call.told))
        await call.press("4712#")

    call = await run(carrier, Caller(script=script))

    (form,) = bridge.forms("/gathered")
    assert ("4712", ["Please enter your order number now."]) == (form["Digits"], call.told)
    assert len(call.heard.rstrip(SILENCE)) < 2.4 * 8000  # the prompt would have taken that long


async def test_gather_without_a_key_goes_on(bridge: Bridge, carrier: Carrier) -> None:
    """The next verb follows when the time is up."""
    bridge.documents["/twiml/answer"] = '<Response><Gather timeout="2" action="/gathered"/><Say>Bye.</Say></Response>'

    call = await run(carrier)

    assert ([], ["Bye."]) == (bridge.forms("/gathered"), call.told)
    assert call.duration_s >= 2


async def test_action_of_connect_takes_over_when_the_bridge_closes_the_stream(bridge: Bridge, carrier: Carrier) -> None:
    """The verbs behind `<Connect>` are unreachable; Twilio logs the close though all is well."""
    bridge.documents["/twiml/answer"] = (
        '<Response><Connect action="/after"><Stream url="wss://bridge.test/media"/></Connect><Say>Dead</Say></Response>'
    )
    bridge.documents["/after"] = "<Response><Say>Goodbye.</Say><Hangup/></Response>"
    bridge.talk = lambda stream: stream.until("media")

    call = await run(carrier)

    (form,) = bridge.forms("/after")
    assert ("in-progress", ["Goodbye."]) == (form["CallStatus"], call.told)
    assert ([31921], []) == ([notice.code for notice in carrier.warnings], carrier.faults)


async def test_action_of_connect_is_told_when_the_caller_hung_up(bridge: Bridge, carrier: Carrier) -> None:
    """Its answer changes nothing any more."""
    bridge.documents["/twiml/answer"] = (
        '<Response><Connect action="/after"><Stream url="wss://bridge.test/media"/></Connect></Response>'
    )
    bridge.documents["/after"] = "<Response><Say>Too late</Say></Response>"

    async def script(call: Call) -> None:
        await call.until(lambda: call.stream is not None)
        call.hang_up()

    call = await run(carrier, Caller(script=script))

    assert ["completed"] == [form["CallStatus"] for form in bridge.forms("/after")]
    assert [] == call.told


# Transfers


def dial_to(target: str, attributes: str = "") -> str:
    """A document that dials, with an action."""
    return f'<Response><Dial action="/result" {attributes}>{target}</Dial><Say>Dead code</Say></Response>'


async def test_dialled_person_talks_with_the_caller(bridge: Bridge, carrier: Carrier) -> None:
    """Each hears the other, byte by byte; the result says completed and bridged."""
    bridge.documents |= {"/twiml/answer": dial_to(SALES), "/result": "<Response/>"}
    question, answer = bytes([17]) * 4000, bytes([99]) * 4000

    async def help_out(call: Call) -> None:
        await call.until(lambda: call.phone.hearing.stretches == 1 and not call.phone.hearing.is_speaking)
        await call.say(answer)
        await carrier.clock.sleep(0.5)
        call.hang_up()

    async def ask(call: Call) -> None:
        await call.until(lambda: any(event.kind == "call.bridged" for event in carrier.events))
        await call.say(question)

    carrier.destinations[SALES] = Callee(script=help_out)
    call = await run(carrier, Caller(script=ask))

    caller, callee = carrier.calls
    (form,) = bridge.forms("/result")
    assert (caller.sid, callee.parent_sid) == (call.sid, call.sid)
    assert ("completed", callee.sid, "true") == (form["DialCallStatus"], form["DialCallSid"], form["DialBridged"])
    assert question in callee.heard
    assert answer in caller.heard
    assert [] == call.told + carrier.warnings


@pytest.mark.parametrize(
    ("callee", "status"),
    [
        (Callee(result="busy"), "busy"),
        (Callee(result="no-answer"), "no-answer"),
        (Callee(result="answer", after_s=60), "no-answer"),
        (Callee(result="failed"), "failed"),
    ],
)
async def test_unreachable_person_s_result_goes_to_the_action(
    bridge: Bridge, carrier: Carrier, callee: Callee, status: str
) -> None:
    """Twilio rings five seconds longer than the timeout says."""
    bridge.documents |= {"/twiml/answer": dial_to(f"<Number>{SALES}</Number>", 'timeout="7"'), "/result": "<Response/>"}
    carrier.destinations[SALES] = callee

    call = await run(carrier)

    (form,) = bridge.forms("/result")
    assert (status, "false") == (form["DialCallStatus"], form["DialBridged"])
    assert "DialCallDuration" not in form
    if status == "no-answer":
        assert 12 <= call.duration_s < 35


async def test_person_who_declines_the_whisper_is_not_connected(bridge: Bridge, carrier: Carrier) -> None:
    """The caller hears ringing meanwhile; the result says completed, but not bridged."""
    bridge.documents |= {
        "/twiml/answer": dial_to(f'<Number url="/whisper">{SALES}</Number>', f'callerId="{LINE}"'),
        "/whisper": '<Response><Gather numDigits="1" timeout="2"><Say>Press 1</Say></Gather><Hangup/></Response>',
        "/result": "<Response/>",
    }

    call = await run(carrier)

    (form,), (whisper,) = bridge.forms("/result"), bridge.forms("/whisper")
    assert ("completed", "false") == (form["DialCallStatus"], form["DialBridged"])
    assert (call.sid, "outbound-dial", LINE) == (whisper["ParentCallSid"], whisper["Direction"], whisper["From"])
    assert ["Press 1"] == carrier.calls[1].told
    assert [] == call.told


async def test_person_who_accepts_the_whisper_is_connected(bridge: Bridge, carrier: Carrier) -> None:
    """The document that ends without a hang-up connects the two."""
    bridge.documents |= {
        "/twiml/answer": dial_to(f'<Number url="/whisper" sendDigits="w9">{SALES}</Number>'),
        "/whisper": '<Response><Gather numDigits="1" action="/choice"><Say>Press 1</Say></Gather><Hangup/></Response>',
        "/choice": "<Response/>",
        "/result": "<Response/>",
    }

    async def accept(call: Call) -> None:
        await call.until(lambda: bool(call.told))
        await call.press("1")
        await carrier.clock.sleep(2)
        call.hang_up()

    carrier.destinations[SALES] = Callee(script=accept)
    await run(carrier)

    (form,) = bridge.forms("/result")
    assert ("completed", "true") == (form["DialCallStatus"], form["DialBridged"])
    assert "9" == carrier.calls[1].digits_received
    assert ["voice", "whisper", "action", "action", "status"] == kinds(carrier)


async def test_caller_who_hangs_up_while_it_rings_stops_the_ringing(bridge: Bridge, carrier: Carrier) -> None:
    """The other leg is cancelled, and the action still hears of it."""
    bridge.documents |= {"/twiml/answer": dial_to(SALES), "/result": "<Response/>"}
    carrier.destinations[SALES] = Callee(after_s=20)

    async def give_up(call: Call) -> None:
        await call.until(lambda: len(carrier.calls) == 2 and carrier.calls[1].status == "ringing")
        call.hang_up()

    await run(carrier, Caller(script=give_up))

    (form,) = bridge.forms("/result")
    assert ("completed", "canceled") == (form["CallStatus"], form["DialCallStatus"])
    assert "canceled" == carrier.calls[1].status


async def test_first_of_several_to_answer_gets_the_call(bridge: Bridge, carrier: Carrier) -> None:
    """The others stop ringing; their progress is reported in the events asked for."""
    events = 'statusCallback="/leg-status" statusCallbackEvent="initiated ringing answered completed"'
    bridge.documents |= {
        "/twiml/answer": dial_to(f"<Number {events}>+15550000001</Number><Number>+15550000002</Number>"),
        "/result": "<Response/>",
    }

    async def hang_up(call: Call) -> None:
        await carrier.clock.sleep(1)
        call.hang_up()

    carrier.destinations |= {"+15550000001": Callee(after_s=1, script=hang_up), "+15550000002": Callee(after_s=9)}
    await run(carrier)

    first, second = carrier.calls[1:]
    progress = sorted(bridge.forms("/leg-status"), key=lambda form: int(form["SequenceNumber"]))
    assert ("completed", "canceled") == (first.status, second.status)
    assert first.sid == bridge.forms("/result")[0]["DialCallSid"]
    assert ["initiated", "ringing", "in-progress", "completed"] == [form["CallStatus"] for form in progress]


async def test_star_ends_the_conversation_where_it_may(bridge: Bridge, carrier: Carrier) -> None:
    """The caller stays and hears what comes next."""
    bridge.documents["/twiml/answer"] = (
        f'<Response><Dial hangupOnStar="true">{SALES}</Dial><Say>Back again.</Say></Response>'
    )

    async def script(call: Call) -> None:
        await call.until(lambda: any(event.kind == "call.bridged" for event in carrier.events))
        await call.press("*")

    call = await run(carrier, Caller(script=script))

    assert ["Back again."] == call.told


@pytest.mark.parametrize(
    ("document", "code"),
    [(dial_to("+15559999999"), 13224), (dial_to(SALES, 'callerId="+15558888888"'), 13214)],
)
async def test_call_to_nobody_or_under_a_stranger_s_number_fails(
    bridge: Bridge, carrier: Carrier, document: str, code: int
) -> None:
    """The log says why."""
    bridge.documents |= {"/twiml/answer": document, "/result": "<Response/>"}

    await run(carrier)

    assert [code] == [notice.code for notice in carrier.warnings]
    assert "failed" == bridge.forms("/result")[0]["DialCallStatus"]


async def test_answer_on_bridge_lets_the_caller_hear_it_ring(bridge: Bridge, carrier: Carrier) -> None:
    """The call is answered when the other one answers."""
    bridge.documents |= {"/twiml/answer": dial_to(SALES, 'answerOnBridge="true"'), "/result": "<Response/>"}

    async def hang_up(call: Call) -> None:
        await carrier.clock.sleep(1)
        call.hang_up()

    carrier.destinations[SALES] = Callee(after_s=4, script=hang_up)
    call = await run(carrier)

    assert call.answered_s is not None
    assert call.answered_s - call.started_s >= 4


async def test_sip_caller_can_be_referred(bridge: Bridge, carrier: Carrier) -> None:
    """The result says how both the request and the new call fared."""
    bridge.documents |= {
        "/twiml/answer": '<Response><Refer action="/referred"><Sip>sip:desk@example.test</Sip></Refer></Response>',
        "/referred": "<Response/>",
    }
    carrier.destinations["sip:desk@example.test"] = Callee()

    call = await carrier.dial(from_="sip:alice@example.test", to=LINE, caller=Caller())
    await call.ended()

    (form,) = bridge.forms("/referred")
    assert ("in-progress", "202", "200") == (
        form["ReferCallStatus"],
        form["ReferSipResponseCode"],
        form["NotifySipResponseCode"],
    )


async def test_caller_from_the_telephone_network_cannot_be_referred(bridge: Bridge, carrier: Carrier) -> None:
    """Only SIP legs can: 13801."""
    bridge.documents |= {
        "/twiml/answer": '<Response><Refer action="/referred"><Sip>sip:desk@example.test</Sip></Refer></Response>',
        "/referred": "<Response/>",
    }

    await run(carrier)

    assert [13801] == [notice.code for notice in carrier.warnings]
    assert "failed" == bridge.forms("/referred")[0]["ReferCallStatus"]


async def test_queued_caller_waits_until_the_agent_takes_the_call(bridge: Bridge, carrier: Carrier) -> None:
    """The wait document is heard over and over; the task that came along is kept."""
    bridge.documents |= {
        "/twiml/answer": '<Response><Enqueue workflowSid="WW1" action="/dequeued" waitUrl="/wait">'
        '<Task>{"why": "price"}</Task></Enqueue></Response>',
        "/wait": "<Response><Say>Please wait.</Say></Response>",
        "/dequeued": "<Response/>",
    }

    async def talk(call: Call) -> None:
        await carrier.clock.sleep(1)
        call.hang_up()

    carrier.destinations["queue:WW1"] = Callee(after_s=5, script=talk)
    call = await run(carrier)

    (form,) = bridge.forms("/dequeued")
    assert "bridged" == form["QueueResult"]
    assert 2 <= len(call.told)
    assert ['{"why": "price"}'] == carrier.queue("WW1").tasks


async def test_queued_caller_can_be_sent_away_by_the_wait_document(bridge: Bridge, carrier: Carrier) -> None:
    """`<Leave>` ends the waiting."""
    bridge.documents |= {
        "/twiml/answer": '<Response><Enqueue waitUrl="/wait">support</Enqueue><Say>Nobody is there.</Say></Response>',
        "/wait": "<Response><Leave/></Response>",
    }

    call = await run(carrier)

    assert ["Nobody is there."] == call.told


async def test_conference_starts_with_whoever_starts_it_and_ends_with_whoever_ends_it(
    bridge: Bridge, carrier: Carrier
) -> None:
    """The caller waits, talks, and goes on when the other one leaves."""
    seen = 'statusCallback="https://bridge.test/room-status" statusCallbackEvent="start end join leave"'
    bridge.documents["/twiml/answer"] = lambda form: (
        f'<Response><Dial><Conference startConferenceOnEnter="false" {seen}>room</Conference></Dial>'
        "<Say>Alone.</Say></Response>"
        if form["From"] == CALLER
        else '<Response><Dial><Conference endConferenceOnExit="true">room</Conference></Dial></Response>'
    )
    hello = bytes([33]) * 1600

    async def human(call: Call) -> None:
        await call.until(lambda: call.phone.outlet is not None)
        await call.say(hello)
        await carrier.clock.sleep(0.5)
        call.hang_up()

    waiting = await carrier.dial(from_=CALLER, to=LINE, caller=Caller())
    await waiting.until(lambda: bool(carrier.conferences))
    room = carrier.conferences[0]
    status_while_waiting = room.status
    agent = await carrier.dial(from_="+15553334444", to=LINE, caller=Caller(script=human))
    await waiting.ended()
    await agent.ended()
    await carrier.settled()

    assert ("init", "completed") == (status_while_waiting, room.status)
    assert hello in waiting.heard
    assert ["Alone."] == waiting.told
    reports = sorted(bridge.forms("/room-status"), key=lambda form: int(form["SequenceNumber"]))
    assert [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-leave",
        "participant-leave",
        "conference-end",
    ] == [form["StatusCallbackEvent"] for form in reports]
