"""An operator's own documents: what they may say, and that none of them takes a call where it must not go."""

from __future__ import annotations

import pytest

from twiml.documents import Callee
from twiml.templates import TemplateError, document

SALES = {"sales": Callee(to="+15557654321", timeout_s=25)}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("<Response><Say>Closed.</Say><Hangup/></Response>", "<Response><Say>Closed.</Say><Hangup /></Response>"),
        (
            '<Response><Say voice="Polly.Amy" language="en-GB">We are<break time="1s"/> closed.</Say></Response>',
            '<Response><Say voice="Polly.Amy" language="en-GB">We are<break time="1s" /> closed.</Say></Response>',
        ),
        (
            '<Response><Play loop="2">https://a.example.com/closed.mp3</Play><Pause length="1"/></Response>',
            '<Response><Play loop="2">https://a.example.com/closed.mp3</Play><Pause length="1" /></Response>',
        ),
        (
            '<Response><Say>Moment.</Say><Dial destination="sales"/></Response>',
            '<Response><Say>Moment.</Say><Dial timeout="25"><Number>+15557654321</Number></Dial></Response>',
        ),
        ('<Response><Reject reason="busy"/></Response>', '<Response><Reject reason="busy" /></Response>'),
        ("<Response><Say>Fish &amp; chips</Say></Response>", "<Response><Say>Fish &amp; chips</Say></Response>"),
    ],
    ids=["words", "marks of speech", "sound", "a destination", "refusal", "escaped"],
)
def test_template_becomes_a_document(template: str, made: str) -> None:
    """What it says stays; a destination's name becomes its address."""
    assert HEAD + made == document(template, SALES, may_reject=True)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("<Response><Say>Closed.</Say>", "is not XML: line 1"),
        ("<Other><Say>Closed.</Say></Other>", "must be a <Response> with verbs in it"),
        ("<Response/>", "must be a <Response> with verbs in it"),
        ("<Response><Dial>+15559999999</Dial></Response>", "has words inside <Dial>"),
        ("<Response><Dial><Number>+15559999999</Number></Dial></Response>", "has something inside <Dial>"),
        ('<Response><Dial destination="+15559999999"/></Response>', "which is none of [destinations]"),
        ('<Response><Dial destination="sales" callerId="+15559999999"/></Response>', "which a template may not"),
        ('<Response><Dial action="https://a.example.com/"/></Response>', "which a template may not"),
        ("<Response><Dial/></Response>", "must dial by name"),
        (
            "<Response><Redirect>https://a.example.com/</Redirect></Response>",
            "has <Redirect>, which a template may not",
        ),
        ("<Response><Connect><Stream url='wss://a'/></Connect></Response>", "has <Connect>, which a template may not"),
        ("<Response><Record/></Response>", "has <Record>"),
        ("<Response><Enqueue>q</Enqueue></Response>", "has <Enqueue>"),
        ("<Response><Gather><Say>a</Say></Gather></Response>", "has <Gather>"),
        ("<Response><Play>http://a.example.com/x.mp3</Play></Response>", "plays what has no https:// address"),
        ('<Response><Play digits="1"/></Response>', "which a template may not"),
        ("<Response><Say><Dial destination='sales'/></Say></Response>", "has a <Say> that is empty"),
        ("<Response><Say>a<Number>+1</Number></Say></Response>", "has <Number> inside <Say>"),
        ("<Response><Say/></Response>", "has a <Say> that is empty"),
        ("<Response><Say>a</Say><Reject/></Response>", "may have <Reject> only alone"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>', "must have no DOCTYPE"),
        (f"<Response><!--{'x' * 65_536}--><Hangup/></Response>", "more than 64 kB"),
    ],
)
def test_template_that_may_not_be_is_refused(template: str, says: str) -> None:
    """Nothing that dials what is not declared, fetches other documents, opens a stream or records."""
    with pytest.raises(TemplateError) as refused:
        document(template, SALES, may_reject=True)

    assert says in str(refused.value)


def test_call_that_was_answered_cannot_be_rejected() -> None:
    """The fallback also comes in the middle of calls."""
    with pytest.raises(TemplateError, match="use <Hangup/>"):
        document("<Response><Reject/></Response>", {}, may_reject=False)
