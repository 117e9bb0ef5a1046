"""The documents that the carrier gets."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twiml import documents
from twiml.documents import Callee, Stream

FIXTURES = Path(__file__).parents[3] / "fixtures" / "twiml" / "valid"
AFTER_STREAM = "https://bot.example.com/twiml/after-stream"
RESULT = "https://bot.example.com/twiml/transfer-result"
SORRY = "Sorry, our assistant is unavailable."
_NOT_IN_XML = "[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


def first(document: str, verb: str) -> ET.Element | None:
    """The first such verb of a document of ours."""
    return ET.fromstring(document).find(verb)  # noqa: S314 - not from outside


def stream(**changes: object) -> Stream:
    """A stream with nothing special about it, but for the changes."""
    fields: dict[str, object] = {"url": "wss://bot.example.com/media", "token": "t0k3n", "action": AFTER_STREAM}
    return Stream(**{**fields, **changes})  # type: ignore[arg-type] # wrong ones are what some tests are about


DOCUMENTS = {
    "connect-stream": documents.connect_stream(
        stream(
            url="wss://bot.example.com/media/a1",
            status_callback="https://bot.example.com/twiml/stream-status",
            parameters={"note": '<a> & "b"'},
        )
    ),
    "connect-stream-consent": documents.connect_stream(stream(), "This call is recorded."),
    "play-digits": documents.play_digits("ww12#", stream()),
    "dial-number": documents.dial(
        Callee(
            to="+15557654321",
            timeout_s=25,
            caller_id="+15551230000",
            whisper_url="https://bot.example.com/twiml/whisper?call=CA1&x=2",
        ),
        action=RESULT,
    ),
    "dial-sip": documents.dial(Callee(to="sip:desk@example.com?X-Topic=a&X-Who=b"), action=RESULT),
    "dial-client": documents.dial(Callee(to="client:anna"), action=RESULT),
    "fallback": documents.fallback(SORRY),
    "fallback-dial": documents.fallback(SORRY, Callee(to="+15557654321", timeout_s=25)),
    "hang-up": documents.hang_up(),
    "goodbye": documents.hang_up("Good bye & thank you."),
    "reject": documents.reject("busy"),
    "enqueue": documents.enqueue("support", action=RESULT),
    "enqueue-task": documents.enqueue_task(
        "WW0123456789abcdef0123456789abcdef", {"summary": "wants a <refund>", "language": "en"}, action=RESULT
    ),
    "refer": documents.refer("sip:desk@example.com", action=RESULT),
    "wait-in-conference": documents.wait_in_conference("CA1", action=RESULT),
    "join-conference": documents.join_conference("CA1"),
    "whisper": documents.whisper("A caller about prices."),
    "ask-to-accept": documents.ask_to_accept(
        "A caller about prices. Press 1 to accept.",
        action="https://bot.example.com/twiml/whisper?call=CA1",
        timeout_s=8,
    ),
    "accept": documents.accept(),
}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_document_reads_as_the_fixture(name: str) -> None:
    """Each situation's document is what the fixture shows, blanks between the tags aside."""
    expected = ET.canonicalize((FIXTURES / f"{name}.xml").read_text(encoding="utf-8"), strip_text=True)

    assert expected == ET.canonicalize(DOCUMENTS[name], strip_text=True)


def test_every_fixture_is_a_document_of_ours() -> None:
    """No fixture is left over."""
    assert sorted(DOCUMENTS) == sorted(path.stem for path in FIXTURES.glob("*.xml"))


@given(text=st.text())
def test_any_text_leaves_a_readable_document(text: str) -> None:
    """What a model or a caller says breaks no document: XML's own characters are escaped, impossible ones left out."""
    kept = re.sub(_NOT_IN_XML, "", text)

    say = first(documents.whisper(text), "Say")

    assert kept.strip().replace("\r\n", "\n").replace("\r", "\n") == (say.text if say is not None else "")


@given(text=st.text(max_size=400))
def test_parameter_arrives_as_it_was(text: str) -> None:
    """A value is escaped where it stands, between the quotes of an attribute; impossible characters are left out."""
    connect = first(documents.connect_stream(stream(parameters={"note": text, "last": "one"})), "Connect")

    assert connect is not None
    values = {one.get("name"): one.get("value") for one in connect.iter("Parameter")}
    assert {"note": re.sub(_NOT_IN_XML, "", text), "last": "one"}.items() <= values.items()


def test_long_text_is_cut_between_words() -> None:
    """A `<Say>` too long for some voices ends with a whole word."""
    say = first(documents.hang_up("never ever " * 600), "Say")

    assert say is not None
    assert say.text is not None
    assert documents.SAY_MAX_CHARACTERS - len("never ever ") < len(say.text) <= documents.SAY_MAX_CHARACTERS
    assert {"never", "ever"} == set(say.text.split())


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_nothing_to_say_leaves_no_say(text: str) -> None:
    """An empty `<Say>` would be an error, so the verb is left out."""
    assert documents.hang_up() == documents.hang_up(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "wss://bot.example.com/media?token=1"}, "without query"),
        ({"url": "wss://bot.example.com/media#1"}, "without query"),
        ({"url": "https://bot.example.com/media"}, "must be wss"),
        ({"url": "/media"}, "must be wss"),
        ({"token": ""}, "needs an action and a token"),
        ({"action": ""}, "needs an action and a token"),
        ({"parameters": {"token": "mine"}}, "needs an action and a token"),
        ({"parameters": {"note": "x" * 496}}, "note is too long"),
        ({"token": "x" * 495}, "token is too long"),
    ],
)
def test_stream_that_twilio_would_not_carry_is_refused(changes: dict[str, object], message: str) -> None:
    """Our own fault is found here and not by an error in the caller's ear."""
    with pytest.raises(ValueError, match=message):
        stream(**changes)


def test_parameter_may_be_just_under_500_characters() -> None:
    """Name and value together have 499 characters at most."""
    assert "x" * 495 in documents.connect_stream(stream(parameters={"note": "x" * 495}))


@pytest.mark.parametrize("digits", ["", "12a", "1 2", "1,2", "\u0661"])
def test_digits_that_are_no_keys_are_refused(digits: str) -> None:
    """Only what a telephone has, and pauses."""
    with pytest.raises(ValueError, match="Digits to send"):
        documents.play_digits(digits, stream())


@pytest.mark.parametrize("to", ["", "15557654321", "+1555x", "queue:support", "javascript:1", "tel:+15557654321"])
def test_callee_of_unknown_kind_is_refused(to: str) -> None:
    """A number, a SIP address or a client; nothing is guessed."""
    with pytest.raises(ValueError, match="A callee is"):
        documents.dial(Callee(to=to), action=RESULT)


@pytest.mark.parametrize("to", ["+15557654321", "sip:desk@example.com", "client:anna"])
def test_whisper_is_for_every_kind_of_callee(to: str) -> None:
    """The callee's document hangs on the noun, whichever it is."""
    dialled = first(documents.dial(Callee(to=to, whisper_url="https://bot.example.com/w"), action=RESULT), "Dial")

    assert dialled is not None
    assert ["https://bot.example.com/w"] == [noun.get("url") for noun in dialled]


def test_queue_and_workflow_are_named_properly() -> None:
    """A queue's name is bounded, a workflow is a SID, and only SIP can be referred."""
    with pytest.raises(ValueError, match="1 to 64"):
        documents.enqueue("q" * 65, action=RESULT)
    with pytest.raises(ValueError, match="named by its SID"):
        documents.enqueue_task("support", {}, action=RESULT)
    with pytest.raises(ValueError, match="Only a sip"):
        documents.refer("+15557654321", action=RESULT)


def test_inline_document_is_bounded() -> None:
    """A REST request carries 4000 characters and no more."""
    assert "x" * 4000 == documents.inline("x" * 4000)
    with pytest.raises(ValueError, match="redirect to a URL"):
        documents.inline("x" * 4001)
