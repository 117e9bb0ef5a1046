"""What is different where several processes are one bridge, or several bridges one line; see `docs/scaling.md`."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.edge.shared_redis import SharedByRedis
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.settings import Server, Settings


def are_several(settings: Settings) -> bool:
    """Whether this process is not the only one that answers for its lines."""
    return settings.server.workers > 1 or not is_in_memory(settings)


def register(settings: Settings) -> SharedByRedis | None:
    """The register that several bridges share; None where it is in memory. It is to be entered."""
    if is_in_memory(settings):
        return None
    url = settings.shared.url.get_secret_value()
    limits = settings.limits
    return SharedByRedis(
        url,
        address_of(settings.server.instance),
        secret=settings.twilio.auth_token.get_secret_value(),
        max_calls=limits.max_calls,
        calls_per_minute_per_caller=limits.calls_per_minute_per_caller,
    )


def is_in_memory(settings: Settings) -> bool:
    """Whether the register is this machine's own."""
    return settings.shared.url.get_secret_value().startswith("memory://")


def address_of(instance: str) -> str:
    """How others ask this process: its name, and what makes it another one each time that it starts."""
    return f"{instance}~{secrets.token_hex(4)}"


def instance_of(address: str) -> str:
    """The name in an address."""
    return address.partition("~")[0]


def made_up_instance() -> str:
    """A name for a bridge that was given none."""
    return secrets.token_hex(4)


def one_of(settings: Settings, number: int) -> Settings:
    """The settings of one worker: its own name, and its own port and address for media."""
    server = settings.server
    update = {
        "instance": f"{server.instance}-{number}",
        "media_port": server.media_port + number,
        "media_url": server.media_url.replace("{worker}", str(number)),
    }
    return settings.model_copy(update={"server": server.model_copy(update=update)})


def media_routes(server: Server) -> dict[str, int]:
    """The ports of this machine that take media, by the public address that leads to each; none by the plain door."""
    if not server.media_port:
        return {}
    public = server.media_url or f"wss://{urlsplit(server.public_url).netloc}"
    return {public.replace("{worker}", str(number)): server.media_port + number for number in range(server.workers)}


def url_of(host: str, port: int) -> str:
    """Where a bridge listens on this machine."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int, *, key: str = "server.port", is_divided: bool = False) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises BridgeError when the address cannot be had.

    A port that `is_divided` may be listened to by several processes, and the system divides connections between them.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512, reuse_port=is_divided)
    except OSError as error:
        message = f"cannot listen on {host}:{port} ({error.strerror}): stop what listens there, or set {key}"
        raise BridgeError(message) from error


def reserve(host: str, port: int) -> socket.socket:
    """A socket that keeps a port for processes that will divide it, and does not listen itself.

    Raises BridgeError when somebody else listens there, also if that one would divide it with us.
    """
    first = listen(host, port)
    port = first.getsockname()[1]
    first.close()
    kept = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind((host, port))
    return kept
