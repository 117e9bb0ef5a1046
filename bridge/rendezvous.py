"""How a rehearsed call on this machine finds the credential that `serve` made for itself.

A bridge without an auth token takes rehearsed calls only, and makes up a token at start. It leaves that in a file which
only this user can read, named after its port, for as long as it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Settings


class Credential(NamedTuple):
    """What the simulated carrier needs to call a bridge."""

    account_sid: str
    auth_token: str
    public_url: str
    admin_token: str = ""
    """Of the operator API, which knows the transcript."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Of a bridge that runs with these settings."""
        twilio, server = settings.twilio, settings.server
        token, admin_token = twilio.auth_token.get_secret_value(), server.admin_token.get_secret_value()
        return cls(twilio.account_sid or "AC" + "0" * 32, token, server.public_url, admin_token)


@contextlib.contextmanager
def published(port: int, credential: Credential) -> Iterator[None]:
    """Leave the credential of the bridge on this port, inside the block."""
    path = _path(port)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        message = f"{path.parent} belongs to another user: remove it, or set TMPDIR to a directory of your own"
        raise BridgeError(message)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(credential._asdict(), file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find(port: int) -> Credential | None:
    """The credential of the bridge on this port, if one of this user's has left it."""
    path = _path(port)
    try:
        if path.stat().st_uid != os.getuid():
            return None
        return Credential(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _path(port: int) -> Path:
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return base / f"voicebridge-{os.getuid()}" / f"{port}.json"
