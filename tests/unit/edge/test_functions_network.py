"""Which addresses are the open internet's."""

from __future__ import annotations

import pytest

from bridge.edge.functions_network import is_private_host, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nobody binds to it here
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%2",
        "fec0::1",
        "ff02::1",
    ],
)
def test_address_that_leads_inside_is_not_public(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved; and addresses that hide another one."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::6810:84e5", "64:ff9b::8.8.8.8"])
def test_address_of_the_internet_is_public(address: str) -> None:
    """Also as networks without IPv4 see them."""
    assert is_public(address)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("bot.localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("8.8.8.8", False),
        ("shop.example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_host_that_is_plainly_private_is_known_without_a_look_up(host: str, *, expected: bool) -> None:
    """Names are left to the look-up."""
    assert expected == is_private_host(host)
