"""What a running bridge takes of settings that are read anew, and what it refuses as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.app import complete
from bridge.configuration import ConfigurationErrors
from bridge.reloading import adopted
from bridge.settings import Settings

GIVEN: dict[str, Any] = {"agents": {"a": {"voice": "marin"}}, "lines": {"default": {"agent": "a"}}}


def settings(**tables: object) -> Settings:
    """The settings of a bridge for rehearsals, with other tables over them."""
    return Settings.model_validate(GIVEN | tables)


@pytest.mark.parametrize(
    "tables",
    [
        {"agents": {"a": {"voice": "cedar"}, "b": {}}},
        {"lines": {"default": {"agent": "a", "hours": "Mo-Fr 08:00-18:00"}}},
        {"destinations": {"sales": {"to": "+15557654321"}}},
        {"functions": {"look_up": {"url": "https://shop.example.com/"}}},
        {"fallback": {"say": "Sorry."}},
        {"limits": {"max_calls": 5}},
        {"model": {"name": "gpt-realtime-2.1-mini"}},
    ],
    ids=lambda tables: next(iter(tables)),
)
def test_table_that_calls_go_by_is_taken(tables: dict[str, Any]) -> None:
    """New calls go by it."""
    given, new = settings(), settings(**tables)
    (table,) = tables

    took = adopted(given, complete(given), new)

    assert getattr(new, table) == getattr(took, table)


@pytest.mark.parametrize(
    ("tables", "keys"),
    [
        ({"server": {"port": 9090}}, ["server.port"]),
        (
            {"server": {"public_url": "https://a.example.com", "media_port": 9}},
            ["server.media_port", "server.public_url"],
        ),
        ({"twilio": {"account_sid": "AC1"}}, ["twilio.account_sid"]),
        ({"storage": {"url": "sqlite:///other.db"}}, ["storage.url"]),
        ({"tape": {"record": True}}, ["tape.record"]),
        ({"limits": {"max_message_bytes": 9000}}, ["limits.max_message_bytes"]),
        ({"model": {"provider": "openai", "api_key": "sk"}}, ["model.provider"]),
    ],
)
def test_what_is_built_in_at_start_refuses_the_whole(tables: dict[str, Any], keys: list[str]) -> None:
    """Every such key is named, and what could be changed beside it is not."""
    given, new = settings(), settings(fallback={"say": "Sorry."}, **tables)

    with pytest.raises(ConfigurationErrors) as refused:
        adopted(given, complete(given), new)

    assert keys == [problem.key for problem in refused.value.problems]
    assert "restart it" in str(refused.value)


def test_what_was_made_up_at_start_stays() -> None:
    """A bridge for rehearsals keeps its tokens: carriers and operators have them."""
    running = complete(settings())

    took = adopted(settings(), running, settings(fallback={"say": "Sorry."}))

    assert (running.twilio.auth_token, running.server) == (took.twilio.auth_token, took.server)


def test_auth_token_may_be_rotated() -> None:
    """It is the secret that leaks first."""
    given, new = (settings(twilio={"account_sid": "AC1", "auth_token": token}) for token in ("old", "new"))

    assert "new" == adopted(given, complete(given), new).twilio.auth_token.get_secret_value()
