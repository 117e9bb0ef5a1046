"""Transfers, as what the carrier says about them comes late."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from bridge.call.actions import Order
from bridge.call.plan import CallInfo
from bridge.edge.driver import Driver
from bridge.settings import Settings
from bridge.transfers import Transfers
from twiml.calls import CallControl, OutboundCall
from twiml.parameters import CallStatus, Parameters

SID = "CA" + "1" * 32


class SlowCarrier:
    """Takes its time to say how it calls the leg that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def create(self, call: OutboundCall) -> str:
        """Never answer."""
        self.asked.append(call.status_callback)
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture
def driver() -> Driver:
    """A call that can be transferred."""
    settings = Settings.model_validate({"destinations": {"sales": {"to": "+15557654321", "kind": "warm"}}})
    info = CallInfo(call_sid=SID, from_number="+15550100001", to_number="+15551230000")
    plan = SimpleNamespace(call_sid=SID, destinations=settings.destinations, info=info)
    return cast("Driver", SimpleNamespace(plan=plan))


async def test_a_late_status_of_the_first_human_says_nothing_of_the_second_who_is_being_called(driver: Driver) -> None:
    """Until the carrier has named the second leg, the attempt tells them apart: the second would be hung up on."""
    carrier = SlowCarrier()
    transfers = Transfers(Settings(), cast("CallControl", carrier))
    transfers.document(driver, Order("transfer", destination="sales"))
    transfers.document(driver, Order("transfer", destination="sales"))
    late = {"call": SID, "attempt": "1"}

    status = CallStatus.parse(Parameters({"CallSid": "CA" + "2" * 32, "CallStatus": "busy"}, late))
    await transfers.callee_status(status)

    second = transfers.of(SID)
    assert second is not None
    assert ("2", False, "") == (second.attempt, second.is_over, second.outcome)
