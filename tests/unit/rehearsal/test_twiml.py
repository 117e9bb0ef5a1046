"""TwiML text to verbs."""

from __future__ import annotations

import inspect

import pytest
from twilio.twiml import voice_response

from bridge.rehearsal.carrier.twiml import TwimlError, Verb, parse

URL = "https://bridge.test/twiml/answer"


def test_document_is_read_with_its_nouns() -> None:
    """Attributes and children in order; white space around text does not count."""
    text = '<Response>\n <Dial action="/done"><Number url="/w"> +15557654321 </Number></Dial><Hangup/></Response>'

    document = parse(text, URL)

    number = Verb("Number", {"url": "/w"}, "+15557654321")
    assert (Verb("Dial", {"action": "/done"}, "", (number,)), Verb("Hangup", {}, "")) == document.verbs
    assert () == document.warnings


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("<Response><Shout/></Response>", "<Response> cannot hold <Shout>"),
        ("<Response><Number>1</Number></Response>", "<Response> cannot hold <Number>"),
        ('<Response><Say pitch="1">a</Say></Response>', "<Say> has no attribute 'pitch'"),
        ('<Response><Dial method="PUT">1</Dial></Response>', "<Dial method> cannot be 'PUT'"),
        ("<Response><Connect><Conference>a</Conference></Connect></Response>", "<Connect> cannot hold <Conference>"),
    ],
)
def test_what_twilio_does_not_know_is_a_warning(text: str, warning: str) -> None:
    """One sentence each."""
    assert (warning,) == parse(text, URL).warnings


@pytest.mark.parametrize("text", ["", "Hello", "<Response>", "<Response><Say>a & b</Say></Response>", "<html/>"])
def test_what_is_no_document_is_an_error(text: str) -> None:
    """Nothing of it can be done."""
    with pytest.raises(TwimlError):
        parse(text, URL)


@pytest.mark.parametrize(
    ("written", "absolute"),
    [
        ("/next", "https://bridge.test/next"),
        ("next?a=1", "https://bridge.test/twiml/next?a=1"),
        ("https://other.test/x", "https://other.test/x"),
        ("", URL),
    ],
)
def test_relative_url_starts_from_the_document(written: str, absolute: str) -> None:
    """An empty one is the document itself."""
    assert absolute == parse("<Response/>", URL).resolve(written)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (voice_response.Connect, ""),
        (voice_response.Dial, "number"),
        (voice_response.Enqueue, "name"),
        (voice_response.Pause, ""),
        (voice_response.Play, "url"),
        (voice_response.Redirect, "url"),
        (voice_response.Refer, ""),
        (voice_response.Reject, ""),
        (voice_response.Say, "message"),
    ],
)
def test_attributes_are_those_of_twilio_s_own_builder(make: type[voice_response.TwiML], text: str) -> None:
    """Whatever the builder has an argument for is known here, but for the text and what Twilio does not document."""
    arguments = set(inspect.signature(make.__init__).parameters) - {"self", "kwargs", "events", text}
    attributes = " ".join(f'{_camel(argument)}="GET"' for argument in sorted(arguments))

    document = parse(f"<Response><{make.__name__} {attributes}/></Response>", URL)

    assert [] == [warning for warning in document.warnings if "no attribute" in warning]


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
