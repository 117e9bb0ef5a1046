"""`voicebridge number`: the account's numbers at a carrier that takes and refuses what Twilio does."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.clock import Clock
from bridge.rehearsal.carrier import Carrier
from bridge.rehearsal.carrier.account import AccountBook

ACCOUNT, TOKEN = "AC" + "1" * 32, "2" * 32
MAIN, SALES, OTHER = "+15551230000", "+15551230001", "+15551230009"
ANSWER = "https://bot.example.com/twiml/answer"
STATIC = "https://static.example.com/fallback.xml"


@pytest.fixture
async def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Carrier]:
    """A carrier with three numbers, of which the bridge's settings, in the working directory, name two."""
    carrier = Carrier(account_sid=ACCOUNT, auth_token=TOKEN, clock=Clock(), numbers=[MAIN, SALES, OTHER])
    async with carrier:
        (tmp_path / "bridge.toml").write_text(
            f'server.public_url = "https://bot.example.com"\n'
            f'twilio = {{account_sid = "{ACCOUNT}", auth_token = "{TOKEN}", api_url = "{carrier.api_url}"}}\n'
            f'lines = {{default = "reception", "{MAIN}" = "reception", "{SALES}" = "reception"}}\n'
        )
        monkeypatch.chdir(tmp_path)
        yield carrier


async def number(*arguments: str) -> int:
    """Run the command, in a thread: the carrier has to answer it meanwhile."""
    return await asyncio.to_thread(main, ["number", *arguments])


def asked(carrier: Carrier, number: str) -> tuple[str, str, str]:
    """Whom a number asks."""
    own = carrier.account.numbers[number]
    return own.voice_url, own.voice_fallback_url, own.status_callback


async def test_lines_are_pointed_at_the_bridge_after_what_changes_is_shown(
    carrier: Carrier, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of `[lines]` and no others; a second time there is nothing to do."""
    carrier.account.numbers[MAIN].voice_url = "https://old.example.com/voice"
    carrier.account.numbers[MAIN].voice_method = "GET"

    first = await number("point", "--yes")
    shown = capsys.readouterr().out
    again = await number("point")

    assert (0, 0) == (first, again)
    assert "  - voice URL         https://old.example.com/voice (GET)\n" in shown
    assert f"  + voice URL         {ANSWER}\n" in shown
    base = "https://bot.example.com/twiml"
    assert (
        (f"{base}/answer", f"{base}/fallback", f"{base}/call-status") == asked(carrier, MAIN) == asked(carrier, SALES)
    )
    assert "POST" == carrier.account.numbers[MAIN].voice_method
    assert ("", "", "") == asked(carrier, OTHER)
    assert f"{MAIN}  is as it should be\n{SALES}  is as it should be\n" == capsys.readouterr().out


async def test_fallback_may_be_elsewhere(carrier: Carrier) -> None:
    """What is hosted elsewhere does not fail with the bridge."""
    assert 0 == await number("point", MAIN, "--fallback-url", STATIC, "--yes")

    assert STATIC == carrier.account.numbers[MAIN].voice_fallback_url
    assert "" == carrier.account.numbers[SALES].voice_url


async def test_nothing_changes_without_a_yes(carrier: Carrier, capsys: pytest.CaptureFixture[str]) -> None:
    """No terminal and no `--yes`: what would change is shown, and the exit code says that it has not."""
    code = await number("point")

    output = capsys.readouterr()
    assert (2, "Nothing was changed: say --yes to change this.\n") == (code, output.err)
    assert f"+ voice URL         {ANSWER}" in output.out
    assert ("", "", "") == asked(carrier, MAIN)


@pytest.mark.parametrize(("answer", "code", "url"), [("y", 0, ANSWER), ("", 1, "")])
async def test_terminal_is_asked(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, url: str
) -> None:
    """Only a yes is a yes."""
    terminal = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)

    assert code == await number("point")
    assert url == carrier.account.numbers[MAIN].voice_url


async def test_application_in_the_way_is_taken_off(carrier: Carrier, capsys: pytest.CaptureFixture[str]) -> None:
    """Twilio would ask it instead; that it goes is shown like any change."""
    carrier.account.numbers[MAIN].voice_application_sid = "AP" + "3" * 32

    assert 0 == await number("point", MAIN, "--yes")

    assert "- TwiML application AP33" in capsys.readouterr().out
    assert ("", ANSWER) == (
        carrier.account.numbers[MAIN].voice_application_sid,
        carrier.account.numbers[MAIN].voice_url,
    )


@pytest.mark.parametrize(("fault", "says"), [("trunk", "SIP trunk TK44"), ("messages", "messages only")])
async def test_number_that_no_url_helps_is_left_alone(
    carrier: Carrier, capsys: pytest.CaptureFixture[str], fault: str, says: str
) -> None:
    """It is named with the way out, the others are pointed, and the exit code tells."""
    own = carrier.account.numbers[MAIN]
    own.trunk_sid = "TK" + "4" * 32 if fault == "trunk" else ""
    own.takes_calls = fault != "messages"

    assert 1 == await number("point", "--yes")

    assert f"{MAIN}  cannot be pointed: " in (shown := capsys.readouterr().out)
    assert says in shown
    assert ["", ANSWER] == [own.voice_url, carrier.account.numbers[SALES].voice_url]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["+15559999999"], f"+15559999999 is no number of {ACCOUNT}: voicebridge number list shows which are\n"),
        (["5551230000"], "'5551230000' is not a phone number in E.164 form, such as +15551230000\n"),
        ([MAIN, "--fallback-url", "fallback.xml"], "--fallback-url must be an address of the form https://HOST/PATH\n"),
    ],
    ids=["of somebody else", "not a number", "no address"],
)
async def test_wrong_argument_changes_nothing(
    carrier: Carrier, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """One sentence, and nothing is half done."""
    assert 2 == await number("point", *arguments, "--yes")

    assert says == capsys.readouterr().err
    assert "" == carrier.account.numbers[MAIN].voice_url


async def test_wrong_token_is_told(carrier: Carrier, capsys: pytest.CaptureFixture[str]) -> None:
    """Twilio's refusal, without the token."""
    carrier.auth_token = "another"

    assert 1 == await number("list")

    assert (
        "voicebridge: Twilio: Authenticate (HTTP 401, code 20003) voicebridge doctor tells more.\n"
        == capsys.readouterr().err
    )


async def test_line_of_another_account_is_named(carrier: Carrier, capsys: pytest.CaptureFixture[str]) -> None:
    """It may come from a trunk or from elsewhere; whoever mistyped it sees it."""
    del carrier.account.numbers[SALES]

    assert 0 == await number("point", "--yes")

    assert f"{SALES}  stands in [lines] and is no number of this account: left alone\n" == capsys.readouterr().err


async def test_numbers_are_shown_with_whom_they_ask(carrier: Carrier, capsys: pytest.CaptureFixture[str]) -> None:
    """All of the account, over as many pages as there are; for machines too."""
    carrier.account = AccountBook.of([f"+1555123{at:04}" for at in range(120)])
    await number("point", MAIN, "--yes")
    carrier.account.numbers[SALES].trunk_sid = "TK" + "4" * 32
    capsys.readouterr()

    await number("list")
    text = capsys.readouterr().out
    await number("list", "--json")
    numbers = json.loads(capsys.readouterr().out)["numbers"]

    assert text.startswith(f"{MAIN}  answered by this bridge, agent reception\n    voice URL       {ANSWER}\n")
    assert f"{SALES}  goes to a SIP trunk\n" in text
    assert ["here", "trunk", "nobody"] == [one["state"] for one in numbers[:3]]
    assert 120 == len(numbers)
