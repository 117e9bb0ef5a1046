"""The owner of responses, by table: at most one is active, a wanted one waits its turn and is asked for once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.call.actions import Outbox
from bridge.call.deadlines import Deadlines
from bridge.call.responses import (
    CANCELLED_WITHIN_S,
    CREATED_WITHIN_S,
    MAX_WISHES,
    PROGRESS_WITHIN_S,
    RETRY_AFTER_S,
    Kind,
    Refusal,
    Responses,
    Wish,
)
from bridge.wire.commands import CancelResponse, CreateResponse
from bridge.wire.model import Response
from tests.unit.call.rig import facts, of

ACTIVE = "conversation_already_has_active_response"
AGAIN = {Kind.ANSWER, Kind.SAY, Kind.ANNOUNCEMENT}
"""What stays wished when the caller takes the floor before it was begun."""


@dataclass
class Owner:
    """A `Responses` and what came out of it."""

    outbox: Outbox = field(default_factory=Outbox)
    deadlines: Deadlines = field(default_factory=Deadlines)
    taken: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner = Responses(self.outbox, self.deadlines, "ga")

    def asks(self, now: float = 0.0) -> list[CreateResponse]:
        """What is asked for now."""
        self.owner.ask(now)
        return self.creates()

    def creates(self) -> list[CreateResponse]:
        """The creates since the last time."""
        self.taken = self.outbox.take()
        return of(CreateResponse, self.taken)

    def cancels(self) -> list[str]:
        """The cancels since the last time."""
        self.taken = self.outbox.take()
        return [action.response_id for action in of(CancelResponse, self.taken)]

    def created(self, response_id: str, create: CreateResponse | None = None, now: float = 0.0) -> None:
        """A response begins."""
        metadata = None if create is None else create.response["metadata"]
        self.owner.created(Response(response_id, metadata=metadata), now)


@pytest.fixture
def own() -> Owner:
    """Nothing is wished, asked for or active."""
    return Owner()


def test_nothing_is_wished(own: Owner) -> None:
    """Nothing is asked for."""
    assert ([], False) == (own.asks(), own.owner.is_busy)


@pytest.mark.parametrize("kind", Kind)
def test_wish_is_asked_for_once(own: Owner, kind: Kind) -> None:
    """However often there is an occasion."""
    own.owner.want(Wish(kind, "Say it."))

    (create,) = own.asks()

    assert "Say it." == create.response["instructions"]
    assert ("tool_choice" in create.response) is (kind not in (Kind.ANSWER, Kind.NUDGE))
    assert [] == own.asks()
    own.created("resp", create)
    assert [] == own.asks()
    own.owner.done("resp")
    assert ([], False) == (own.asks(), own.owner.is_busy)


def test_plain_answers_merge(own: Owner) -> None:
    """One response answers all that the conversation holds."""
    for _ in range(5):
        own.owner.want(Wish(Kind.ANSWER))
    (create,) = own.asks()
    own.created("resp", create)
    own.owner.done("resp")

    assert [] == own.asks()


def test_answer_that_is_wished_after_the_create_is_another_one(own: Owner) -> None:
    """What came later is not in the first."""
    own.owner.want(Wish(Kind.ANSWER))
    (create,) = own.asks()
    own.owner.want(Wish(Kind.ANSWER))
    own.created("resp", create)
    own.owner.done("resp")

    assert 1 == len(own.asks())


def test_wishes_wait_their_turn(own: Owner) -> None:
    """First wished, first asked for."""
    for number in range(3):
        own.owner.want(Wish(Kind.SAY, str(number)))
    said = []
    for number in range(3):
        (create,) = own.asks()
        said.append(create.response["instructions"])
        own.created(f"resp_{number}", create)
        own.owner.done(f"resp_{number}")

    assert ["0", "1", "2"] == said


def test_there_are_too_many_wishes(own: Owner) -> None:
    """The last one is dropped, and counted."""
    granted = [own.owner.want(Wish(Kind.SAY, str(number))) for number in range(MAX_WISHES + 1)]

    assert [True] * MAX_WISHES + [False] == granted
    assert [{"kind": "say"}] == facts("response.wish_dropped", own.outbox.take())


def test_servers_own_response_grants_the_wish_for_an_answer(own: Owner) -> None:
    """And no other wish."""
    own.owner.want(Wish(Kind.ANSWER))
    own.owner.want(Wish(Kind.SAY, "Hello."))
    own.owner.server_may_create = True
    own.created("resp")
    assert [] == own.asks()
    own.owner.done("resp")

    assert ["Hello."] == [create.response["instructions"] for create in own.asks()]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("answers", ["created", "refused"])
def test_caller_takes_the_floor_before_it_was_begun(own: Owner, kind: Kind, answers: str) -> None:
    """It is cancelled and muted when it comes; asked for again once if it is still wished, whatever came of it."""
    own.owner.want(Wish(kind, "Say it."))
    (create,) = own.asks()

    own.owner.interrupt(1.0, by_server=False)

    assert not of(CancelResponse, own.outbox.take())
    if answers == "created":
        own.created("resp", create)
        assert ["resp"] == own.cancels()
        assert own.owner.is_muted("resp")
        own.owner.done("resp")
    else:
        assert Refusal.LATER is own.owner.refused(create.event_id, ACTIVE, 1.0)
        own.owner.overdue("response.retry", 2.0)
    assert (1 if kind in AGAIN else 0) == len(own.asks())
    if kind in AGAIN:
        own.created("resp_2", CreateResponse({"metadata": {"wish": own.taken[-1].event_id}}, ""))
        own.owner.done("resp_2")
    assert ([], False) == (own.asks(), own.owner.is_busy)


@pytest.mark.parametrize("by_server", [True, False])
def test_caller_takes_the_floor_while_it_is_active(own: Owner, by_server: bool) -> None:  # noqa: FBT001 - a table
    """It is muted; cancelled by us only if the server does not; nothing is asked for before its end."""
    own.owner.want(Wish(Kind.ANSWER))
    own.created("resp", own.asks()[0])

    own.owner.interrupt(1.0, by_server=by_server)
    own.owner.interrupt(1.1, by_server=by_server)
    own.owner.want(Wish(Kind.ANSWER))

    assert ([] if by_server else ["resp"]) == own.cancels()
    assert own.owner.is_muted("resp")
    assert [] == own.asks()
    assert 1.0 + CANCELLED_WITHIN_S == own.deadlines.next
    own.owner.done("resp")
    assert 1 == len(own.asks())


def test_end_of_a_cancelled_response_gets_lost(own: Owner) -> None:
    """It is waited for no longer than five seconds."""
    own.owner.want(Wish(Kind.ANSWER))
    own.created("resp", own.asks()[0])
    own.owner.interrupt(1.0, by_server=True)

    assert not own.owner.overdue("response.cancelled", 6.0)
    assert None is own.owner.active


def test_next_response_begins_before_the_end_of_a_cancelled_one(own: Owner) -> None:
    """The time limit of the old one does not hit the new one."""
    own.owner.want(Wish(Kind.ANSWER))
    own.created("resp", own.asks()[0])
    own.owner.interrupt(1.0, by_server=True)

    own.created("resp_2", now=2.0)

    assert not own.deadlines.is_set("response.cancelled")
    assert 2.0 + PROGRESS_WITHIN_S == own.deadlines.next


def test_create_is_refused_while_another_response_is_active(own: Owner) -> None:
    """A fact: it is asked for again when that one is done."""
    own.owner.want(Wish(Kind.SAY, "Hello."))
    (create,) = own.asks()
    own.owner.server_may_create = True
    own.created("resp")

    assert Refusal.LATER is own.owner.refused(create.event_id, ACTIVE, 1.0)

    assert [] == own.asks()
    own.owner.done("resp")
    assert 1 == len(own.asks())


def test_create_is_refused_for_a_response_that_has_ended(own: Owner) -> None:
    """It is tried again after a while."""
    own.owner.want(Wish(Kind.SAY, "Hello."))
    (create,) = own.asks()

    assert Refusal.LATER is own.owner.refused(create.event_id, ACTIVE, 1.0)

    assert ([], 1.0 + RETRY_AFTER_S) == (own.asks(1.0), own.deadlines.next)
    assert not own.owner.overdue("response.retry", 1.5)
    assert 1 == len(own.asks(1.5))


@pytest.mark.parametrize(
    ("event_id", "code", "refusal"),
    [
        ("ours", "rate_limit_exceeded", Refusal.FAILED),
        ("ours", None, Refusal.FAILED),
        ("ours", ACTIVE, Refusal.LATER),
        (None, ACTIVE, Refusal.LATER),
        ("", ACTIVE, Refusal.LATER),
        (None, "invalid_value", Refusal.NOT_OURS),
        ("truncate-1", "invalid_value", Refusal.NOT_OURS),
        ("truncate-1", ACTIVE, Refusal.NOT_OURS),
        (None, None, Refusal.NOT_OURS),
    ],
)
def test_server_refuses_something(own: Owner, event_id: str | None, code: str | None, refusal: Refusal) -> None:
    """Only what is about our create is; the wish stays wished."""
    own.owner.want(Wish(Kind.SAY, "Hello."))
    (create,) = own.asks()

    assert refusal is own.owner.refused(create.event_id if event_id == "ours" else event_id, code, 1.0)

    assert own.owner.wants(Kind.SAY)


def test_nothing_was_asked_for_when_something_is_refused(own: Owner) -> None:
    """It is not ours."""
    assert Refusal.NOT_OURS is own.owner.refused("", ACTIVE, 0.0)
    assert Refusal.NOT_OURS is own.owner.refused(None, ACTIVE, 0.0)


def test_response_never_begins(own: Owner) -> None:
    """After some seconds the session is lost."""
    own.owner.want(Wish(Kind.ANSWER))
    own.asks(1.0)

    assert 1.0 + CREATED_WITHIN_S == own.deadlines.next
    assert own.owner.overdue("response.created", 11.0)


def test_response_shows_no_sign_of_life(own: Owner) -> None:
    """After some seconds the session is lost; any sign prolongs it."""
    own.owner.want(Wish(Kind.ANSWER))
    own.created("resp", own.asks()[0])
    own.owner.progressed(10.0)

    assert not own.owner.overdue("response.progress", 15.0)
    assert 10.0 + PROGRESS_WITHIN_S == own.deadlines.next
    assert own.owner.overdue("response.progress", 25.0)


@pytest.mark.parametrize("server_may_create", [True, False])
def test_server_hands_no_metadata_back(own: Owner, server_may_create: bool) -> None:  # noqa: FBT001 - a table
    """A response is ours unless one of the server's own is due, which comes first."""
    own.owner.want(Wish(Kind.SAY, "Hello."))
    own.asks()
    own.owner.server_may_create = server_may_create

    own.owner.created(Response("resp"), 0.0)

    assert own.owner.active is not None
    assert (own.owner.active.wish is None) is server_may_create


def test_another_response_ends(own: Owner) -> None:
    """The one that is active goes on."""
    own.created("resp")

    assert None is own.owner.done("resp_unknown")
    assert own.owner.is_busy


def test_wish_is_given_up(own: Owner) -> None:
    """Only those that are not yet asked for can be."""
    own.owner.want(Wish(Kind.NUDGE))
    own.owner.want(Wish(Kind.SAY, "Hello."))

    own.owner.forget(Kind.NUDGE)

    assert (False, True, Kind.SAY) == (own.owner.wants(Kind.NUDGE), own.owner.wants(Kind.SAY), own.owner.next_kind)


def is_asked(own: Owner) -> None:
    """Not yet begun."""
    own.owner.want(Wish(Kind.SAY, "Hello."))
    own.asks()


def is_active(own: Owner) -> None:
    """Begun, and at work."""
    own.created("resp")


def is_cut(own: Owner) -> None:
    """Begun, and cancelled."""
    own.created("resp")
    own.owner.interrupt(0.0, by_server=False)


def is_refused(own: Owner) -> None:
    """For the sake of a response that nobody has told us of."""
    is_asked(own)
    own.owner.refused(None, ACTIVE, 0.0)


@pytest.mark.parametrize(
    ("state", "name", "within_s"),
    [
        (is_asked, "response.created", CREATED_WITHIN_S),
        (is_active, "response.progress", PROGRESS_WITHIN_S),
        (is_cut, "response.cancelled", CANCELLED_WITHIN_S),
        (is_refused, "response.retry", RETRY_AFTER_S),
    ],
)
def test_call_comes_back_from_where_nothing_was_waited_for(
    own: Owner, state: Callable[[Owner], None], name: str, within_s: float
) -> None:
    """What was under way when it left is waited for anew, each within its own time: its end may have been lost."""
    state(own)
    own.deadlines.clear_all()

    own.owner.watch_again(20.0)

    assert (True, 20.0 + within_s) == (own.deadlines.is_set(name), own.deadlines.next)
