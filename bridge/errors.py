"""What can go wrong, as a tree.

```
BridgeError                 whatever this package raises on purpose
├── ConfigurationError      a setting is wrong; says which, where it stands and what would be right
├── LocalProtocolError      we did something the protocol forbids: a bug of ours
├── RemoteProtocolError     a peer did; says on which leg
└── CarrierError            the carrier's REST interface refused or could not be reached
```
"""

from __future__ import annotations


class BridgeError(Exception):
    """Whatever this package raises on purpose."""


class ConfigurationError(BridgeError):
    """A setting is wrong.

    Args:
        message: one sentence that says what is wrong and the way out.
        key: the setting's dotted key, such as `agents.reception.voice`; empty when it is the file as a whole.
        source: where the value stands: a file's name or an environment variable's.
    """

    def __init__(self, message: str, *, key: str = "", source: str = "") -> None:
        self.message = message
        self.key = key
        self.source = source
        super().__init__(": ".join(part for part in (source, key, message) if part))


class LocalProtocolError(BridgeError):
    """We did something the protocol forbids: a bug of ours."""


class RemoteProtocolError(BridgeError):
    """A peer did something the protocol forbids.

    Args:
        leg: `caller` or `model`.
        message: what it did; without the data of the call.
    """

    def __init__(self, leg: str, message: str) -> None:
        self.leg = leg
        self.message = message
        super().__init__(f"{leg}: {message}")


class CarrierError(BridgeError):
    """The carrier's REST interface refused a request (`status`, `code`) or could not be reached (both None)."""

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        self.message = message
        self.status = status
        self.code = code
        super().__init__(message)
