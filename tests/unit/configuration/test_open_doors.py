"""No configuration leaves the bridge open to strangers: `insecure` is for this machine alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.configuration import Loaded

EVERYBODY = (
    *("0.0.0.0", "::", "::0", "0", "", "*", "bot.example.com", "localhost.example.com", "10.0.0.1", "192.168.1.2"),  # noqa: S104 - they are refused
    *("169.254.169.254", "fe80::1", "::ffff:10.0.0.1", "127.0.0.1.example.com", "0x7f000001", "127.1", " 127.0.0.1"),
)


@pytest.mark.parametrize("host", EVERYBODY)
def test_insecure_is_refused_on_an_address_that_others_may_reach(
    problems_of: Callable[..., list[str]], host: str
) -> None:
    """And on whatever is not plainly an address of this machine."""
    found = problems_of(f'[server]\nhost = "{host}"\n[twilio]\ninsecure = true\n')

    assert any(problem.startswith("twilio.insecure: is allowed on loopback only") for problem in found)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_insecure_is_accepted_on_this_machine(load_text: Callable[..., Loaded], host: str) -> None:
    """For rehearsals."""
    loaded = load_text(f'[server]\nhost = "{host}"\n[twilio]\ninsecure = true\n')

    assert loaded.settings.twilio.insecure


def test_insecure_behind_a_public_address_is_doubted(load_text: Callable[..., Loaded]) -> None:
    """A tunnel makes everybody a visitor from this machine."""
    loaded = load_text('[server]\npublic_url = "https://bot.example.com"\n[twilio]\ninsecure = true\n')

    assert ["twilio.insecure"] == [notice.key for notice in loaded.warnings]
