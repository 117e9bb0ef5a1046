"""How a call is set up, how its model behaves and what its functions give back: drawn from a seed."""

from __future__ import annotations

import json
from random import Random
from typing import Literal

from bridge.call.actions import RunFunction
from bridge.call.plan import Colleague, Outgoing, Plan
from bridge.rehearsal.conversation import FunctionCall
from bridge.rehearsal.realtime.performance import Pacing
from bridge.rehearsal.realtime.session import Limits
from bridge.settings import Collect, Destination
from tests.chaos.model import Habits
from tests.unit.call.bench import make_agent
from tests.unit.call.messages import CALL_SID, sound

CALLER_NUMBER = "+15550100001"
PIN = "86420"
FILLERS = {"lookup": "One moment.", "book": "", "slow": "I am still looking.", "pin": "", "leave": "", "sell": ""}
"""The operator's functions, and what is said when they are slow."""
CALLS = (
    *(FunctionCall(name) for name in FILLERS),
    FunctionCall("lookup", {"n": 1}),
    FunctionCall("end_call", {"reason": "all said"}),
    FunctionCall("transfer_call", {"destination": "sales", "summary": "wants to buy"}),
    FunctionCall("transfer_call", {"destination": "desk"}),
    FunctionCall("transfer_call", {"destination": "nowhere"}),
    FunctionCall("send_digits", {"digits": "12w#"}),
    FunctionCall("send_digits", {"digits": "no digits"}),
    FunctionCall("hand_over", {"agent": "colleague"}),
    FunctionCall("nothing_of_that_name"),
)
CONNECTIONS = [("unreachable", ""), ("", "unauthorized"), ("timed_out",), ("", "", "refused")]
SILENCES = (
    ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed"),
    ("input_audio_buffer.speech_stopped",),
    ("input_audio_buffer.speech_started",),
    ("input_audio_buffer.committed",),
    ("response.created",),
    ("response.done",),
    ("response.output_item.done",),
    ("response.output_audio.", "response.audio."),
    ("response.",),
    ("conversation.",),
    ("session.updated",),
    ("error",),
)
"""What a server may keep to itself for a whole call."""
COMPLAINTS = (
    "session_expired",
    "rate_limit_exceeded",
    "beta_api_shape_disabled",
    "insufficient_quota",
    "server_error",
    "conversation_already_has_active_response",
    "response_cancel_not_active",
    None,
)


def plan_drawn(dice: Random) -> Plan:
    """How a call goes."""
    words = {"greeting_message": dice.choice(["", "Hello, who is there?"]), "greeting_protected": dice.random() < 0.5}
    manners = {
        "barge_in": {"mode": dice.choice(["instant", "instant", "confirmed", "off"]), "confirm_ms": 200},
        "silence": {"prompt_after_s": dice.choice([2, 5]), "prompts": dice.randint(0, 2)},
        "keys": {"pause_s": 0.5},
        "turn_detection": {"silence_duration_ms": dice.choice([200, 500])},
        "hand_over_to": ["colleague"],
    }
    sales = Destination(to="+15557654321", announce=dice.choice(["", "I will put you through."]), timeout_s=5)
    desk = Destination(to="sip:desk@example.com", on_failure=dice.choice(["sales", "hang_up"]), timeout_s=5)
    return Plan(
        call_sid=CALL_SID,
        agent=make_agent(**words, **manners),
        dialect=dice.choice(("ga", "beta")),
        functions=frozenset(FILLERS),
        destinations={"sales": sales, "desk": desk},
        fillers={name: filler for name, filler in FILLERS.items() if filler},
        collects={"pin": Collect(prompt="Please key in your PIN.", max_digits=3, timeout_s=3)},
        colleagues={"colleague": Colleague(make_agent(**manners))},
        claim_within_s=8,
        max_call_s=dice.choice([10, 600, 600, 600]),
        outgoing=outgoing_drawn(dice) if dice.random() < 0.1 else None,
        standby_dialect=dice.choice((None, None, "ga", "beta")),
        restore_within_s=dice.choice([4, 20]),
        hold_clip=dice.choice(["", sound("hold", 600)]),
    )


def outgoing_drawn(dice: Random) -> Outgoing:
    """A call that the bridge places."""
    kinds: tuple[Literal["talk", "hang_up", "leave_message"], ...] = ("talk", "hang_up", "leave_message")
    return Outgoing(ring_within_s=5, on_machine=dice.choice(kinds), message="Please call us back.")


def habits_drawn(dice: Random) -> Habits:
    """How the model behaves: in four of five calls soundly."""
    habits = Habits(
        calls=CALLS,
        call_share=dice.choice([0.0, 0.3, 0.8]),
        longest_words=dice.choice([3, 15, 40]),
        connect_s=dice.choice([0.05, 0.3, 3.0]),
        pacing=Pacing(pace=dice.choice([1.5, 4.0, 50.0]), delta_ms=dice.choice([100, 200, 400]), think_ms=150),
        limits=Limits(transcript_delay_ms=dice.choice([0, 800])),
    )
    if dice.random() < 0.2:
        habits.fault_share = dice.choice([0.0, 0.05, 0.5])
        habits.connects = dice.choice([("",), *CONNECTIONS])
        habits.drops_after_s = dice.choice([(), (dice.random() * 12,), (dice.random() * 6, dice.random() * 6)])
        habits.limits = Limits(max_session_s=dice.choice([8.0, 3600.0]))
    if dice.random() < 0.15:
        habits.never_says = dice.choice(SILENCES)
    return habits


def output_drawn(function: RunFunction, dice: Random) -> str:
    """What a function gives back."""
    match function.name:
        case "leave":
            return json.dumps({"then": {"end_call": {}}})
        case "sell":
            return json.dumps({"then": {"transfer_call": {"destination": dice.choice(["sales", "nowhere"])}}})
        case "slow":
            return dice.choice(["no JSON", json.dumps({"error": "timed out"}), "[" * 5000])
        case _:
            return json.dumps({"n": dice.randrange(10)})


def error_drawn(dice: Random) -> str:
    """Something the server has to complain about."""
    fault = {
        "type": "server_error",
        "code": dice.choice(COMPLAINTS),
        "message": CALLER_NUMBER,
        "event_id": dice.choice([None, "response-1", "x"]),
    }
    return json.dumps({"type": "error", "event_id": "event_1", "error": fault})
