"""The certificate of the public addresses, as strictly as Twilio looks at it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.doctor.context import port_of
from bridge.doctor.findings import Finding, failed, ok, skipped, warning

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from bridge.doctor.context import Context

_SOON_DAYS, _NOW_DAYS = 21, 7
_DAY_S = 86_400
_HANDSHAKE_S = 10
_FAULTS = {
    9: ("is not valid yet", "see whether this machine's clock is right, and when the certificate begins"),
    10: ("has expired", "renew it, and see why that did not happen by itself"),
    18: ("is signed by itself", "Twilio refuses it: get one of a public authority, such as Let's Encrypt"),
    19: ("is signed by an authority that nobody knows", "Twilio refuses it: get one of a public authority"),
    20: (
        "comes without its chain, or from an authority that nobody knows",
        "serve the whole chain (fullchain.pem), and a certificate of a public authority",
    ),
    21: ("comes without its chain", "serve the whole chain (fullchain.pem), not the certificate alone"),
    62: ("is for another host", "get one for the host of server.public_url, or set that to the host it is for"),
}
"""OpenSSL's verification errors (`openssl-verification-options`), and what to do."""
_CODES = {10: 11236, 62: 11235}


async def certificate(context: Context) -> list[Finding]:
    """Look at the certificate of each public address."""
    addresses = {context.settings.server.public_url, context.settings.server.media_url.replace("{worker}", "0")}
    hosts = {(parts.hostname, parts.port): parts for url in sorted(addresses) if (parts := urlsplit(url)).hostname}
    secure = [parts for parts in hosts.values() if parts.scheme in ("https", "wss")]
    if not secure:
        return [skipped("there is no public address over https")]
    return [await _look_at(context, parts) for parts in secure]


async def _look_at(context: Context, parts: SplitResult) -> Finding:
    name, port = parts.hostname or "", port_of(parts)
    try:
        tls = ssl.create_default_context()
        _, writer = await asyncio.open_connection(name, port, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_S)
    except ssl.SSLCertVerificationError as error:
        fault, way_out = _FAULTS.get(error.verify_code, (f"is not accepted: {error.verify_message}", "renew it"))
        code = _CODES.get(error.verify_code, 11237)
        return failed(f"the certificate of {name} {fault} (Twilio reports {code} and 31910)", way_out)
    except ssl.SSLError as error:
        return failed(f"no TLS with {name}: {error.reason}", "let what serves it speak TLS 1.2 or newer on that port")
    except socket.gaierror:
        return failed(f"the name {name} leads nowhere", "add it to the DNS, or correct server.public_url")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return failed(f"{name} cannot be reached on port {port}: {reason}", "open that port to the Internet")
    try:
        return _valid(context, name, writer.get_extra_info("ssl_object"))
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _valid(context: Context, name: str, tls: ssl.SSLObject) -> Finding:
    ends = (tls.getpeercert() or {}).get("notAfter")
    days = (ssl.cert_time_to_seconds(str(ends)) - context.wall()) / _DAY_S
    message = f"the certificate of {name} is valid for {days:.0f} more days, {tls.version()}"
    if days < _NOW_DAYS:
        return failed(message, "renew it today: calls fail when it ends", days=round(days))
    if days < _SOON_DAYS:
        return warning(message, "see whether it is renewed by itself", days=round(days))
    return ok(message, days=round(days))
