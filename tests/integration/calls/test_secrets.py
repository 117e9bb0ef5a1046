"""Digits that a function alone gets: no model, log, transcript, observer or tape sees or hears them."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from bridge.rehearsal.carrier import Call, Caller
from bridge.rehearsal.carrier.recordings import Recording
from bridge.rehearsal.conversation import FunctionCall, Reply
from bridge.rehearsal.realtime.scripted import TONE
from tests.shop import Wire, asks, output, until
from tests.support import CALLER, LINE, Rehearsal, Start, by_every_client, speech

Offer = Callable[..., dict[str, object]]
Script = Callable[[Call], object]

PIN = "40719328"
PROMPT = "Please enter your number."
HELLO = Reply(speech="Hello there.")
CHECKS = Reply(calls=(FunctionCall("check"),))
AGENT = {"tools": ["check"]}
TABLES = [HELLO, CHECKS, Reply(speech=PROMPT), Reply(speech="That is right.")]


@pytest.fixture
def door() -> str:
    """Keys come through both doors alike."""
    return "plain"


@pytest.fixture
def given() -> list[str]:
    """What the function was given."""
    return []


@pytest.fixture
def check(offer: Offer, given: list[str]) -> Callable[..., dict[str, object]]:
    """Makes the table of a function that wants digits; `collect` says which."""

    def check(digits: str) -> str:
        given.append(digits)
        return "right"

    return lambda **collect: offer(check=check, keys={"collect": {"prompt": PROMPT, "timeout_s": 5} | collect})


def keys_in(run: Rehearsal, keys: str) -> Callable[[Call], object]:
    """A caller who asks, hears the prompt out, and presses keys."""

    async def script(call: Call) -> None:
        await asks(call)
        await call.until(lambda: PROMPT in run.seen.bot_words())
        if keys:
            await call.press(keys)

    return script


async def dial(run: Rehearsal, script: Callable[[Call], object]) -> Call:
    """Call from an old telephone, whose keys can be heard in the sound too."""
    caller = Caller(script=script, audible_keys=True)  # type: ignore[arg-type]  # an async function
    return await run.carrier.dial(from_=CALLER, to=LINE, caller=caller)


def right(run: Rehearsal) -> Callable[[], bool]:
    """Whether the caller has heard what the function said."""
    return lambda: "That is right." in run.seen.bot_words()


@by_every_client
async def test_a_caller_keys_in_what_only_the_function_gets(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire, log: StringIO
) -> None:
    """The model is told the function's answer; of the digits it has no trace, nor have log and transcript."""
    run = await rehearsal(TABLES, heard=["check me"], agent=AGENT, functions=check())
    call = await dial(run, keys_in(run, PIN + "#"))
    await until(call, right(run))

    assert [PIN] == given
    assert ['"right"'] == wire.outputs()
    assert "secret.collected" in log.getvalue()
    for place in (wire.events, run.seen.facts, run.seen.lines, log.getvalue()):
        assert PIN not in str(place).replace(" ", "")
        assert "pressed" not in str(place)
    assert [] == run.carrier.faults


async def test_a_model_hears_silence_while_digits_are_keyed_in_and_the_caller_again_after_that(
    rehearsal: Start, check: Offer, wire: Wire
) -> None:
    """Keys can be heard: of all the caller's sound, only what was said before and after reaches the model."""
    run = await rehearsal([*TABLES, Reply(speech="Yes.")], heard=["check me", "again"], agent=AGENT, functions=check())

    async def talks_again(call: Call) -> None:
        await keys_in(run, PIN + "#")(call)  # type: ignore[misc]  # an async function
        await call.until(right(run))
        await call.say(speech(1))

    call = await dial(run, talks_again)
    await until(call, lambda: "Yes." in run.seen.bot_words())

    heard = wire.heard()
    rest = heard.replace(TONE, b"")
    assert 2500 == heard.count(TONE)
    assert set(rest) <= {0xFF}
    assert len(heard) >= 8000 * (call.duration_s - 2)  # silence, not nothing


async def test_a_tape_holds_neither_the_digits_nor_their_sound(
    rehearsal: Start, check: Offer, given: list[str], tmp_path: Path
) -> None:
    """Between the pause and the end of the entry keys are zeros on the tape, and sound is its length."""
    tape = {"record": True, "directory": str(tmp_path), "audio": True}
    run = await rehearsal(TABLES, heard=["check me"], agent=AGENT, functions=check(), tape=tape)
    call = await dial(run, keys_in(run, PIN + "#"))
    await until(call, right(run))
    text = ""
    while '{"end":' not in text:
        await run.clock.sleep(1)
        text = "".join(map(Path.read_text, tmp_path.glob("*.tape")))  # noqa: ASYNC240 - nobody else is held up

    lines = text.splitlines()
    asked = next(at for at, line in enumerate(lines) if '"do":"pause_recording"' in line)
    done = next(at for at, line in enumerate(lines) if '"do":"resume_recording"' in line)
    entry = [line for line in lines[asked:done] if '"caller":' in line]
    keys = [line for line in entry if '"event":"dtmf"' in line]
    assert [PIN] == given
    assert PIN not in text
    assert 9 == len(keys)
    assert not any(f'"digit":"{key}"' in line for line in keys for key in "123456789")
    assert all('"payload":""' in line for line in entry if '"event":"media"' in line)
    assert any('"payload":"' + "/" * 8 in line or '"payload":"=' in line for line in lines[:asked])


@by_every_client
@pytest.mark.parametrize("keyed", [0, 4], ids=["before the first key", "between two keys"])
async def test_a_session_is_lost_while_digits_are_keyed_in(  # noqa: PLR0917 - whatever could see them is looked at
    rehearsal: Start, check: Offer, given: list[str], wire: Wire, log: StringIO, tmp_path: Path, keyed: int
) -> None:
    """The function gets them all and the new session its answer; neither session, log nor tape has a trace of them."""
    tape = {"record": True, "directory": str(tmp_path), "audio": True}
    run = await rehearsal(
        TABLES, heard=["check me"], agent=AGENT, functions=check(timeout_s=9), model={"restore_within_s": 30}, tape=tape
    )

    async def loses_it(call: Call) -> None:
        await keys_in(run, PIN[:keyed])(call)  # type: ignore[misc]  # an async function
        run.model.sessions[-1]._outbox.close(1011, "")  # noqa: SLF001 - the server's end
        await call.until(lambda: bool(run.seen.of("model.lost")))
        await call.press(f"{PIN[keyed:]}#")

    call = await dial(run, loses_it)
    await until(call, right(run))
    text = ""
    while '{"end":' not in text:
        await run.clock.sleep(1)
        text = "".join(map(Path.read_text, tmp_path.glob("*.tape")))  # noqa: ASYNC240 - nobody else is held up

    assert [PIN] == given
    assert ['"right"'] == wire.outputs()
    assert 2 == len(run.model.sessions)
    assert ["lost"] == [fact["cause"] for fact in run.seen.of("session.replaced")]
    assert set(wire.heard().replace(TONE, b"")) <= {0xFF}
    for place in (wire.events, run.seen.facts, run.seen.lines, log.getvalue(), text):
        assert PIN not in str(place).replace(" ", "")
        assert "pressed" not in str(place)


async def test_a_carriers_recording_is_paused_while_digits_are_keyed_in(rehearsal: Start, check: Offer) -> None:
    """By REST, before the caller is asked for them, and goes on when they are there."""
    run = await rehearsal(TABLES, heard=["check me"], agent=AGENT, functions=check())
    recordings: list[Recording] = []

    async def is_recorded(call: Call) -> None:
        recordings.append(Recording(call, source="StartCallRecordingAPI"))
        await keys_in(run, PIN + "#")(call)  # type: ignore[misc]  # an async function

    call = await dial(run, is_recorded)
    await until(call, right(run))

    assert ["in-progress", "paused", "in-progress", "completed"] == [status for _, status in recordings[0].history]
    asked = [exchange.params.get("Status") for exchange in run.carrier.record if exchange.kind == "rest"]
    assert ["paused", "in-progress"] == asked


@pytest.mark.parametrize("keys", ["40#", ""], ids=["too few", "none"])
async def test_a_caller_who_keys_in_too_little_is_not_checked(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire, keys: str
) -> None:
    """The function is not run, the model hears why, and the caller is heard again."""
    run = await rehearsal(
        [*TABLES[:3], Reply(speech="That was too short."), Reply(speech="Yes.")],
        heard=["check me", "sorry"],
        agent=AGENT,
        functions=check(min_digits=4),
    )

    async def tries(call: Call) -> None:
        await asks(call)
        await call.until(lambda: PROMPT in run.seen.bot_words())
        if keys:
            await call.press(keys)
        await call.until(lambda: "That was too short." in run.seen.bot_words())
        await call.say(speech(1))

    call = await dial(run, tries)
    await until(call, lambda: "Yes." in run.seen.bot_words())

    assert [] == given
    assert ["not keyed in enough" in told for told in wire.outputs()] == [True]
    assert 2500 == wire.heard().count(TONE)


async def test_a_caller_who_pauses_for_too_long_has_finished(rehearsal: Start, check: Offer, given: list[str]) -> None:
    """What was keyed in until then is what the function gets."""
    run = await rehearsal(TABLES, heard=["check me"], agent=AGENT, functions=check(timeout_s=2, terminator=""))
    call = await dial(run, keys_in(run, "4071"))
    await until(call, right(run))

    assert ["4071"] == given


@pytest.mark.parametrize("keys", ["4071#", "40719#"], ids=["the terminator", "a key too many"])
async def test_keys_that_follow_a_full_entry_belong_to_it(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire, keys: str
) -> None:
    """With the last digit the entry is complete; what the caller presses in the same go is no business of the model."""
    run = await rehearsal(TABLES, heard=["check me"], agent=AGENT, functions=check(max_digits=4))
    call = await dial(run, keys_in(run, keys))
    await until(call, right(run))

    assert ["4071"] == given
    assert [] == wire.messages()
    assert set(wire.heard().replace(TONE, b"")) <= {0xFF}


async def test_a_caller_who_knows_the_prompt_may_key_in_over_it(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire
) -> None:
    """The first key cuts the prompt, which is not said again."""
    prompt = "Please enter the number that is on the back of your card and then press the hash key."
    run = await rehearsal(
        [HELLO, CHECKS, Reply(speech=prompt), Reply(speech="That is right.")],
        heard=["check me"],
        agent=AGENT,
        functions=check(prompt=prompt),
    )

    async def is_quick(call: Call) -> None:
        await asks(call)
        await call.until(lambda: bool(run.seen.of("secret.asked")))
        await call.until(lambda: call.phone.listened_s > 1)
        await call.press(PIN + "#")

    call = await dial(run, is_quick)
    await until(call, right(run))

    assert [PIN] == given
    assert 1 == len(run.seen.of("bargein.performed"))
    assert 1 == sum(prompt in wish for wish in wire.wishes())


async def test_a_caller_who_keys_in_before_the_prompt_is_not_prompted_any_more(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire
) -> None:
    """The bot is still speaking as the first key comes: the prompt has nothing left to ask for."""
    run = await rehearsal(
        [
            HELLO,
            Reply(speech="I will have to ask you for something before we can go on with it.", calls=CHECKS.calls),
            Reply(speech="That is right."),
        ],
        heard=["check me"],
        agent=AGENT | {"greeting_protected": False},
        functions=check(),
    )

    async def is_quicker(call: Call) -> None:
        await asks(call)
        await call.until(lambda: bool(run.seen.of("secret.asked")))
        await call.press(PIN + "#")

    call = await dial(run, is_quicker)
    await until(call, right(run))

    assert [PIN] == given
    assert PROMPT not in run.seen.bot_words()
    assert sum(PROMPT in wish for wish in wire.wishes()) <= 1


async def test_two_functions_cannot_ask_for_digits_at_once(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire
) -> None:
    """The second one is answered with an error; the first gets what is keyed in."""
    run = await rehearsal(
        [HELLO, Reply(calls=CHECKS.calls * 2), Reply(speech=PROMPT), Reply(speech="That is right.")],
        heard=["check me"],
        agent=AGENT,
        functions=check(),
    )
    call = await dial(run, keys_in(run, PIN + "#"))
    await until(call, right(run))

    assert [PIN] == given
    busy = "the caller is keying in digits for another function already"
    assert ['"right"', output({"error": busy})] == [told.replace('": "', '":"') for told in wire.outputs()]


async def test_an_entry_survives_keys_that_are_sent_meanwhile(
    rehearsal: Start, check: Offer, given: list[str], wire: Wire
) -> None:
    """`send_digits` in the same response changes the stream; the caller is waited for after that, and not for ever."""
    run = await rehearsal(
        [
            HELLO,
            Reply(calls=(*CHECKS.calls, FunctionCall("send_digits", {"digits": "1"}))),
            Reply(speech=PROMPT),
            Reply(speech="That was too short."),
        ],
        heard=["check me"],
        agent={"tools": ["check", "send_digits"]},
        functions=check(),
    )
    call = await dial(run, asks)
    await until(call, lambda: "That was too short." in run.seen.bot_words())

    assert "1" == call.digits_received
    assert [] == given
    assert 2 == len(wire.outputs())
