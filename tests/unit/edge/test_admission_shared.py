"""Admission where the register has a part in it, and the register is lost."""

from __future__ import annotations

from typing import cast

import pytest

from bridge.edge.admission import Refused
from bridge.edge.admission_shared import SharedAdmission
from bridge.edge.shared import Shared, SharedLostError, Verdict
from bridge.settings import Limits


class SilentRegister:
    """A register that takes places, and whose answers are lost on the way."""

    address = "a"

    def __init__(self) -> None:
        self.places: set[str] = set()

    async def admit(self, name: str, caller: str) -> Verdict:
        """Take a place, and let nobody know."""
        del caller
        self.places.add(name)
        raise SharedLostError("no answer")

    def take(self, name: str) -> None:
        """The call has a place."""
        self.places.add(name)

    def leave(self, name: str) -> None:
        """It has none any more."""
        self.places.discard(name)


@pytest.mark.parametrize("way", ["admit", "book"])
async def test_a_call_that_is_refused_while_the_register_is_lost_leaves_no_place_taken_there(way: str) -> None:
    """Else each of them would cost the line a place until the bridge is started anew."""
    register = SilentRegister()
    calls = SharedAdmission[str](Limits(max_calls=1), cast("Shared", register))
    calls.place("CA1", "a call", now=0.0)

    refusal = await (calls.admit("CA2", "+15550100001", 0.0) if way == "admit" else calls.book("CA2"))

    assert Refused.FULL == refusal
    assert {"CA1"} == register.places
