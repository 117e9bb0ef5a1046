"""Certificates that Twilio refuses, on a real server: each is told apart, and stops no other check."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from bridge.doctor.findings import Finding, Level
from tests.integration.doctor.conftest import World, ill
from tests.proxy import proxied

Issue = Callable[[World], trustme.LeafCert]
NOW = datetime.now(UTC)


def valid_for(**since: timedelta) -> Issue:
    """Issue a certificate that begins and ends at these distances from now."""
    return lambda world: world.authority.issue_cert(
        "localhost", not_before=NOW + since.get("begins", timedelta(days=-100)), not_after=NOW + since["ends"]
    )


async def examined(world: World, certificate: trustme.LeafCert) -> dict[str, list[Finding]]:
    """What the doctor finds where the public address has this certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    async with proxied(tls, to=world.proxy.to) as proxy:
        world.tables["server"]["public_url"] = f"https://localhost:{proxy.port}"
        world.point()
        return await world.examined("certificate", "public address", "media stream", "idle connection")


@pytest.mark.parametrize(
    ("issue", "level", "says"),
    [
        (valid_for(ends=timedelta(days=-1)), Level.FAILED, "has expired (Twilio reports 11236 and 31910)"),
        (valid_for(begins=timedelta(days=1), ends=timedelta(days=90)), Level.FAILED, "is not valid yet"),
        (lambda world: world.authority.issue_cert("other.example"), Level.FAILED, "is for another host"),
        (lambda _: trustme.CA().issue_cert("localhost"), Level.FAILED, "from an authority that nobody knows"),
        (valid_for(ends=timedelta(days=3)), Level.FAILED, "is valid for 3 more days"),
        (valid_for(ends=timedelta(days=14)), Level.WARNING, "is valid for 14 more days"),
    ],
    ids=["expired", "not yet valid", "another host", "untrusted", "ends in days", "ends in weeks"],
)
async def test_certificate_is_judged_as_strictly_as_twilio_does(
    world: World, issue: Issue, level: Level, says: str
) -> None:
    """And what lies behind it is checked all the same."""
    found = ill(await examined(world, issue(world)))

    assert {"certificate"} == set(found)
    assert level == found["certificate"][0].level
    assert says in found["certificate"][0].message
    assert found["certificate"][0].way_out


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS greeting as a web server without TLS does."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def test_port_without_tls_is_told(world: World) -> None:
    """Plain HTTP where https is announced."""
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        world.tables["server"]["public_url"] = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        found = await world.examined("certificate", "public address")

    assert "no TLS with localhost" in found["certificate"][0].message
    assert "no TLS with localhost" in found["public address"][0].message


async def test_name_that_leads_nowhere_is_told(world: World) -> None:
    """The domain is reserved, so that nobody has it."""
    world.tables["server"]["public_url"] = "https://bot.invalid"

    found = await world.examined("certificate", "public address")

    assert "the name bot.invalid leads nowhere" == found["certificate"][0].message
    assert "the name bot.invalid leads nowhere" == found["public address"][0].message
