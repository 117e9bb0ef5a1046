"""The parts of a conversation that its other parts are made with, each after those that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.call.answering import Answering
from bridge.call.answers import Answers
from bridge.call.hold import Hold
from bridge.call.memory import Memory
from bridge.call.playout import Playout
from bridge.call.responses import Responses
from bridge.call.transcript import Transcript
from bridge.call.turns import Turns
from bridge.call.waits import Waits

if TYPE_CHECKING:
    from bridge.call.actions import Outbox
    from bridge.call.answers import Loudness
    from bridge.call.deadlines import Deadlines
    from bridge.call.inbound import Inbound
    from bridge.call.plan import Plan
    from bridge.call.session import Session
    from bridge.call.turns import EarMaker


@dataclass(frozen=True, kw_only=True)
class Parts:
    """See the module; each says itself what it does."""

    outbox: Outbox
    deadlines: Deadlines
    inbound: Inbound
    session: Session
    memory: Memory
    playout: Playout
    transcript: Transcript
    responses: Responses
    turns: Turns
    answering: Answering
    answers: Answers
    waits: Waits
    hold: Hold


def parts_of(
    plan: Plan,
    outbox: Outbox,
    deadlines: Deadlines,
    inbound: Inbound,
    session: Session,
    *,
    ear: EarMaker,
    loudness: Loudness,
) -> Parts:
    """The parts of one call's conversation."""
    memory, playout = Memory(), Playout()
    responses = Responses(outbox, deadlines, plan.dialect)
    confirm_ms = plan.agent.barge_in.confirm_ms
    turns = Turns(outbox, playout, responses, memory, session, confirm_ms=confirm_ms, ear=ear)
    return Parts(
        outbox=outbox,
        deadlines=deadlines,
        inbound=inbound,
        session=session,
        memory=memory,
        playout=playout,
        transcript=Transcript(outbox, memory, playout, plan.dialect),
        responses=responses,
        turns=turns,
        answering=Answering(outbox, deadlines, responses, turns, session),
        answers=Answers(loudness),
        waits=Waits(outbox),
        hold=Hold(plan.hold_clip, outbox=outbox, deadlines=deadlines, playout=playout, inbound=inbound),
    )
