"""The compose file: what it tells the bridge is what the bridge understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.configuration import load

ROOT = Path(__file__).parents[2]
SECRETS = {
    "storage_url": "postgresql://bridge:pass@postgres/bridge",
    "twilio_auth_token": "0123456789abcdef0123456789abcdef",
    "openai_api_key": "sk-of-a-test",
}
FILE = """
[twilio]
account_sid = "AC00000000000000000000000000000000"
[model]
provider = "openai"
[agents.reception]
instructions = "You answer the phone."
[lines]
default = "reception"
"""


@pytest.fixture
def services() -> Any:  # noqa: ANN401 - as YAML has it
    """The services of the compose file."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_bridge_starts_with_the_environment_of_the_compose_file(services: Any, tmp_path: Path) -> None:  # noqa: ANN401 - YAML
    """Public address, fast door and every secret arrive; there is nothing that it does not know."""
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(f"{secret}\n", encoding="utf-8")
    (tmp_path / "bridge.toml").write_text(FILE, encoding="utf-8")
    environment = {
        name: value.replace("/run/secrets", str(tmp_path)).replace("${DOMAIN:?say DOMAIN=bot.example.com}", "bot.test")
        for name, value in services["bridge"]["environment"].items()
    }
    settings = load(tmp_path / "bridge.toml", environment).settings

    assert "https://bot.test" == settings.server.public_url
    assert 8081 == settings.server.media_port
    assert list(SECRETS.values()) == [
        settings.storage.url.get_secret_value(),
        settings.twilio.auth_token.get_secret_value(),
        settings.model.api_key.get_secret_value(),
    ]


def test_calls_are_given_the_time_to_end_that_the_bridge_gives_them(services: Any) -> None:  # noqa: ANN401 - YAML
    """Ten seconds, which is the default, would cut every live call."""
    drain_s = load(None, {}).settings.server.drain_s

    for name in ("bridge", "proxy"):
        assert drain_s < int(services[name]["stop_grace_period"].removesuffix("s"))


def test_proxy_knows_both_ports_of_the_bridge(services: Any) -> None:  # noqa: ANN401 - YAML
    """Webhooks go to the one, media streams to the other."""
    caddyfile = (ROOT / "ops" / "caddy" / "Caddyfile").read_text(encoding="utf-8")
    media_port = services["bridge"]["environment"]["BRIDGE_SERVER__MEDIA_PORT"]

    assert f":{media_port}" in caddyfile
    assert ":8080" in caddyfile
