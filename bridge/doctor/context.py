"""What the checks are given."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.clock import Clock
    from bridge.settings import Notice, Settings
    from twiml.calls import CallControl


@dataclass(frozen=True)
class Context:
    """What the checks are given."""

    settings: Settings
    clock: Clock
    control: CallControl | None = None
    """The carrier's REST interface; None without credentials."""
    notices: tuple[Notice, ...] = ()
    """What the configuration was doubted for."""
    identity: str = ""
    """Of the bridge that listens on this machine: one that runs, or the doctor's own stand-in. Empty: nobody does."""
    is_running: bool = False
    """Whether that is a bridge that runs."""
    hold_s: float = 75.0
    """How long a silent socket is held open; 0: not at all."""
    wall: Callable[[], float] = time.time
    """The calendar's clock, in seconds of the epoch."""

    @property
    def auth_token(self) -> str:
        """The account's auth token; empty where there is none."""
        return self.settings.twilio.auth_token.get_secret_value()

    @property
    def public(self) -> SplitResult:
        """The public address."""
        return urlsplit(self.settings.server.public_url.rstrip("/"))


def port_of(parts: SplitResult) -> int:
    """The port of an address, written or not."""
    return parts.port or (443 if parts.scheme in ("https", "wss") else 80)


def unchecked_tls() -> ssl.SSLContext:
    """For what is asked over a connection whose certificate has a check of its own: one fault, one finding."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
