"""Each fault that the doctor knows, put in one at a time: it is found, by its own check, and by no other."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from bridge.clock import Clock
from bridge.doctor.findings import Level
from bridge.rehearsal.carrier import Notice
from bridge.rehearsal.carrier.account import AccountBook, Permission
from tests.integration.doctor.conftest import LINE, World, ill
from tests.proxy import Head, Proxy, asking, listening, without
from tests.support import free_port

FAILED, WARNING = Level.FAILED, Level.WARNING
MOVED = b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://www.example.com/\r\nContent-Length: 0\r\n\r\n"


async def test_whole_that_is_well_has_no_findings(world: World) -> None:
    """Every check but those of the fast door is made, and what is measured stands in it."""
    found = await world.examined()

    assert {} == ill(found)
    assert [] == [name for name, findings in found.items() if Level.SKIPPED in {one.level for one in findings}]
    assert "no bridge runs here" in found["bridge"][0].message
    assert {"open_ms", "round_trip_ms"} == set(found["model"][0].facts)


def lose(*headers: str) -> Callable[[World], None]:
    """Let the proxy take headers off."""

    def put_in(world: World) -> None:
        world.proxy.change = without(*headers)

    return put_in


def ask(change: Callable[[str], str]) -> Callable[[World], None]:
    """Let the proxy change the request line."""

    def put_in(world: World) -> None:
        world.proxy.change = asking(change)

    return put_in


def answer(head: str, body: str = "") -> Callable[[World], None]:
    """Let the proxy answer by itself."""

    def put_in(world: World) -> None:
        world.proxy.answer = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    return put_in


def settle(table: str, **values: object) -> Callable[[World], None]:
    """Change settings."""
    return lambda world: world.tables.setdefault(table, {}).update(values)


def number(**values: object) -> Callable[[World], None]:
    """Change whom the number asks."""

    def put_in(world: World) -> None:
        for key, value in values.items():
            setattr(world.carrier.account.numbers[LINE], key, value)

    return put_in


def account(**values: object) -> Callable[[World], None]:
    """Change the account."""

    def put_in(world: World) -> None:
        for key, value in values.items():
            setattr(world.carrier.account, key, value)

    return put_in


def cut_silence(world: World) -> None:
    """Let the proxy close a connection on which nothing is answered, as nginx does after a minute."""
    world.proxy.idle_s = 0.3


def another_form(world: World) -> None:
    """Let the proxy change the body, in as many bytes."""
    world.proxy.body = lambda body: body.replace(b"Text=a%2Bb", b"Text=a%20b")


def another_host(head: Head) -> Head:
    """The host that a proxy calls the bridge by."""
    return ["Host: bridge.internal" if line.lower().startswith("host:") else line for line in head]


def another_agent(**values: object) -> Callable[[World], None]:
    """Change the agent."""
    return lambda world: world.tables["agents"]["reception"].update(values)


def warned(world: World) -> None:
    """Let Twilio have logged what it logs in a bad day, and what it logs in any."""
    for code in (31920, 31921, 31920, 99999):
        world.carrier.notice(Notice(code, "said +15550100001", "", 0.0))


def other_line(world: World) -> None:
    """Give a line to a number that is none of the account's."""
    world.tables["lines"]["+15559999999"] = {"agent": "reception"}


def only_default(world: World) -> None:
    """Leave the number to the default line, and let it ask nobody."""
    del world.tables["lines"][LINE]
    number(voice_url="")(world)


FAULTS = {
    # what lies between
    "nobody behind the proxy": (answer("502 Bad Gateway"), {"public address", "media stream"}, "cannot reach"),
    "another website": (answer("200 OK", "<html>"), {"public address", "media stream"}, "answers itself"),
    "nothing at the path": (answer("404 Not Found"), {"public address", "media stream"}, "no bridge with this auth"),
    "a password": (answer("401 Unauthorized"), {"public address", "media stream"}, "asks for a password"),
    "a firewall": (answer("403 Forbidden"), {"public address", "media stream"}, "forbids it"),
    "a redirect": (
        lambda world: setattr(world.proxy, "answer", MOVED),
        {"public address", "media stream"},
        "redirects to https://www.example.com/",
    ),
    "the path is changed": (
        ask(lambda line: line.replace("/twiml/", "/TwiML/").replace("/media/", "/ws/")),
        {"public address", "media stream"},
        "no bridge with this auth",
    ),
    "the query is sorted": (
        ask(lambda line: line.replace("?z=1&a=2", "?a=2&z=1")),
        {"public address"},
        "changes the query",
    ),
    "the query is decoded": (ask(lambda line: line.replace("%7e", "~")), {"public address"}, "changes the query"),
    "the method is changed": (
        ask(lambda line: line.replace("POST", "GET")),
        {"public address"},
        "changes the method: POST arrives as GET",
    ),
    "the form is changed": (another_form, {"public address"}, "changes the form"),
    "the signature is taken off": (
        lose("x-twilio-signature"),
        {"public address", "media stream"},
        "signature_missing",
    ),
    "no WebSockets": (lose("upgrade", "connection"), {"media stream"}, "takes the Upgrade header off"),
    "silence is cut": (cut_silence, {"idle connection"}, "is closed after"),
    # the account
    "a wrong token": (
        lambda world: setattr(world.carrier, "auth_token", "another"),
        {"account"},
        "does not take the credentials",
    ),
    "a suspended account": (account(status="suspended"), {"account"}, "is suspended"),
    "a trial": (account(kind="Trial"), {"account"}, "is a trial"),
    "the number asks somebody else": (number(voice_url="https://old.example.com/"), {"numbers"}, "asks https://old"),
    "the number asks by GET": (number(voice_method="GET"), {"numbers"}, "by GET"),
    "an application": (number(voice_application_sid="AP" + "3" * 32), {"numbers"}, "asks AP333"),
    "a trunk": (number(trunk_sid="TK" + "3" * 32), {"numbers"}, "does not ask this bridge"),
    "no fallback": (number(voice_fallback_url=""), {"numbers"}, "no fallback URL"),
    "callbacks elsewhere": (number(status_callback=""), {"numbers"}, "its status callback lead elsewhere"),
    "a line of nobody": (other_line, {"numbers"}, "is no number of the account"),
    "no number at all": (only_default, {"numbers"}, "no number of the account asks this bridge"),
    "a country": (
        account(countries=[Permission("US", "United States", ("+1",), is_allowed=False)]),
        {"destinations"},
        "may not call United States",
    ),
    "a number of no country": (
        settle("destinations", sales={"to": "+99912345678"}),
        {"destinations"},
        "no country's numbers begin like that",
    ),
    "a stranger's caller id": (
        settle("destinations", sales={"to": "+15557654321", "caller_id": "+15558888888"}),
        {"destinations"},
        "neither a number of the account",
    ),
    "alerts": (warned, {"alerts"}, "error 31920 2 times in the last day: the media stream's handshake"),
    "a clock that is ahead": (
        lambda world: setattr(world, "wall", lambda: time.time() + 90),
        {"clock"},
        "ahead of the carrier's",
    ),
    # the model
    "a wrong key": (settle("model", api_key="another"), {"model"}, "does not take the key (HTTP 401, invalid_api_key)"),
    "a wrong model": (settle("model", name="gpt-realtime-9"), {"model"}, "does not know the model"),
    "the beta dialect": (settle("model", dialect="beta"), {"model"}, "does not speak the beta dialect any more"),
    "nobody at the address": (
        lambda world: world.tables["model"].update(url=f"ws://localhost:{free_port()}/v1/realtime"),
        {"model"},
        "cannot be reached",
    ),
    "no such voice": (another_agent(params={"speed": 1.5}, voice="nobody"), {"model"}, "refuses the session"),
    "a standby with a wrong key": (
        lambda world: world.tables["model"].update(standby=world.tables["model"] | {"api_key": "another"}),
        {"model"},
        "the standby of reception does not take the key",
    ),
    # this machine
    "no such time zone": (
        settle("lines", default={"agent": "reception", "hours": "Mo-Fr 08:00-18:00 Europe/Nowhere"}),
        {"time zones"},
        "Europe/Nowhere is not known",
    ),
    "records cannot be written": (settle("storage", url="sqlite:////proc/calls.db"), {"storage"}, "cannot be written"),
    "tapes cannot be written": (settle("tape", directory="/proc/tapes"), {"files"}, "cannot be written"),
    "too few files": (settle("limits", max_calls=90_000), {"files"}, "may be open at once"),
    "no database": (
        settle("storage", url="postgresql://bot:a-secret@localhost:9/calls"),
        {"storage"},
        "the database at localhost cannot be used",
    ),
    "no Redis": (
        settle("shared", url="redis://:a-secret@localhost:9"),
        {"shared"},
        "Redis at localhost cannot be used",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_is_found_by_its_own_check_alone(world: World, name: str) -> None:
    """The way out stands beside it, and no secret does."""
    put_in, expected, says = FAULTS[name]
    put_in(world)

    found = ill(await world.examined())

    shown = "\n".join(f"{check}: {one.message} -> {one.way_out}" for check, of in found.items() for one in of)
    assert expected == set(found), shown
    assert says in shown
    assert all(one.way_out for findings in found.values() for one in findings)
    assert "a-secret" not in shown
    assert "+15550100001" not in shown


async def test_what_does_no_harm_is_no_finding(world: World) -> None:
    """A proxy may call the bridge by another name: no header has a say in a signature."""
    world.proxy.change = another_host

    found = await world.examined("public address", "media stream")

    assert {} == ill(found)
    assert "as Host: bridge.internal, which does no harm" in found["public address"][0].message


async def test_redirect_of_the_endpoint_is_not_followed(world: World) -> None:
    """No call follows it: it would take the key along."""
    elsewhere = f"HTTP/1.1 307 Elsewhere\r\nLocation: {world.model.url}\r\nContent-Length: 0\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(elsewhere.encode())

    async with listening(serve) as port:
        world.tables["model"] |= {"url": f"ws://127.0.0.1:{port}/v1/realtime"}
        ((found,),) = ill(await world.examined("model")).values()

    assert "HTTP 307" in found.message


def kept_alive(answered: bytes) -> bytes:
    """An answer to a handshake as some servers write it."""
    return re.sub(rb"(?i)connection: upgrade", b"Connection: keep-alive, Upgrade", answered)


@pytest.mark.parametrize("has_picows", [True, False])
async def test_answer_that_picows_does_not_take_is_found(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    has_picows: bool,  # noqa: FBT001 - drawn
) -> None:
    """The doctor's own session is opened by another client, which takes it; without picows calls' are, too."""
    if not has_picows:
        monkeypatch.setattr("picows.__version__", "1.16.0")

    answering = Proxy(to=urlsplit(world.model.url).port or 0, back=kept_alive)
    async with listening(answering.serve) as port:
        world.tables["model"] |= {"url": f"ws://127.0.0.1:{port}/v1/realtime"}
        found = ill(await world.examined("model"))

    said = [one.message for findings in found.values() for one in findings]
    assert has_picows == ("Connection: keep-alive, Upgrade" in "".join(said)), said


@pytest.mark.parametrize(("media_port", "level"), [(0, Level.WARNING), (9, Level.FAILED)], ids=["plain", "fast"])
async def test_picows_that_does_not_work_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch, media_port: int, level: Level
) -> None:
    """Calls go by `websockets`, if they can; the way out is said."""
    monkeypatch.setattr("picows.__version__", "1.16.0")
    world.tables["server"] |= {"media_port": media_port}
    ((found,),) = ill(await world.examined("extras")).values()

    assert level == found.level
    assert "picows 1.16.0 is too old" in found.message
    assert "pip install --force-reinstall 'voicebridge[fast]'" == found.way_out


async def test_doctor_says_what_carries_sessions(world: World) -> None:
    """It is decided by what is installed."""
    (found,) = (await world.examined("extras"))["extras"]

    assert "sessions go by picows" in found.message


async def test_permissions_that_may_not_be_asked_for_are_skipped(world: World) -> None:
    """A subaccount's token may lack them: what is not known is said to be not known."""
    world.carrier.account.products = False

    found = await world.examined("destinations", "alerts")

    assert [Level.SKIPPED, Level.SKIPPED] == [found["destinations"][0].level, found["alerts"][0].level]
    assert {} == ill(found)


async def test_account_of_many_numbers_is_asked_page_by_page(world: World) -> None:
    """A line on the third page is found."""
    world.carrier.account = AccountBook.of([f"+1555100{at:04}" for at in range(120)] + [LINE])
    world.point()

    assert {} == ill(await world.examined("numbers"))


@pytest.mark.parametrize(
    ("takes_s", "level", "says"), [(1.5, WARNING, "callers hear ringing"), (6, FAILED, "Twilio gives up after 15 s")]
)
async def test_slow_way_is_found(world: World, takes_s: float, level: Level, says: str) -> None:
    """On a clock that goes ten times as fast, as the proxy's time does."""
    world.clock = Clock(10)
    world.proxy.delay_s = takes_s / 10

    found = await world.examined("public address")

    assert level == found["public address"][0].level
    assert says in found["public address"][0].message
