"""A redacted tape holds nobody's words, numbers or voice, and still is the same call."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.call.controls import FunctionResult, Say, TransferOver
from bridge.call.plan import CallInfo, Plan
from bridge.replay.commands import redact, replay_one
from bridge.replay.comparison import compare
from bridge.replay.plans import plan_of
from bridge.replay.player import play
from bridge.replay.redaction import Redactor, redact_text
from bridge.replay.redaction import redact as redacted
from bridge.replay.script import Script
from bridge.settings import Agent, Collect, Destination
from bridge.wire.tape import Header, Tape

PAY: dict[str, object] = {
    "type": "function",
    "name": "pay",
    "description": "pays",
    "parameters": {"type": "object", "properties": {"who": {"type": "string"}, "sum": {"type": "number"}}},
}
FEW = 25
"""Each example is a whole call."""
CHECK: dict[str, object] = {
    "type": "function",
    "name": "check",
    "description": "checks a number",
    "parameters": {"type": "object", "properties": {"who": {"type": "string"}}},
}
NAMES = st.from_regex(r"[A-Z][a-zäöüß]{5,12} [A-Z][a-z]{5,12}", fullmatch=True)
NUMBERS = st.from_regex(r"\+1555[2-9]{7}", fullmatch=True)
DIGITS = st.from_regex(r"[1-9]{6,12}", fullmatch=True)


def planted(name: str, number: str, digits: str) -> Script:
    """A call in which a name, a number and digits are said, keyed in and passed on wherever that can be."""
    agent = Agent(name="reception", greeting_message=f"Hello {name}.", instructions=f"The caller {name} has {number}.")
    info = CallInfo(from_number=number, to_number="+15551230000", parameters={"customer": name})
    sales = Destination(name="sales", to=number, announce=f"I put you through to {name}.")
    pin = Collect(argument="pin", prompt=f"{name}, enter your number.")
    plan = Plan(
        "CA" + "0" * 32,
        agent,
        "ga",
        (PAY, CHECK),
        frozenset({"pay", "check"}),
        {"sales": sales},
        fillers={"pay": f"One moment, {name}."},
        collects={"check": pin},
        info=info,
    )
    script = Script(plan, has_sound=True)
    script.begin()
    script.caller("custom", note=name, number=int(digits), deep=[{"x": digits}])
    script.respond("resp_1", "item_1", f"Hello {name}.", speech_ms=800)
    script.wait(1)
    script.session_updated()
    script.turn("item_2", f"I am {name}, my card is {digits}")
    script.model("brand.new.event", text=name, nested={"phone": number, digits: name})
    script.created("resp_2", by_server=True)
    arguments = json.dumps({"who": name, "sum": int(digits), name: digits})
    call = {"id": "item_3", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "pay"}
    script.model("response.output_item.done", response_id="resp_2", item={**call, "arguments": arguments})
    script.response_done("resp_2")
    script.control(FunctionResult("call_1", json.dumps({"paid": digits, "by": name, "then": None})))
    script.respond("resp_3", "item_4", f"{name} has paid {digits}.", speech_ms=1200)
    script.wait(1.5)
    for digit in digits:
        script.caller("dtmf", dtmf={"digit": digit})
    script.wait(2.5)
    script.respond("resp_4", "item_5", f"You pressed {' '.join(digits)}.", speech_ms=800)
    script.wait(0.3, lambda size: b64encode(name.encode() * size)[:size])
    script.control(Say(f"{name} is waiting at {number}"))
    script.wait(2)
    keyed_in(script, name, digits)
    passed_on(script, name, digits)
    script.hang_up()
    return script


def keyed_in(script: Script, name: str, digits: str) -> None:
    """A function asks for digits, and gets them."""
    called(script, "check", "call_2", {"who": name})
    script.respond("resp_6", "item_7", f"{name}, enter your number.", speech_ms=400)
    script.wait(0.6)
    for digit in f"{digits}#":
        script.caller("dtmf", dtmf={"digit": digit})
    script.control(FunctionResult("call_2", json.dumps({"pin": digits, "is_right": True})))
    script.wait(1.5)
    script.respond("resp_7", "item_8", f"{digits} is right.", speech_ms=400)
    script.wait(1)


def passed_on(script: Script, name: str, digits: str) -> None:
    """Keys are sent to the far end, and then a human is told about the caller."""
    called(script, "send_digits", "call_3", {"digits": digits})
    script.wait(1)
    script.stream_over()
    script.pass_time(2)
    script.stream_started("MZ00000000000000000000000000000002")
    script.respond("resp_9", "item_9", "Done.", speech_ms=400)
    script.wait(1)
    called(script, "transfer_call", "call_4", {"destination": "sales", "summary": f"{name} has {digits}"})
    script.respond("resp_11", "item_10", f"I put you through to {name}.", speech_ms=400)
    script.wait(1)
    script.stream_over()
    script.pass_time(3)
    script.control(TransferOver("busy"))
    script.stream_started("MZ00000000000000000000000000000003")
    script.wait(1)


def called(script: Script, name: str, call_id: str, arguments: dict[str, str]) -> None:
    """The model calls a function."""
    script.created(f"resp_of_{call_id}", by_server=True)
    call = {"id": f"item_of_{call_id}", "type": "function_call", "status": "completed", "call_id": call_id}
    item = {**call, "name": name, "arguments": json.dumps(arguments)}
    script.model("response.output_item.done", response_id=f"resp_of_{call_id}", item=item)
    script.response_done(f"resp_of_{call_id}", output=[item])


def lines_of(tape: bytes) -> list[bytes]:
    """Its lines, with their ends."""
    return tape.splitlines(keepends=True)


@settings(max_examples=FEW)
@given(name=NAMES, number=NUMBERS, digits=DIGITS)
def test_what_was_planted_is_nowhere_in_the_redacted_tape(name: str, number: str, digits: str) -> None:
    """Not as it was said, not spelled out, not in another case, not as bytes of sound."""
    assume(not set(digits) <= {"0", "1"})
    script = planted(name, number, digits)
    text = b"".join(redacted(Tape(lines_of(script.tape())))).decode().lower()
    words = [part.lower() for part in name.split()]
    traces = [*words, number[1:], digits, " ".join(digits), json.dumps(name.lower())[1:-1]]
    sound = [b64encode(name.encode())[:12].decode().lower()]

    assert [] == [trace for trace in traces + sound if trace in text]
    assert [] == re.findall(r'"digit":"[1-9]"', text)


@settings(max_examples=FEW)
@given(name=NAMES, number=NUMBERS, digits=DIGITS)
def test_redacted_tape_replays_like_the_original(name: str, number: str, digits: str) -> None:
    """Times, lengths and decisions stay."""
    tape = Tape(list(redacted(Tape(lines_of(planted(name, number, digits).tape())))))
    outcome = compare(tape, play(tape, plan_of(tape.header)))

    assert [] == outcome.differences
    assert "caller_hung_up" == outcome.replayed_ending


@given(text=st.text())
def test_redacted_text_is_as_long_and_has_no_letters_or_digits_of_its_own(text: str) -> None:
    """Whatever the script it is written in; spaces stay, so that a cut sentence is cut at the same word."""
    hidden = redact_text(text)

    assert len(text) == len(hidden)
    assert not re.sub(r"^(?:sips?|client|queue|https?|wss?):", "", hidden).strip("x01").isalnum()
    assert [c.isspace() for c in text if c.isascii()] == [
        h.isspace() for c, h in zip(text, hidden, strict=True) if c.isascii()
    ]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ({"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}, "completed"),
        ({"type": "error", "error": {"code": "session_expired", "message": "Anna's session"}}, "session_expired"),
        ({"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 4711}, "4711"),
    ],
)
def test_what_decisions_hang_on_stays(line: dict[str, object], kept: str) -> None:
    """Kinds, codes, states and times."""
    redactor = Redactor(Header(1, scope="core"))
    given = next(
        step.input for step in Tape([b'{"tape":1}\n', json.dumps({"at": 1.0, "model": line}).encode()]) if step.input
    )

    assert kept in redactor.input_line(given).decode()
    assert "Anna" not in redactor.input_line(given).decode()


def test_ids_are_replaced_by_others_of_the_same_length() -> None:
    """What belonged together still does."""
    redactor = Redactor(Header(1))
    line = json.dumps({"do": "truncate_item", "item_id": "item_AbCdEf123", "event_id": "truncate-4"}).encode()
    first, second = json.loads(redactor.action_line(line)), json.loads(redactor.action_line(line))

    assert first == second
    assert ("item_000000001", "truncate-4") == (first["item_id"], first["event_id"])


def test_command_writes_the_tape_and_says_that_it_still_replays(tmp_path: Path) -> None:
    """One command makes a fixture of a bug report."""
    source = tmp_path / "call.tape"
    source.write_bytes(planted("Anna Muster", "+15552345678", "987654").tape())
    answer = redact(source, tmp_path / "fixture.tape")

    assert 0 == answer.exit_code
    assert "replays as the original does" in answer.text
    assert replay_one(tmp_path / "fixture.tape").is_same
    assert 2 == redact(source, source).exit_code


def test_redacting_twice_changes_nothing_more(barge_in: Callable[..., Script]) -> None:
    """The words are gone already."""
    once = list(redacted(Tape(lines_of(barge_in(has_sound=True).tape()))))
    twice = list(redacted(Tape(list(once))))

    assert [len(line) for line in once] == [len(line) for line in twice]
