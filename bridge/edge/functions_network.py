"""How functions are reached by HTTP: addresses are looked up and checked here, and connections go to none but those.

A name that leads into a private network (this machine, its neighbours, a cloud's metadata service) is refused unless
that is allowed. The connection is made to the address that was checked, so a name that leads elsewhere a moment later
gains nothing; TLS and `Host` still go by the name.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import httpcore

from bridge.edge.functions_run import FunctionFailedError
from bridge.edge.threads import Threads, ThreadsBusyError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
    """Addresses of a host name, best first; raises OSError when there are none."""

CONNECT_WITHIN_S = 2.0
"""How long one address may take before the next one is tried."""
KEEP_ALIVE_S = 4.0
"""How long a connection is kept for the next run: less than the five seconds after which many servers close it."""
LOOKUP_THREADS = 4
LOOKUPS_WAITING = 64
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses as IPv6-only networks see them (RFC 6052)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet's: not private, loopback, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
        if ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.is_site_local:  # tunnels: they lead elsewhere
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def is_private_host(host: str) -> bool:
    """Whether a URL's host is plainly this machine or a private address; a name tells when it is looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not is_public(host)
    except ValueError:
        return False


class SystemResolver:
    """Looks names up as the system does, in threads of its own, where a slow name server holds up nothing else."""

    def __init__(self) -> None:
        self._threads = Threads("lookup", size=LOOKUP_THREADS, waiting=LOOKUPS_WAITING)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host."""
        try:
            found = await self._threads.run(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except ThreadsBusyError:
            raise OSError("too many names are being looked up") from None
        return [str(address[0]) for *_, address in found]

    def stop(self) -> None:
        """Let the threads end."""
        self._threads.stop()


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Makes the connections of a pool; see the module."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the library's signature; the whole run has its limit
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers.

        Raises:
            FunctionFailedError: one of its addresses is private, which is not allowed.
            httpcore.ConnectError: the host has no address, or none that answers.
        """
        addresses = await self._addresses(host, port)
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(
                    address, port, CONNECT_WITHIN_S, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise httpcore.ConnectError("none of the addresses answers")

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):  # a name no name server could be asked for is a UnicodeError
            raise httpcore.ConnectError("the name has no address") from None
        if not (self._allow_private or all(map(is_public, addresses))):
            raise FunctionFailedError("refused_address", "the function's address is in a private network")
        return addresses


def pool(resolve: Resolve, tls: ssl.SSLContext, *, allow_private: bool, size: int) -> httpcore.AsyncConnectionPool:
    """Connections for functions that may, or may not, be in a private network: two pools, since connections are reused.

    No proxy, no cookie and no setting of the environment has a say in them.
    """
    return httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=size,
        keepalive_expiry=KEEP_ALIVE_S,
        network_backend=CheckedBackend(resolve, allow_private=allow_private),
    )
