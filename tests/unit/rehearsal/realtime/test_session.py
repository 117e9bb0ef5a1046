"""What a session of the embedded server does: the events of a turn, interruption, truncation, calls, limits."""

from __future__ import annotations

import base64
import json
import math
import time
from typing import Any

import pytest

from bridge.rehearsal.conversation import FunctionCall, FunctionCallOutput, Message, Reply
from bridge.rehearsal.realtime.dialect import DialectName
from bridge.rehearsal.realtime.performance import Pacing
from bridge.rehearsal.realtime.scripted import TONE, ScriptedSession
from bridge.rehearsal.realtime.session import Limits

BURST = Pacing(pace=math.inf, think_ms=0)
LOOKUP = Reply(calls=(FunctionCall("look_up", {"number": 7}),))

SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


def ga_turn_detection(**fields: object) -> dict[str, object]:
    """Return the session fields that set `server_vad` on mu-law."""
    detection = {"type": "server_vad", "silence_duration_ms": 200, **fields}
    return {"audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": detection}}}


async def test_session_greets_with_the_documented_defaults() -> None:
    """`session.created` comes first and shows PCM at 24 kHz, server_vad and the end of the session's time."""
    async with ScriptedSession() as rehearsed:
        session = (await rehearsed.until("session.created"))["session"]

        assert {"type": "audio/pcm", "rate": 24000} == session["audio"]["input"]["format"]
        assert {"type": "audio/pcm", "rate": 24000} == session["audio"]["output"]["format"]
        assert ["audio"] == session["output_modalities"]
        assert {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
            "idle_timeout_ms": None,
            "create_response": True,
            "interrupt_response": True,
        } == session["audio"]["input"]["turn_detection"]
        assert 3590 < session["expires_at"] - time.time() <= 3600


async def test_beta_session_greets_flatly_and_names_its_conversation() -> None:
    """A beta session shows flat settings, without a type, and `conversation.created` after them."""
    async with ScriptedSession(dialect="beta") as rehearsed:
        session = (await rehearsed.until("session.created"))["session"]

        assert ("pcm16", ["text", "audio"], 0.8) == (
            session["input_audio_format"],
            session["modalities"],
            session["temperature"],
        )
        assert not {"type", "audio", "output_modalities"} & session.keys()
        assert ["session.created", "conversation.created"] == rehearsed.sink.types()


async def test_beta_session_shows_what_it_was_set_to() -> None:
    """Every beta field that is accepted is shown again by `session.updated`."""
    fields = {
        "modalities": ["text"],
        "instructions": "Be brief.",
        "voice": "ash",
        "input_audio_format": "g711_alaw",
        "output_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "input_audio_noise_reduction": {"type": "near_field"},
        "turn_detection": {
            "type": "semantic_vad",
            "eagerness": "high",
            "create_response": False,
            "interrupt_response": True,
        },
        "tools": [{"type": "function", "name": "look_up", "description": "", "parameters": {}}],
        "temperature": 1.1,
        "max_response_output_tokens": 400,
        "speed": 1.2,
        "tracing": "auto",
    }
    async with ScriptedSession(dialect="beta") as rehearsed:
        rehearsed.send("session.update", session={**fields, "tool_choice": "required"})

        session = (await rehearsed.until("session.updated"))["session"]
        assert {**fields, "tool_choice": "required"} == {name: session[name] for name in [*fields, "tool_choice"]}


@pytest.mark.parametrize("choice", [{"name": "look_up"}, {"function": {"name": "look_up"}}])
async def test_beta_session_takes_a_chosen_function_in_either_form(choice: dict[str, object]) -> None:
    """Beta's documentation wraps the name, its servers asked for it flat."""
    async with ScriptedSession(dialect="beta") as rehearsed:
        rehearsed.send("session.update", session={"tool_choice": {"type": "function", **choice}})

        session = (await rehearsed.until("session.updated"))["session"]
        assert {"type": "function", "name": "look_up"} == session["tool_choice"]


async def test_ga_session_shows_what_it_was_set_to() -> None:
    """GA fields that have no effect here are kept and shown all the same."""
    fields = {
        "tool_choice": {"type": "function", "name": "look_up"},
        "tools": [{"type": "function", "name": "look_up", "description": "", "parameters": {}}],
        "max_output_tokens": 400,
        "tracing": {"workflow_name": "calls"},
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
        "include": ["item.input_audio_transcription.logprobs"],
        "reasoning": {"effort": "low"},
    }
    output = {"format": {"type": "audio/pcma"}, "voice": {"id": "voice_1"}, "speed": 1.5}
    async with ScriptedSession() as rehearsed:
        rehearsed.send("session.update", session={"type": "realtime", **fields, "audio": {"output": output}})

        session = (await rehearsed.until("session.updated"))["session"]
        assert fields == {name: session[name] for name in fields}
        assert output == session["audio"]["output"]


async def test_session_answers_an_update_with_all_its_settings() -> None:
    """An update merges what is present; null clears; `session.updated` shows the whole."""
    async with ScriptedSession() as rehearsed:
        rehearsed.use_mulaw(instructions="Be brief.", tools=[{"type": "function", "name": "look_up"}])
        rehearsed.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})

        session = [event["session"] for event in rehearsed.sink.events if event["type"] == "session.updated"][-1]
        assert ("Be brief.", "look_up", None) == (
            session["instructions"],
            session["tools"][0]["name"],
            session["audio"]["input"]["turn_detection"],
        )
        assert {"type": "audio/pcmu"} == session["audio"]["output"]["format"]


async def test_session_shows_a_remote_server_without_what_opens_it() -> None:
    """An MCP tool is kept and shown without its secrets, in its order; only the real server would call it."""
    crm = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example.com/mcp", "allowed_tools": ["find"]}
    secrets = {"authorization": "token", "headers": {"X-Tenant": "shop"}}
    async with ScriptedSession() as rehearsed:
        rehearsed.use_mulaw(
            tools=[crm | secrets, {"type": "function", "name": "look_up"}],
            tool_choice={"type": "mcp", "server_label": "crm"},
        )

        session = (await rehearsed.until("session.updated"))["session"]
        assert crm == session["tools"][0]
        assert {"type": "mcp", "server_label": "crm"} == session["tool_choice"]
        assert ["look_up"] == [tool["name"] for tool in rehearsed.session.settings.functions]


async def test_caller_speaks_and_is_answered_in_the_documented_order() -> None:
    """One spoken turn brings the events of the protocol reference, section 6, in their order."""
    async with ScriptedSession(replies=[Reply("Hello there")], heard=["hi"]) as rehearsed:
        rehearsed.use_mulaw()
        await rehearsed.until("session.updated")
        begin = len(rehearsed.sink.events)
        rehearsed.speak()
        await rehearsed.until("response.done")

        assert SPOKEN_TURN == rehearsed.sink.types()[begin:]
        assert [[Message("user", "hi")]] == rehearsed.mind.histories


async def test_every_event_of_a_turn_tells_of_the_same_items() -> None:
    """Speech, commit and item share an id; each item names the one before it."""
    async with ScriptedSession(replies=[Reply("Hello")]) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.speak()
        await rehearsed.until("response.done")

        events = {event["type"]: event for event in rehearsed.sink.events}
        user_id = events["input_audio_buffer.speech_started"]["item_id"]
        assert user_id == events["input_audio_buffer.speech_stopped"]["item_id"]
        assert user_id == events["input_audio_buffer.committed"]["item_id"]
        assert user_id == events["conversation.item.done"]["previous_item_id"]
        assert events["response.done"]["response"]["output"] == [events["conversation.item.done"]["item"]]


async def test_turn_is_what_the_caller_said_and_its_padding() -> None:
    """What is recognised begins at `audio_start_ms` and ends at `audio_end_ms` of all audio."""
    async with ScriptedSession(replies=[Reply("Hello")]) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.speak(tone_ms=0, silence_ms=2000)
        rehearsed.speak()
        await rehearsed.until("response.done")

        events = {event["type"]: event for event in rehearsed.sink.events}
        start_ms = events["input_audio_buffer.speech_started"]["audio_start_ms"]
        end_ms = events["input_audio_buffer.speech_stopped"]["audio_end_ms"]
        assert 1600 <= start_ms <= 1800
        assert 2600 <= end_ms <= 2900
        assert abs((end_ms - start_ms) - len(rehearsed.speech.recognised[0]) / 8) <= 1


async def test_caller_is_transcribed_if_the_session_asks_for_it() -> None:
    """With transcription on, what was understood is told as delta and completed, and shown by the item."""
    async with ScriptedSession(replies=[Reply("Hello")], heard=["good morning"]) as rehearsed:
        rehearsed.use_mulaw()
        transcription = {"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
        rehearsed.send("session.update", session={"type": "realtime", **transcription})
        rehearsed.speak()
        delta = await rehearsed.until("conversation.item.input_audio_transcription.delta")
        completed = await rehearsed.until("conversation.item.input_audio_transcription.completed")
        rehearsed.send("conversation.item.retrieve", item_id=completed["item_id"])
        item = (await rehearsed.until("conversation.item.retrieved"))["item"]

        assert "good morning" == delta["delta"] == completed["transcript"] == item["content"][0]["transcript"]
        assert rehearsed.speech.recognised[0] == base64.b64decode(item["content"][0]["audio"])
        assert "tokens" == completed["usage"]["type"]


async def test_transcription_may_come_after_the_response() -> None:
    """A slow transcription does not hold up the answer."""
    late = Limits(transcript_delay_ms=5000)
    async with ScriptedSession(replies=[Reply("Hello")], heard=["hi"], limits=late) as rehearsed:
        rehearsed.use_mulaw()
        transcription = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        rehearsed.send("session.update", session={"type": "realtime", **transcription})
        rehearsed.speak()
        await rehearsed.until("response.done")
        completed = await rehearsed.until("conversation.item.input_audio_transcription.completed")

        assert "duration" == completed["usage"]["type"]


async def test_caller_interrupts_and_the_response_is_cancelled() -> None:
    """On speech the running response ends: done events, an incomplete item, `cancelled` with `turn_detected`."""
    async with ScriptedSession(replies=[Reply("word " * 40)]) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.send("response.create")
        await rehearsed.until("response.output_audio.delta")
        begin = len(rehearsed.sink.events)
        rehearsed.speak(silence_ms=0)

        assert [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ] == rehearsed.sink.types()[begin:]
        response = rehearsed.sink.events[-1]["response"]
        assert ("cancelled", {"type": "cancelled", "reason": "turn_detected"}) == (
            response["status"],
            response["status_details"],
        )
        assert "incomplete" == response["output"][0]["status"]
        deltas = rehearsed.sink.types().count("response.output_audio.delta")
        assert 200 * deltas == rehearsed.session.items[0].content[0].audio_ms


async def test_interrupted_response_sends_nothing_more() -> None:
    """After `response.done` no delta of it follows, however long one waits."""
    async with ScriptedSession(replies=[Reply("word " * 40)]) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.send("response.create")
        await rehearsed.until("response.output_audio.delta")
        rehearsed.send("response.cancel")
        await rehearsed.clock.sleep(5)

        assert "response.done" == rehearsed.sink.types()[-1]
        assert "client_cancelled" == rehearsed.sink.events[-1]["response"]["status_details"]["reason"]


async def test_response_runs_on_where_the_session_does_not_interrupt() -> None:
    """With `interrupt_response` false the caller's speech is told, and the response completes."""
    async with ScriptedSession(replies=[Reply("One two three four")]) as rehearsed:
        rehearsed.use_mulaw()
        quiet = ga_turn_detection(interrupt_response=False, create_response=False)
        rehearsed.send("session.update", session={"type": "realtime", **quiet})
        rehearsed.send("response.create")
        await rehearsed.until("response.output_audio.delta")
        rehearsed.speak()

        assert "completed" == (await rehearsed.until("response.done"))["response"]["status"]
        assert 1 == rehearsed.sink.types().count("input_audio_buffer.committed")
        assert 1 == rehearsed.sink.types().count("response.created")


async def test_turn_that_ends_while_a_response_runs_collides() -> None:
    """With `create_response` and without interruption the server's own wish is refused like a client's."""
    async with ScriptedSession(replies=[Reply("word " * 40)]) as rehearsed:
        rehearsed.use_mulaw()
        detection = ga_turn_detection(interrupt_response=False)
        rehearsed.send("session.update", session={"type": "realtime", **detection})
        rehearsed.send("response.create")
        rehearsed.speak()

        error = (await rehearsed.until("error"))["error"]
        assert ("conversation_already_has_active_response", None) == (error["code"], error["event_id"])


async def test_truncation_forgets_what_was_not_heard() -> None:
    """The item keeps the audio that was heard, shows no transcript, and the mind knows only the words heard."""
    async with ScriptedSession(replies=[Reply("One two three four"), Reply("Yes")], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.send("response.create")
        item_id = (await rehearsed.until("response.output_item.added"))["item"]["id"]
        await rehearsed.until("response.done")
        rehearsed.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=600)
        rehearsed.send("conversation.item.retrieve", item_id=item_id)
        part = (await rehearsed.until("conversation.item.retrieved"))["item"]["content"][0]
        rehearsed.send("response.create")
        await rehearsed.until("response.done")

        assert (None, 600 * 8) == (part["transcript"], len(base64.b64decode(part["audio"])))
        assert [Message("assistant", "One two")] == rehearsed.mind.histories[-1]
        assert [600] == [truncation.audio_end_ms for truncation in rehearsed.session.truncations]


async def test_deleted_item_is_forgotten() -> None:
    """A deleted item is no part of the conversation any more."""
    async with ScriptedSession(replies=[Reply("One"), Reply("Two")], pacing=BURST) as rehearsed:
        rehearsed.send("response.create")
        done = await rehearsed.until("response.done")
        rehearsed.send("conversation.item.delete", item_id=done["response"]["output"][0]["id"])
        rehearsed.send("response.create")
        await rehearsed.until("response.done")

        assert [[], []] == rehearsed.mind.histories


@pytest.mark.parametrize(("dialect", "has_name"), [("ga", True), ("beta", False)])
async def test_model_calls_functions_and_hears_what_they_returned(dialect: DialectName, *, has_name: bool) -> None:
    """Two calls come in one response, with arguments in deltas; the outputs reach the mind."""
    calls = (FunctionCall("look_up", {"number": 7}), FunctionCall("transfer_call", {"destination": "sales"}))
    async with ScriptedSession(replies=[Reply("One moment.", calls), Reply("Done.")], dialect=dialect) as rehearsed:
        rehearsed.send("response.create")
        done = (await rehearsed.until("response.done"))["response"]
        arguments_done = [
            event for event in rehearsed.sink.events if event["type"] == "response.function_call_arguments.done"
        ]
        for item in done["output"][1:]:
            output = {"type": "function_call_output", "call_id": item["call_id"], "output": '{"ok": true}'}
            rehearsed.send("conversation.item.create", item=output)
        rehearsed.send("response.create")
        await rehearsed.until("response.done")

        assert ["message", "function_call", "function_call"] == [item["type"] for item in done["output"]]
        assert [{"number": 7}, {"destination": "sales"}] == [json.loads(event["arguments"]) for event in arguments_done]
        assert [has_name] * 2 == ["name" in event for event in arguments_done]
        first_id = done["output"][1]["call_id"]
        assert FunctionCall("look_up", {"number": 7}, first_id) in rehearsed.mind.histories[-1]
        assert FunctionCallOutput(first_id, '{"ok": true}') in rehearsed.mind.histories[-1]


async def test_call_that_is_cut_short_is_incomplete() -> None:
    """A cancelled call leaves a fragment of its arguments and the status `incomplete`."""
    call = FunctionCall("look_up", {"text": "x" * 200})
    async with ScriptedSession(replies=[Reply(calls=(call,))]) as rehearsed:
        rehearsed.send("response.create")
        await rehearsed.until("response.function_call_arguments.delta")
        rehearsed.send("response.cancel")

        item = (await rehearsed.until("response.output_item.done"))["item"]
        assert ("incomplete", True) == (item["status"], len(item["arguments"]) < 200)
        assert FunctionCall("look_up", {}, item["call_id"]) == rehearsed.session.items[0].heard()


async def test_text_response_has_no_audio() -> None:
    """A response in text comes in text deltas, and its item holds output_text."""
    async with ScriptedSession(replies=[Reply("Plain words only")]) as rehearsed:
        rehearsed.send("response.create", response={"output_modalities": ["text"]})
        done = (await rehearsed.until("response.done"))["response"]

        assert [{"type": "output_text", "text": "Plain words only"}] == done["output"][0]["content"]
        deltas = [event["delta"] for event in rehearsed.sink.events if event["type"] == "response.output_text.delta"]
        assert ["Plain", " words", " only"] == deltas
        assert "response.output_audio.delta" not in rehearsed.sink.types()


async def test_response_overrides_count_for_that_response_alone() -> None:
    """Instructions, metadata and token cap of `response.create` are the response's; the session keeps its own."""
    async with ScriptedSession(replies=[Reply("Hello")], pacing=BURST) as rehearsed:
        override = {"instructions": "Shout.", "metadata": {"why": "greeting"}, "max_output_tokens": 4000}
        rehearsed.send("response.create", response=override)
        done = (await rehearsed.until("response.done"))["response"]

        assert ({"why": "greeting"}, 4000) == (done["metadata"], done["max_output_tokens"])
        assert "Shout." != rehearsed.session.settings.instructions


async def test_response_out_of_band_leaves_the_conversation_alone() -> None:
    """With `conversation: none` a response runs beside another and adds no item; its own input is all it is told."""
    async with ScriptedSession(replies=[Reply("word " * 20), Reply("A summary")]) as rehearsed:
        rehearsed.send("response.create")
        await rehearsed.until("response.output_audio.delta")
        question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Sum up."}]}
        aside = {"conversation": "none", "input": [question], "output_modalities": ["text"]}
        rehearsed.send("response.create", response=aside)
        done = (await rehearsed.until("response.done"))["response"]

        assert (None, "A summary") == (done["conversation_id"], done["output"][0]["content"][0]["text"])
        assert [Message("user", "Sum up.")] == rehearsed.mind.histories[-1]
        assert ["assistant"] == [item.role for item in rehearsed.session.items]


async def test_response_stops_at_its_tokens() -> None:
    """A response that may not be as long as its answer is incomplete, for `max_output_tokens`."""
    async with ScriptedSession(replies=[Reply("word " * 20, LOOKUP.calls)], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.send("response.create", response={"max_output_tokens": 20})
        done = (await rehearsed.until("response.done"))["response"]

        assert ("incomplete", "max_output_tokens") == (done["status"], done["status_details"]["reason"])
        assert [1000] == [item.content[0].audio_ms for item in rehearsed.session.items]


async def test_response_tells_its_tokens() -> None:
    """User audio costs 10 tokens a second, assistant audio 20; what was told before is cached."""
    async with ScriptedSession(replies=[Reply("One two three four"), Reply("Five")], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw(instructions="")
        detection = ga_turn_detection(create_response=False)
        rehearsed.send("session.update", session={"type": "realtime", **detection})
        rehearsed.speak(tone_ms=1000)
        rehearsed.send("response.create")
        first = (await rehearsed.until("response.done"))["response"]["usage"]
        rehearsed.send("response.create")
        second = (await rehearsed.until("response.done"))["response"]["usage"]

        spoken_ms = len(rehearsed.speech.recognised[0]) / 8
        assert math.ceil(spoken_ms / 100) == first["input_token_details"]["audio_tokens"]
        assert 24 == first["output_token_details"]["audio_tokens"]
        assert first["total_tokens"] == first["input_tokens"] + first["output_tokens"]
        assert first["input_token_details"]["audio_tokens"] + 24 == second["input_token_details"]["audio_tokens"]
        assert first["input_tokens"] == second["input_token_details"]["cached_tokens"]


async def test_failed_speech_fails_the_response_alone() -> None:
    """Where the mouth fails the response is `failed` with the reason, and the session goes on."""
    async with ScriptedSession(replies=[Reply("Hello")], fault=TimeoutError("the voice took too long")) as rehearsed:
        rehearsed.send("response.create")
        done = (await rehearsed.until("response.done"))["response"]

        assert ("failed", "the voice took too long") == (done["status"], done["status_details"]["error"]["message"])
        rehearsed.send("input_audio_buffer.clear")
        await rehearsed.until("input_audio_buffer.cleared")


async def test_failed_recognition_is_told_and_answered_all_the_same() -> None:
    """Where the ears fail the transcription is `failed`, and the mind answers what it did not understand."""
    async with ScriptedSession(replies=[Reply("Pardon?")], fault=TimeoutError("the ears took too long")) as rehearsed:
        rehearsed.use_mulaw(output_modalities=["text"])
        transcription = {"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
        rehearsed.send("session.update", session={"type": "realtime", **transcription})
        rehearsed.speak()
        failed = await rehearsed.until("conversation.item.input_audio_transcription.failed")
        done = (await rehearsed.until("response.done"))["response"]

        assert ("transcription_failed", "completed") == (failed["error"]["code"], done["status"])
        assert [[Message("user", "")]] == rehearsed.mind.histories


async def test_deltas_are_paced() -> None:
    """Audio comes at the pace asked for: 4 s of speech at pace 4 take about one second of the clock."""
    async with ScriptedSession(replies=[Reply("word " * 13 + "word")], pacing=Pacing(think_ms=0)) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.send("response.create")
        await rehearsed.until("response.output_audio.delta")
        started = rehearsed.clock.now()
        await rehearsed.until("response.output_audio.done")

        assert 0.9 <= rehearsed.clock.now() - started <= 3


async def test_burst_sends_everything_at_once() -> None:
    """At infinite pace no time passes between the first delta and `response.done`."""
    async with ScriptedSession(replies=[Reply("word " * 33)], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw()
        rehearsed.send("response.create")
        await rehearsed.until("response.output_audio.delta")

        assert "response.done" == rehearsed.sink.types()[-1]
        assert 50 == rehearsed.sink.types().count("response.output_audio.delta")


@pytest.mark.parametrize(
    ("wire_format", "bytes_per_ms"),
    [({"type": "audio/pcmu"}, 8), ({"type": "audio/pcma"}, 8), ({"type": "audio/pcm", "rate": 24000}, 48)],
)
async def test_session_hears_and_speaks_every_format(wire_format: dict[str, Any], bytes_per_ms: int) -> None:
    """In each format the answer is as long as it takes to say, and so is what the item counts."""
    async with ScriptedSession(replies=[Reply("One two three")], pacing=BURST) as rehearsed:
        output = {"audio": {"output": {"format": wire_format}}}
        rehearsed.send("session.update", session={"type": "realtime", **output})
        rehearsed.send("response.create")
        await rehearsed.until("response.done")

        deltas = [event["delta"] for event in rehearsed.sink.events if event["type"] == "response.output_audio.delta"]
        assert 900 * bytes_per_ms == sum(len(base64.b64decode(delta)) for delta in deltas)
        assert 900 == rehearsed.session.items[0].content[0].audio_ms


async def test_silent_caller_is_prompted_after_the_idle_timeout() -> None:
    """After a response and its playback, silence for `idle_timeout_ms` makes an item and a response."""
    async with ScriptedSession(replies=[Reply("Hello"), Reply("Are you there?")], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw()
        detection = ga_turn_detection(idle_timeout_ms=5000)
        rehearsed.send("session.update", session={"type": "realtime", **detection})
        rehearsed.send("response.create")
        await rehearsed.until("response.done")
        done_at = rehearsed.clock.now()
        rehearsed.speak(tone_ms=0, silence_ms=5300)
        triggered = await rehearsed.until("input_audio_buffer.timeout_triggered")
        waited_s = rehearsed.clock.now() - done_at
        done = (await rehearsed.until("response.done"))["response"]

        assert 5.2 <= waited_s <= 8
        assert (300, 5300) == (triggered["audio_start_ms"], triggered["audio_end_ms"])
        assert "Are you there?" == done["output"][0]["content"][0]["transcript"]


async def test_speaking_caller_is_not_prompted() -> None:
    """Speech within the idle timeout ends the wait."""
    async with ScriptedSession(replies=[Reply("Hello")], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw()
        detection = ga_turn_detection(idle_timeout_ms=5000, create_response=False)
        rehearsed.send("session.update", session={"type": "realtime", **detection})
        rehearsed.send("response.create")
        await rehearsed.until("response.done")
        rehearsed.speak()
        await rehearsed.clock.sleep(6)

        assert "input_audio_buffer.timeout_triggered" not in rehearsed.sink.types()


async def test_client_without_turn_detection_commits_and_asks() -> None:
    """A commit makes an item and no response; `clear` empties the buffer."""
    async with ScriptedSession(replies=[Reply("Yes")], heard=["hi"]) as rehearsed:
        push_to_talk = {"audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}}
        rehearsed.send("session.update", session={"type": "realtime", **push_to_talk})
        rehearsed.speak()
        rehearsed.send("input_audio_buffer.clear")
        rehearsed.speak(tone_ms=400, silence_ms=0)
        rehearsed.send("input_audio_buffer.commit")
        await rehearsed.until("input_audio_buffer.committed")
        assert "response.created" not in rehearsed.sink.types()

        rehearsed.send("response.create")
        await rehearsed.until("response.done")
        assert [TONE * 400] == rehearsed.speech.recognised
        assert [[Message("user", "hi")]] == rehearsed.mind.histories


async def test_client_writes_history_into_the_conversation() -> None:
    """Items go to the end, to the beginning, or after one named; the mind is told them in that order."""
    async with ScriptedSession(replies=[Reply("Yes")], pacing=BURST) as rehearsed:
        for role, kind, text, previous in (
            ("assistant", "output_text", "two", None),
            ("system", "input_text", "one", "root"),
            ("user", "input_text", "three", None),
        ):
            item = {"id": text, "type": "message", "role": role, "content": [{"type": kind, "text": text}]}
            rehearsed.send("conversation.item.create", item=item, previous_item_id=previous)
        middle = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and a half"}]}
        rehearsed.send("conversation.item.create", item=middle, previous_item_id="one")
        rehearsed.send("response.create")
        await rehearsed.until("response.done")

        assert ["one", "and a half", "two", "three"] == [
            heard.text for heard in rehearsed.mind.histories[0] if isinstance(heard, Message)
        ]


async def test_client_writes_audio_and_calls_into_the_conversation() -> None:
    """A restored conversation may hold what was said as audio, calls and outputs; the mind is told them all."""
    async with ScriptedSession(replies=[Reply("Yes")], heard=["hi"], pacing=BURST) as rehearsed:
        rehearsed.use_mulaw()
        said = {"type": "input_audio", "audio": base64.b64encode(TONE * 200).decode()}
        for item in (
            {"type": "message", "role": "user", "content": [said]},
            {"type": "function_call", "name": "look_up", "arguments": '{"number": 7}', "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        ):
            rehearsed.send("conversation.item.create", item=item)
        rehearsed.send("response.create")
        await rehearsed.until("response.done")

        assert [
            [
                Message("user", "hi"),
                FunctionCall("look_up", {"number": 7}, "call_1"),
                FunctionCallOutput("call_1", "found"),
            ]
        ] == rehearsed.mind.histories
        assert [TONE * 200] == rehearsed.speech.recognised


async def test_response_may_refer_to_items() -> None:
    """`input` takes items of the conversation by reference, beside new ones."""
    async with ScriptedSession(replies=[Reply("Yes")], pacing=BURST) as rehearsed:
        for item_id in ("one", "two"):
            content = [{"type": "input_text", "text": item_id}]
            item = {"id": item_id, "type": "message", "role": "user", "content": content}
            rehearsed.send("conversation.item.create", item=item)
        rehearsed.send("response.create", response={"input": [{"type": "item_reference", "id": "two"}]})
        await rehearsed.until("response.done")

        assert [[Message("user", "two")]] == rehearsed.mind.histories


async def test_responses_out_of_band_are_bounded() -> None:
    """Eight may run at once, each cancelled by its own id."""
    async with ScriptedSession(replies=[Reply("word " * 50)] * 9) as rehearsed:
        for _ in range(9):
            rehearsed.send("response.create", response={"conversation": "none"})
        first_id = (await rehearsed.until("response.created"))["response"]["id"]
        assert "rate_limit_exceeded" == (await rehearsed.until("error"))["error"]["code"]

        rehearsed.send("response.cancel", response_id=first_id)
        assert first_id == (await rehearsed.until("response.done"))["response"]["id"]


async def test_session_expires() -> None:
    """At the end of its time the session says so and is closed with 1001."""
    async with ScriptedSession(limits=Limits(max_session_s=60)) as rehearsed:
        await rehearsed.clock.sleep(30)
        assert rehearsed.sink.closed is None
        error = (await rehearsed.until("error"))["error"]

        assert "session_expired" == error["code"]
        assert (1001, error["message"]) == rehearsed.sink.closed


async def test_second_update_in_a_turn_keeps_the_turn() -> None:
    """Changing what follows from a turn, as after a protected greeting, loses no speech that goes on."""
    async with ScriptedSession(replies=[Reply("Yes")]) as rehearsed:
        rehearsed.use_mulaw()
        protected = ga_turn_detection(create_response=False, interrupt_response=False)
        rehearsed.send("session.update", session={"type": "realtime", **protected})
        rehearsed.speak(silence_ms=0)
        rehearsed.send("session.update", session={"type": "realtime", **ga_turn_detection()})
        rehearsed.speak(tone_ms=100)

        await rehearsed.until("response.done")
        assert 1 == rehearsed.sink.types().count("input_audio_buffer.speech_started")


@pytest.mark.parametrize(("eagerness", "ends"), [("high", True), ("low", False)])
async def test_eager_session_ends_a_turn_sooner(eagerness: str, *, ends: bool) -> None:
    """`semantic_vad` is patient by its eagerness: 400 ms when high, 1600 ms when low."""
    async with ScriptedSession(replies=[Reply("Yes")]) as rehearsed:
        detection = {"type": "semantic_vad", "eagerness": eagerness}
        semantic = {"audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": detection}}}
        rehearsed.send("session.update", session={"type": "realtime", **semantic})
        rehearsed.speak(silence_ms=1000)

        assert ends == ("input_audio_buffer.speech_stopped" in rehearsed.sink.types())
