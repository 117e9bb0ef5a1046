"""Which client carries sessions, and the way out that the environment names for them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bridge.edge.model_client import OLDEST_PICOWS
from bridge.edge.model_fast import proxy_of

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy", "socks_proxy")


def test_oldest_picows_is_the_one_that_the_extra_asks_for() -> None:
    """One that is older cannot do what is asked of it."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert [f"picows>={'.'.join(map(str, OLDEST_PICOWS))}"] == project["optional-dependencies"]["fast"]


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("wss://model.test/v1", {}, None),
        ("wss://model.test/v1", {"https_proxy": "http://proxy.test:3128"}, "http://proxy.test:3128"),
        ("wss://model.test/v1", {"http_proxy": "http://proxy.test:3128"}, None),
        ("ws://model.test/v1", {"http_proxy": "http://proxy.test:3128"}, "http://proxy.test:3128"),
        ("wss://model.test/v1", {"https_proxy": "http://proxy.test:3128", "no_proxy": "model.test:443"}, None),
        ("wss://model.test/v1", {"https_proxy": "socks5h://proxy.test:1080"}, "socks5://proxy.test:1080"),
    ],
)
def test_environment_names_a_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, environ: dict[str, str], proxy: str | None
) -> None:
    """The same as `websockets` takes; `no_proxy` may name the port that an address leaves to its scheme."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    proxy_of.cache_clear()

    assert proxy == proxy_of(url)
