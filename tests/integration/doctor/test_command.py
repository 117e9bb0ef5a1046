"""`voicebridge doctor` beside a bridge that runs, beside none, beside something else; and behind a real nginx."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from bridge import children
from bridge.app import Bridge
from bridge.cli import main
from bridge.doctor.codes import CODES
from bridge.doctor.findings import Level
from bridge.settings import Settings
from tests.integration.doctor.conftest import ACCOUNT, LINE, MODEL_KEY, TOKEN, World, ill
from tests.support import free_port

NGINX = shutil.which("nginx")
SITE = """
daemon off; error_log stderr; pid {folder}/nginx.pid; events {{}}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ proxy_pass http://127.0.0.1:{to}; {more} }}
  }}
}}
"""
UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'


def file(world: World) -> Path:
    """The settings as an operator has them."""
    path = world.folder / "bridge.toml"
    server, twilio, model = (world.tables[name] for name in ("server", "twilio", "model"))
    path.write_text(
        f'server = {{port = {server["port"]}, public_url = "{server["public_url"]}"}}\n'
        f'twilio = {{account_sid = "{ACCOUNT}", auth_token = "{TOKEN}", api_url = "{twilio["api_url"]}"}}\n'
        f'model = {{provider = "compatible", url = "{model["url"]}", api_key = "{MODEL_KEY}"}}\n'
        f'agents.reception.instructions = "Be brief."\nlines = {{default = "reception", "{LINE}" = "reception"}}\n'
        f'storage.url = "sqlite:///{world.folder}/calls.db"\n'
    )
    return path


async def doctor(world: World, *arguments: str) -> int:
    """Run the command, in a thread: carrier, proxy and model have to answer it meanwhile."""
    return await asyncio.to_thread(main, ["doctor", "--config", str(file(world)), "--quick", *arguments])


async def test_line_that_is_well_needs_nothing_done(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each check, and exit code 0."""
    code = await doctor(world)

    output = capsys.readouterr().out
    assert 0 == code, output
    assert "ok       public address: a webhook arrives here as it was sent, in " in output
    assert f"ok       numbers: {LINE} asks this bridge\n" in output
    assert "skipped  idle connection: left out by --quick\n" in output
    assert "->" not in output


async def test_fault_makes_the_exit_code_1(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """With the way out under it; machines get the same."""
    world.carrier.account.numbers[LINE].voice_url = ""

    text_code, text = await doctor(world), capsys.readouterr().out
    json_code, checks = await doctor(world, "--json"), json.loads(capsys.readouterr().out)["checks"]

    assert (1, 1) == (text_code, json_code)
    assert f"FAILED   numbers: {LINE} asks nobody when it is called, not this bridge\n" in text
    assert f"           -> voicebridge number point {LINE}\n" in text
    assert ["failed"] == [one["level"] for one in checks if one["check"] == "numbers"]


@pytest.mark.parametrize("code", [31920, 31921, 31924, 31941, 31951, 11200, 11205, 12100, 12300])
async def test_code_of_twilio_is_explained(capsys: pytest.CaptureFixture[str], code: int) -> None:
    """Its cause here, the way out, and Twilio's own page; no settings are needed."""
    assert 0 == await asyncio.to_thread(main, ["doctor", str(code)])

    output = capsys.readouterr().out
    assert output.startswith(f"{code}: {CODES[code].meaning}.\n  do: ")
    assert f"https://www.twilio.com/docs/api/errors/{code}\n" in output


async def test_code_that_is_not_known_leads_to_twilios_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made up about it."""
    assert 0 == await asyncio.to_thread(main, ["doctor", "--code", "60200"])

    assert "60200: not one that a voice bot is known to meet; see https://" in capsys.readouterr().out


@asynccontextmanager
async def running(world: World, **server: object) -> AsyncIterator[Bridge]:
    """A bridge with the world's settings, or others for its server."""
    settings = Settings.model_validate(world.tables | {"server": world.tables["server"] | server})
    async with Bridge(settings) as bridge:
        yield bridge


async def test_bridge_that_runs_is_asked_itself(world: World) -> None:
    """Nothing is started in its place, and its socket is held like a call's."""
    async with running(world):
        found = await world.examined()

    assert {} == ill(found)
    assert "a bridge with these settings runs here" == found["bridge"][0].message


async def test_bridge_that_runs_with_another_address_is_told(world: World) -> None:
    """It would believe no signature that is made for the new one."""
    async with running(world, public_url="https://old.example.com"):
        found = await world.examined("public address", "media stream", "idle connection")

    assert {"public address", "media stream"} == set(ill(found))
    assert "takes itself for https://old.example.com" in found["public address"][0].message


async def test_another_bridge_behind_the_address_is_told(world: World) -> None:
    """Several may share it; one that is forgotten would take the calls."""
    other = free_port()
    async with running(world), running(world, port=other):
        world.proxy.to = other
        found = await world.examined("public address")

    assert [Level.WARNING] == [one.level for one in found["public address"]]
    assert "another bridge with the same auth token" in found["public address"][0].message


async def test_stranger_on_the_port_is_told(world: World) -> None:
    """Nothing is asked through it, and nothing of the account is shown to it."""
    with socket.create_server(("127.0.0.1", world.tables["server"]["port"])):
        found = await world.examined("public address", "media stream", "idle connection", "numbers")

    assert {"bridge"} == set(ill(found))


async def test_stranger_learns_nothing_from_the_probe(world: World) -> None:
    """Without proof of the token there is nothing at its addresses."""
    async with running(world) as bridge:
        client = asyncio.open_connection("127.0.0.1", bridge.port)
        reader, writer = await client
        writer.write(b"GET /twiml/probe HTTP/1.1\r\nHost: x\r\nX-Voicebridge-Probe: 1.2\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"identity" not in answer


@asynccontextmanager
async def nginx(world: World, more: str) -> AsyncIterator[None]:
    """A real nginx before the bridge, at a new public address."""
    port = free_port()
    certificate = world.authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(world.folder / "key.pem")
    for part in certificate.cert_chain_pems:
        part.write_to_path(world.folder / "chain.pem", append=True)
    site = world.folder / "nginx.conf"
    site.write_text(SITE.format(folder=world.folder, port=port, to=world.tables["server"]["port"], more=more))
    process = await asyncio.create_subprocess_exec(str(NGINX), "-c", str(site), "-p", str(world.folder))
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        world.tables["server"]["public_url"] = f"https://localhost:{port}"
        world.point()
        yield
    finally:
        children.send_signal(process, signal.SIGTERM)
        await process.wait()


@pytest.mark.skipif(NGINX is None, reason="no nginx on this machine")
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (UPGRADE + " proxy_read_timeout 1h;", set()),
        ("", {"media stream"}),
        (UPGRADE + " proxy_read_timeout 1s;", set()),
    ],
    ids=["as it should be", "as it comes", "impatient, but kept awake by the caller's sound"],
)
async def test_nginx_is_judged(world: World, more: str, expected: set[str]) -> None:
    """As it comes it passes no WebSocket on; its patience is with both directions together, so that one will do."""
    world.hold_s = 1.7
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(nginx(world, more))
        found = await world.examined("public address", "media stream", "idle connection")

    assert expected == set(ill(found))
