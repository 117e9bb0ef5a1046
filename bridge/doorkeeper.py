"""Who gets in: everything that is checked of a call that comes in, in one order, before anything is spent on it.

Whoever is turned away hears why or the fallback; a replayed webhook, behind which nobody is, gets a hang-up.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.call.lines import BlockList, Hours
from bridge.call.plan import CallInfo
from bridge.edge.bygone import Bygone
from twiml import documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.breaker import Health, Way
    from bridge.carrier_requests import CarrierRequests
    from bridge.clock import Clock
    from bridge.edge.admission import Admission
    from bridge.edge.driver import Driver
    from bridge.metrics import Metrics
    from bridge.rules import Rules
    from bridge.settings import Line
    from bridge.standing import Standing
    from twiml.parameters import IncomingCall

_log = logging.getLogger("bridge")


class Doorkeeper:
    """Lets calls in.

    Args:
        clock: of all calls.
        calls: where each call must find a place.
        health: knows whether the model is down.
        requests: ask the carrier about a call that comes again.
        metrics: count who is turned away.
        refused: told of what is no call at all.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        calls: Admission[Driver],
        health: Health,
        requests: CarrierRequests,
        metrics: Metrics,
        refused: Callable[[str], None],
    ) -> None:
        self.bygone = Bygone()
        self._clock = clock
        self._calls = calls
        self._health = health
        self._requests = requests
        self._metrics = metrics
        self._refused = refused

    async def admit(self, call: IncomingCall, line: Line, rules: Rules) -> Way | str:
        """How a call gets its session: it has a place reserved then, to be taken or left. Or what it is answered.

        Args:
            call: what the carrier says of it.
            line: the line that it calls.
            rules: those that it goes by.
        """
        standing = rules.standing
        if BlockList.parse(line.block).blocks(call.from_):
            return self._turn_away(call, "blocked", standing.blocked)
        if line.hours and not Hours.parse(line.hours).is_open(datetime.now(UTC)):
            return self._turn_away(call, "closed", standing.closed)
        if call.call_sid in self.bygone and (answer := await self._replayed(call, standing)):
            return answer
        refusal = await self._calls.admit(call.call_sid, call.from_, self._clock.now())
        if refusal is not None:
            return self._turn_away(call, refusal.value, standing.full)
        way = self._health.way(rules.settings.agents[line.agent], rules)
        if way is None:
            self._calls.leave(call.call_sid)
            return self._turn_away(call, "model_down", standing.fallback)
        return way

    async def _replayed(self, call: IncomingCall, standing: Standing) -> str:
        """What a call is answered that is over for us; empty when the carrier says that it is in progress.

        A call that is over does not ring again. One that is in progress may come back: a flow of the operator's own
        sends it here more than once.
        """
        if call.status != "in-progress":
            self._refused("replayed")
            return documents.hang_up()
        if not await self._requests.is_in_progress(call.call_sid):
            self._refused("replayed")
            return standing.fallback
        self.bygone.remove(call.call_sid)
        return ""

    def _turn_away(self, call: IncomingCall, reason: str, document: str) -> str:
        self._metrics.turned_away(reason)
        _log.info("call.turned_away", extra={"call_sid": call.call_sid, "reason": reason})
        return document


def info_of(call: IncomingCall, line: Line) -> CallInfo:
    """What is known of a call that is let in."""
    return CallInfo(
        call_sid=call.call_sid,
        from_number=call.from_,
        to_number=call.to,
        direction=call.direction.partition("-")[0] or "inbound",
        agent=line.agent,
    )
