"""Known faults of such bridges: the tapes replay without a difference, and with one when a fault is put back.

`docs/faults-and-tapes.md` lists them, under the same names.
"""

# ruff: noqa: SLF001 - a fault is put back where it would be: inside

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bridge.call import failures, playout
from bridge.call.actions import ClearPlayout, CloseStream, Outbox
from bridge.call.acts import Acts
from bridge.call.controls import Control
from bridge.call.conversation import Conversation
from bridge.call.course import Course
from bridge.call.errands import Errand
from bridge.call.functions import Functions
from bridge.call.inbound import Inbound
from bridge.call.life import Life
from bridge.call.machine import Call
from bridge.call.playout import Cut, Playout
from bridge.call.requests import Requests
from bridge.call.responses import Refusal, Responses
from bridge.call.silence import Silence
from bridge.call.speaking import Speaking
from bridge.call.turns import Cutting, Turns
from bridge.replay.commands import replay_one
from bridge.wire import caller, echo, model
from bridge.wire import session as dialects
from bridge.wire.commands import TruncateItem

Patch = pytest.MonkeyPatch
ROOT = Path(__file__).parents[2]
TAPES = ROOT / "fixtures" / "tapes"
LIST = ROOT / "docs" / "faults-and-tapes.md"


def session_with(change: Callable[[dict[str, object]], object]) -> Callable[[Patch], None]:
    """The session is asked for with a change."""
    made: Callable[..., dict[str, object]] = dialects.session_fields

    def fields(*args: object, **more: object) -> dict[str, object]:
        session = made(*args, **more)
        change(session)
        return session

    return lambda patch: patch.setattr(dialects, "session_fields", fields)


def no_session_type(patch: Patch) -> None:
    """3: `session.update` without `type`."""
    session_with(lambda session: session.pop("type"))(patch)


def sound_before_confirmation(patch: Patch) -> None:
    """4: sound is sent as soon as the update is."""
    control = Call.receive_control

    def ready(call: Call, request: Control, *, now: float) -> None:
        control(call, request, now=now)
        call._life.sessions.is_ready = True

    patch.setattr(Call, "receive_control", ready)


def unverified_formats(patch: Patch) -> None:
    """4: nobody looks whether the server took the formats."""
    patch.setattr(echo, "verify", lambda *_, **__: ())


def temperature(patch: Patch) -> None:
    """5: a field that GA does not know."""
    session_with(lambda session: session.update(temperature=0.8))(patch)


def two_modalities(patch: Patch) -> None:
    """6: both modalities."""
    session_with(lambda session: session.update(output_modalities=["text", "audio"]))(patch)


def rate_of_g711(patch: Patch) -> None:
    """7: a rate where the format has none."""

    def rate(session: dict[str, object]) -> None:
        session["audio"] = {"output": {"format": {"type": "audio/pcmu", "rate": 8000}}}

    session_with(rate)(patch)


def beta_names(patch: Patch) -> None:
    """8: the audio of GA is not known under its name."""
    parse = model.parse

    def deaf(text: str | bytes) -> model.ModelEvent:
        event = parse(text)
        return caller.Unknown("response.output_audio.delta") if type(event) is model.AudioDelta else event

    patch.setattr(model, "parse", deaf)


def without(patch: Patch, kind: type) -> None:
    """Commands of a kind are never sent."""
    do = Outbox.do
    patch.setattr(Outbox, "do", lambda outbox, action: None if isinstance(action, kind) else do(outbox, action))


def only_clear(patch: Patch) -> None:
    """9: the model is not told what was heard."""
    without(patch, TruncateItem)


def unclamped_truncate(patch: Patch) -> None:
    """10: milliseconds since the response began instead of what was heard of the item."""
    clear = Playout.clear

    def by_the_clock(ledger: Playout, clock_ms: int) -> tuple[Cut, ...]:
        return tuple(msgspec.structs.replace(cut, heard_ms=clock_ms) for cut in clear(ledger, clock_ms))

    patch.setattr(Playout, "clear", by_the_clock)


def pcm_arithmetic(patch: Patch) -> None:
    """11: 48 bytes a millisecond."""
    patch.setattr(playout, "BYTES_PER_MS", 48)


def any_mark_counts(patch: Patch) -> None:
    """12: a mark that a clear returned counts like any other."""
    reach = Playout.reach

    def trusting(ledger: Playout, mark: str, clock_ms: int) -> bool:
        oldest = ledger._pieces[0].serial if ledger._pieces else 0
        return reach(ledger, f"{ledger.generation}.{oldest}" if mark else mark, clock_ms)

    patch.setattr(Playout, "reach", trusting)


def done_is_heard(patch: Patch) -> None:
    """13: what the server is done with is taken for heard."""
    response_done = Course._done

    def heard(course: Course, response: model.Response, now: float) -> None:
        response_done(course, response, now)
        course._playout.give_up(10**9)

    patch.setattr(Course, "_done", heard)


def always_cancel(patch: Patch) -> None:
    """14: a cancel for what the server has cancelled by itself."""
    interrupt = Responses.interrupt
    patch.setattr(Responses, "interrupt", lambda own, now, **_: interrupt(own, now, by_server=False))


def late_sound_is_played(patch: Patch) -> None:
    """15: deltas of a response that was cut are played."""
    patch.setattr(Responses, "is_muted", lambda *_: False)


def output_before_done(patch: Patch) -> None:
    """16: the output of a function is sent while its response is still being made."""
    announce = Functions.announce

    def at_once(functions: Functions, response_id: str, item: model.Item) -> object:
        request = announce(functions, response_id, item)
        functions.response_over(response_id)
        return request

    patch.setattr(Functions, "announce", at_once)


def create_while_active(patch: Patch) -> None:
    """16: a response is asked for while another is active."""
    ask = Responses.ask

    def unseeing(responses: Responses, now: float) -> None:
        active, responses.active = responses.active, None
        ask(responses, now)
        responses.active = active

    output_before_done(patch)
    patch.setattr(Responses, "ask", unseeing)


def refusal_is_final(patch: Patch) -> None:
    """16: a create that crossed the server's own response is not asked for again."""
    refused = Responses.refused

    def given_up(responses: Responses, event_id: str | None, code: str | None, now: float) -> Refusal:
        return refused(responses, event_id, "another_code" if code else None, now)

    patch.setattr(Responses, "refused", given_up)


def function_runs_twice(patch: Patch) -> None:
    """18: a call that is told twice is run twice."""
    patch.setattr(Functions, "_remember", lambda *_: None)


def fragment_is_run(patch: Patch) -> None:
    """18: a call that was interrupted is carried out."""
    announce = Functions.announce

    def blind(functions: Functions, response_id: str, item: model.Item) -> object:
        return announce(functions, response_id, msgspec.structs.replace(item, status="completed"))

    patch.setattr(Functions, "announce", blind)


def nobody_greets(patch: Patch) -> None:
    """19: the bot waits for the caller."""
    patch.setattr(Conversation, "greet", lambda *_: None)


def numbers_are_numbers(patch: Patch) -> None:
    """20: a timestamp that is a string is refused."""
    parse = caller.parse

    def strict(text: str | bytes) -> caller.CallerMessage:
        heard = parse(text)
        return caller.Malformed("timestamp") if type(heard) is caller.CallerAudio else heard

    patch.setattr(caller, "parse", strict)


def speech_before_start(patch: Patch) -> None:
    """21: the greeting is asked for before the carrier's stream is there."""
    updated = Life.session_updated

    def eager(life: Life, session: dict[str, object], now: float) -> None:
        updated(life, session, now)
        life._talk.greet()
        life._talk.settle(now)

    patch.setattr(Life, "session_updated", eager)


def goodbye_is_cut(patch: Patch) -> None:
    """25: the call is ended when the goodbye is made, not when it is heard."""
    due = Acts.due
    patch.setattr(Acts, "due", lambda acts, now, is_made, **_: due(acts, now, is_made=is_made, unheard_ms=0))


def greeting_is_cut(patch: Patch) -> None:
    """The caller's first sound cuts a protected greeting."""
    apply = Conversation._apply_cutting

    def unprotected(talk: Conversation) -> None:
        apply(talk)
        talk.turns.cutting = Cutting.INSTANT

    patch.setattr(Conversation, "_apply_cutting", unprotected)


def speech_over_greeting_is_lost(patch: Patch) -> None:
    """A turn spoken over a protected greeting is never answered."""
    patch.setattr(Turns, "counted", property(lambda _: False))


def marks_are_awaited_for_ever(patch: Patch) -> None:
    """Marks that got lost leave the bot speaking for good."""
    patch.setattr(Speaking, "overdue", lambda *_: None)


def gap_is_left_open(patch: Patch) -> None:
    """Lost frames shorten the model's time."""
    patch.setattr(Inbound, "gap_before", lambda *_: "")


def silence_is_ignored(patch: Patch) -> None:
    """Nobody speaks, and nothing happens."""
    patch.setattr(Silence, "watch", lambda *_, **__: None)


def refusal_of_all_is_ignored(patch: Patch) -> None:
    """1: an endpoint that takes no session is waited for all the same."""
    patch.setattr(failures, "_CODES", {})


def clears_for_nothing(patch: Patch) -> None:
    """Whenever the caller begins to speak a clear goes out, though nothing is unheard."""
    cut = Turns._cut

    def always(turns: Turns, clock_ms: int) -> tuple[Cut, ...]:
        if not turns._playout.is_playing:
            turns._outbox.do(ClearPlayout())
        return cut(turns, clock_ms)

    patch.setattr(Turns, "_cut", always)


def voice_is_sent_again(patch: Patch) -> None:
    """A later update brings the voice along, which is refused, with all the rest, once the bot has spoken."""
    turn_fields: Callable[..., dict[str, object]] = dialects.turn_fields

    def with_voice(*args: object, **more: object) -> dict[str, object]:
        return turn_fields(*args, **more) | {"voice": "marin"}

    patch.setattr(dialects, "turn_fields", with_voice)


def greeted_again(patch: Patch) -> None:
    """26: a call that comes back to the bot begins from the start."""
    came_back = Conversation.came_back

    def anew(talk: Conversation, errand: Errand, now: float) -> None:
        talk._is_greeting, talk._has_greeted = True, False
        talk.greet()
        came_back(talk, errand, now)

    patch.setattr(Conversation, "came_back", anew)


def one_clock_for_two_streams(patch: Patch) -> None:
    """10: the second stream of a call is taken for a part of the first."""
    patch.setattr(Inbound, "restart", lambda _: None)


def errand_is_never_answered(patch: Patch) -> None:
    """18: the function call that asked for the transfer gets no output, so the model does not know how it went."""
    patch.setattr(Requests, "came_back", lambda *_, **__: None)


def keys_go_by_the_stream(patch: Patch) -> None:
    """30: nobody leaves the stream, which cannot carry keys."""
    without(patch, CloseStream)


def announcement_is_cut(patch: Patch) -> None:
    """25: the call is handed over when the announcement is made, not when it is heard."""
    goodbye_is_cut(patch)


FAULTS: list[tuple[Callable[[Patch], None], str]] = [
    (no_session_type, "greeting"),
    (sound_before_confirmation, "early-caller"),
    (unverified_formats, "wrong-format"),
    (refusal_of_all_is_ignored, "refused-session"),
    (temperature, "greeting"),
    (two_modalities, "greeting"),
    (rate_of_g711, "greeting"),
    (beta_names, "greeting"),
    (voice_is_sent_again, "greeting"),
    (clears_for_nothing, "barge-in"),
    (only_clear, "barge-in"),
    (unclamped_truncate, "barge-in"),
    (pcm_arithmetic, "barge-in"),
    (any_mark_counts, "stale-marks"),
    (done_is_heard, "barge-in"),
    (always_cancel, "barge-in"),
    (late_sound_is_played, "barge-in"),
    (output_before_done, "functions"),
    (create_while_active, "functions"),
    (refusal_is_final, "crossed-create"),
    (function_runs_twice, "functions"),
    (fragment_is_run, "functions"),
    (nobody_greets, "greeting"),
    (numbers_are_numbers, "gap"),
    (speech_before_start, "early-session"),
    (goodbye_is_cut, "goodbye"),
    (greeting_is_cut, "greeting"),
    (speech_over_greeting_is_lost, "greeting"),
    (marks_are_awaited_for_ever, "lost-marks"),
    (gap_is_left_open, "gap"),
    (silence_is_ignored, "nobody-there"),
    (announcement_is_cut, "transfer"),
    (greeted_again, "transfer"),
    (one_clock_for_two_streams, "transfer"),
    (errand_is_never_answered, "transfer"),
    (keys_go_by_the_stream, "keys"),
]


@pytest.mark.parametrize("tape", sorted(path.stem for path in TAPES.glob("*.tape")))
def test_tape_replays_without_a_difference(tape: str, tapes: Path) -> None:
    """The core does what it did."""
    outcome = replay_one(tapes / f"{tape}.tape")

    assert [] == outcome.differences
    assert outcome.is_whole


@pytest.mark.parametrize(("put_back", "tape"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_fault_that_is_put_back_shows(
    put_back: Callable[[Patch], None], tape: str, tapes: Path, monkeypatch: Patch
) -> None:
    """Each fault makes its tape replay with a difference."""
    put_back(monkeypatch)

    assert replay_one(tapes / f"{tape}.tape").differences


def test_every_fault_is_in_the_list() -> None:
    """The documents name every fault with its tape."""
    text = LIST.read_text(encoding="utf-8")

    assert [] == [fault.__name__ for fault, tape in FAULTS if f"`{fault.__name__}` | `{tape}`" not in text]


def test_every_test_in_the_list_is_there() -> None:
    """Faults that no tape can show are tested where the documents say."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", LIST.read_text(encoding="utf-8"))

    assert named
    assert [] == [test for path, test in named if f"def {test}(" not in (ROOT / path).read_text(encoding="utf-8")]
