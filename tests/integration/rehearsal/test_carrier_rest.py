"""The simulated carrier's REST interface, used by Twilio's own client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from bridge.rehearsal.carrier import Callee, Caller, Carrier, Notice
from bridge.rehearsal.carrier.account import AccountBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bridge.rehearsal.carrier import Call
    from tests.integration.rehearsal.conftest import Bridge

SALES = "+15557654321"
LINE = "+15551230000"
CONNECT = '<Response><Connect><Stream url="wss://bridge.test/media"/></Connect></Response>'


@pytest.fixture
def client(carrier: Carrier) -> Iterator[Client]:
    """Twilio's client, pointed at the carrier."""
    http = TwilioHttpClient()
    client = Client(carrier.account_sid, carrier.auth_token, http_client=http)
    client.api.base_url = carrier.api_url
    yield client
    http.session.close()


@pytest.fixture
async def call(bridge: Bridge, carrier: Carrier) -> AsyncIterator[Call]:
    """A call whose media stream is up."""
    bridge.documents["/twiml/answer"] = CONNECT
    call = await carrier.dial(from_="+15551112222", to=LINE, caller=Caller())
    await call.until(lambda: call.stream is not None)
    yield call
    call.hang_up()
    await call.ended()


async def test_live_call_is_redirected(bridge: Bridge, carrier: Carrier, client: Client, call: Call) -> None:
    """The stream ends with a stop, and the new document is fetched, signed, and followed."""
    bridge.documents["/transfer"] = "<Response><Say>One moment.</Say></Response>"

    updated = await asyncio.to_thread(client.calls(call.sid).update, url="https://bridge.test/transfer")
    await call.ended()

    assert ("in-progress", ["One moment."]) == (updated.status, call.told)
    assert "stop" == bridge.streams[0].received[-1]["event"]
    assert [] == bridge.unsigned + carrier.warnings
    assert ["voice", "handshake", "rest", "voice", "status"] == [each.kind for each in carrier.record]


async def test_live_call_is_given_a_document(client: Client, call: Call) -> None:
    """Its text may come along with the request."""
    await asyncio.to_thread(client.calls(call.sid).update, twiml="<Response><Say>Bye.</Say></Response>")
    await call.ended()

    assert ["Bye."] == call.told


async def test_live_call_is_hung_up(bridge: Bridge, client: Client, call: Call) -> None:
    """A second time is too late: 400 with code 21220."""
    await asyncio.to_thread(client.calls(call.sid).update, status="completed")
    await call.ended()
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.calls(call.sid).update, status="completed")

    assert ("completed", "rest") == (call.status, call.ended_by)
    assert (400, 21220) == (refused.value.status, refused.value.code)
    assert "stop" == bridge.streams[0].received[-1]["event"]


async def test_live_call_s_time_is_limited(carrier: Carrier, client: Client, call: Call) -> None:
    """The limit counts from the answer."""
    await asyncio.to_thread(client.calls(call.sid).update, time_limit=3)
    await call.ended()

    assert call.answered_s is not None
    assert "time limit" == call.ended_by
    assert 3 <= carrier.clock.now() - call.answered_s < 10


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"twiml": "<Response>" + " " * 4000 + "</Response>"}, 400, 20001),
        ({"twiml": "<Response/>", "url": "https://bridge.test/x"}, 400, 20001),
        ({"status": "canceled"}, 400, 21220),
        ({"time_limit": "soon"}, 400, 20001),
    ],
)
async def test_carrier_refuses_an_impossible_change(
    client: Client, call: Call, changes: dict[str, str], status: int, code: int
) -> None:
    """The call goes on as it was."""
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.calls(call.sid).update, **changes)

    assert (status, code) == (refused.value.status, refused.value.code)
    assert "in-progress" == call.status


async def test_unknown_call_is_not_found(client: Client) -> None:
    """404 with code 20404."""
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.calls("CA" + "0" * 32).fetch)

    assert (404, 20404) == (refused.value.status, refused.value.code)


async def test_wrong_token_is_refused(carrier: Carrier, client: Client) -> None:
    """401 with code 20003; the request is in the record all the same."""
    client.auth = (carrier.account_sid, "wrong")
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.calls("CA1").fetch)

    assert (401, 20003) == (refused.value.status, refused.value.code)
    assert [("bridge", "GET", 401)] == [(each.made_by, each.method, each.status) for each in carrier.record]


@pytest.mark.parametrize(
    "wrong",
    [
        {"recording_channels": "stereo"},
        {"recording_track": "caller"},
        {"trim": "yes"},
        {"recording_status_callback_event": ["completed", "ended"]},
    ],
)
async def test_recording_that_is_asked_for_wrongly_is_refused(
    client: Client, call: Call, wrong: dict[str, object]
) -> None:
    """As Twilio refuses what it does not know, so that a bridge learns it in the rehearsal."""
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(client.calls(call.sid).recordings.create, **wrong)

    assert 400 == caught.value.status
    assert [] == call.recordings


async def test_recording_is_paused_and_resumed(client: Client, call: Call) -> None:
    """By the name of the current one; it is complete when the call ends."""
    made = await asyncio.to_thread(client.calls(call.sid).recordings.create, recording_channels="dual")
    current = client.calls(call.sid).recordings("Twilio.CURRENT")
    await asyncio.to_thread(current.update, status="paused", pause_behavior="silence")
    await asyncio.to_thread(current.update, status="in-progress")
    call.hang_up()
    await call.ended()

    (recording,) = call.recordings
    assert made.sid == recording.sid
    assert ["in-progress", "paused", "in-progress", "completed"] == [status for _, status in recording.history]


async def test_outbound_call_reports_its_progress(bridge: Bridge, carrier: Carrier, client: Client) -> None:
    """Ringing, answer and end, numbered; then the document is asked for with the direction."""
    bridge.documents["/outbound"] = "<Response><Say>Hello.</Say></Response>"

    made = await asyncio.to_thread(
        client.calls.create,
        to=SALES,
        from_=LINE,
        url="https://bridge.test/outbound",
        send_digits="w12",
        status_callback="https://bridge.test/call-status",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
    )
    (call,) = carrier.calls
    await call.ended()
    await carrier.settled()

    reports = sorted(bridge.forms("/call-status"), key=lambda form: int(form["SequenceNumber"]))
    assert (made.sid, ["Hello."], "12") == (call.sid, call.told, call.digits_received)
    assert ["initiated", "ringing", "in-progress", "completed"] == [form["CallStatus"] for form in reports]
    assert "outbound-api" == bridge.forms("/outbound")[0]["Direction"]


@pytest.mark.parametrize(
    ("callee", "status"), [(Callee(result="busy"), "busy"), (Callee(result="no-answer"), "no-answer"), (None, "failed")]
)
async def test_outbound_call_that_nobody_answers(
    bridge: Bridge, carrier: Carrier, client: Client, callee: Callee | None, status: str
) -> None:
    """The document is never asked for."""
    carrier.destinations = {SALES: callee} if callee else {}

    await asyncio.to_thread(client.calls.create, to=SALES, from_=LINE, url="https://bridge.test/outbound", timeout=5)
    await carrier.calls[0].ended()

    assert (status, []) == (carrier.calls[0].status, bridge.forms("/outbound"))


async def test_outbound_call_is_cancelled_while_it_rings(carrier: Carrier, client: Client) -> None:
    """It ends as canceled."""
    carrier.destinations[SALES] = Callee(after_s=60)
    made = await asyncio.to_thread(client.calls.create, to=SALES, from_=LINE, twiml="<Response/>")

    await asyncio.to_thread(client.calls(made.sid).update, status="canceled")
    await carrier.calls[0].ended()

    assert "canceled" == carrier.calls[0].status


async def test_machine_is_detected_while_the_call_goes_on(bridge: Bridge, carrier: Carrier, client: Client) -> None:
    """The stream is up before the result is known; the result comes as a callback."""
    bridge.documents["/outbound"] = CONNECT
    carrier.destinations[SALES] = Callee(answered_by="machine_end_beep", detected_after_s=4)

    await asyncio.to_thread(
        client.calls.create,
        to=SALES,
        from_=LINE,
        url="https://bridge.test/outbound",
        machine_detection="DetectMessageEnd",
        async_amd="true",
        async_amd_status_callback="https://bridge.test/machine-status",
    )
    (call,) = carrier.calls
    await call.until(lambda: call.answered_by is not None)
    call.hang_up()
    await call.ended()
    await carrier.settled()

    (form,) = bridge.forms("/machine-status")
    assert ("machine_end_beep", "4000") == (form["AnsweredBy"], form["MachineDetectionDuration"])
    assert 1 == len(bridge.streams)


async def test_machine_is_detected_before_the_document_is_asked_for(
    bridge: Bridge, carrier: Carrier, client: Client
) -> None:
    """Without asynchronous detection the result is among the webhook's parameters."""
    bridge.documents["/outbound"] = "<Response/>"
    carrier.destinations[SALES] = Callee(answered_by="fax")

    await asyncio.to_thread(
        client.calls.create, to=SALES, from_=LINE, url="https://bridge.test/outbound", machine_detection="Enable"
    )
    await carrier.calls[0].ended()

    (form,) = bridge.forms("/outbound")
    assert ("fax", "3000") == (form["AnsweredBy"], form["MachineDetectionDuration"])


async def test_warm_transfer_by_conference(bridge: Bridge, carrier: Carrier, client: Client, call: Call) -> None:
    """The caller waits, the colleague is called, hears what it is about, accepts, and the two talk."""
    bridge.documents |= {
        "/wait": '<Response><Dial action="/result"><Conference startConferenceOnEnter="false" waitUrl="">warm'
        "</Conference></Dial></Response>",
        "/whisper": '<Response><Gather numDigits="1" action="/accept"><Say>A caller asks for prices.</Say></Gather>'
        "<Hangup/></Response>",
        "/accept": '<Response><Dial><Conference endConferenceOnExit="true">warm</Conference></Dial></Response>',
        "/result": "<Response><Hangup/></Response>",
    }
    greeting = bytes([41]) * 1600

    async def accept(colleague: Call) -> None:
        await colleague.until(lambda: bool(colleague.told))
        await colleague.press("1")
        await colleague.until(lambda: carrier.conferences[0].status == "in-progress")
        await colleague.say(greeting)
        await carrier.clock.sleep(1)
        colleague.hang_up()

    carrier.destinations[SALES] = Callee(script=accept)
    await asyncio.to_thread(client.calls(call.sid).update, url="https://bridge.test/wait")
    await asyncio.to_thread(client.calls.create, to=SALES, from_=LINE, url="https://bridge.test/whisper")
    await call.ended()

    conferences = await asyncio.to_thread(client.conferences.list, friendly_name="warm")
    assert ["completed"] == [conference.status for conference in conferences]
    assert greeting in call.heard
    assert ["answered"] == [form["DialCallStatus"] for form in bridge.forms("/result")]


async def test_colleague_is_added_to_a_conference(bridge: Bridge, carrier: Carrier, client: Client, call: Call) -> None:
    """A participant made by REST needs no document; it can be muted, held and removed."""
    bridge.documents["/wait"] = "<Response><Dial><Conference>warm</Conference></Dial></Response>"
    await asyncio.to_thread(client.calls(call.sid).update, url="https://bridge.test/wait")
    await call.until(lambda: bool(carrier.conferences))
    (conference,) = carrier.conferences

    made = await asyncio.to_thread(
        client.conferences(conference.sid).participants.create, from_=LINE, to=SALES, label="sales"
    )
    await call.until(lambda: len(conference.seats) == 2)
    participant = client.conferences(conference.sid).participants(made.call_sid)
    held = await asyncio.to_thread(participant.update, hold=True, muted=True)
    labels = [each.label for each in await asyncio.to_thread(client.conferences(conference.sid).participants.list)]
    await asyncio.to_thread(participant.delete)
    await carrier.calls[1].ended()

    assert (True, True) == (held.hold, held.muted)
    assert [None, "sales"] == labels
    assert 1 == len(conference.seats)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"voice_url": "bot.example.com/twiml"}, 11100),
        ({"voice_method": "PUT"}, 21403),
        ({"voice_fallback_url": "https://bot.example.com/fallback"}, 21405),
    ],
    ids=["no address", "no method", "a fallback of nothing"],
)
async def test_number_refuses_what_twilio_refuses(
    carrier: Carrier, client: Client, wrong: dict[str, str], code: int
) -> None:
    """The code is Twilio's, and nothing changes."""
    carrier.account = AccountBook.of([LINE])
    own = carrier.account.numbers[LINE]

    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(client.incoming_phone_numbers(own.sid).update, **wrong)

    assert (400, code, "") == (caught.value.status, caught.value.code, own.voice_url)


async def test_alerts_are_what_the_carrier_has_warned_of(carrier: Carrier, client: Client) -> None:
    """The newest first, over pages."""
    client.monitor.base_url = carrier.api_url
    for code in (11200, 31921, 12100):
        carrier.notice(Notice(code, "text", "", 0.0))

    alerts = await asyncio.to_thread(client.monitor.v1.alerts.list, page_size=2)

    assert ["12100", "31921", "11200"] == [alert.error_code for alert in alerts]
